"""From rasters on any grid to covariates on the grid of a Dataset."""
