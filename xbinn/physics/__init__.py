"""CLM5's soil carbon model at steady state, in pure torch.

Tensors are layer-major with the batch last: (pool, layer, *batch), so that every step of a sweep
over the layers is one vector operation over the batch. Nothing here knows of xarray, dask, units,
files or networks.
"""
