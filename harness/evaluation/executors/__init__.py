"""Where cells run: here one after the other, or in several processes that share a results folder."""
