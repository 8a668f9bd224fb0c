"""Two maps of parameters and processes against each other, or against a known truth."""

from functools import reduce
from importlib.metadata import version
from operator import mul
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.errors import CoordinateError, InputError
from xbinn.labels.areas import cell_sizes
from xbinn.labels.encoding import output_attributes
from xbinn.labels.regions import find_regions, sum_by_region
from xbinn.labels.space import grid_mapping_name
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.labels.units import dequantify
from xbinn.options import BLOCK_SIZE
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.metrics import LEVEL, BlockBootstrap
from xbinn.variables import DEPTH, PROCESS_NAMES, QUANTILE, SAMPLE

METHODS: Final = ("binn", "proda")
COMPARED_PROCESSES: Final = tuple(
    name for name in PROCESS_NAMES if name not in ("carbon_input", "residence_time")
)
"""Processes that parameters decide: carbon input is forcing, and residence time is a stock over it.
The papers compare six; these are ours, since their list could not be read."""
QUANTITIES: Final = (*PARAMETER_NAMES, *COMPARED_PROCESSES)
ALL: Final = "all"
"""Name of the class that holds every cell."""
TIE: Final = "tie"
QUANTITY: Final = "quantity"
AREA: Final = "area"

_FEWEST: Final = 3
"""Cells that have a correlation worth the name."""
_ROUNDING: Final = 1e-12
_SCORES: Final = {
    "correlation": "Pearson correlation over the cells",
    "bias": "mean of {0} minus {1}",
    "rmse": "root mean squared difference",
}


def compare(
    binn: xr.Dataset,
    proda: xr.Dataset,
    *,
    by: str | xr.DataArray | None = None,
    weights: xr.DataArray | str | None = None,
) -> xr.Dataset:
    """Compare maps of the 21 parameters and of six processes, cell by cell.

    Parameters
    ----------
    binn, proda : Dataset
        Results of `xbinn.predict` on the same grid or cells.
    by : str or DataArray, optional
        Classes on the same cells, such as those of climate, or the name of such a variable of
        ``binn``. Labels are ``flag_meanings``, else the values found. Cells without a class count
        in "all" only.
    weights : DataArray or "area", optional
        How much each cell counts, or its area from the coordinates of a regular grid; all alike
        by default.

    Returns
    -------
    Dataset
        ``correlation``, ``bias`` (binn minus proda), ``rmse`` (quantity[, class]), the latter two
        in the ``units`` of each quantity; ``mean`` and ``standard_deviation`` (model, quantity[,
        class]) of each map; ``n`` (quantity[, class]), cells that have a value in both. The
        dimension of classes has the name of ``by``, and "all" is the first. Correlations of
        fewer than 3 cells, or of what does not vary, are NaN. Lazy where the maps are.

    Raises
    ------
    InputError
        If quantities are missing, dimensions besides space are left, or weights are negative.
    CoordinateError
        If the maps, classes or weights lie on different coordinates, or areas are not known.

    References
    ----------
    Xu et al. 2025, arXiv:2502.00672, where six processes of BINN and PRODA are compared.
    """
    return _agreement(binn, proda, METHODS, by=by, weights=weights)


def compare_with_truth(
    binn: xr.Dataset,
    proda: xr.Dataset,
    truth: xr.Dataset,
    *,
    block_size: float | str = BLOCK_SIZE,
) -> xr.Dataset:
    """Say which of two maps is nearer to a known truth, quantity by quantity.

    Parameters
    ----------
    binn, proda, truth : Dataset
        Parameters and processes on the same cells, which have ``lat`` and ``lon``.
    block_size : float or str
        Edge of the blocks that are resampled, in degrees, or as "200 km".

    Returns
    -------
    Dataset
        ``correlation``, ``bias``, ``rmse`` and ``relative_rmse``, over the standard deviation of
        the truth (model, quantity); ``rmse_difference``, binn minus proda, with its 90 % interval
        from resampling blocks, ``rmse_difference_low`` and ``_high`` (quantity); ``nearer``
        (quantity), "binn", "proda", or "tie" where the interval holds zero.

    Raises
    ------
    InputError, CoordinateError
        As `compare`.
    """
    both = [
        _agreement(one, truth, (name, "truth"), by=None, weights=None)
        for name, one in zip(METHODS, (binn, proda), strict=True)
    ]
    parts = [one[["correlation", "bias", "rmse", "n"]] for one in both]
    found = xr.concat(parts, xr.IndexVariable("model", list(METHODS)), coords="minimal",
                      compat="override", combine_attrs="override")  # fmt: skip
    spread = both[0]["standard_deviation"].sel(model="truth", drop=True)
    found["bias"].attrs["long_name"] = "mean of the estimate minus the truth"
    found["relative_rmse"] = found["rmse"] / spread
    found["relative_rmse"].attrs = {
        "units": "1",
        "long_name": "root mean squared error over the standard deviation of the truth",
    }
    low, high, difference = _difference(binn, proda, truth, block_size)
    what = "root mean squared error of binn minus that of proda"
    for name, values, bound in (
        ("rmse_difference", difference, ""),
        ("rmse_difference_low", low, "lower end of the 90 % interval: "),
        ("rmse_difference_high", high, "upper end of the 90 % interval: "),
    ):
        found[name] = (QUANTITY, values, {"long_name": bound + what})
    nearer = np.where(high < 0.0, METHODS[0], np.where(low > 0.0, METHODS[1], TIE))
    found["nearer"] = (QUANTITY, nearer, {"long_name": "method that is nearer to the truth"})
    found.attrs["title"] = "Maps of two methods against the truth"
    return found


def _agreement(
    first: xr.Dataset,
    second: xr.Dataset,
    names: tuple[str, str],
    *,
    by: str | xr.DataArray | None,
    weights: xr.DataArray | str | None,
) -> xr.Dataset:
    x, y = (_quantities(ds, name) for ds, name in zip((first, second), names, strict=True))
    _same_cells(x, y, " and ".join(names))
    space = tuple(str(d) for d in x.dims if d != QUANTITY)
    y = y.transpose(*x.dims)
    weight = _weights(weights, first, x, space)
    known: xr.DataArray = x.notnull() & y.notnull() & (weight > 0.0)
    w = weight.where(known, 0.0)
    total = w.sum(space)
    # Less a common number, which changes no score, so that squares keep their digits.
    middle = ((w * x).where(known, 0.0) + (w * y).where(known, 0.0)).sum(space) / (2.0 * total)
    x, y = (x - middle).where(known, 0.0), (y - middle).where(known, 0.0)
    moments: list[xr.DataArray] = [
        known.astype(float),
        w,
        w * x,
        w * y,
        w * x * x,
        w * y * y,
        w * x * y,
        w * (x - y) ** 2,
    ]
    terms: xr.DataArray = xr.concat(moments, "term")
    n, w, sx, sy, sxx, syy, sxy, error = _summed(terms, by, first, space)
    spread_x, spread_y = (
        (s2 - s * s / w).where(s2 - s * s / w > _ROUNDING * s2) for s, s2 in ((sx, sxx), (sy, syy))
    )
    correlation = (sxy - sx * sy / w) / np.sqrt(spread_x * spread_y)
    model = xr.IndexVariable("model", list(names))
    found = xr.Dataset(
        {
            "correlation": correlation.where(n >= _FEWEST),
            "bias": (sx - sy) / w,
            "rmse": np.sqrt(error / w),
            "mean": xr.concat([sx / w + middle, sy / w + middle], model),
            "standard_deviation": np.sqrt(xr.concat([spread_x / w, spread_y / w], model)),
            "n": n.astype(int),
        }
    )
    return _described(found, names, "none" if weights is None else str(_name_of(weights)))


def _quantities(ds: xr.Dataset, what: str) -> xr.DataArray:
    """Parameters and processes, (quantity, *space)."""
    ds = dequantify(ds)
    missing = [name for name in QUANTITIES if name not in ds.data_vars]
    if missing:
        raise InputError(
            f"{what} has no {', '.join(missing)}: predict with outputs=('parameters', 'processes')"
        )
    stacked = ds[list(QUANTITIES)].reset_coords(drop=True).to_array(QUANTITY)
    left = sorted({SAMPLE, QUANTILE, DEPTH} & {str(d) for d in stacked.dims})
    if left or stacked.ndim < 2:
        raise InputError(
            f"{what} lies on {', '.join(left) or 'no cells'}: give maps, such as the mean over "
            "the samples"
        )
    return stacked.astype(np.float64)


def _same_cells(x: xr.DataArray, other: xr.DataArray, what: str) -> None:
    extra = [str(d) for d in other.dims if d not in x.dims]
    try:
        xr.align(x, other, join="exact")
    except (xr.AlignmentError, ValueError) as error:
        raise CoordinateError(
            f"{what} do not lie on the same cells ({error}): predict both on one grid"
        ) from error
    if extra:
        raise CoordinateError(
            f"{what} do not lie on the same cells: only one has the dimension {', '.join(extra)}"
        )


def _weights(
    given: xr.DataArray | str | None, ds: xr.Dataset, x: xr.DataArray, space: tuple[str, ...]
) -> xr.DataArray:
    """How much each cell counts, 0 or more."""
    if given is None:
        return xr.ones_like(x.isel({QUANTITY: 0}, drop=True))
    if isinstance(given, str):
        if given != AREA:
            raise InputError(f"weights={given!r} is not known: give {AREA!r} or a DataArray")
        one = ds[[QUANTITIES[0]]]
        named = {n for n in (grid_mapping_name(ds),) if n in ds.variables}
        given = reduce(mul, cell_sizes(one.assign_coords({n: ds[n].variable for n in named})))
    given = dequantify(given).reset_coords(drop=True)
    _same_cells(x, given, "maps and weights")
    if bool((given < 0.0).any()):
        raise InputError("weights hold negative numbers: a cell counts 0 or more")
    return given.fillna(0.0).astype(np.float64)


def _summed(
    terms: xr.DataArray, by: str | xr.DataArray | None, ds: xr.Dataset, space: tuple[str, ...]
) -> list[xr.DataArray]:
    """Sum over all cells and over those of each class, (quantity[, class]) for each term."""
    everything = terms.sum(space)
    if by is None:
        return [everything.isel(term=k) for k in range(terms.sizes["term"])]
    if isinstance(by, str) and by not in ds.variables:
        raise InputError(
            f"by={by!r} is not in the result: give the DataArray itself, such as grid[{by!r}]"
        )
    classes = dequantify(ds[by] if isinstance(by, str) else by).reset_coords(drop=True)
    _same_cells(terms, classes, "maps and classes")
    name = "class" if classes.name is None else str(classes.name)
    regions = find_regions(classes, name)
    parts = sum_by_region(terms.transpose(..., *space), regions, space)
    parts = parts.assign_coords({name: [str(label) for label in regions.labels]})
    found = xr.concat([everything.expand_dims({name: [ALL]}, -1), parts], name)
    return [found.isel(term=k) for k in range(terms.sizes["term"])]


def _described(found: xr.Dataset, names: tuple[str, str], weights: str) -> xr.Dataset:
    attrs = [output_attributes(name) for name in QUANTITIES]
    found = found.drop_vars("term", errors="ignore").assign_coords(
        {
            QUANTITY: list(QUANTITIES),
            "kind": (
                QUANTITY,
                ["parameter" if name in PARAMETER_NAMES else "process" for name in QUANTITIES],
            ),
            "units": (QUANTITY, [a["units"] for a in attrs]),
            "long_name": (QUANTITY, [a["long_name"] for a in attrs]),
        }
    )
    long_names = {n: text.format(*names) for n, text in _SCORES.items()}
    long_names |= {
        "mean": "mean over the cells",
        "standard_deviation": "standard deviation over the cells",
        "n": "number of cells with a value in both",
    }
    for name, text in long_names.items():
        plain = {"units": "1"} if name in ("correlation", "n") else {}
        found[name].attrs = {"long_name": text} | plain
        if not plain:
            found[name].attrs["comment"] = "in the units of each quantity"
    found.attrs = {
        "title": f"Maps of {' and '.join(names)} against each other",
        "source": f"xbinn {version('xbinn')}",
        "weights": weights,
    }
    return found


def _name_of(weights: xr.DataArray | str) -> Any:
    return (
        weights if isinstance(weights, str) else ("given" if weights.name is None else weights.name)
    )


def _difference(
    binn: xr.Dataset, proda: xr.Dataset, truth: xr.Dataset, block_size: float | str
) -> np.ndarray:
    """Ends, (low, high, difference) of the interval of, and the difference in RMSE, (quantity,)."""
    x, y, t = (
        _quantities(ds, n) for ds, n in zip((binn, proda, truth), (*METHODS, "truth"), strict=True)
    )
    without = [n for n in ("lat", "lon") if n not in truth.coords]
    if without:
        raise CoordinateError(
            f"truth has no coordinate {', '.join(without)}, so blocks of cells cannot be resampled:"
            " assign lat and lon to its cells"
        )
    one = t.isel({QUANTITY: 0}, drop=True)
    place = [
        truth[n].reset_coords(drop=True).broadcast_like(one).transpose(*one.dims).values.ravel()
        for n in ("lat", "lon")
    ]
    block = spatial_blocks(place[0], place[1], block_size)
    rows = []
    for name in QUANTITIES:
        a, b, c = (q.sel({QUANTITY: name}).transpose(*t.dims[1:]).values.ravel() for q in (x, y, t))
        known = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
        blocks = BlockBootstrap(block[known], level=LEVEL)
        terms = (np.ones(known.sum()), (a - c)[known] ** 2, (b - c)[known] ** 2)
        n, first, second = blocks.sums(*terms)
        difference = np.sqrt(first / n) - np.sqrt(second / n)
        rows.append((*blocks.interval(difference[1:]), difference[0]))
    return np.array(rows).T
