"""The command line: ``xbinn fit``, ``predict``, ``inspect``, ``check`` and ``verify``.

Exit codes: 0 for success, 1 for an error of xbinn or a store that is not sound, 2 for wrong usage.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

import xbinn
from xbinn.errors import JobError, XbinnError
from xbinn.variables import OUTPUT_GROUPS

_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_DATA: Final = click.option(
    "--data", required=True, type=click.Path(), help="Grid: NetCDF file or Zarr store."
)
_DEVICE: Final = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."
)

Result = tuple[Mapping[str, Any], bool]
"""What a command has to say, and whether all is well."""


def _command(function: Callable[..., Result]) -> Callable[..., None]:
    """Print what a command returns, as text or JSON, and turn its errors into exit codes."""

    @_JSON
    @wraps(function)
    def run(*, as_json: bool, **arguments: Any) -> None:
        try:
            said, well = function(**arguments)
        except XbinnError as error:
            if as_json:
                problem = {"type": type(error).__name__, "message": str(error)}
                click.echo(json.dumps({"error": problem}))
            else:
                click.echo(f"Error: {error}", err=True)
            raise SystemExit(1) from error
        if as_json:
            click.echo(json.dumps(said, default=str))
        else:
            width = max(map(len, said))
            for name, value in said.items():
                click.echo(f"{name:<{width}}  {value}")
        raise SystemExit(0 if well else 1)

    return run


class _Sizes(click.ParamType):  # type: ignore[type-arg]
    """Sizes of dimensions, as in lat=90,lon=180."""

    name = "DIM=N,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            parts = (part.split("=") for part in str(value).split(","))
            return {dim.strip(): int(size) for dim, size in parts}
        except ValueError:
            self.fail(f"{value!r} is not of the form lat=90,lon=180", param, ctx)


@click.group()
@click.version_option(xbinn.__version__, prog_name="xbinn")
@click.option("-v", "--verbose", is_flag=True, help="Show what is done, on stderr.")
def main(verbose: bool) -> None:
    """Map soil carbon with biogeochemistry-informed neural networks."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("xbinn").setLevel(logging.INFO if verbose else logging.WARNING)


@main.command()
@_DATA
@click.option("--profiles", required=True, type=click.Path(), help="SOC profiles: NetCDF or Zarr.")
@click.option("--to", required=True, type=click.Path(), help="Model file to write.")
@click.option("--covariate", multiple=True, help="Learn from this variable; may be repeated.")
@click.option("--epochs", type=int, help="Passes over the cells at most.")
@click.option("--seed", type=int, help="Equal seeds give equal models.")
@_DEVICE
@_command
def fit(
    data: str,
    profiles: str,
    to: str,
    covariate: tuple[str, ...],
    epochs: int | None,
    seed: int | None,
    device: str,
) -> Result:
    """Fit a model to SOC profiles and save it."""
    given: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    model = xbinn.fit(
        xbinn.datasets.open_grid(data),
        xbinn.datasets.open_profiles(profiles),
        covariates=covariate or None,
        seed=seed,
        device=device,
        **given,
    )
    model.save(to)
    return {"model": to, "sha256": model.sha256, "left out": model.left_out}, True


@main.command()
@click.option("--model", required=True, type=click.Path(), help="Model file.")
@_DATA
@click.option("--to", required=True, type=click.Path(), help="Result: .zarr or .nc.")
@click.option("--outputs", multiple=True, type=click.Choice(OUTPUT_GROUPS), help="May be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--chunks", type=_Sizes(), help="Cells of a stored chunk.")
@click.option("--shards", type=_Sizes(), help="Cells of a shard, which holds whole chunks.")
@click.option("--scheduler", help="Address of a dask scheduler. Default: threads.")
@_DEVICE
@_command
def predict(
    model: str,
    data: str,
    to: str,
    outputs: tuple[str, ...],
    overwrite: bool,
    chunks: dict[str, int] | None,
    shards: dict[str, int] | None,
    scheduler: str | None,
    device: str,
) -> Result:
    """Map with a model, tile by tile; the same command goes on where it was stopped."""
    with _cluster(scheduler):
        out = xbinn.predict(
            xbinn.datasets.open_grid(data),
            xbinn.load(model),
            outputs=outputs or OUTPUT_GROUPS,  # type: ignore[arg-type]
            to=to,
            overwrite=overwrite,
            chunks=chunks,
            shards=shards,
            device=device,
        )
    return {"result": to, "status": out.attrs["xbinn_job_status"], "sizes": dict(out.sizes)}, True


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    if address is None:
        yield
        return
    from distributed import Client

    with Client(address):
        yield


@main.command()
@click.argument("path", type=click.Path(exists=True))
@_command
def inspect(path: str) -> Result:
    """Say what a model file or a store of `predict` is."""
    if Path(path).is_dir():
        return _describe(Path(path)), True
    model = xbinn.load(path)
    said = {"sha256": model.sha256, "covariates": model.covariates, "left out": model.left_out}
    return {**said, "settings": model.settings}, True


def _describe(path: Path) -> dict[str, Any]:
    from xbinn.running.job import ledger_path, read_plan
    from xbinn.running.ledger import Ledger
    from xbinn.running.store import STATUS_ATTRIBUTE, attributes

    if not ledger_path(path).exists():
        raise JobError(
            f"{ledger_path(path)} is not there: only the store of a tile job, with its ledger "
            "beside it, can be described"
        )
    ledger = Ledger.read(ledger_path(path))
    _, tiling = read_plan(ledger.plan)
    done = ledger.done.values()
    return {
        "status": attributes(path).get(STATUS_ATTRIBUTE, "unknown"),
        "tiles": tiling.n_tiles,
        "stored": len(done),
        "seconds": round(sum(entry.seconds for entry in done), 1),
        "notes": [note for entry in done for note in entry.notes],
        "fingerprint": ledger.fingerprint,
    }


@main.command()
@_DATA
@click.option("--profiles", type=click.Path(), help="SOC profiles: NetCDF or Zarr.")
@click.option("--model", type=click.Path(), help="Look for the covariates of this model.")
@_command
def check(data: str, profiles: str | None, model: str | None) -> Result:
    """Look whether inputs can be used: names, units, dimensions, places."""
    from xbinn.labels.blocks import prediction_inputs, space_of
    from xbinn.labels.covariates import select_covariates
    from xbinn.labels.sites import gather_sites
    from xbinn.labels.space import check_axes

    grid = xbinn.datasets.open_grid(data, chunks={})
    spec = xbinn.load(model).predictor.covariates if model else select_covariates(grid)
    space = space_of(prediction_inputs(grid, spec))
    check_axes(grid, space)
    said: dict[str, Any] = {
        "space": {dim: grid.sizes[dim] for dim in space},
        "covariates": dict(spec.numeric) | {n: f"{len(c)} classes" for n, c in spec.categorical},
    }
    if profiles:
        sites = gather_sites(grid, xbinn.datasets.open_profiles(profiles), spec, bedrock="closed")
        said |= {"profiles": sites.n_profiles, "left out": sites.left_out}
    return said, True


@main.command()
@click.argument("store", type=click.Path())
@click.option("--repair", is_flag=True, help="Let the next predict compute damaged tiles again.")
@_command
def verify(store: str, repair: bool) -> Result:
    """Compare a store of `predict` with its ledger."""
    found = xbinn.verify(store, repair=repair)
    return {**vars(found), "sound": found.sound}, found.sound
