"""Forcing where there is no run of a land model: relations of climate, soil and vegetation."""
