"""Reports: a pure function of results. `table.py` decides what is said, the other files how it is written."""
