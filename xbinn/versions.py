"""What xbinn runs on, for bug reports."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version


def show_versions() -> str:
    """Versions of Python, the system, xbinn and what it builds on.

    Returns
    -------
    str
        One line each; print it.
    """
    packages = (
        "xbinn xarray numpy dask distributed torch zarr h5netcdf pint pint-xarray cf-xarray "
        "rioxarray pyproj pandas scipy safetensors"
    )
    lines = [
        f"python: {sys.version.split()[0]}",
        f"system: {platform.platform()}",
        f"cores: {os.cpu_count()}",
    ]
    for name in packages.split():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "not installed"
        lines.append(f"{name}: {found}")
    return "\n".join(lines)
