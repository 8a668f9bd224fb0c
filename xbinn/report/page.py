"""What links the map and the depth plot of a report in the browser."""

from html import escape
from typing import Any, Final

import numpy as np
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, CustomJS, Div, LinearColorMapper, Select, Spinner
from bokeh.palettes import RdBu11, Viridis256

from xbinn.report.content import Content, interfaces
from xbinn.report.figures import BESIDE, draw_depths, draw_map

_NAME_LAYER: Final = """
const layer = layers[names.indexOf(select.value)];
cells.data.value = layers_data.data[layer.name];
mapper.palette = layer.signed ? signed : plain;
mapper.low = layer.limits[0];
mapper.high = layer.limits[1];
bar.title = layer.units;
cells.change.emit();
"""
_SAY: Final = """
const i = spinner.value;
if (i === null || i < 0 || i >= count) { return; }
const number = (v) => String(Number(v.toPrecision(4))).replace("-", "\u2212");
const c = cells.data, k = names.indexOf(select.value), v = c.value[i];
const x = number((c.left[i] + c.right[i]) / 2), y = number((c.bottom[i] + c.top[i]) / 2);
said.text = "<b>Cell " + i + "</b> at " + places[0].replace("@", x) + ", " +
  places[1].replace("@", y) + "<br>" +
  (isFinite(v) ? labels[k].replace("@", number(v)) : "No value");
"""
_BEGIN: Final = "spinner.value = first;"
_CHOOSE_CELL: Final = """
const chosen = cells.selected.indices;
if (chosen.length) { spinner.value = chosen[0]; }
"""
_SHOW_CELL: Final = """
const i = spinner.value, n = tops.length - 1;
if (i === null || i < 0 || i >= count) { return; }
const y = [], middle = [], low = [], high = [];
for (let j = 0; j < n; j++) {
  const v = depths.data.middle[i * n + j];
  if (!isFinite(v)) { break; }
  for (const depth of [tops[j], tops[j + 1]]) {
    y.push(depth);
    middle.push(v);
    low.push(banded ? depths.data.low[i * n + j] : v);
    high.push(banded ? depths.data.high[i * n + j] : v);
  }
}
line.data = {y: y, middle: middle, low: low, high: high};
const s = samples.data, top = [], bottom = [], soc = [];
for (let k = 0; k < s.cell.length; k++) {
  if (s.cell[k] === i) { top.push(s.top[k]); bottom.push(s.bottom[k]); soc.push(s.soc[k]); }
}
shown.data = {top: top, bottom: bottom, soc: soc};
const c = cells.data;
here.data = {left: [c.left[i]], right: [c.right[i]], bottom: [c.bottom[i]], top: [c.top[i]]};
plot.title.text = "Cell " + i + ", " + soc.length + (soc.length === 1 ? " sample" : " samples");
"""


def interactive(content: Content) -> Any:
    """Link maps, hover, layer switch and depth plot.

    Returns
    -------
    LayoutDOM
        Of bokeh, in a document of its own.
    """
    first = content.layers[0]
    cells = ColumnDataSource(
        {
            "left": content.left,
            "right": content.right,
            "bottom": content.bottom,
            "top": content.top,
            "value": first.values,
        },
        name="cells",
    )
    mapper = LinearColorMapper(
        palette=RdBu11 if first.signed else Viridis256,
        low=first.limits[0],
        high=first.limits[1],
        nan_color="#dddddd",
    )
    here = ColumnDataSource({"left": [], "right": [], "bottom": [], "top": []}, name="here")
    chart, bar = draw_map(content, cells, here, mapper)
    depth, line, shown = draw_depths(content)
    select = Select(
        title="Layer",
        value=first.name,
        options=[(layer.name, layer.label) for layer in content.layers],
        name="layer",
        sizing_mode="stretch_width",
    )
    select.js_on_change(
        "value",
        CustomJS(
            args={
                "cells": cells,
                "layers_data": ColumnDataSource({la.name: la.values for la in content.layers}),
                "layers": [
                    {
                        "name": la.name,
                        "units": la.units,
                        "limits": list(la.limits),
                        "signed": la.signed,
                    }
                    for la in content.layers
                ],
                "names": [la.name for la in content.layers],
                "mapper": mapper,
                "bar": bar,
                "plain": list(Viridis256),
                "signed": list(RdBu11),
                "select": select,
            },
            code=_NAME_LAYER,
        ),
    )
    spinner = Spinner(
        title=f"Cell, 0 to {content.left.size - 1}: click on the map, or type or step here",
        low=0,
        high=content.left.size - 1,
        step=1,
        value=None,
        name="cell",
        sizing_mode="stretch_width",
    )
    banded = content.low is not None
    depths = {"middle": content.middle.ravel()}
    if content.low is not None and content.high is not None:
        depths |= {"low": content.low.ravel(), "high": content.high.ravel()}
    cell, top, bottom, soc = content.samples.T
    show = CustomJS(
        args={
            "spinner": spinner,
            "tops": interfaces(),
            "count": int(content.left.size),
            "banded": banded,
            "depths": ColumnDataSource(depths),
            "samples": ColumnDataSource(
                {"cell": cell.astype(np.int32), "top": top, "bottom": bottom, "soc": soc}
            ),
            "line": line,
            "shown": shown,
            "cells": cells,
            "here": here,
            "plot": depth,
        },
        code=_SHOW_CELL,
    )
    said = Div(
        name="said",
        styles={"font-size": "14px"},
        sizing_mode="stretch_width",
        # Read out where it changes.
        html_attributes={"role": "status", "aria-live": "polite"},
    )
    say = CustomJS(
        args={
            "spinner": spinner,
            "select": select,
            "cells": cells,
            "said": said,
            "count": int(content.left.size),
            "names": [la.name for la in content.layers],
            "labels": [_to_fill(la.label) for la in content.layers],
            "places": [_to_fill(label) for label in content.labels],
        },
        code=_SAY,
    )
    spinner.js_on_change("value", show, say)
    select.js_on_change("value", say)  # after the values have changed
    choose = CustomJS(args={"cells": cells, "spinner": spinner}, code=_CHOOSE_CELL)
    cells.selected.js_on_change("indices", choose)
    beside = column(spinner, said, depth, sizing_mode="stretch_width", styles=BESIDE)
    both = row(chart, beside, sizing_mode="stretch_width", spacing=16, styles={"flex-wrap": "wrap"})
    whole = column(select, both, sizing_mode="stretch_width", name="report")
    page = Document()
    page.add_root(whole)
    begin = CustomJS(args={"spinner": spinner, "first": _first_cell(content)}, code=_BEGIN)
    page.js_on_event("document_ready", begin)
    return whole


def _first_cell(content: Content) -> int:
    """Cell that is shown at first: one with samples, where there is one."""
    return int(content.profile_cell[0]) if content.profile_cell.size else 0


def _to_fill(label: str) -> str:
    """Put a mark where a value is to stand: "stock @ kg m⁻²" of "stock (kg m⁻²)"."""
    name, _, units = escape(label).rstrip(")").rpartition(" (")
    if units == "dimensionless":
        return f"{name} @"
    if units == "°":
        return f"{name} @°"
    # They stay together, and with their number.
    return "\u00a0".join([f"{name} @", *units.split(" ")])
