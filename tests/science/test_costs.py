"""What convergence and the published steps would cost, from what was measured."""

import numpy as np
import pytest
import xarray as xr

from xbinn.physics.counting import SolveCount
from xbinn.science.costs import Cost, stretch_to_convergence, tabulate_costs


def retrieved(rhat: list[float], ess: list[float], converged: list[bool]) -> xr.Dataset:
    both = ("profile", "parameter")
    n = len(rhat)
    return xr.Dataset(
        {
            "rhat": (both, np.array([rhat, [1.0] * n]).T),
            "ess": (both, np.array([ess, [500.0] * n]).T),
            "converged": ("profile", converged),
            "steps": ("profile", [300] * n),
            "forward_solves": ("profile", [0] * n),
            "gradient_evaluations": ("profile", [1000] * n),
        },
        attrs={"warmup": 100},
    )


def test_steps_behind_the_warm_up_are_stretched_by_the_slower_of_two_rates():
    found = retrieved([1.01, 1.04, np.sqrt(1.205), 1.01], [150, 50, 90, 99], [True] + [False] * 3)
    # Twice the steps for effective draws; 0.205 / 0.1025 = 2 for R-hat; 100 / 99.
    expected = [1.0, 700 / 400, 700 / 400, (100 + 300 * 100 / 99) / 400]
    np.testing.assert_allclose(stretch_to_convergence(found, rhat=1.05, ess=100.0), expected)


@pytest.mark.parametrize("converged", [True, False])
def test_ratios_follow_from_what_was_measured(converged):
    found = retrieved([1.01, 1.01], [200, 50], [True, converged])
    costs = tabulate_costs(
        Cost(SolveCount(300, 200), 4.0),
        Cost(SolveCount(2100, 2000), 40.0),
        Cost(SolveCount(), 10.0),
        Cost(SolveCount(1000), 0.5),
        found,
        rhat=1.05,
        ess=100.0,
    )
    grown = 1.0 if converged else (1.0 + 700 / 400) / 2
    np.testing.assert_allclose(costs["times_solves"].sel(run="proda"), 4100 / 500)
    np.testing.assert_allclose(costs["times_solves"].sel(run="proda_converged"), grown * 4100 / 500)
    np.testing.assert_allclose(costs["seconds"].sel(run="proda_converged"), grown * 40.0 + 10.0)
    published = costs.sel(run="proda_published")
    assert int(published["forward_solves"]) == 3 * 70_000 * 2
    assert float(published["seconds"]) == pytest.approx(420_000 * 0.5 / 1000 + 10.0)
    assert float(published["times_seconds"]) == pytest.approx(float(published["seconds"]) / 4.0)
    basis = costs["basis"].sel(run="proda_converged").item()
    assert ("extrapolated" in basis) != converged
    assert costs.attrs["claim"] == "BINN is more than 50 times cheaper (Xu et al. 2025)"
