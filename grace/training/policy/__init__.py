"""Grace: reinforcement on the model's own rationales."""
