"""Recurrent layers against PyTorch's: packed batches, hidden states, dropout, errors."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish
from tests.oracle import agree


def draw(lib: Any, *shape: int) -> Any:
    return lib.tensor(np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32))


def state(lib: Any, kind: str, *shape: int) -> Any:
    h = draw(lib, *shape)
    return (h, h * 0.5) if kind == "LSTM" else h


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_packed(kind: str, options: dict[str, Any]) -> None:
    def run(lib: Any) -> Any:
        layer = getattr(lib.nn, kind)(3, 2, **options)
        rnn = lib.nn.utils.rnn
        parts = [draw(lib, n, 3).requires_grad_() for n in (2, 4, 1)]
        out, hidden = layer(rnn.pack_sequence(parts, enforce_sorted=False))
        padded, lengths = rnn.pad_packed_sequence(out)
        padded.square().sum().backward()
        grads = [p.grad for p in layer.parameters()]
        return [padded, lengths, hidden, grads, [p.grad for p in parts]]

    agree(run, rtol=2e-5)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_given_hidden_state(kind: str, batched: bool) -> None:
    def run(lib: Any) -> Any:
        layer = getattr(lib.nn, kind)(3, 2, 2, batch_first=True)
        middle = (2,) if batched else ()
        x = draw(lib, *middle, 4, 3)
        return layer(x, state(lib, kind, 2, *middle, 2))

    agree(run)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_dropout_between_layers(kind: str) -> None:
    agree(lambda lib: getattr(lib.nn, kind)(3, 2, 3, dropout=0.5)(draw(lib, 4, 2, 3)))


ERRORS = {
    "input size": lambda nn, lib: nn.LSTM(3, 2)(draw(lib, 4, 2, 5)),
    "input dims": lambda nn, lib: nn.LSTM(3, 2)(draw(lib, 3)),
    "input dims of RNN": lambda nn, lib: nn.RNN(3, 2)(draw(lib, 3)),
    "dtype": lambda nn, lib: nn.GRU(3, 2)(draw(lib, 4, 2, 3).double()),
    "hidden size": lambda nn, lib: nn.GRU(3, 2)(draw(lib, 4, 2, 3), draw(lib, 1, 2, 5)),
    "hidden dims": lambda nn, lib: nn.GRU(3, 2)(draw(lib, 4, 2, 3), draw(lib, 2, 2)),
    "hidden dims unbatched": lambda nn, lib: nn.GRU(3, 2)(draw(lib, 4, 3), draw(lib, 1, 1, 2)),
    "cell size": lambda nn, lib: nn.LSTM(3, 2)(
        draw(lib, 4, 2, 3), (draw(lib, 1, 2, 2), draw(lib, 1, 2, 3))
    ),
    "nonlinearity": lambda nn, lib: nn.RNN(3, 2, nonlinearity="x"),
    "projection": lambda nn, lib: nn.GRU(3, 2, proj_size=1),
    "projection size": lambda nn, lib: nn.LSTM(3, 2, proj_size=2),
    "dropout": lambda nn, lib: nn.LSTM(3, 2, dropout=2),
    "useless dropout": lambda nn, lib: repr(nn.LSTM(3, 2, dropout=0.5)),
    "sizes": lambda nn, lib: nn.LSTM(0, 2),
    "types": lambda nn, lib: nn.LSTM(3.0, 2),
    "bias type": lambda nn, lib: nn.LSTM(3, 2, bias=1),
    "layers": lambda nn, lib: nn.LSTM(3, 2, 0),
    "mode": lambda nn, lib: nn.RNNBase("x", 3, 2),
    "cell dims": lambda nn, lib: nn.LSTMCell(3, 2)(draw(lib, 1, 2, 3)),
    "cell hidden dims": lambda nn, lib: nn.GRUCell(3, 2)(draw(lib, 2, 3), draw(lib, 1, 2, 2)),
    "cell state dims": lambda nn, lib: nn.LSTMCell(3, 2)(
        draw(lib, 2, 3), (draw(lib, 1, 2, 2), draw(lib, 2, 2))
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    agree(lambda lib: ERRORS[name](lib.nn, lib))


def test_weights_and_attributes() -> None:
    def run(lib: Any) -> Any:
        layer = lib.nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
        layer.flatten_parameters()
        names = [[tuple(w.shape) for w in group] for group in layer.all_weights]
        layer.weight_ih_l0 = lib.nn.Parameter(lib.zeros(16, 3))
        return [names, list(layer.state_dict()), repr(layer), layer._flat_weights[0]]

    agree(run)


def test_pickled_attributes_are_torchs() -> None:
    ours, theirs = torchish.nn.GRU(3, 2), oracle.nn.GRU(3, 2)
    assert set(theirs.__getstate__()) <= set(ours.__getstate__())
    loaded = torchish.nn.GRU.__new__(torchish.nn.GRU)
    loaded.__setstate__(ours.__getstate__())
    assert loaded._flat_weights[0] is ours.weight_ih_l0
    assert pickle.loads(pickle.dumps(ours)).hidden_size == 2
