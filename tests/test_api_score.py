"""`xbinn.score` against direct numpy."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError, ProfileError
from xbinn.labels.sites import gather_sites
from xbinn.science.fitting import modelled_soc
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def model(grid, profiles) -> xbinn.Model:
    return xbinn.fit(grid, profiles, epochs=2, seed=0)


def test_scores_by_hand(grid, profiles, model):
    skill = xbinn.score(grid, model, profiles)
    assert skill["r2"].dims == ("scale", "depth_range")
    assert skill["n"].dims == ("depth_range",)
    assert list(skill.depth_range.values) == ["all", "0-30 cm", "30-100 cm"]
    out = xbinn.predict(grid, model)
    sites = gather_sites(grid, profiles, model.predictor.covariates, bedrock="closed")
    modelled, sites = modelled_soc(model, sites)
    # The modelled samples are overlap-weighted means of the predicted layers above bedrock.
    soc = out["soc"].stack(cell=("lat", "lon")).transpose("cell", "depth").values
    edges = out["depth_bnds"].values
    for k in range(0, len(modelled), 17):
        thick = np.minimum(sites.bottom[k], edges[:, 1]) - np.maximum(sites.top[k], edges[:, 0])
        layers = soc[sites.cell[sites.site[k]]]
        thick = np.where(np.isfinite(layers), thick.clip(min=0.0), 0.0)
        by_hand = (np.nan_to_num(layers) * thick).sum() / thick.sum()
        assert modelled[k] == pytest.approx(by_hand, rel=1e-4)
    middle = (sites.top + sites.bottom) / 2
    for name, chosen in {
        "all": middle >= 0,
        "0-30 cm": middle < 0.3,
        "30-100 cm": (middle >= 0.3) & (middle < 1.0),
    }.items():
        assert int(skill.n.sel(depth_range=name)) == chosen.sum()
        for scale in ("linear", "log"):
            m, o = modelled[chosen], sites.soc[chosen]
            if scale == "log":
                m, o = (np.log(np.maximum(v, SOC_FLOOR)) for v in (m, o))
            here = skill.sel(depth_range=name, scale=scale)
            sse = ((m - o) ** 2).sum()
            assert float(here.r2) == pytest.approx(1 - sse / ((o - o.mean()) ** 2).sum())
            assert float(here.rmse) == pytest.approx(np.sqrt(sse / len(o)))
            assert float(here.bias) == pytest.approx((m - o).mean())
            assert float(here.correlation) == pytest.approx(np.corrcoef(m, o)[0, 1])
    assert skill.attrs["left_out"] == "none"
    assert model.sha256 in skill.attrs["source"]


def test_lazy_data_give_the_same(grid, profiles, model):
    xr.testing.assert_allclose(
        xbinn.score(grid.chunk(lat=2), model, profiles), xbinn.score(grid, model, profiles)
    )


def test_what_is_left_out_is_said(grid, profiles, model):
    moved = profiles.assign_coords(lat=profiles.lat.where(profiles.lat.profile > 3, -60.0))
    skill = xbinn.score(grid, model, moved)
    assert skill.attrs["left_out"] == "4 profiles: no grid cell within the tolerance"
    assert skill.attrs["profiles"] == 36


def test_refusals(grid, profiles, model):
    with pytest.raises(ProfileError, match="no profile can be used"):
        xbinn.score(grid, model, profiles.assign_coords(lat=profiles.lat * 0 - 80.0))
    with pytest.raises(InputError, match=r"model must be an xbinn.Model"):
        xbinn.score(grid, None, profiles)
    with pytest.raises(InputError, match="covariates missing"):
        xbinn.score(grid.drop_vars("sand"), model, profiles)
