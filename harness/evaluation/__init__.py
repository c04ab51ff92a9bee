"""`harness run`: preflight, executor, worker, record, progress."""
