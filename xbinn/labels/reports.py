"""Reports of what was found, said in text, in HTML or as plain data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final, Literal

Level = Literal["ok", "note", "problem"]

_MARKS: Final = {"ok": " ", "note": "!", "problem": "x"}
_SAID: Final = {"ok": "", "note": "note", "problem": "problem"}
"""For those who see no colours."""
_STYLE: Final = (
    "table.xbinn-report{border-collapse:collapse;font-size:90%}"
    "table.xbinn-report td,table.xbinn-report th{padding:.2em .8em;text-align:left;"
    "vertical-align:top;border-bottom:1px solid rgba(128,128,128,.4)}"
    "table.xbinn-report th{background:rgba(128,128,128,.15)}"
    "table.xbinn-report tr.note td:first-child{border-left:4px solid #d9a400}"
    "table.xbinn-report tr.problem td:first-child{border-left:4px solid #b00020}"
    "table.xbinn-report tr.ok td:first-child{border-left:4px solid #2e7d32}"
    "table.xbinn-report td b{font-weight:600}"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    level : {"ok", "note", "problem"}
        ``note``: can be used, but look at it. ``problem``: cannot be used as it is.
    subject : str
        What it is about.
    text : str
        What was found.
    advice : str
        What to do; empty where there is nothing to do.
    details : dict
        Numbers behind the text.
    """

    level: Level
    subject: str
    text: str
    advice: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        plain = {"level": self.level, "subject": self.subject, "text": self.text}
        return {**plain, "advice": self.advice, "details": self.details}


@dataclass(frozen=True, repr=False)
class Report:
    """Findings by section; its text, HTML and plain data.

    Attributes
    ----------
    title : str
    sections : dict of str to tuple of Finding
    """

    title: str
    sections: dict[str, tuple[Finding, ...]]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What has to be mended first."""
        return tuple(f for f in self if f.level == "problem")

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __iter__(self) -> Iterator[Finding]:
        for findings in self.sections.values():
            yield from findings

    def __getitem__(self, section: str) -> tuple[Finding, ...]:
        return self.sections[section]

    def __repr__(self) -> str:
        lines = [self.title]
        for name, findings in self.sections.items():
            lines += ["", name]
            width = max((len(f.subject) for f in findings), default=0)
            for f in findings:
                advice = f" -> {f.advice}" if f.advice else ""
                text = f"{f.text}{advice}".replace("\n", "\n" + " " * (width + 6))
                lines.append(f"  {_MARKS[f.level]} {f.subject:<{width}}  {text}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [f"<style>{_STYLE}</style><h3>{escape(self.title)}</h3>"]
        rows.append('<table class="xbinn-report">')
        for name, findings in self.sections.items():
            rows.append(
                f'<tr><th colspan="3" scope="rowgroup">{escape(name)}{_counted(findings)}</th></tr>'
            )
            for f in findings:
                mark = f"<b>{_SAID[f.level]}:</b> " if _SAID[f.level] else ""
                cells = "".join(
                    f"<td>{before}{escape(text).replace(chr(10), '<br>')}</td>"
                    for before, text in (("", f.subject), (mark, f.text), ("", f.advice))
                )
                rows.append(f'<tr class="{f.level}">{cells}</tr>')
        return "\n".join([*rows, "</table>"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, as for JSON."""
        return {
            "title": self.title,
            "ok": self.ok,
            "sections": {n: [f.to_dict() for f in fs] for n, fs in self.sections.items()},
        }

    def to_html(self, path: "str | Path") -> None:
        """Write a page of its own.

        Parameters
        ----------
        path : str or Path
            File to write.
        """
        page = (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title></head>\n<body>{self._repr_html_()}</body></html>\n"
        )
        Path(path).expanduser().write_text(page, encoding="utf-8")


def _counted(findings: tuple[Finding, ...]) -> str:
    """Say how many of the findings ask for something, such as ": 1 problem, 2 notes"."""
    parts = []
    for level in ("problem", "note"):
        number = sum(f.level == level for f in findings)
        if number:
            parts.append(f"{number} {level}{'s' if number > 1 else ''}")
    return f": {', '.join(parts)}" if parts else ""
