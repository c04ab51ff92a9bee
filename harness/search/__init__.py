"""Exact search: which documents' vectors are most like each query's, in bounded memory, ties by document id."""
