"""Layouts of packed arrays, cached models."""

import pytest
import torch

import xbinn
from xbinn.errors import InputError, ModelFileError
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
