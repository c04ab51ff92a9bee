"""Reports: a pure function of a summary; `sections/` says what is told, `formats/` how it is written."""
