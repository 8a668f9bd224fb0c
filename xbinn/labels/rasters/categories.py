"""What GDAL knows of the classes of a raster: category names, attribute tables, tags of flags."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
import rasterio.shutil
from rasterio.io import MemoryFile

_VALUE: Final = "5"
_LEAST: Final = "3"
_MOST: Final = "4"
_NAME: Final = "2"
"""Usages of columns, as GDAL's GDALRATFieldUsage numbers them."""
_STRING: Final = "2"
"""Type of a column, as GDAL's GDALRATFieldType numbers it."""
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_NO_WORD: Final = re.compile(r"[^\w.+@-]+")
"""What CF allows in no word of ``flag_meanings``."""

Classes = Mapping[int, str]


def band_classes(path: Path) -> list[Classes]:
    """Meanings of the classes of each band, by value; none where the file states none.

    Category names (`GDALGetRasterCategoryNames`), else the names of a raster attribute table
    (`GDALGetDefaultRAT`), of whatever GDAL finds them in: for a GeoTIFF the ``.aux.xml`` beside
    it. Values that have no name are left out.

    Parameters
    ----------
    path : Path
        A raster that GDAL opens.

    Returns
    -------
    list of mapping of int to str
    """
    # rasterio hands neither over, but a virtual copy spells them out.
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(path, memory.name, driver="VRT")
        root = ElementTree.fromstring(memory.read())
    return [_of_names(band) or _of_table(band) for band in root.iter("VRTRasterBand")]


def flags(classes: Classes) -> dict[str, Any]:
    """Attributes of a variable with these classes."""
    words = {value: _NO_WORD.sub("_", name).strip("_") for value, name in classes.items()}
    often = Counter(words.values())
    meanings = [w if often[w] == 1 else f"{w}_{value}" for value, w in words.items()]
    return {
        "flag_values": np.array(list(words), dtype=np.int32),
        "flag_meanings": " ".join(meanings),
    }


def read_tags(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Make attributes of what GeoTIFF keeps as text, and rioxarray as numbers.

    Flags are written as ``[0 1 3]`` by rioxarray and as ``{0,1,3}`` by GDAL; a unit of 1 comes
    back as a number.
    """
    out = dict(attrs)
    flagged = out.get("flag_values")
    if isinstance(flagged, str):
        flagged = np.array([float(n) for n in _NUMBER.findall(flagged)])
    if flagged is not None:
        values = np.atleast_1d(flagged)
        whole = values.dtype.kind == "f" and np.array_equal(values, np.round(values))
        out["flag_values"] = values.astype(np.int32) if whole else values
    if isinstance(out.get("units"), int | float):
        out["units"] = f"{out['units']:g}"
    return out


def _of_names(band: ElementTree.Element) -> Classes:
    """Names by position, counted from 0."""
    names = [(c.text or "").strip() for c in band.findall("CategoryNames/Category")]
    return {value: name for value, name in enumerate(names) if name}


def _of_table(band: ElementTree.Element) -> Classes:
    """Names of a raster attribute table, where each of its rows is one whole number."""
    table = band.find("GDALRasterAttributeTable")
    if table is None:
        return {}
    fields = sorted(table.findall("FieldDefn"), key=lambda f: int(f.get("index", "0")))
    usages = [f.findtext("Usage", "") for f in fields]
    strings = [i for i, f in enumerate(fields) if f.findtext("Type", "") == _STRING]
    called = [i for i, f in enumerate(fields) if f.findtext("Name", "").strip().lower() == "value"]
    name = usages.index(_NAME) if _NAME in usages else strings[0] if len(strings) == 1 else None
    if name is None:
        return {}
    ends = [usages.index(u) for u in (_LEAST, _MOST) if u in usages]
    columns = [usages.index(_VALUE)] if _VALUE in usages else ends if len(ends) == 2 else called[:1]
    classes = {}
    for i, row in enumerate(table.findall("Row")):
        cells = [(cell.text or "").strip() for cell in row.findall("F")]
        # A table without values has one row for each, from 0.
        values = {float(cells[c]) for c in columns} if columns else {float(i)}
        if len(values) > 1 or not all(v.is_integer() for v in values):
            return {}
        if cells[name]:
            classes[int(values.pop())] = cells[name]
    return classes
