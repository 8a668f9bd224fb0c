"""A first map, from the data to a figure, and to a file that other programs read.

    python examples/first_map.py --out first_map

On the folder that XBINN_DATA names, else on the embedded idealised continent. The tutorial
"A first map" explains it line by line.
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl

import xbinn
from xbinn.plotting import plot_map


def main() -> None:
    """Fit, predict, draw and write."""
    arguments = _arguments()
    mpl.use("Agg")
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    grid = xbinn.datasets.open_grid(chunks={})
    profiles = xbinn.datasets.open_profiles()
    few = {"epochs": 2} if arguments.smoke else {}
    model = grid.binn.fit(profiles, seed=0, **few)
    print(model)
    model.save(out / "first.xbinn")

    soc = grid.binn.predict(model, outputs=("soc",)).compute()
    soc.to_netcdf(out / "soc.nc", engine="h5netcdf")
    figure = plot_map(soc["cSoilAbove1m"], caption=f"{grid.attrs['title']}.")
    figure.savefig(out / "first_map.png", dpi=150)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("first_map"), help="folder to write to")
    parser.add_argument("--smoke", action="store_true", help="two epochs only, to test the path")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
