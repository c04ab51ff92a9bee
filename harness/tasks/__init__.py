"""WHAT is measured: facts of every task, engine and type, before any engine is imported."""
