"""Numbers in, numbers out: intervals, paired differences, tails."""
