"""Models on blocks of a grid: saved models, devices, one block function, its dispatch over dask."""
