"""Known parameters are held; unknown ones are found as in the whole model."""

import pytest
import torch

from xbinn.errors import ParameterError
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.physics.partly_known import KnownForcing, PartlyKnownModel
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.tensors import pack_forcing
from xbinn.testing import small_grid
from xbinn.variables import FORCING_NAMES

UNKNOWN = ("efolding", "tau4s3")
ROWS = [PARAMETER_NAMES.index(name) for name in UNKNOWN]


@pytest.fixture
def columns():
    grid = small_grid((4, 5)).stack(cell=["lat", "lon"])
    grid = grid.isel(cell=grid["land_fraction"].values > 0)
    arrays = {n: grid[n].values for n in FORCING_NAMES}
    forcing = pack_forcing(arrays, dtype=torch.float64, device=torch.device("cpu"))
    low, high = torch.tensor(prior_bounds("binn"), dtype=torch.float64).T[:, :, None]
    generator = torch.Generator().manual_seed(0)
    n = grid.sizes["cell"]
    unit = 0.2 + 0.6 * torch.rand((len(low), n), generator=generator, dtype=torch.float64)
    return forcing, low + (high - low) * unit


def test_it_is_the_whole_model_with_known_parameters_in_their_place(columns):
    forcing, parameters = columns
    whole = SoilCarbonModel()
    # What is said of unknown parameters among the known is not looked at.
    spoilt = parameters.clone()
    spoilt[ROWS] = torch.nan
    found = PartlyKnownModel(whole, UNKNOWN).steady_state(
        parameters[ROWS], KnownForcing(forcing, spoilt)
    )
    assert torch.equal(found.soc, whole.steady_state(parameters, forcing).soc)


def test_gradients_reach_the_unknown_alone(columns):
    forcing, parameters = columns
    known, leaf = parameters.clone().requires_grad_(), parameters[ROWS].clone().requires_grad_()
    model = PartlyKnownModel(SoilCarbonModel(), UNKNOWN)
    model.steady_state(leaf, KnownForcing(forcing, known)).soc.sum().backward()
    assert (leaf.grad != 0.0).any()
    others = [row for row in range(len(PARAMETER_NAMES)) if row not in ROWS]
    assert (known.grad[others] != 0.0).any()
    assert (known.grad[ROWS] == 0.0).all()


def test_known_parameters_follow_their_columns(columns):
    forcing, parameters = columns
    index = torch.tensor([3, 0, 3])
    model = PartlyKnownModel(SoilCarbonModel(), UNKNOWN)
    given = KnownForcing(forcing, parameters)
    everywhere = model.steady_state(parameters[ROWS], given).soc
    chosen = model.steady_state(parameters[ROWS][:, index], given.select(index)).soc
    assert torch.equal(chosen, everywhere[:, index])


def test_its_table_holds_the_unknown_alone():
    model = PartlyKnownModel(SoilCarbonModel(), UNKNOWN)
    assert tuple(p.name for p in model.parameters) == UNKNOWN
    assert len(PartlyKnownModel(SoilCarbonModel()).parameters) == len(PARAMETER_NAMES)


@pytest.mark.parametrize("unknown", [(), ("tau4s3", "efolding"), ("tau",), ("beta", "beta")])
def test_names_that_cannot_be_used_are_refused(unknown):
    with pytest.raises(ParameterError, match="must name one or more parameters, each once"):
        PartlyKnownModel(SoilCarbonModel(), unknown)
