"""Training of the candidates that `harness` judges."""
