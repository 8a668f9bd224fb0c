"""Datasets in what shows itself in HTML."""

import xarray as xr

from xbinn.display import Section


def show_dataset(name: str, ds: xr.Dataset) -> Section:
    """Show a Dataset as xarray does, in a section that is closed at first.

    Parameters
    ----------
    name : str
        Of the attribute that holds it.
    ds : Dataset
        Nothing of it is computed.
    """
    sizes = ", ".join(f"{dim} {size}" for dim, size in ds.sizes.items())
    return Section(name, note=f"Dataset: {sizes}", html=ds._repr_html_(), opened=False)
