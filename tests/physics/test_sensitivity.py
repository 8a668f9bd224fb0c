"""Responses and control where a process hardly changes; slopes over the steps that can be used."""

import pytest
import torch

from xbinn.parameters import PARAMETERS
from xbinn.physics.sensitivity import (
    GROUPS,
    controlling_process,
    elasticity,
    group_change,
    response,
    slope,
)


def tensor(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_groups_hold_every_parameter_once():
    assert sorted(i for rows in GROUPS.values() for i in rows) == list(range(len(PARAMETERS)))


def test_elasticity_of_a_power_law():
    p = tensor([2.0, 3.0, 5.0], [1.0, 4.0, 0.0]).requires_grad_()
    found = elasticity(p[0] ** 2 * p[1] ** -0.5, p)
    torch.testing.assert_close(found[:, :2], tensor([2.0, 2.0], [-0.5, -0.5]))
    # 5^2 / sqrt(0) has no logarithm that could be held.
    assert bool(found[:, 2].isnan().any())
    assert bool(elasticity(-p[0], p).isnan().all())


def test_no_response_where_the_process_does_not_change():
    changed = tensor(1e-7, -1e-5, 0.0, torch.nan)
    found = response(tensor(1.0, 1.0, 1.0, 1.0), changed)
    assert found.isnan().tolist() == [True, False, True, True]
    assert float(found[1]) == pytest.approx(-1e5)


def test_a_process_whose_effects_cancel_does_not_control():
    responses = tensor([500.0, 5.0, torch.nan], [-2.0, -2.0, torch.nan])
    changed = tensor([0.01, 0.5, torch.nan], [1.0, 1.0, torch.nan])
    assert controlling_process(responses, changed).tolist() == [2.0, 1.0, 0.0]


def test_group_change_sums_the_parameters_of_a_process():
    each = torch.arange(len(PARAMETERS), dtype=torch.float64).unsqueeze(1)
    sums = [float(sum(rows)) for rows in GROUPS.values()]
    assert group_change(each).squeeze(1).tolist() == sums


def test_slope_over_the_steps_that_can_be_used():
    factor = tensor([0.8], [0.9], [1.1], [1.2])
    process = (factor**2).expand(4, 5).clone()
    stock = process**1.5
    stock[3, 1] = 0.0  # no carbon
    usable = torch.ones(4, 5, dtype=torch.bool)
    usable[1:, 2] = False
    process[:, 3] = 1.0  # does not change
    stock[2, 4] = torch.nan
    found = slope(stock, process, factor, usable)
    torch.testing.assert_close(
        found, tensor(1.5, 1.5, torch.nan, torch.nan, 1.5), rtol=1e-12, atol=0.0, equal_nan=True
    )
