"""What was found in a table of profiles: counts by rule, from the flags of the Dataset."""

from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import ProfileError
from xbinn.labels.profiles import counted
from xbinn.labels.reports import Finding, Report
from xbinn.labels.soil.assembly import (
    COLUMNS_READ,
    ORIGIN,
    PEDOTRANSFER,
    QUALITY,
    WITHOUT_CARBON,
    WITHOUT_ID,
)
from xbinn.labels.soil.bulk_density import PEDOTRANSFERS
from xbinn.labels.soil.density import Origin
from xbinn.labels.soil.rules import BITS, RULES
from xbinn.variables import PROFILE, SAMPLE

_ORIGINS: Final = {
    Origin.GIVEN_DENSITY: "given as a density",
    Origin.MEASURED_BULK_DENSITY: "from carbon and measured bulk density",
    Origin.STOCK_OVER_THICKNESS: "from the stock of the interval",
    Origin.PROVIDER_BULK_DENSITY: "from carbon and a bulk density that the provider modelled",
    Origin.PEDOTRANSFER: "from carbon and a bulk density of a pedotransfer function",
}


def profile_report(profiles: xr.Dataset) -> Report:
    """Count what was found in the table that profiles were read from.

    Parameters
    ----------
    profiles : Dataset
        From a reader of `xbinn.profiles`, whole or a part of it.

    Returns
    -------
    Report
        Prints as text and shows as HTML; ``to_dict`` has the counts.

    Raises
    ------
    ProfileError
        If the Dataset carries no flags.
    """
    absent = [n for n in (QUALITY, ORIGIN) if n not in profiles]
    if absent:
        raise ProfileError(
            f"profiles carry no {', '.join(absent)}: only those that a reader of xbinn.profiles "
            "has made have a report, such as xbinn.profiles.read_csv; xbinn.check(grid, profiles) "
            "looks at any"
        )
    flags = profiles[QUALITY].transpose(PROFILE, SAMPLE).values
    origin = profiles[ORIGIN].transpose(PROFILE, SAMPLE).values
    usable = np.isfinite(profiles["soc"].transpose(PROFILE, SAMPLE).values)
    given = origin != Origin.NONE
    # A sample without density has a flag that says why; padding has neither.
    given |= flags != 0
    n_profiles = int(given.any(axis=1).sum())
    read = [
        Finding(
            "ok",
            "samples",
            f"{counted(int(given.sum()), 'sample')} of {counted(n_profiles, 'profile')}, "
            f"{int(usable.sum())} of these, in {int(usable.any(axis=1).sum())}, can be used",
            details={
                "samples": int(given.sum()),
                "profiles": n_profiles,
                "usable_samples": int(usable.sum()),
                "usable_profiles": int(usable.any(axis=1).sum()),
            },
        )
    ]
    for kind, text in _ORIGINS.items():
        number = int((usable & (origin == kind)).sum())
        if number:
            read.append(_counted("ok", kind.name.lower(), number, text))
    for name, text in ((WITHOUT_CARBON, "carbon"), (WITHOUT_ID, "a profile id")):
        number = int(profiles.attrs.get(name, 0))
        if number:
            said = f"{counted(number, 'row')} without {text}, left out"
            read.append(Finding("note", name, said, details={"rows": number}))
    name = profiles.attrs.get(PEDOTRANSFER, "none")
    if name in PEDOTRANSFERS:
        p = PEDOTRANSFERS[name]
        read.append(
            Finding("note", PEDOTRANSFER, f"{p.name}: {p.formula}; {p.valid}; {p.citation}")
        )
    columns = [
        Finding("ok", text.partition(": ")[0], text.partition(": ")[2])
        for text in str(profiles.attrs.get(COLUMNS_READ, "")).split("; ")
        if ": " in text
    ]
    found: dict[bool, list[Finding]] = {True: [], False: []}
    for rule in RULES:
        met = (flags & BITS[rule.name]) != 0
        if met.any():
            text = f"{counted(int(met.sum()), 'sample')} of "
            text += f"{counted(int(met.any(axis=1).sum()), 'profile')}: {rule.meaning}"
            details = {"samples": int(met.sum()), "profiles": int(met.any(axis=1).sum())}
            found[rule.unusable].append(Finding("note", rule.name, text, rule.advice, details))
    title = str(profiles.attrs.get("title", "Soil profiles"))
    sections = {
        "What was read": tuple(read),
        "Columns": tuple(columns),
        "Left out": tuple(found[True]),
        "Kept and flagged": tuple(found[False]),
    }
    return Report(title, {name: findings for name, findings in sections.items() if findings})


def _counted(level: str, subject: str, number: int, text: str) -> Finding:
    said = f"{counted(number, 'sample')} {text}"
    return Finding("ok" if level == "ok" else "note", subject, said, details={"samples": number})
