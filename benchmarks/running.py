"""Time what surrounds the computation of a map: graphs, tiles, ledger, workers.

Run ``python -m benchmarks.running`` for a table, with ``--json`` for numbers alone. Ratios of
medians; the two sides of each take turns in the same run.

lazy_path
    A chunked grid through ``predict(...).compute()`` on dask's synchronous scheduler, over a plain
    loop that reads, standardises and computes the same blocks.
tile_job
    ``predict(to=...)`` on the synchronous scheduler, over a plain loop that does the same for the
    same tiles and writes them with Zarr.
set_up
    Seconds of a job of a single tile beyond those of the plain loop: what a job costs before and
    after its tiles, however many there are.
two_workers
    Speed of a tile job with two worker processes over one; all have computed a tile before. Beside
    it the same for plain loops in one and in two processes: what the machine offers.
resume
    A job that is interrupted half way and called again, over a job that is not. A call that finds
    all tiles done, in seconds.
many_tiles
    A job of 10,000 tiles on a cluster: seconds until its first tile is handed out, and tasks that
    the scheduler saw for each finished tile, of the first few.
lazy_graph
    Seconds to build a lazy result, and tasks of its optimised graph, for 1,000 blocks.

The grid is the real one where XBINN_DATA names it, the idealised continent otherwise, repeated
along its first dimension and written to a Zarr store in a temporary folder. The model is fitted for
one epoch: what it predicts does not matter here.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import dask
import numpy as np
import torch
import xarray as xr
from distributed import Client, LocalCluster

import xbinn
from benchmarks.common import heading, parser, report
from benchmarks.common import seconds as timed
from xbinn.running import store
from xbinn.running.job import ledger_path, read_plan
from xbinn.running.ledger import Entry, Ledger
from xbinn.running.tile import TileWork, compute_tile

Figures = dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """How large the grid is, and how often things are timed."""

    repeats: int = 200
    rows: int = 250
    repetitions: int = 2
    tiles: int = 10_000
    seen: int = 20
    blocks: int = 1000


SMOKE = Sizes(repeats=2, rows=24, repetitions=1, tiles=50, seen=4, blocks=20)


@dataclass(frozen=True)
class Setting:
    """A model and a grid on disk.

    Attributes
    ----------
    folder : Path
        For results.
    model : Model
    grid : Dataset
        Lazy, with dask chunks that are the tiles.
    tile : dict
        Cells of a tile by dimension.
    """

    folder: Path
    model: xbinn.Model
    grid: xr.Dataset
    tile: dict[str, int]

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        return int(np.prod([self.grid.sizes[d] for d in self.tile]))


@contextmanager
def setting(sizes: Sizes) -> Iterator[Setting]:
    """Write a large grid and fit a model, in a folder that is removed afterwards."""
    torch.set_num_threads(1)
    small = xbinn.datasets.open_grid().load()
    model = xbinn.fit(small, xbinn.datasets.open_profiles(), epochs=1, seed=0, progress=False)
    rows, columns = small["TSOI"].dims[-2:]
    n = small.sizes[rows] * sizes.repeats
    piece = small.drop_vars(rows)
    whole = xr.concat([piece.chunk()] * sizes.repeats, rows, data_vars="minimal", coords="minimal")
    whole = whole.assign_coords({rows: np.linspace(-60.0, 80.0, n)}).drop_encoding()
    tile = {str(rows): min(sizes.rows, n), str(columns): small.sizes[columns]}
    folder = Path(tempfile.mkdtemp(prefix="xbinn-benchmark-"))
    try:
        whole.chunk(tile).to_zarr(folder / "grid.zarr", consolidated=False)
        model.save(folder / "m.xbinn")
        grid = xr.open_zarr(folder / "grid.zarr", consolidated=False, decode_coords="all")
        yield Setting(folder, model, grid, tile)
    finally:
        shutil.rmtree(folder)


def seconds(action: Callable[[], object]) -> float:
    """Time one call, by the clock: waiting for disks and workers counts."""
    return timed(action, time.perf_counter)


def in_turns(
    ours: Callable[[], object],
    plain: Callable[[], object],
    n: int,
    prepare: Callable[[], object] = lambda: None,
) -> Figures:
    """Time two sides in turns, after one round that does not count."""
    pairs = []
    for _ in range(n + 1):
        prepare()
        pairs.append((seconds(ours), seconds(plain)))
    pairs = pairs[1:]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"s": a, "baseline_s": b, "ratio": a / b}


def job(here: Setting, name: str = "out.zarr", **options: int) -> xr.Dataset:
    """Run a tile job, or find it done."""
    path = here.folder / name
    return xbinn.predict(
        here.grid, here.model, to=path, chunks=here.tile, progress=False, **options
    )


def clear(here: Setting, name: str = "out.zarr") -> None:
    """Remove what a tile job has written."""
    shutil.rmtree(here.folder / name, ignore_errors=True)
    ledger_path(here.folder / name).unlink(missing_ok=True)


def plain_work(here: Setting, name: str) -> TileWork:
    """Return the work of a finished job, for loops that do the same without its machinery."""
    path = here.folder / name
    layout, tiling = read_plan(Ledger.read(ledger_path(path)).plan)
    return TileWork(
        source=None,
        model=here.model.reference(),
        layout=layout,
        dtype=here.model.settings["dtype"],
        device="cpu",
        store=str(path),
        tiling=tiling,
        identity=store.identity(path),
    )


def plain_loop(
    grid: xr.Dataset, work: TileWork, *, write: bool, numbers: Iterable[int] | None = None
) -> list[np.ndarray]:
    """Read, standardise and compute tile by tile; write each or keep it."""
    kept = []
    for number in range(work.tiling.n_tiles) if numbers is None else numbers:
        region = work.tiling.region(number)
        part = grid.isel(region).compute(scheduler="synchronous")
        packed = compute_tile(work, part, region, [])
        if write:
            store.write_tile(work.store, work.identity, packed, work.layout, region)
        else:
            kept.append(packed)
    return kept


def lazy_path(here: Setting, n: int) -> Figures:
    """Compute a lazy map, against the plain loop."""
    job(here)
    work = plain_work(here, "out.zarr")
    return in_turns(
        lambda: xbinn.predict(here.grid, here.model).compute(),
        lambda: plain_loop(here.grid, work, write=False),
        n,
    )


def tile_job(here: Setting, n: int) -> Figures:
    """Run a tile job, against the plain loop that writes."""
    job(here, "plain.zarr")
    # The plain loop writes over what is there already: no template, no ledger.
    written = plain_work(here, "plain.zarr")
    return in_turns(
        lambda: job(here),
        lambda: plain_loop(here.grid, written, write=True),
        n,
        prepare=lambda: clear(here),
    )


def resume(here: Setting, n: int) -> Figures:
    """Interrupt a job half way and call it again, against one that is not interrupted."""
    job(here)
    half = plain_work(here, "out.zarr").tiling.n_tiles // 2
    again = statistics.median(seconds(lambda: job(here)) for _ in range(n))
    found = in_turns(
        lambda: interrupted(here, half),
        lambda: job(here, "plain.zarr"),
        n,
        prepare=lambda: [clear(here, name) for name in ("out.zarr", "plain.zarr")],
    )
    return found | {"all_done_s": again}


def single_tile(here: Setting, n: int) -> Figures:
    """As `tile_job`, of the first tile alone."""
    with tempfile.TemporaryDirectory(dir=here.folder) as folder:
        part = {d: slice(size) for d, size in here.tile.items()}
        return tile_job(replace(here, folder=Path(folder), grid=here.grid.isel(part)), n)


OVERHEADS = {"lazy_path": lazy_path, "tile_job": tile_job, "resume": resume}


def overhead(measure: Callable[[Setting, int], Figures], here: Setting, n: int) -> Figures:
    """One figure, on the synchronous scheduler."""
    with dask.config.set(scheduler="synchronous"):
        return measure(here, n)


def overheads(here: Setting, n: int) -> dict[str, Figures]:
    """Lazy path, tile job and resuming."""
    results = {name: overhead(measure, here, n) for name, measure in OVERHEADS.items()}
    set_up = overhead(single_tile, here, n)
    results["tile_job"]["cells_per_s"] = here.cells / results["tile_job"]["s"]
    results["tile_job"]["set_up_s"] = set_up["s"] - set_up["baseline_s"]
    return results


class _EnoughError(Exception):
    pass


@contextmanager
def leave_after(tiles: int) -> Iterator[None]:
    """Leave a job when it has entered so many tiles in its ledger."""
    append = Ledger.append
    done = 0

    def counted(self: Ledger, entry: Entry) -> None:
        nonlocal done
        append(self, entry)
        done += 1
        if done == tiles:
            raise _EnoughError

    Ledger.append = counted  # type: ignore[method-assign]
    try:
        yield
    except _EnoughError:
        pass
    finally:
        Ledger.append = append  # type: ignore[method-assign]


def interrupted(here: Setting, tiles: int) -> None:
    """Run a job up to some tile, and then the rest."""
    with leave_after(tiles):
        job(here)
    job(here)


def two_workers(here: Setting, n: int) -> Figures:
    """Tile jobs on one and on two worker processes."""
    loop, loops = two_loops(here, n)  # first: dask leaves settings of memory to later processes
    rows, edge = next(iter(here.tile.items()))
    few = replace(here, grid=here.grid.isel({rows: slice(4 * edge)}))
    found = {1: [], 2: []}
    for _ in range(n):
        for workers, times in found.items():
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster),
            ):
                # Each worker imports torch and loads the model.
                clear(few, "few.zarr")
                job(few, "few.zarr")
                clear(here)
                times.append(seconds(lambda: job(here)))
    one, two = (statistics.median(times) for times in found.values())
    return {
        "s": two,
        "baseline_s": one,
        "ratio": one / two,
        "plain_ratio": loop / loops,
        "over_loops": two / loops,
    }


def two_loops(here: Setting, n: int) -> tuple[float, float]:
    """Seconds of a plain loop in one process, and of two in two."""
    job(here, "plain.zarr")
    work = plain_work(here, "plain.zarr")
    parts = [range(work.tiling.n_tiles)[i::2] for i in range(2)]
    arguments = (str(here.folder / "grid.zarr"), work)
    found: dict[int, list[float]] = {1: [], 2: []}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def run(jobs: Sequence[Sequence[int]]) -> None:
            for future in [pool.submit(part_of_loop, *arguments, numbers) for numbers in jobs]:
                future.result()

        for _ in range(2):  # each process imports torch and loads the model
            run([part[:1] for part in parts])
        for _ in range(n):
            found[1].append(seconds(lambda: run([range(work.tiling.n_tiles)])))
            found[2].append(seconds(lambda: run(parts)))
    one, two = (statistics.median(times) for times in found.values())
    return one, two


def part_of_loop(grid: str, work: TileWork, numbers: Sequence[int]) -> None:
    """Run the plain loop over some tiles, in a process of its own."""
    torch.set_num_threads(1)
    opened = xr.open_zarr(grid, consolidated=False, decode_coords="all")
    plain_loop(opened, work, write=True, numbers=numbers)


def many_tiles(here: Setting, tiles: int, seen: int) -> Figures:
    """Begin a job of very many tiles and leave it after a few."""
    rows, columns = here.tile
    edge = round(tiles**0.5)
    part = here.grid.isel({rows: slice(edge), columns: slice(tiles // edge)})
    handed: list[float] = []
    submit = Client.submit

    def watched(self: Client, *args: object, **kwargs: object) -> object:
        handed.append(time.perf_counter())
        return submit(self, *args, **kwargs)

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        Client.submit = watched
        try:
            begin = time.perf_counter()
            with leave_after(seen):
                xbinn.predict(
                    part, here.model, to=here.folder / "many.zarr", chunks={rows: 1, columns: 1}
                )
        finally:
            Client.submit = submit
        computed = client.run_on_scheduler(_computed)
    first = handed[0] - begin
    return {"tiles": edge * (tiles // edge), "first_s": first, "tasks_per_tile": computed / seen}


def _computed(dask_scheduler: object) -> int:
    """Tasks that workers have finished, as the scheduler recorded them."""
    log = dask_scheduler.transition_log  # type: ignore[attr-defined]
    return len({row[0] for row in log if row[1] == "processing" and row[2] == "memory"})


def lazy_graph(here: Setting, blocks: int) -> Figures:
    """Build a lazy result of many blocks."""
    rows, columns = here.tile
    edge = round(blocks**0.5)
    part = here.grid.isel({rows: slice(edge), columns: slice(blocks // edge)})
    grid = part.compute().chunk({rows: 1, columns: 1})
    begin = time.perf_counter()
    out = xbinn.predict(grid, here.model)
    took = time.perf_counter() - begin
    n = edge * (blocks // edge)
    (optimised,) = dask.optimize(out)
    tasks = len(dict(optimised.__dask_graph__()))
    return {"blocks": n, "s": took * 1000 / n, "tasks": tasks * 1000 / n}


def run(sizes: Sizes) -> dict[str, Figures]:
    """Time everything."""
    with setting(sizes) as here:
        _say(f"{here.cells} cells in tiles of {here.tile}: lazy path, tile job, resuming")
        results = overheads(here, sizes.repetitions)
        _say("one worker and two")
        results["two_workers"] = two_workers(here, sizes.repetitions)
        _say("many tiles, lazy graph")
        results["many_tiles"] = many_tiles(here, sizes.tiles, sizes.seen)
        results["lazy_graph"] = lazy_graph(here, sizes.blocks)
    return results


def table(results: dict[str, Figures]) -> str:
    """Lay the numbers out for reading."""
    lines = [*heading(), f"dask {dask.__version__}, xarray {xr.__version__}; medians", ""]
    lines += [f"  {'':12}{'s':>9}{'baseline':>10}{'ratio':>8}"]
    for name, f in results.items():
        if "ratio" in f:
            lines.append(f"  {name:12}{f['s']:9.2f}{f['baseline_s']:10.2f}{f['ratio']:8.3f}")
    tiles, graph = results["many_tiles"], results["lazy_graph"]
    lines += [
        "",
        f"tile job: {results['tile_job']['cells_per_s']:.0f} cells a second on one core; "
        f"{results['tile_job']['set_up_s']:.2f} s for a job however large, "
        f"{results['resume']['all_done_s']:.2f} s for one that is complete already",
        f"two plain loops side by side are {results['two_workers']['plain_ratio']:.2f} times as "
        "fast as one; two workers take "
        f"{results['two_workers']['over_loops']:.2f} times as long as they",
        f"a job of {tiles['tiles']:.0f} tiles hands out its first after {tiles['first_s']:.2f} s; "
        f"{tiles['tasks_per_tile']:.2f} tasks a tile",
        f"lazy path, 1,000 blocks: {graph['s']:.2f} s to build, {graph['tasks']:.0f} tasks",
    ]
    return "\n".join(lines)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.running", __doc__).parse_args(arguments)
    report(options, lambda: run(SMOKE if options.smoke else Sizes()), table)


if __name__ == "__main__":
    main()
