"""Errors of fits to known truths, and the intervals that follow from them."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError, ParameterError, UnitsError
from xbinn.labels.quantities import quantified
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.science.recovery import (
    SUBSET,
    Case,
    recover_parameters,
    recovery_errors,
    recovery_intervals,
)
from xbinn.science.recovery_case import RECOVERED_PROCESSES
from xbinn.testing import small_grid, small_profiles
from xbinn.variables import CARBON_NAMES

FIT = {"epochs": 3, "hidden": 16, "block_size": 4.0}
TRUTHS = 8


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    grid = small_grid((7, 8))
    return grid, small_profiles(grid, 80)


@pytest.fixture(scope="module")
def errors(data) -> xr.Dataset:
    return recovery_errors(*data, truths=TRUTHS, samples=2, fit=FIT, device="cpu")


@pytest.fixture(scope="module")
def out(data) -> xr.Dataset:
    grid, profiles = data
    model = xbinn.fit(grid, profiles, seed=0, device="cpu", progress=False, **FIT)
    return xbinn.predict(grid, model).compute()


def test_everything_is_labelled(errors):
    assert errors.sizes["truth"] == TRUTHS
    assert list(errors["kind"].values) == ["linear", "smooth", "interaction", "threshold"] * 2
    assert list(errors["parameter"].values) == list(PARAMETER_NAMES)
    assert list(errors["process"].values) == list(RECOVERED_PROCESSES)
    for name, da in errors.data_vars.items():
        assert da.attrs["units"] == "1", name
        assert da.attrs["long_name"], name
        assert np.isfinite(da).all(), name
    assert errors.attrs["noise"] == 0.3
    assert (errors["parameter_error_quantile"].diff("quantile") >= 0.0).all()


def test_truths_of_each_kind_lie_in_the_intervals_of_the_others(errors):
    found = errors["parameter_coverage"].sel(level=0.9).groupby("kind").mean(...)
    assert found.sizes["kind"] == 4
    assert found.min() > 0.75
    assert (errors["parameter_slope"] >= 0.0).all()


def test_truths_follow_from_the_seed(data, errors):
    again = recovery_errors(*data, truths=TRUTHS, samples=2, fit=FIT, device="cpu")
    xr.testing.assert_identical(again, errors)
    other = recovery_errors(*data, truths=TRUTHS, samples=2, fit=FIT, device="cpu", seed=1)
    assert not np.allclose(other["parameter_slope"], errors["parameter_slope"])


def test_errors_take_the_place_of_samples_in_a_recovery(data, errors):
    case = [Case("linear", 0.3)]
    plain, corrected = (
        recover_parameters(*data, cases=case, samples=4, fit=FIT, device="cpu", errors=given).isel(
            case=0
        )
        for given in (None, errors)
    )
    xr.testing.assert_identical(plain["parameter_true"], corrected["parameter_true"])
    expected = errors["parameter_intercept"] + errors["parameter_slope"] * plain[
        "parameter_estimate"
    ].reset_coords(drop=True)
    np.testing.assert_allclose(corrected["parameter_estimate"], expected.clip(0.0, 1.0), rtol=1e-6)
    widths = [(r["parameter_high"] - r["parameter_low"]).mean().item() for r in (plain, corrected)]
    assert widths[1] > 2.0 * widths[0]
    assert corrected["parameter_coverage"].mean() > plain["parameter_coverage"].mean() + 0.2
    assert 0.7 < corrected["parameter_coverage"].mean() <= 1.0


def test_cells_of_a_single_layer_leave_the_errors_of_others(data):
    grid, profiles = data
    shallow = grid.assign(
        nbedrock=xr.ones_like(grid["nbedrock"]).where(
            grid["lat"] > grid["lat"].median(), grid["nbedrock"]
        )
    )
    found = recovery_errors(shallow, profiles, truths=TRUTHS, samples=1, fit=FIT, device="cpu")
    own = found.sel(process="vertical_transport")
    assert np.isfinite(own["process_contraction"])
    assert own["process_coverage"].notnull().any()


def test_known_parameters_have_no_errors(data):
    found = recovery_errors(*data, truths=TRUTHS, samples=1, fit=FIT, unknown=SUBSET, device="cpu")
    assert set(found["parameter"].values) == set(SUBSET)
    of_known = found.sel(process=["input_allocation", "litter_transfer_fraction"])
    assert of_known["process_contraction"].isnull().all()
    assert of_known["process_coverage"].isnull().all()
    assert found["process_contraction"].sel(process="residence_time").notnull()


def test_intervals_of_a_map(errors, out):
    found = recovery_intervals(out, errors, level=0.8)
    space = {"lat", "lon"}
    np.testing.assert_allclose(found["quantile"], [0.1, 0.9])
    for (name, bounds), units in zip(
        zip(PARAMETER_NAMES, prior_bounds("binn"), strict=True),
        (out[n].attrs["units"] for n in PARAMETER_NAMES),
        strict=True,
    ):
        low, high = bounds
        ends = found[f"{name}_quantile"]
        assert ends.dims[0] == "quantile"
        assert set(ends.dims[1:]) == set(found[name].dims) == space
        assert ends.attrs["units"] == found[name].attrs["units"] == units
        known = found[name].notnull()
        assert known.any()
        assert (known == out[name].notnull()).all()
        tiny = 1e-6 * (high - low)
        assert ((ends >= low - tiny) & (ends <= high + tiny) | ~known).all()
        assert ((ends[0] <= ends[1]) | ~known).all()
    for name in RECOVERED_PROCESSES:
        ends = found[f"{name}_quantile"].where(found[name].notnull())
        assert ((ends[0] <= ends[1]) | ends[0].isnull()).all()
    assert not set(CARBON_NAMES) & set(found.data_vars)
    assert "8 synthetic truths (noise 0.3" in found.attrs["comment"]
    # By hand, at one cell, for one of each.
    at = dict(zip(("lat", "lon"), np.argwhere(out["q10"].notnull().values)[0], strict=True))
    q10 = dict(zip(PARAMETER_NAMES, prior_bounds("binn"), strict=True))["q10"]
    unit = (out["q10"].isel(at).item() - q10[0]) / (q10[1] - q10[0])
    own = errors.sel(parameter="q10")
    moved = own["parameter_intercept"] + own["parameter_slope"] * unit
    top = moved + own["parameter_error_quantile"].sel(quantile=0.9, method="nearest")
    top = q10[0] + (q10[1] - q10[0]) * np.clip(top.item(), 0.0, 1.0)
    assert found["q10_quantile"].isel(at)[1].item() == pytest.approx(top, rel=1e-5)
    own = errors.sel(process="residence_time")
    moved = own["process_intercept"] + own["process_slope"] * np.log(
        out["residence_time"].isel(at).item()
    )
    assert found["residence_time"].isel(at).item() == pytest.approx(np.exp(moved.item()), rel=1e-5)


def test_intervals_of_a_chunked_map_are_lazy_and_the_same(errors, out, raise_if_dask_computes):
    with raise_if_dask_computes():
        chunked = recovery_intervals(out.chunk(lat=3), errors)
    assert chunked["q10_quantile"].chunks is not None
    xr.testing.assert_allclose(chunked.compute(), recovery_intervals(out, errors))


def test_precision_units_and_quantities_are_those_of_the_map(errors, out):
    plain = recovery_intervals(out, errors)
    for name in ("q10", "residence_time_quantile", "efolding_quantile"):
        assert plain[name].dtype == out["q10"].dtype == np.float32
        assert "posterior" not in plain[name].attrs["long_name"]
    days = out["residence_time"] * 365.0
    days.attrs["units"] = "days"
    found = recovery_intervals(out.assign(residence_time=days), errors)
    name = "residence_time_quantile"
    xr.testing.assert_allclose(found[name], plain[name], rtol=1e-3)
    again = recovery_intervals(quantified(out), errors)
    xr.testing.assert_allclose(again[name], plain[name])


def test_processes_are_found_by_name_in_any_order(data, errors, out):
    turned = errors.isel(process=slice(None, None, -1), parameter=slice(None, None, -1))
    xr.testing.assert_identical(
        recovery_intervals(out, turned).drop_attrs(), recovery_intervals(out, errors).drop_attrs()
    )
    both = [
        recover_parameters(
            *data, cases=[Case("linear", 0.3)], samples=2, fit=FIT, device="cpu", errors=given
        )
        for given in (errors, errors.isel(process=slice(None, None, -1)))
    ]
    xr.testing.assert_identical(*both)


def test_what_is_zero_is_known_to_be_and_fractions_end_at_one(errors, out):
    made = out.assign(vertical_transport=out["vertical_transport"] * 0.0)
    higher = errors.assign(process_intercept=errors["process_intercept"] + 5.0)
    found = recovery_intervals(made, higher)
    assert (found["vertical_transport_quantile"].max(), found["vertical_transport"].min()) == (0, 0)
    assert found["input_allocation_quantile"].max() == 1.0


def test_what_is_not_there_is_left_out(errors, out):
    found = recovery_intervals(out[["residence_time"]], errors)
    assert set(found.data_vars) == {"residence_time", "residence_time_quantile"}


def test_errors_survive_a_file(errors, out, tmp_path):
    errors.to_netcdf(tmp_path / "errors.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "errors.nc", engine="h5netcdf") as read:
        xr.testing.assert_allclose(recovery_intervals(out, read), recovery_intervals(out, errors))


def test_what_cannot_be_used_is_refused(data, errors, out):
    with pytest.raises(
        InputError, match=r"truths=7 .*8 or more.*seed=None .*samples=2 \(.* 3 or more.*noise=0\.9"
    ):
        recovery_errors(*data, truths=7, noise=0.9, seed=None, samples=2, fit={"members": 3})
    with pytest.raises(InputError, match=r"kinds=\[\] \(must hold one or more of linear, "):
        recovery_errors(*data, kinds=np.array([]))
    with pytest.raises(InputError, match="kind='cubic'"):
        recovery_errors(*data, kinds=["cubic"])
    with pytest.raises(InputError, match=r"level=1 must be a number above 0, up to 0\.99"):
        recovery_intervals(out, errors, level=1)
    with pytest.raises(InputError, match="errors lack parameter_intercept"):
        recovery_intervals(out, out)
    with pytest.raises(InputError, match="neither parameters nor processes"):
        recovery_intervals(out[["cSoil"]], errors)
    with pytest.raises(ParameterError, match="outside prior 'binn'"):
        recovery_intervals(out.assign(q10=out["q10"] * 100.0), errors)
    mass = out["residence_time"].assign_attrs(units="kg")
    with pytest.raises(UnitsError, match=r"residence_time"):
        recovery_intervals(out.assign(residence_time=mass), errors)
    with pytest.raises(ParameterError, match="parameters missing: q10"):
        recovery_intervals(out.drop_vars("q10"), errors)
    with pytest.raises(InputError, match=r"single samples of the posterior \(sample 2\)"):
        recovery_intervals(xr.concat([out, out], "sample"), errors)
    with pytest.raises(InputError, match="errors lack prior, noise, spread, fit"):
        recovery_intervals(out, errors.drop_attrs())
    with pytest.raises(InputError, match=r"errors lack .*truth"):
        recovery_intervals(out, errors.drop_dims("truth"))
    partly = errors.sel(parameter=list(SUBSET))
    with pytest.raises(InputError, match=r"learnt with diffus, .* known, .* leave `unknown`"):
        recovery_intervals(out, partly)
    with pytest.raises(InputError, match=r"fit='.*\"epochs\": 3.* \(case: '.*\"epochs\": 4"):
        recover_parameters(
            *data, cases=[Case("linear")], samples=2, fit=FIT | {"epochs": 4}, errors=errors
        )
    for case in (Case("linear", 0.0), Case("linear", 0.3, SUBSET), Case("linear", spread=0.1)):
        with pytest.raises(InputError, match="learnt under other conditions than linear"):
            recover_parameters(*data, cases=[case], samples=2, fit=FIT, errors=errors)
