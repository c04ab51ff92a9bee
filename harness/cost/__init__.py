"""What a plan will cost, and how fast this machine is."""
