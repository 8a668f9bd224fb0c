"""Freed memory is used again, unless the environment has chosen otherwise."""

import os
import subprocess
import sys

import pytest

from xbinn.running import allocation

FAULTS = """
import resource, sys
import numpy as np
from xbinn.running import allocation

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
getattr(allocation, sys.argv[1])()
faults()
print(before, faults())
"""


@pytest.mark.skipif(allocation._GLIBC is None, reason="the allocator is not that of glibc")
@pytest.mark.parametrize(
    ("function", "threshold", "returned_before", "returned_after"),
    [
        ("keep_freed", None, False, False),
        ("keep_freed_by_tiles", "65536", True, False),
        ("keep_freed", "65536", True, True),
        ("keep_freed_by_tiles", "65537", True, True),
    ],
    ids=["unset", "set by dask, tiles", "set by dask, blocks", "set by the user"],
)
def test_one_array_has_the_memory_of_the_one_before(
    function, threshold, returned_before, returned_after
):
    """A page is 4 KiB at least, often more, and an array has 8 MiB."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    if threshold is not None:
        environment["MALLOC_TRIM_THRESHOLD_"] = threshold
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, function],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(int, done.stdout.split())
    # Few, or hundreds for each of the arrays.
    assert (before > 500) == returned_before
    assert (after > 500) == returned_after
    assert returned_after or after < 50
