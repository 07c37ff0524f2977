"""Linear layers with int8 or float16 weights, beside PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish
from torchish.ao.quantization import (
    default_dynamic_qconfig,
    float16_dynamic_qconfig,
    per_channel_dynamic_qconfig,
)

CONFIGS = {
    "per tensor": (default_dynamic_qconfig, "default_dynamic_qconfig"),
    "per channel": (per_channel_dynamic_qconfig, "per_channel_dynamic_qconfig"),
    "float16": (float16_dynamic_qconfig, "float16_dynamic_qconfig"),
}


def model(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 7, bias=False)).eval()


def quantized(torch: Any, net: Any, config: Any) -> Any:
    return torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear: config})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONFIGS)
def test_results_and_text_are_pytorchs(name: str) -> None:
    ours, label = CONFIGS[name]
    theirs = getattr(oracle.ao.quantization, label)
    oracle.manual_seed(0)
    reference = model(oracle)
    mine = model(torchish)
    mine.load_state_dict(
        {k: torchish.from_numpy(v.numpy().copy()) for k, v in reference.state_dict().items()}
    )
    untouched = copy.deepcopy(mine)
    x = np.linspace(-2, 3, 5 * 20, dtype=np.float32).reshape(5, 20)
    want_net, net = quantized(oracle, reference, theirs), quantized(torchish, mine, ours)
    assert repr(net) == repr(want_net)
    want = want_net(oracle.from_numpy(x)).detach().numpy()
    got = net(torchish.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    plain = untouched(torchish.from_numpy(x)).detach().numpy()
    assert 0 < np.abs(got - plain).max() < 0.1  # close to what it stands for, and not that
    assert repr(mine) == repr(untouched)  # a copy was changed


def test_recurrent_layers_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="LSTM"):
        torchish.ao.quantization.quantize_dynamic(
            torchish.nn.Sequential(torchish.nn.LSTM(3, 4)), {torchish.nn.LSTM}
        )
