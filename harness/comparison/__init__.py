"""Two cells, two models: paired difference, retention, what they were made with."""
