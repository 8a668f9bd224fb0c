"""Progress for people: shown on a terminal, silent elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from xbinn.learning.training import History, Progress
from xbinn.running.ledger import Entry


@contextmanager
def training_bar(epochs: int, *, show: bool | None) -> Iterator[Progress | None]:
    """Show the epochs as they pass.

    Parameters
    ----------
    epochs : int
        How many there may be.
    show : bool or None
        None shows on a terminal only.

    Yields
    ------
    callable or None
        To be called after every epoch with the number of epochs done and the history.
    """
    if not _shown(show):
        yield None
        return
    with tqdm(total=epochs, desc="fit", unit="epoch") as bar:

        def report(done: int, history: History) -> None:
            losses = {"loss": f"{history.training_loss[-1]:.3f}"}
            if history.validation_loss:
                losses["validation"] = f"{history.validation_loss[-1]:.3f}"
            bar.set_postfix(losses, refresh=False)
            bar.update(done - bar.n)

        yield report


@contextmanager
def tile_bar(total: int, done: int, *, show: bool | None) -> Iterator[Callable[[Entry], None]]:
    """Show tiles done, their rate and the time left.

    Parameters
    ----------
    total, done : int
        Tiles of the job, and those that are stored already.
    show : bool or None
        None shows on a terminal only.

    Yields
    ------
    callable
        To be called with the entry of every finished tile.
    """
    if not _shown(show):
        yield lambda entry: None
        return
    with tqdm(total=total, initial=done, desc="predict", unit="tile") as bar:

        def tick(entry: Entry) -> None:
            for note in entry.notes:
                bar.write(f"tile {entry.tile}: {note}", file=sys.stderr)
            bar.update()

        yield tick


@contextmanager
def counting_bar(
    total: int, what: str, *, unit: str = "tile", show: bool | None
) -> Iterator[Callable[[], None]]:
    """Show how many are done; yields a callable for each of them."""
    if not _shown(show):
        yield lambda: None
        return
    with tqdm(total=total, desc=what, unit=unit) as bar:

        def tick() -> None:
            bar.update()

        yield tick


def _shown(show: bool | None) -> bool:
    return sys.stderr.isatty() if show is None else show
