"""CLM5-like history files, written without xarray or xbinn, of a toy run whose budget is known.

They are netCDF of 64-bit offsets, which CTSM writes by default. Fluxes are constant within a month,
so pools change linearly within it and their mean over the month is their value in the middle.
"""

from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

SHAPE = (2, 3)
OCEAN = (0, 2)
FILL = 1e36
DAY = 86400.0
YEAR_DAYS = 365
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
LEVGRND = (
    0.01, 0.04, 0.09, 0.16, 0.26, 0.40, 0.58, 0.80, 1.06, 1.36, 1.70, 2.08, 2.50,
    2.99, 3.58, 4.27, 5.06, 5.95, 6.94, 8.03, 9.795, 13.328, 19.483, 28.871, 41.998,
)  # fmt: skip
NEW = {"LITR1": "LIT_MET", "LITR2": "LIT_CEL", "LITR3": "LIT_LIG", "SOIL1": "SOM_ACT",
       "SOIL2": "SOM_SLO", "SOIL3": "SOM_PAS", "CWD": "CWD"}  # fmt: skip
"""As CTSM renamed the pools; field names got an underscore in front of C."""
BETWEEN = {"LITR1": "MET_LIT", "LITR2": "CEL_LIT", "LITR3": "LIG_LIT", "SOIL1": "ACT_SOM",
           "SOIL2": "SLO_SOM", "SOIL3": "PAS_SOM", "CWD": "CWD"}  # fmt: skip
RATES = {"CWD": 0.3, "LITR1": 12.0, "LITR2": 3.0, "LITR3": 2.0}
"""Of decomposition, per year."""


def rename(field: str, names: dict[str, str] | None) -> str:
    """Give a field of CLM5.0 its later name."""
    if names is None:
        return field
    for old, new in names.items():
        field = field.replace(f"{old}C", f"{new}_C").replace(f"{old}_HR", f"{new}_HR")
    return field


def toy_run(n_years: int, *, seed: int = 0, accelerated: bool = False):
    """Step four pools through the months.

    Returns fields (month of the run, *SHAPE) and the true inputs (calendar month, *SHAPE)
    [gC m-2 s-1] by pool.
    """
    rng = np.random.default_rng(seed)
    inputs = {p: rng.uniform(0.0, 3e-6, (12, *SHAPE)) for p in RATES}
    stock = {p: rng.uniform(50.0, 500.0, SHAPE) for p in RATES}  # far from steady state
    fields: dict[str, list[np.ndarray]] = {}

    def keep(name: str, value: np.ndarray) -> np.ndarray:
        fields.setdefault(name, []).append(value)
        return value

    for i in range(12 * n_years):
        seconds = LENGTHS[i % 12] * DAY
        lost = {p: stock[p] * k / (YEAR_DAYS * DAY) for p, k in RATES.items()}
        burnt = {p: keep(f"M_{p}C_TO_FIRE", 0.02 * lost[p]) for p in RATES}
        rest = {p: lost[p] - burnt[p] for p in RATES}
        hr = {p: keep(f"{p}_HR", 0.5 * rest[p]) for p in ("LITR1", "LITR2", "LITR3")}
        keep("CWD_HR_L2", 0.1 * rest["CWD"])
        keep("CWD_HR_L3", 0.05 * rest["CWD"])
        to_2 = keep("CWDC_TO_LITR2C", 0.65 * rest["CWD"])
        to_3 = keep("CWDC_TO_LITR3C", 0.20 * rest["CWD"])
        for pool, soil in (("LITR1", "SOIL1"), ("LITR2", "SOIL1"), ("LITR3", "SOIL2")):
            keep(f"{pool}C_TO_{soil}C", rest[pool] - hr[pool])
        gained = {"CWD": 0.0, "LITR1": 0.0, "LITR2": to_2, "LITR3": to_3}
        for p in RATES:
            change = (inputs[p][i % 12] + gained[p] - lost[p]) * seconds
            keep(f"{p}C", stock[p] + 0.5 * change)
            stock[p] = stock[p] + change
        keep("SOIL2C", np.full(SHAPE, 4000.0))
        keep("SOIL3C", np.full(SHAPE, 160.0 if accelerated else 9000.0))
    return {n: np.stack(v) for n, v in fields.items()}, inputs


def monthly_fields(n_years: int, *, seed: int = 1):
    """Physical fields (month of the run, [level], *SHAPE) on the levels of CTSM."""
    rng = np.random.default_rng(seed)
    n = 12 * n_years
    layered = {"TSOI": ("levgrnd", 25), "W_SCALAR": ("levdcmp", 25), "O_SCALAR": ("levdcmp", 25),
               "FPI_vr": ("levdcmp", 25)}  # fmt: skip
    out = {}
    for name, (level, size) in layered.items():
        low, high = (260.0, 300.0) if name == "TSOI" else (0.1, 1.0)
        out[name] = (level, rng.uniform(low, high, (n, size, *SHAPE)))
    for name in ("ALTMAX", "ALTMAX_LASTYEAR"):
        out[name] = (None, rng.uniform(0.5, 3.0, (n, *SHAPE)))
    return out


def write_history(
    folder: Path,
    *,
    n_years: int = 3,
    layout: str = "year",
    names: dict[str, str] | None = None,
    scalars_on: str = "levdcmp",
    first_month: int = 0,
    first_year: int = 1,
    calendar: str = "noleap",
    bounds: str = "time_bounds",
    without: tuple[str, ...] = (),
    methods: str = "time: mean",
    accelerated: bool = False,
    skip: tuple[int, ...] = (),
    unstructured: bool = False,
) -> tuple[list[Path], dict, dict]:
    """Write files; return their paths, what they hold (by name) and the true inputs."""
    budget, inputs = toy_run(n_years, accelerated=accelerated)
    fields = {rename(n, names): (None, v) for n, v in budget.items()}
    fields |= monthly_fields(n_years)
    if scalars_on == "levsoi":
        for name in ("W_SCALAR", "O_SCALAR"):
            fields[name] = ("levsoi", fields[name][1][:, :20])
    fields = {n: v for n, v in fields.items() if n not in without}
    for level, values in fields.values():
        values[(slice(None), *((slice(None),) if level else ()), *OCEAN)] = FILL
    lengths = np.tile(LENGTHS, n_years)
    ends = np.cumsum(lengths) + YEAR_DAYS * (first_year - 1)
    starts = ends - lengths
    chosen = [i for i in range(first_month, 12 * n_years) if i not in skip]
    if layout == "year":
        years = dict.fromkeys(i // 12 for i in chosen)
        parts = {
            f"case.clm2.h0.{y:03d}.nc": ([i for i in chosen if i // 12 == y], fields) for y in years
        }
    elif layout == "field":
        parts = {f"case.clm2.h0.{n}.nc": (chosen, {n: v}) for n, v in fields.items()}
    else:
        parts = {"case.clm2.h0.nc": (chosen, fields)}
    paths = []
    for name, (records, held) in parts.items():
        path = folder / name
        # The first file alone has constants that the others lack, as CTSM's does.
        constants = ("nbedrock", "area", "ZSOI") if not paths else ("nbedrock", "area")
        constants = tuple(c for c in constants if c not in without)
        _write(
            path, records, held, starts, ends, constants, calendar, bounds, methods, unstructured
        )
        paths.append(path)
    return paths, fields, inputs


def _write(path, records, fields, starts, ends, constants, calendar, bounds, methods, flat):
    space = ("lndgrid",) if flat else ("lat", "lon")
    shape = (SHAPE[0] * SHAPE[1],) if flat else SHAPE
    lat, lon = np.array([40.0, 45.0]), np.array([250.0, 255.0, 260.0])
    with netcdf_file(path, "w", version=2) as f:
        f.case_id = "toy"
        f.source = "Community Terrestrial Systems Model"
        f.createDimension("time", None)
        sizes = dict(zip(space, shape, strict=True))
        sizes |= {"levgrnd": 25, "levdcmp": 25, "levsoi": 20, "hist_interval": 2}
        for dim, size in sizes.items():
            f.createDimension(dim, size)

        def write(name, kind, dims, values, **attributes):
            variable = f.createVariable(name, kind, dims)
            for key, value in attributes.items():
                setattr(variable, key, value)
            variable[:] = values

        attributes = {"units": "days since 0001-01-01 00:00:00", "calendar": calendar}
        if bounds:
            attributes["bounds"] = bounds
            both = np.stack([starts[records], ends[records]], axis=1)
            write(bounds, "f8", ("time", "hist_interval"), both)
        write("time", "f8", ("time",), ends[records], **attributes)
        at = np.meshgrid(lat, lon, indexing="ij")
        at = [a.ravel() for a in at] if flat else [lat, lon]
        write("lat", "f4", space[:1], at[0], units="degrees_north")
        write("lon", "f4", space[-1:], at[1], units="degrees_east")
        for name in ("levgrnd", "levdcmp", "levsoi"):
            write(name, "f4", (name,), LEVGRND[: sizes[name]], units="m")
        if "nbedrock" in constants:
            layer = np.reshape([[8, 12, -9999], [20, 15, 6]], shape)
            write(
                "nbedrock", "i4", space, layer, _FillValue=np.int32(-9999),
                long_name="index of shallowest bedrock layer",
            )  # fmt: skip
        if "area" in constants:
            write("area", "f4", space, np.ones(shape))
        if "ZSOI" in constants:
            write("ZSOI", "f4", ("levgrnd", *space), np.ones((25, *shape)))
        for name, (level, values) in fields.items():
            dims = ("time", *((level,) if level else ()), *space)
            part = values[records]
            part = part.reshape(*part.shape[: part.ndim - 2], *shape)
            write(
                name, "f8", dims, part, units=_units(name), cell_methods=methods,
                _FillValue=np.float64(FILL),
            )  # fmt: skip


def _units(name: str) -> str:
    if name == "TSOI":
        return "K"
    if name.startswith("ALT"):
        return "m"
    if name in ("W_SCALAR", "O_SCALAR"):
        return "unitless"
    if name == "FPI_vr":
        return "proportion"
    flux = "_TO_" in name or "_HR" in name
    return "gC/m^2/s" if flux else "gC/m^2"
