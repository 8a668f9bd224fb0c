"""Files of the published layout under a folder, and what of them is missing."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from xbinn.errors import InputError
from xbinn.labels.published.layout import (
    LOCATION_TABLE,
    N_FOLDS,
    PARAMETER_TABLE,
    PublishedFile,
)

_TABLES: Final = tuple(
    (re.escape(name).replace(r"\{run\}", "{run}").replace(r"\{fold\}", "{fold}"), name)
    for name in (PARAMETER_TABLE, LOCATION_TABLE)
)
"""Pattern and name of the tables of a fold."""


class Folder:
    """All files under a root by name.

    Parameters
    ----------
    root : path
        Folder with the published files, in their folders or in others.

    Raises
    ------
    InputError
        If there is no such folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise InputError(f"{self.root} is no folder: name the one with the published files")
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                self._by_name[path.name].append(path)

    def find(self, file: PublishedFile) -> Path | None:
        """Where a file is: in its own place, else anywhere under the root.

        Raises
        ------
        InputError
            If it lies in several other places.
        """
        own = self.root / file.path
        if own.is_file():
            return own
        found = self._by_name.get(own.name, [])
        if len(found) > 1:
            places = ", ".join(str(p.relative_to(self.root)) for p in found)
            raise InputError(f"{own.name} is there more than once ({places}): keep one of them")
        return found[0] if found else None

    def require(self, files: Iterable[PublishedFile], further: Sequence[str] = ()) -> list[Path]:
        """Find all of the files.

        Parameters
        ----------
        files : iterable of PublishedFile
            What is needed.
        further : sequence of str
            Names of other files that are missing, to be listed too.

        Raises
        ------
        InputError
            If any is missing: all of them are listed.
        """
        wanted = list(files)
        found = [self.find(file) for file in wanted]
        paths = [path for path in found if path is not None]
        missing = [f.path for f, path in zip(wanted, found, strict=True) if path is None]
        if missing or further:
            listed = "\n".join(f"- {name}" for name in (*missing, *further))
            raise InputError(
                f"files of the published layout missing under {self.root}:\n{listed}\nput them "
                'there, or leave their part away, as in open_published(root, parts=("profiles",))'
            )
        return paths

    def parameter_tables(self) -> tuple[dict[int, tuple[Path, Path]], list[str]]:
        """Tables of retrieved parameters and of their profiles by fold, and what is missing.

        Raises
        ------
        InputError
            If there are tables of several runs.
        """
        found: dict[tuple[int, int], list[Path]] = defaultdict(list)
        runs: set[str] = set()
        for kind, (pattern, _) in enumerate(_TABLES):
            for name, paths in self._by_name.items():
                match = re.fullmatch(pattern.format(run="(.*)", fold=r"(\d+)"), name)
                if match is not None:
                    runs.add(match[1])
                    found[kind, int(match[2])] += paths
        if len(runs) > 1:
            raise InputError(
                f"tables of parameters are there of several runs ({', '.join(sorted(runs))}): keep "
                "those of one"
            )
        run = next(iter(runs), "...")
        folds = range(1, N_FOLDS + 1)
        named = [
            ((kind, fold), name.format(run=run, fold=fold))
            for fold in folds
            for kind, (_, name) in enumerate(_TABLES)
        ]
        twice = [name for key, name in named if len(found[key]) > 1]
        if twice:
            raise InputError(f"{', '.join(twice)}: there more than once; keep one of each")
        missing = [name for key, name in named if not found[key]]
        if missing:
            return {}, missing
        return {fold: (found[0, fold][0], found[1, fold][0]) for fold in folds}, []
