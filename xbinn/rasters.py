"""Rasters as covariates, and the products whose files are known."""

from xbinn.labels.rasters.products import PRODUCTS, Product
from xbinn.labels.rasters.stack import stack_covariates

__all__ = ["PRODUCTS", "Product", "stack_covariates"]
