"""The linear encoder is linear."""

import torch

from xbinn.learning.encoders import LinearEncoder, build_encoder

CONFIG = {"encoder": "linear", "n_numeric": 3, "n_categories": [4, 2], "n_outputs": 5}


def test_u_is_linear_between_the_clips():
    encoder = build_encoder(CONFIG | {"constraint": "hard_sigmoid"}, seed=0).double().eval()
    assert isinstance(encoder, LinearEncoder)
    codes = torch.zeros(3, 2, dtype=torch.int64)
    ends = torch.tensor([[-1.0, 0.3, 1.5], [1.0, -1.2, 0.0]], dtype=torch.float64)
    numeric = torch.stack([ends[0], 0.25 * ends[0] + 0.75 * ends[1], ends[1]])
    unit = encoder(numeric, codes)
    torch.testing.assert_close(unit[1], 0.25 * unit[0] + 0.75 * unit[2])
    assert float((unit[0] - unit[2]).detach().abs().min()) > 1e-4


def test_categories_add():
    encoder = build_encoder(CONFIG | {"constraint": "hard_sigmoid"}, seed=0).double().eval()
    codes = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
    unit = encoder(torch.zeros(4, 3, dtype=torch.float64), codes)
    torch.testing.assert_close(unit[3] - unit[2], unit[1] - unit[0])
