"""Parameters by name: priors, defaults, impossible values."""

from typing import Any

import numpy as np
import pint_xarray  # noqa: F401  (registers .pint)
import pytest
import xarray as xr

from xbinn.errors import InputError, ParameterError, UnitsError
from xbinn.labels.priors import (
    check_parameters,
    default_parameters,
    from_unit_interval,
    impossible,
    possible,
    to_unit_interval,
)
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES, PARAMETERS, PRIORS, Prior, prior_bounds


def unit(value: float = 0.5, **others: float) -> xr.Dataset:
    return xr.Dataset({name: others.get(name, value) for name in PARAMETER_NAMES})


def drawn(n: int = 7) -> xr.Dataset:
    rng = np.random.default_rng(3)
    return xr.Dataset({name: ("x", rng.random(n)) for name in PARAMETER_NAMES})


@pytest.mark.parametrize("prior", PRIORS)
def test_unit_interval_round_trip(prior: Prior) -> None:
    u = drawn()
    p = from_unit_interval(u, prior=prior)
    assert list(p.data_vars) == list(PARAMETER_NAMES)
    for name, (low, high) in zip(PARAMETER_NAMES, prior_bounds(prior), strict=True):
        assert ((p[name] >= low) & (p[name] <= high)).all()
    assert p["tau4s3"].attrs["units"] == "yr"
    back = to_unit_interval(p, prior=prior)
    xr.testing.assert_allclose(back, u)
    assert back["q10"].attrs["prior"] == prior


def test_bounds_survive_float32_and_nan_passes() -> None:
    u = xr.Dataset({n: ("x", np.array([0.0, 1.0, np.nan], np.float32)) for n in PARAMETER_NAMES})
    back = to_unit_interval(from_unit_interval(u, prior="binn"), prior="binn")
    assert back["beta"].dtype == np.float32
    np.testing.assert_allclose(back["beta"], u["beta"], rtol=0, atol=1e-6)
    assert float(back["beta"].max()) <= 1.0


def test_scaling_is_lazy_and_checks_when_computed(raise_if_dask_computes: Any) -> None:
    u = drawn().chunk(x=3)
    with raise_if_dask_computes():
        p = from_unit_interval(u, prior="binn")
        back = to_unit_interval(p, prior="binn")
    xr.testing.assert_allclose(back.compute(), u.compute())
    u["q10"] = u["q10"] + 1.0
    with raise_if_dask_computes():
        p = from_unit_interval(u, prior="binn")
    with pytest.raises(ParameterError, match="outside 0 to 1: q10"):
        p.compute()


def test_outside_is_refused_naming_all() -> None:
    with pytest.raises(
        ParameterError, match=r"outside 0 to 1: q10 = 1.5 .*beta = -0.1 .*to_unit_interval"
    ):
        from_unit_interval(unit(q10=1.5, beta=-0.1), prior="binn")
    with pytest.raises(
        ParameterError, match=r"outside prior 'binn': efolding = 10 \(allowed 0.1 to 1\).*clip"
    ):
        to_unit_interval(default_parameters(xr.Dataset()), prior="binn")


def test_prior_mix_up_is_refused() -> None:
    u = to_unit_interval(from_unit_interval(drawn(), prior="proda"), prior="proda")
    with pytest.raises(ParameterError, match="made with prior 'proda', not with 'binn': pass"):
        from_unit_interval(u, prior="binn")
    with pytest.raises(ParameterError, match="prior 'clm' is not known"):
        from_unit_interval(u, prior="clm")  # type: ignore[arg-type]


def test_physical_values_given_as_unit_interval_are_refused() -> None:
    with pytest.raises(UnitsError, match="diffus"):
        from_unit_interval(default_parameters(xr.Dataset()), prior="binn")


def test_aliases_units_and_quantities_are_understood() -> None:
    p = default_parameters(xr.Dataset())
    p = p.rename(diffus="bio", taucwd="tau4cwd", w_scaling="w-scaling")
    p["tau4s1"] = xr.DataArray(50.005, attrs={"units": "day"})
    p["tau4s3"] = p["tau4s3"].pint.quantify("year")
    p["beta"] = 0.9
    p["unrelated"] = 1.0
    out = check_parameters(p)
    assert list(out.data_vars) == list(PARAMETER_NAMES)
    assert float(out["tau4s1"]) == pytest.approx(0.137)
    assert float(out["tau4s3"]) == 222.222
    assert float(out["diffus"]) == 1e-4
    assert out["beta"].attrs["units"] == "1"


def test_parameters_without_units_are_in_those_of_the_table() -> None:
    plain = xr.Dataset({name: 1 for name in PARAMETER_NAMES})
    out = check_parameters(plain)
    assert out["diffus"].attrs["units"] == "m2 yr-1"
    assert out["diffus"].dtype == np.float64


def test_all_missing_parameters_are_named() -> None:
    with pytest.raises(
        ParameterError, match=r"missing: q10, beta; all 21 are needed.*default_parameters"
    ):
        check_parameters(default_parameters(xr.Dataset()).drop_vars(["q10", "beta"]))


def test_parameters_that_are_no_numbers_are_named() -> None:
    p = default_parameters(xr.Dataset()).assign(q10="warm", beta=True)
    with pytest.raises(ParameterError, match=r"not real numbers: q10 .*, beta \(bool\).*astype"):
        check_parameters(p)


def test_parameters_must_be_a_dataset() -> None:
    with pytest.raises(ParameterError, match=r"must be an xarray.Dataset .* not dict: use"):
        check_parameters({"q10": 1.5})  # type: ignore[arg-type]


def test_wrong_units_are_named() -> None:
    p = default_parameters(xr.Dataset())
    p["tau4s1"].attrs["units"] = "K"
    p["diffus"].attrs["units"] = "m"
    with pytest.raises(UnitsError, match=r"2 variables(.|\n)*diffus(.|\n)*tau4s1"):
        check_parameters(p)


def test_defaults_without_sand_are_scalars_of_a_loam() -> None:
    p = default_parameters(xr.Dataset())
    assert all(da.ndim == 0 for da in p.values())
    for q in PARAMETERS:
        if q.clm5_default is not None:
            assert float(p[q.name]) == q.clm5_default
    # t = 0.85 - 0.68 * 0.5 = 0.51
    assert float(p["fs1s2"]) == pytest.approx(0.49 - 0.004)
    assert float(p["fs1s3"]) == pytest.approx(0.004)
    assert impossible(np.array([[float(p[n])] for n in PARAMETER_NAMES])) is None


@pytest.mark.parametrize("name", ["sand", "clm_sand"])
def test_sand_rule_honours_units_and_is_lazy(name: str, raise_if_dask_computes: Any) -> None:
    sand = xr.DataArray([0.2, np.nan, 0.5], dims="cell", attrs={"units": "1"})
    ds = xr.Dataset({name: sand}).chunk(cell=2)
    with raise_if_dask_computes():
        p = default_parameters(ds)
    assert p["fs1s2"].dims == ("cell",)
    assert p["q10"].dims == ()
    np.testing.assert_allclose(p["fs1s2"], [1 - (0.85 - 0.68 * 0.8) - 0.004, 0.486, 0.486])
    assert p["fs1s3"].shape == (3,)


def test_sand_that_cannot_be_used_is_refused() -> None:
    layered = xr.DataArray([[50.0]], dims=("depth", "x"), attrs={"units": "percent"})
    with pytest.raises(InputError, match=r'sand varies with depth.*mean\("depth"\)'):
        default_parameters(xr.Dataset({"sand": layered}))
    with pytest.raises(UnitsError, match="sand has no units"):
        default_parameters(xr.Dataset({"sand": ("x", [50.0])}))
    with pytest.raises(InputError, match=r"sand is of type .* not a number"):
        default_parameters(xr.Dataset({"sand": ("x", ["much"])}))


def values(**changed: Any) -> np.ndarray:
    p = default_parameters(xr.Dataset()).assign(changed)
    return np.array([[float(p[n])] * 2 for n in PARAMETER_NAMES])


def test_outside_a_prior_is_possible() -> None:
    assert impossible(values(efolding=100.0, tau4s3=5000.0)) is None
    assert impossible(np.full((N_PARAMETERS, 3), np.nan)) is None
    assert impossible(np.empty((N_PARAMETERS, 0))) is None


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"q10": 0.0}, r"q10 = 0 \(allowed \(0, inf\) 1\)"),
        ({"tau4s1": -1.0}, r"tau4s1 = -1 .*\(0, inf\) yr"),
        ({"beta": 1.0}, r"beta = 1 \(allowed \(0, 1\)"),
        ({"fl1s1": 1.1}, r"fl1s1 = 1.1 \(allowed \[0, 1\]"),
        ({"efolding": np.inf}, r"efolding = inf"),
        ({"fs1s2": 0.8, "fs1s3": 0.3}, r"fs1s2 \+ fs1s3 = 1.1 \(allowed at most 1\)"),
        ({"fs2s1": 0.8, "fs2s3": 0.3, "q10": -1}, r"q10 = -1.*fs2s1 \+ fs2s3.*default_param"),
    ],
)
def test_impossible_values_are_explained(changed: dict[str, Any], match: str) -> None:
    message = impossible(values(**changed))
    assert message is not None
    with pytest.raises(ParameterError, match=match):
        raise ParameterError(message)


def test_impossible_needs_the_whole_table() -> None:
    with pytest.raises(ParameterError, match=r"shape \(3, 2\): the first axis must be the 21"):
        impossible(np.ones((3, 2)))


@pytest.mark.realdata
def test_defaults_of_real_points(real_points: xr.Dataset) -> None:
    p = default_parameters(real_points)
    assert p["fs1s2"].dims == ("cell",)
    stacked = xr.broadcast(p)[0].to_dataarray().values
    assert impossible(stacked) is None


def test_possible_is_where_nothing_is_impossible() -> None:
    defaults = [0.3 if p.clm5_default is None else p.clm5_default for p in PARAMETERS]
    values = np.repeat(np.array(defaults)[:, None], 4, axis=1)
    row = {p.name: i for i, p in enumerate(PARAMETERS)}
    values[row["beta"], 1] = 1.0
    values[row["fs1s2"], 2] = 0.9  # with fs1s3 more than all
    values[row["q10"], 3] = np.nan
    assert possible(values).tolist() == [True, False, False, True]
    for column, allowed in zip(values.T, possible(values), strict=True):
        assert (impossible(column) is None) == allowed
