"""The command line: ``xbinn fit``, ``predict``, ``inspect``, ``check`` and ``verify``.

Exit codes: 0 for success, 1 for an error of xbinn or a store that is not sound, 2 for wrong usage,
130 after Ctrl-C.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

import xbinn
from xbinn.accessor import BinnAccessor
from xbinn.errors import JobError, ModelFileError, XbinnError
from xbinn.labels.reports import Finding
from xbinn.shell import Result, Sizes, command, given, options_of
from xbinn.variables import OUTPUT_GROUPS

_DATA: Final = click.option(
    "--data", required=True, type=click.Path(), help="Grid: NetCDF file or Zarr store."
)
_DEVICE: Final = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."
)


@click.group()
@click.version_option(xbinn.__version__, prog_name="xbinn")
@click.option("-v", "--verbose", is_flag=True, help="Show what is done, on stderr.")
def main(verbose: bool) -> None:
    """Map soil carbon with biogeochemistry-informed neural networks."""
    handler = logging.StreamHandler()
    # Of the scheduler and workers that --workers starts, only what they warn of themselves.
    handler.addFilter(logging.Filter("xbinn"))
    logging.basicConfig(format="%(message)s", handlers=[handler])
    logging.getLogger("xbinn").setLevel(logging.INFO if verbose else logging.WARNING)


@main.command()
@_DATA
@click.option("--profiles", required=True, type=click.Path(), help="SOC profiles: NetCDF or Zarr.")
@click.option("--to", required=True, type=click.Path(), help="Model file to write.")
@options_of(BinnAccessor.fit, without=("device", "progress"))
@_DEVICE
@command
def fit(data: str, profiles: str, to: str, device: str, **settings: Any) -> Result:
    """Fit a model to SOC profiles and save it; the options are those of xbinn.fit."""
    if not Path(to).expanduser().absolute().parent.is_dir():
        raise ModelFileError(f"the folder of the model file {to!r} is not there: make it first")
    model = xbinn.fit(
        xbinn.datasets.open_grid(data, chunks={}),
        xbinn.datasets.open_profiles(profiles),
        device=device,
        **given(settings),
    )
    model.save(to)
    return {"model": to, "sha256": model.sha256, "left out": model.left_out}, True


@main.command()
@click.option("--model", required=True, type=click.Path(), help="Model file.")
@_DATA
@click.option("--to", required=True, type=click.Path(), help="Result: .zarr or .nc.")
@click.option("--outputs", multiple=True, type=click.Choice(OUTPUT_GROUPS), help="May be repeated.")
@click.option("--samples", type=int, help="Samples of the posterior. Default: none.")
@click.option("--quantiles", type=float, multiple=True, help="Of the samples; may be repeated.")
@click.option("--reduce/--no-reduce", default=True, help="Sum samples up, or keep them all.")
@click.option("--dropout/--no-dropout", default=True, help="Sample dropout, or members alone.")
@click.option("--seed", type=int, help="Of the samples.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--chunks", type=Sizes(), help="Cells of a stored chunk.")
@click.option("--shards", type=Sizes(), help="Cells of a shard, which holds whole chunks.")
@click.option("--scheduler", help="Address of a dask scheduler. Default: threads.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes to start here instead.")
@_DEVICE
@command
def predict(
    model: str,
    data: str,
    to: str,
    outputs: tuple[str, ...],
    samples: int | None,
    quantiles: tuple[float, ...],
    reduce: bool,
    dropout: bool,
    seed: int | None,
    overwrite: bool,
    chunks: dict[str, int] | None,
    shards: dict[str, int] | None,
    scheduler: str | None,
    workers: int | None,
    device: str,
) -> Result:
    """Map with a model, tile by tile; the same command goes on where it was stopped."""
    with _cluster(scheduler, workers):
        out = xbinn.predict(
            xbinn.datasets.open_grid(data),
            xbinn.load(model),
            outputs=outputs or OUTPUT_GROUPS,  # type: ignore[arg-type]
            **given({"samples": samples, "quantiles": quantiles, "seed": seed}),
            reduce=reduce,
            dropout=dropout,
            to=to,
            overwrite=overwrite,
            chunks=chunks,
            shards=shards,
            device=device,
        )
    return {"result": to, "status": out.attrs["xbinn_job_status"], "sizes": dict(out.sizes)}, True


@contextmanager
def _cluster(address: str | None, workers: int | None) -> Iterator[None]:
    if address is not None and workers is not None:
        raise click.UsageError("--workers starts processes here, --scheduler uses others: drop one")
    if address is None and workers is None:
        yield
        return
    from distributed import Client, LocalCluster

    if workers is not None:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as here,
            Client(here),
        ):
            yield
        return
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise JobError(
            f"no dask scheduler answers at {address!r} ({error}): start one with `dask scheduler`, "
            "or give the address that it shows"
        ) from error
    with client:
        yield


@main.command()
@click.argument("path", type=click.Path())
@command
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
@click.option("--html", type=click.Path(), help="Write the report as a page of its own, too.")
@command
def check(data: str, profiles: str | None, model: str | None, html: str | None) -> Result:
    """Report what was recognised in inputs, converted, missing and out of range; see xbinn.check.

    The exit code is 1 where there is a problem.
    """
    grid = xbinn.datasets.open_grid(data, chunks={})
    unread: list[Finding] = []

    def opened(path: str | None, step: Callable[[str], Any]) -> Any:
        try:
            return None if path is None else step(path)
        except XbinnError as error:
            unread.append(Finding("problem", Path(str(path)).name, str(error)))
            return None

    soil = opened(profiles, xbinn.datasets.open_profiles)
    fitted = opened(model, xbinn.load)
    report = xbinn.check(grid, soil, model=fitted)
    if unread:
        report = replace(report, sections={"Files": tuple(unread), **report.sections})
    if html:
        report.to_html(html)
    return report, report.ok


@main.command()
@click.argument("store", type=click.Path())
@click.option("--repair", is_flag=True, help="Let the next predict compute damaged tiles again.")
@command
def verify(store: str, repair: bool) -> Result:
    """Compare a store of `predict` with its ledger."""
    found = xbinn.verify(store, repair=repair)
    return {**vars(found), "sound": found.sound}, found.sound
