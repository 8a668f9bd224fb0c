"""Random numbers that follow a seed and leave the caller's alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int | None, device: torch.device | str = "cpu") -> Iterator[None]:
    """Make torch's random numbers follow `seed` inside, and leave no trace outside.

    Parameters
    ----------
    seed : int or None
        None draws from the state that is found, which is still put back afterwards.
    device : torch.device or str
        Device whose generator is set besides the CPU's.
    """
    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        if seed is None:
            # Fresh entropy: the state found would give every unseeded call the same numbers.
            torch.seed()
        else:
            torch.manual_seed(seed)
        yield
