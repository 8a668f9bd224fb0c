"""What the fault tests have in common."""

import hashlib
from pathlib import Path

CHUNKS = {"lat": 1, "lon": 2}
"""Of the small grid: tiles that do not divide it evenly."""
SECONDS = 120
"""No process of these tests may take longer."""

Chunks = dict[str, str]


def chunk_files(store: Path) -> Chunks:
    """Digest of every chunk file, by its path in the store; metadata carries times."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.name != "zarr.json"
    }
