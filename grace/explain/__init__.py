"""`grace explain`: needs a candidate, no training."""
