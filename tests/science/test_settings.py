"""What a fit is asked for: plain types, all complaints at once."""

import inspect
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import xbinn
from xbinn.errors import InputError
from xbinn.science.settings import FitSettings, check_dtype, fit_settings, recorded, settings_of
from xbinn.testing import small_grid, small_profiles


def settings(**changed: Any) -> FitSettings:
    """Settings with the defaults of `xbinn.fit`."""
    arguments = inspect.signature(fit_settings).parameters
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(xbinn.fit).parameters.items()
        if name in arguments
    }
    return fit_settings(**{**defaults, **changed})


def test_every_argument_of_the_fit_is_checked() -> None:
    arguments = set(inspect.signature(xbinn.fit).parameters) - {"ds", "profiles", "progress"}
    assert set(inspect.signature(fit_settings).parameters) == arguments


def test_defaults_are_those_of_the_fit() -> None:
    ours, public = (inspect.signature(f).parameters for f in (fit_settings, xbinn.fit))
    own = {"device"}  # on record only, and there as it was asked for
    for name in set(ours) - own:
        assert ours[name].default == public[name].default, name


def test_what_is_recorded_survives_json() -> None:
    found = settings(
        covariates=np.array(["sand", "clay"]),
        categorical="zone",
        tolerance=np.float32(0.5),
        block_size=np.int64(3),
        epochs=np.int16(4),
        learning_rate=torch.tensor(0.5),
        hidden=np.int8(7),
        device="cpu",
    )
    kept = recorded(found)
    assert json.loads(json.dumps(kept)) == kept
    assert kept["covariates"] == ["sand", "clay"]
    assert kept["categorical"] == ["zone"]
    assert (kept["tolerance"], kept["block_size"], kept["epochs"]) == (0.5, 3.0, 4)
    assert found.encoder["hidden"] == (7,)
    assert not {"prior", "bedrock", "encoder", "options"} & kept.keys()


def test_settings_come_back_from_the_model() -> None:
    grid = small_grid()
    profiles = small_profiles(grid)
    model = xbinn.fit(grid, profiles, epochs=1, seed=0, hidden=(4,), block_size="900 km")
    asked = settings(epochs=1, seed=0, hidden=4, block_size="900 km")
    found = settings_of(model)
    assert found == replace(asked, encoder=found.encoder, device=found.device)
    assert {"tolerance", "covariates", "categorical", "device"} <= model.settings.keys()


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("tolerance", 0.0, "above 0"),
        ("tolerance", "near", "a number, above 0"),
        ("covariates", 5, "a sequence of names"),
        ("covariates", ["sand", 5], "a sequence of names"),
        ("categorical", [None], "a sequence of names"),
        ("device", 0, "a text such as 'auto'"),
        ("prior", None, "'binn' or 'proda'"),
        ("seed", 1.0, "a whole number"),
        ("block_size", "200 kg", "a positive number of degrees"),
        ("block_size", "wide", "a positive number of degrees"),
        ("block_size", "-2 km", "a positive number of degrees"),
        ("block_size", float("nan"), "a positive number of degrees"),
        ("regularization", 10**400, "a number, 0 or more"),
        ("dropout", -0.1, "a share from 0"),
        ("hidden", {"a": 1}, "a whole number"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: Any, rule: str) -> None:
    with pytest.raises(InputError, match=rf"{name}.*=.*\(must be {rule}"):
        settings(**{name: value})


def test_all_bad_settings_are_named() -> None:
    names = set(inspect.signature(fit_settings).parameters)
    with pytest.raises(InputError) as error:
        settings(**dict.fromkeys(names, 1j))
    assert {n for n in names if f"{n}=1j (must be" in str(error.value)} == names


def test_dtype() -> None:
    assert check_dtype("float32") is torch.float32
    with pytest.raises(InputError, match="dtype='float16' is not supported: choose 'float32' or"):
        check_dtype("float16")
