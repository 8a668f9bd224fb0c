"""Timings that xbinn quotes: ``python -m benchmarks.physics``."""
