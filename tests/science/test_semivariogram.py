"""Residuals by distance, against pairs counted one by one."""

import numpy as np
import pytest
import xarray as xr
from pyproj import Geod

from xbinn.errors import InputError
from xbinn.science import semivariogram as module
from xbinn.science.semivariogram import EARTH_RADIUS, semivariogram


def predictions(n: int = 30, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    dims = ("profile", "sample")
    top = np.broadcast_to([0.0, 0.1, 0.4], (n, 3))
    observed = rng.lognormal(2.0, 0.5, (n, 3))
    modelled = rng.lognormal(2.0, 0.3, (n, 3))
    modelled[0, 0] = np.nan
    return xr.Dataset(
        {
            "soc_observed": (dims, observed),
            "soc_modelled": (dims, modelled),
            "depth_top": (dims, top),
            "depth_bottom": (dims, top + 0.1),
        },
        {
            "lat": ("profile", rng.uniform(40.0, 60.0, n)),
            "lon": ("profile", rng.uniform(170.0, 190.0, n)),
        },
    )


def by_hand(ds: xr.Dataset, used: slice) -> tuple[np.ndarray, np.ndarray]:
    """Distance and half the squared difference of every pair."""
    residual = np.log(ds["soc_observed"] / ds["soc_modelled"]).isel(sample=used).mean("sample")
    sphere = Geod(a=EARTH_RADIUS, b=EARTH_RADIUS)
    distance, half = [], []
    for i in range(ds.sizes["profile"]):
        for j in range(i):
            ends = (float(ds[n][k]) for k in (i, j) for n in ("lon", "lat"))
            distance.append(sphere.inv(*ends)[2])
            half.append(0.5 * float(residual[i] - residual[j]) ** 2)
    return np.array(distance), np.array(half)


@pytest.mark.parametrize(
    ("depth_range", "used"), [("0-30 cm", slice(2)), ("30-100 cm", slice(2, 3)), ("all", slice(3))]
)
def test_it_is_the_mean_over_pairs(depth_range, used, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 7)
    ds = predictions()
    found = semivariogram(ds, depth_range=depth_range, bins=4)
    distance, half = by_hand(ds, used)
    edges = np.linspace(0.0, distance.max() / 3.0, 5)
    for i in range(4):
        inside = (distance >= edges[i]) & (distance < edges[i + 1])
        assert int(found["pairs"][i]) == inside.sum()
        assert float(found["semivariance"][i]) == pytest.approx(half[inside].mean(), rel=1e-9)
        assert float(found["distance"][i]) == pytest.approx(distance[inside].mean(), rel=1e-9)
    # Over all pairs it is the variance, whatever their distance.
    assert float(found["variance"]) == pytest.approx(half.mean(), rel=1e-9)


def test_residuals_that_hang_together_rise_from_zero():
    ds = predictions(200, seed=1)
    ds["soc_modelled"] = ds["soc_observed"] * np.exp(-ds["lat"] / 10.0)
    found = semivariogram(ds, bins=5)
    values = found["semivariance"].values
    assert (np.diff(values) > 0.0).all()
    assert values[0] < 0.4 * float(found["variance"])


def test_a_bin_without_pairs_is_nan():
    found = semivariogram(predictions(3), bins=200, farthest=40000.0)
    empty = found["pairs"] == 0
    assert bool(empty.any())
    assert bool(found["semivariance"].isnull()[empty].all())
    assert bool(found["distance"].notnull().all())


def test_many_profiles_are_thinned_out(monkeypatch):
    monkeypatch.setattr(module, "MOST_PROFILES", 10)
    first = semivariogram(predictions(), seed=3)
    assert first.attrs["profiles"] == 10
    xr.testing.assert_identical(first, semivariogram(predictions(), seed=3))
    assert not first.equals(semivariogram(predictions(), seed=4))


def test_what_cannot_be_used_is_refused():
    ds = predictions()
    with pytest.raises(InputError, match=r"predictions lack soc_modelled: give cv\.predictions"):
        semivariogram(ds.drop_vars("soc_modelled"))
    with pytest.raises(InputError, match="depth_range='deep' is not known: choose one of 'all'"):
        semivariogram(ds, depth_range="deep")
    with pytest.raises(InputError, match="bins=0 and farthest=None must be above 0"):
        semivariogram(ds, bins=0)
    with pytest.raises(InputError, match=r"bins=15 and farthest=-1\.0 must be above 0"):
        semivariogram(ds, farthest=-1.0)
    with pytest.raises(InputError, match="1 profiles have residuals in 0-30 cm, two or more"):
        semivariogram(ds.isel(profile=[1]))
