"""Progress for people: shown on a terminal, silent elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from xbinn.learning.training import History, Progress


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
    if show is None:
        show = sys.stderr.isatty()
    if not show:
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
