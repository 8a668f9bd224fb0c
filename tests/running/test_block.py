"""Layouts of packed arrays, cached models."""

import pytest
import torch
import xarray as xr

import xbinn
from xbinn.errors import InputError, ModelFileError
from xbinn.running import block
from xbinn.running.layout import Layout
from xbinn.running.predictor import ModelReference, load_cached
from xbinn.testing import small_grid, small_profiles


def test_channels_are_contiguous_and_status_is_last():
    layout = Layout(("parameters", "processes", "soc", "pools"))
    stop = 0
    for output in layout.outputs:
        assert output.channels.start == stop
        stop = output.channels.stop
    assert layout.n_channels == stop
    assert layout.outputs[-1].name == "status"


@pytest.mark.parametrize("groups", [(), ("maps",), ("pools",)])
def test_unknown_groups(groups):
    with pytest.raises(InputError, match="cannot be returned: choose one or more of"):
        Layout.of(groups)


def test_a_model_is_loaded_once_and_must_be_the_one_meant(tmp_path):
    grid = small_grid()
    profiles = small_profiles(grid)
    first, second = (xbinn.fit(grid, profiles, epochs=1, seed=s, hidden=(4,)) for s in (0, 1))
    path = tmp_path / "m.xbinn"
    first.save(path)
    cpu = torch.device("cpu")
    reference = ModelReference(str(path), first.sha256)
    assert load_cached(reference, cpu) is load_cached(reference, cpu)
    with pytest.raises(ModelFileError, match="was replaced after the prediction was set up"):
        load_cached(ModelReference(str(path), second.sha256), cpu)


@pytest.mark.parametrize("together", [1, 7, 1024])
def test_cells_are_encoded_in_parts_of_which_none_is_lost(monkeypatch, together):
    grid = small_grid()
    model = xbinn.fit(grid, small_profiles(grid), epochs=1, seed=0, hidden=(4,), members=2)
    whole = xbinn.predict(grid, model, samples=5, reduce=False)
    monkeypatch.setattr(block, "CELLS_PER_PRODUCT", together)
    parts = xbinn.predict(grid, model, samples=5, reduce=False)
    assert int((whole["status"] == 0).sum()) > 7
    xr.testing.assert_allclose(parts, whole, rtol=1e-6)
    rows = torch.arange(16.0).reshape(8, 2)
    split = list(block.in_parts(rows, rows[:, :1].long()))
    assert torch.equal(torch.cat([part for part, _ in split]), rows)
    assert max(len(part) for part, _ in split) == min(together, 8)
