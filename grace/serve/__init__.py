"""A candidate behind an OpenAI-compatible endpoint: `grace serve`."""
