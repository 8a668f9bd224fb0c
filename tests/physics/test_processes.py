"""Each process by its definition, worked out once more from dense matrices and by hand."""

import numpy as np
import pytest
import torch

from xbinn.constants import LAYER_THICKNESS, N_LAYERS, NODE_DEPTH
from xbinn.parameters import PARAMETER_NAMES
from xbinn.physics import dense
from xbinn.physics.cascade import parameter
from xbinn.physics.processes import (
    Processes,
    back_calculated_beta,
    baseline_decomposition,
    input_allocation,
    input_allocation_published,
    litter_transfer_fraction,
    processes,
    respiration,
)
from xbinn.physics.steady_state import BEDROCK
from xbinn.variables import PROCESS_NAMES

THICKNESS = np.array(LAYER_THICKNESS[:N_LAYERS])
L1, L2, L3, S1, S2, S3 = range(1, 7)


def test_every_process_of_the_table_is_diagnosed():
    assert tuple(Processes.__dataclass_fields__) == PROCESS_NAMES


@pytest.mark.parametrize("bedrock", BEDROCK)
def test_definitions(draw, bedrock):
    columns = draw(12, seed=60, constant_bedrock=bedrock == "closed")
    state = columns.solve(bedrock)
    diagnosed = processes(state)
    for i in range(len(columns)):
        one = columns.column(i)
        p = dict(zip(PARAMETER_NAMES, one.parameters.tolist(), strict=True))
        forcing = one.forcing
        _, k, transport, _ = (m.numpy() for m in dense.operators(one.parameters, forcing, bedrock))
        pools = state.pools[..., i].numpy()
        soc = pools[S1] + pools[S2] + pools[S3]
        weight = soc * THICKNESS / (soc @ THICKNESS)
        xit = (p["q10"] ** ((forcing.temperature.numpy() - 298.15) / 10.0)).mean(0)
        xiw = np.minimum(1.0, p["w_scaling"] * forcing.water.numpy()).mean(0)
        x = xit * xiw * np.exp(-np.array(NODE_DEPTH[:N_LAYERS]) / p["efolding"])
        stock = pools @ THICKNESS

        taus = [p[n] for n in ("taul1", "taul2", "taul2", "tau4s1", "tau4s2", "tau4s3")]
        flow = pools[1:] @ (x * THICKNESS) / taus
        passed = [
            p["fl1s1"], p["fl2s1"], p["fl3s2"],
            p["fs1s2"] + p["fs1s3"], p["fs2s1"] + p["fs2s3"], p["fs3s1"],
        ]  # fmt: skip
        inverse_tau = 1.0 / np.array(taus[3:])
        diagonal = np.diag(transport)[-N_LAYERS:] * 365.0
        flux = (np.diag(k).reshape(pools.shape) * pools) @ THICKNESS
        given = forcing.inputs.numpy().sum()
        expected = {
            "carbon_transfer_efficiency": flow @ passed / flow.sum(),
            "baseline_decomposition": inverse_tau @ stock[S1:] / stock[S1:].sum(),
            "environmental_modifier": x @ weight,
            "vertical_transport": diagonal @ weight,
            "litter_transfer_fraction": flux[L1:S1] @ passed[:3] / flux[L1:S1].sum(),
            "carbon_input": given / 1e3,
            "residence_time": soc @ THICKNESS / given,
        }
        for name, value in expected.items():
            assert getattr(diagnosed, name)[i].item() == pytest.approx(value, rel=1e-11), name
        every = 1.0 / np.array([p["taucwd"], *taus])
        variant = baseline_decomposition(state, pools=slice(None))[i].item()
        assert variant == pytest.approx(every @ stock / stock.sum(), rel=1e-11)
        respired = flux * (1.0 - np.array([1.0, *passed])) * 365.0
        assert respiration(state)[:, i].numpy() == pytest.approx(respired, rel=1e-11)


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.97, 0.999, 0.9999])
def test_input_allocation_is_beta_where_input_follows_it(draw, bedrock, beta):
    n = N_LAYERS - 1
    columns = draw(n, seed=61).change(beta=beta)
    columns = columns.force(
        nbedrock=torch.arange(2, N_LAYERS + 1), allocated=torch.ones(n, dtype=torch.bool)
    )
    state = columns.solve(bedrock)
    calculated = back_calculated_beta(
        state.fraction, parameter(state.parameters, "beta"), state.layers
    )
    np.testing.assert_allclose(calculated.numpy(), beta, rtol=1e-13)
    np.testing.assert_allclose(input_allocation(state).numpy(), beta, rtol=1e-13)


@pytest.mark.parametrize("variant", [input_allocation, input_allocation_published])
def test_surface_input_has_no_depth_shape(draw, variant):
    columns = draw(4, seed=62).force(allocated=torch.tensor([True, False, True, False]))
    columns = columns.force(nbedrock=torch.full((4,), 8))
    assert variant(columns.solve()).isnan().tolist() == [False, True, False, True]


def test_one_layer_has_no_depth_shape_and_no_transport(draw):
    columns = draw(3, seed=63).force(nbedrock=torch.tensor([1, 2, 1]))
    columns = columns.force(
        allocated=torch.ones(3, dtype=torch.bool), altmax=torch.full((12, 3), 8.6).double()
    )
    state = columns.solve()
    diagnosed = processes(state)
    assert diagnosed.input_allocation.isnan().tolist() == [True, False, True]
    assert (diagnosed.vertical_transport == 0.0).tolist() == [True, False, True]
    torch.testing.assert_close(
        state.fraction[0, [0, 2]], torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("prior", ["binn", "proda"])
def test_processes_are_in_their_ranges(draw, prior):
    columns = draw(500, seed=64, prior=prior)
    columns = columns.force(nbedrock=columns.forcing.nbedrock.clamp(min=2))
    columns = columns.force(allocated=torch.ones(500, dtype=torch.bool))
    diagnosed = vars(processes(columns.solve()))
    for name in ("carbon_transfer_efficiency", "litter_transfer_fraction", "input_allocation"):
        assert float(diagnosed[name].min()) > 0.0
        assert float(diagnosed[name].max()) < 1.0
    for name, value in diagnosed.items():
        assert bool(value.isfinite().all()), name
        assert float(value.min()) >= 0.0, name


def test_equal_fractions_are_their_own_mean(draw):
    third = 0.3
    columns = draw(20, seed=65).change(
        fl1s1=third, fl2s1=third, fl3s2=third, fs1s2=0.25, fs1s3=0.05, fs2s1=0.28, fs2s3=0.02,
        fs3s1=third,
    )  # fmt: skip
    state = columns.solve()
    for value in (litter_transfer_fraction(state), processes(state).carbon_transfer_efficiency):
        np.testing.assert_allclose(value.numpy(), third, rtol=1e-14)


def test_litter_fraction_is_the_fraction_of_the_litter_input_that_becomes_soil_carbon(draw):
    """With one tridiagonal system each, what enters a litter pool is what it decomposes."""
    columns = draw(20, seed=66)
    p = dict(zip(PARAMETER_NAMES, columns.parameters, strict=True))
    cwd, l1, l2, l3 = columns.forcing.inputs
    l2, l3 = l2 + cwd * p["fcwdl2"], l3 + cwd * (1.0 - p["fcwdl2"])
    expected = (l1 * p["fl1s1"] + l2 * p["fl2s1"] + l3 * p["fl3s2"]) / (l1 + l2 + l3)
    actual = litter_transfer_fraction(columns.solve())
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-12)
