import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection

from xbinn.errors import InputError
from xbinn.plotting import plot_uncertainty


def caption(figure) -> str:
    return figure._supxlabel.get_text().replace("\n", " ")


def hatched(ax) -> list[PolyCollection]:
    return [c for c in ax.collections if isinstance(c, PolyCollection) and c.get_hatch()]


def test_mean_and_spread_side_by_side(sampled, applicable):
    figure = plot_uncertainty(sampled, applicability=applicable, caption="Data: made up")
    mean, spread = figure.axes[:2]
    assert figure.get_suptitle() == "Soil organic carbon stock above 1 m depth"
    labels = [ax.child_axes[0].get_ylabel().replace("\n", " ") for ax in (mean, spread)]
    assert labels == [
        "soil organic carbon stock above 1 m depth (kg m⁻²)",
        "standard deviation relative to the mean (%)",
    ]
    drawn = np.ma.compressed(spread.collections[0].get_array())
    ratio = 100.0 * sampled["cSoilAbove1m_std"] / sampled["cSoilAbove1m"]
    np.testing.assert_allclose(np.sort(drawn), np.sort(ratio.values[np.isfinite(ratio.values)]))
    text = caption(figure)
    assert "Hatched and paler" in text
    assert "model sha256 aaaaaaaaaaaa." in text
    assert text.endswith("Data: made up.")


@pytest.mark.parametrize("listed", [False, True], ids=["grid", "cells"])
def test_what_is_outside_is_hatched_in_both(sampled, applicable, listed):
    wanted = int((applicable["area_of_applicability"] == 0.0).sum())
    if listed:  # scattered places

        def thin(ds):
            cells = ds.stack(cell=("lat", "lon")).reset_index("cell")
            move = np.linspace(0.0, 0.3, cells.sizes["cell"])
            lat, lon = (
                cells[n] + move * (1.0 + np.sin(np.arange(move.size))) for n in ("lat", "lon")
            )
            return cells.assign_coords(lat=lat, lon=lon)

        sampled, applicable = thin(sampled), thin(applicable)
    figure = plot_uncertainty(sampled, applicability=applicable)
    for ax in figure.axes[:2]:
        (area,) = hatched(ax)
        assert len(area.get_paths()) == wanted
    assert figure.axes[1].get_title(loc="right") == "hatched: outside applicability"


def test_a_small_share_outside_is_not_nothing():
    places = {"lat": np.linspace(30.0, 50.0, 20), "lon": np.linspace(0.0, 20.0, 20)}
    field = xr.DataArray(np.arange(1.0, 401.0).reshape(20, 20), places, ("lat", "lon"))
    field.attrs = {"units": "kg m-2", "long_name": "stock"}
    out = xr.Dataset({"stock": field, "stock_std": field})
    area = xr.Dataset({"area_of_applicability": (field > 1.0).astype(float)})
    assert "(under 1 % of the cells)" in caption(plot_uncertainty(out, "stock", applicability=area))


def test_without_applicability_nothing_is_hatched(sampled):
    figure = plot_uncertainty(sampled, title="Idealised")
    assert figure.get_suptitle() == "Idealised"
    assert not any(hatched(ax) for ax in figure.axes[:2])
    assert "Hatched" not in caption(figure)


def test_a_field_with_both_signs_keeps_its_units(sampled):
    change = sampled.copy()
    change["cSoilAbove1m"] = (change["cSoilAbove1m"] - 9.0).assign_attrs(sampled.cSoilAbove1m.attrs)
    figure = plot_uncertainty(change)
    assert figure.axes[1].child_axes[0].get_ylabel().endswith("(kg m⁻²)")
    assert "in the same units" in caption(figure)


def test_what_cannot_be_drawn_is_refused(sampled, applicable):
    with pytest.raises(InputError, match="there is no soc_std: predict with samples"):
        plot_uncertainty(sampled, "soc")
    with pytest.raises(InputError, match=r"applicability has no area_of_applicability: give the"):
        plot_uncertainty(sampled, applicability=sampled)
