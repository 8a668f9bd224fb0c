"""The label side: names, units, coordinates and CRS become plain arrays here, and back.

Everything in this package knows xarray, pint and pyproj, and nothing of tensors.
"""
