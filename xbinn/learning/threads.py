"""How many threads torch works with: one, where results shall not depend on the machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread inside, and as many as before outside.

    Matrix products add up in another order with another number of threads. Batches of a few
    hundred sites gain nothing from a second one, and blocks of a grid are parallel already.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
