"""The map and the depth plot of a report."""

from typing import Any, Final

from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    HoverTool,
    LinearColorMapper,
    Range1d,
    TapTool,
)
from bokeh.plotting import figure

from xbinn.plotting.colours import BLUE, VERMILION
from xbinn.report.content import Content, interfaces

BESIDE: Final = {"flex": "1 1 24em", "min-width": "0"}
"""Map and depth plot stand side by side where both have so much room, else one below the other."""
_HEIGHT: Final = 540
"""Of the map (px)."""
_DEPTH_HEIGHT: Final = 420
"""Of the depth plot (px)."""
_DEPTH: Final = 3.0
"""That is shown at first (m); the rest is there, by panning and zooming."""


def draw_map(
    content: Content, cells: ColumnDataSource, here: ColumnDataSource, mapper: LinearColorMapper
) -> tuple[Any, ColorBar]:
    """Draw cells, profiles in them and the cell that is chosen; return the colour bar too."""
    first = content.layers[0]
    chart = figure(
        height=_HEIGHT,
        sizing_mode="stretch_width",
        match_aspect=True,
        aspect_scale=1.0 / content.aspect,
        # The buttons of these do without a mouse what it does by dragging and scrolling.
        tools="pan,wheel_zoom,box_zoom,zoom_in,zoom_out,pan_west,pan_east,pan_north,pan_south,"
        "reset,save",
        active_scroll="wheel_zoom",
        x_axis_label=content.labels[0],
        y_axis_label=content.labels[1],
        background_fill_color="#dddddd",
        name="map",
        styles=BESIDE,
    )
    chart.toolbar.logo = None
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
            visible=False,  # in the toolbar: it is always on
        ),
        TapTool(renderers=[drawn], visible=False),
    )
    marks.level = "overlay"
    bar = ColorBar(color_mapper=mapper, title=first.units, location=(0, 0))
    chart.add_layout(bar, "below")
    return chart, bar


def draw_depths(content: Content) -> tuple[Any, ColumnDataSource, ColumnDataSource]:
    """Draw what a cell holds by depth; return the sources of its lines and of its samples too."""
    line = ColumnDataSource({"y": [], "middle": [], "low": [], "high": []}, name="line")
    shown = ColumnDataSource({"top": [], "bottom": [], "soc": []}, name="shown")
    depth = figure(
        height=_DEPTH_HEIGHT,
        sizing_mode="stretch_width",
        title="Choose a cell, by its number or on the map",
        x_axis_label="SOC density (kg m⁻³)",
        y_axis_label="depth (m)",
        y_range=Range1d(_DEPTH, 0.0, bounds=(0.0, interfaces()[-1])),
        tools="pan,wheel_zoom,box_zoom,zoom_in,zoom_out,reset,save",
        name="depth",
    )
    depth.toolbar.logo = None
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
