"""The maps and the depth plot of a report, linked in the browser."""

from typing import Any, Final

import numpy as np
from bokeh.layouts import column
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJS,
    HoverTool,
    LinearColorMapper,
    Range1d,
    Select,
    Spinner,
    TapTool,
)
from bokeh.palettes import RdBu11, Viridis256
from bokeh.plotting import figure

from xbinn.plotting.colours import BLUE, VERMILION
from xbinn.report.content import Content, interfaces

_HEIGHT: Final = 540
"""Of the map (px)."""
_DEPTH: Final = 3.0
"""That is shown at first (m); the rest is there, by panning and zooming."""
_NAME_LAYER: Final = """
const layer = layers[names.indexOf(select.value)];
cells.data.value = layers_data.data[layer.name];
mapper.palette = layer.signed ? signed : plain;
mapper.low = layer.limits[0];
mapper.high = layer.limits[1];
bar.title = layer.units;
cells.change.emit();
"""
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
plot.title.text = "Cell " + i + ", " + soc.length + " samples";
"""


def interactive(content: Content) -> Any:
    """Link maps, hover, layer switch and depth plot.

    Returns
    -------
    LayoutDOM
        Of bokeh.
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
    chart, bar = _map(content, cells, here, mapper)
    depth, line, shown = _depth_plot(content)
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
    spinner.js_on_change("value", show)
    choose = CustomJS(args={"cells": cells, "spinner": spinner}, code=_CHOOSE_CELL)
    cells.selected.js_on_change("indices", choose)
    return column(select, chart, spinner, depth, sizing_mode="stretch_width", name="report")


def _map(
    content: Content, cells: ColumnDataSource, here: ColumnDataSource, mapper: LinearColorMapper
) -> tuple[Any, ColorBar]:
    first = content.layers[0]
    chart = figure(
        height=_HEIGHT,
        sizing_mode="stretch_width",
        match_aspect=True,
        aspect_scale=1.0 / content.aspect,
        tools="pan,wheel_zoom,box_zoom,reset,save",
        active_scroll="wheel_zoom",
        x_axis_label=content.labels[0],
        y_axis_label=content.labels[1],
        background_fill_color="#dddddd",
        name="map",
    )
    chart.grid.visible = False
    drawn = chart.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        fill_color={"field": "value", "transform": mapper},
        # As the cell: neighbours leave no seam.
        line_color={"field": "value", "transform": mapper},
        nonselection_fill_alpha=1.0,
        nonselection_line_alpha=1.0,
        source=cells,
    )
    place = content.profile_cell
    marks = chart.scatter(
        0.5 * (content.left + content.right)[place],
        0.5 * (content.bottom + content.top)[place],
        marker="circle",
        size=3,
        fill_color="white",
        line_color="black",
        line_width=0.5,
        legend_label="cells with profiles (click to hide)",
        visible=place.size > 0,
    )
    chart.legend.click_policy = "hide"
    chart.legend.visible = place.size > 0
    chart.add_layout(chart.legend[0], "above")
    chart.quad(
        left="left", right="right", bottom="bottom", top="top", source=here, fill_color=None,
        line_color=VERMILION, line_width=3,
    )  # fmt: skip
    chart.add_tools(
        HoverTool(
            renderers=[drawn],
            tooltips=[("value", "@value{0.000}"), ("cell", "$index"), ("at", "$x{0.00}, $y{0.00}")],
        ),
        TapTool(renderers=[drawn]),
    )
    marks.level = "overlay"
    bar = ColorBar(color_mapper=mapper, title=first.units, location=(0, 0))
    chart.add_layout(bar, "below")
    return chart, bar


def _depth_plot(content: Content) -> tuple[Any, ColumnDataSource, ColumnDataSource]:
    line = ColumnDataSource({"y": [], "middle": [], "low": [], "high": []}, name="line")
    shown = ColumnDataSource({"top": [], "bottom": [], "soc": []}, name="shown")
    depth = figure(
        height=380,
        sizing_mode="stretch_width",
        title="Click on a cell of the map",
        x_axis_label="SOC density (kg m⁻³)",
        y_axis_label="depth (m)",
        y_range=Range1d(_DEPTH, 0.0, bounds=(0.0, interfaces()[-1])),
        tools="pan,wheel_zoom,box_zoom,reset,save",
        name="depth",
    )
    if content.low is not None:
        depth.harea(
            x1="low", x2="high", y="y", source=line, fill_color=BLUE, fill_alpha=0.25,
            legend_label=content.band,
        )  # fmt: skip
    depth.line(
        "middle", "y", source=line, line_color=BLUE, line_width=2, legend_label="modelled mean"
    )
    depth.segment(
        x0="soc", x1="soc", y0="top", y1="bottom", source=shown, line_color="black", line_width=3,
        legend_label="samples in the cell",
    )  # fmt: skip
    # On a phone there is no room for it inside.
    depth.add_layout(depth.legend[0], "below")
    return depth, line, shown
