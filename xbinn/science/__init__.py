"""What scientists do with the model: fit it to profiles, score it, compare it."""
