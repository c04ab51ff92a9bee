"""The only code that knows how a text becomes prompt, rationale and vector."""
