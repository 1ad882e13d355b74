"""The models that the sandbox offers, what they answer and how answers are scored. No state."""
