"""The page of a report: maps, scores, the model and where it comes from, in one file."""

import os
from html import escape
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.model import Model, check_model
from xbinn.report.content import Content, gather

_STYLE: Final = """
body {font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80em; padding: 0 1em 3em;
  color: #1a1a1a; background: #fff}
h1 {font-size: 1.5em; line-height: 1.2} h2 {font-size: 1.2em; margin-top: 2em}
table {border-collapse: collapse; font-size: .95em} .wide {overflow-x: auto}
th, td {padding: .2em .6em; text-align: right; border-bottom: 1px solid #ccc}
th:first-child, td:first-child {text-align: left; white-space: nowrap}
dl.from {display: grid; grid-template-columns: max-content 1fr; gap: .1em 1em;
  overflow-wrap: anywhere}
dl.from dd {margin: 0}
"""
_ABOUT: Final = ("title", "summary", "source", "history", "Conventions")
_SCORES: Final = ("r2", "rmse", "bias", "correlation")
_HEADS: Final = {
    "linear": ("R²", "RMSE (kg m⁻³)", "bias (kg m⁻³)", "correlation"),
    "log": ("R² of ln", "RMSE of ln", "bias of ln", "correlation of ln"),
}


def write_report(
    model: Model,
    path: str | os.PathLike[str],
    *,
    predictions: xr.Dataset,
    profiles: xr.Dataset | None = None,
    title: str | None = None,
) -> None:
    """Write one page with maps to click through, scores, the model and provenance.

    The page needs no network and no server. It works by mouse, by touch and by keyboard: the layer
    is a menu, cells are chosen by clicking or by number, what is there is written beside the map,
    and buttons zoom and move it.

    Parameters
    ----------
    model : Model
        That made the predictions.
    path : path-like
        File to write, usually ``report.html``.
    predictions : Dataset
        From `xbinn.predict` with SOC; with ``samples`` there are maps of standard deviations, and
        bands in the depth plots. Where it is chunked it is computed.
    profiles : Dataset, optional
        SOC profiles to show and to score on.
    title : str, optional
        By default that of ``predictions``. Say here if the data are idealised.

    Raises
    ------
    InputError
        If predictions have no SOC or no results, more than 50,000 cells, or are of another model.
    ProfileError
        If profiles cannot be used.
    ModuleNotFoundError
        If bokeh is not installed.
    """
    check_model(model)
    source = str(predictions.attrs.get("source", ""))
    if "sha256" in source and model.sha256 not in source:
        raise InputError(
            f"the predictions are of another model ({source}), not of {model.sha256}: predict with "
            "this one"
        )
    try:
        from bokeh.embed import components
        from bokeh.resources import Resources

        from xbinn.report.page import interactive
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'the report is drawn by bokeh, which is not installed: pip install "xbinn[report]"'
        ) from error
    content = gather(predictions, profiles)
    script, div = components(interactive(content))
    library = Resources(mode="inline", components=["bokeh", "bokeh-widgets"]).render()
    heading = escape(title or str(predictions.attrs.get("title", "Soil organic carbon")))
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{_STYLE}</style>\n{library}\n</head>\n<body>"
        f"<h1>{heading}</h1>\n<main>{div}\n{_scores(content)}"
        f"<h2>Model</h2>{model._repr_html_()}"
        f"<h2>Where it comes from</h2>{_provenance(predictions)}</main>\n{script}\n</body></html>\n"
    )
    Path(path).expanduser().write_text(page, encoding="utf-8")


def _scores(content: Content) -> str:
    if content.scores is None:
        return ""
    found = content.scores
    head = "".join(f"<th>{name}</th>" for scale in found["scale"].values for name in _HEADS[scale])
    rows = []
    for depth in found["depth_range"].values:
        one = found.sel(depth_range=depth)
        values = [
            float(one[name].sel(scale=scale)) for scale in found["scale"].values for name in _SCORES
        ]
        cells = "".join(f"<td>{_number(v)}</td>" for v in values)
        rows.append(f"<tr><td>{escape(str(depth))}</td><td>{int(one['n'])}</td>{cells}</tr>")
    return (
        "<h2>Scores on the profiles shown</h2><p>R² is 1 - SSE/SST pooled over samples. The fit "
        "may have seen these profiles: for places that it has not seen, cross-validate.</p>"
        # By keyboard it is scrolled where it has the focus.
        '<div class="wide" role="region" aria-label="Scores" tabindex="0">'
        f"<table><thead><tr><th>depth</th><th>n</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"


def _provenance(predictions: xr.Dataset) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(predictions.attrs[name]))}</dd>"
        for name in _ABOUT
        if name in predictions.attrs
    )
    return f'<dl class="from">{rows}</dl>'
