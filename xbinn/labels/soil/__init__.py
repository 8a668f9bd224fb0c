"""Soil profiles as laboratories and databases publish them, and their way to profile Datasets."""
