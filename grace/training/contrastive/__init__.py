"""Infonce, simcse, infonce-rationale."""
