"""Samples of recurrent layers and cells."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, Sample, f

_IN, _H = 3, 4


def _weights(gates: int, layers: int = 1, directions: int = 1, proj: int = 0) -> list:
    found = []
    for layer in range(layers):
        for _ in range(directions):
            width = _IN if layer == 0 else (proj or _H) * directions
            found += [f(gates * _H, width), f(gates * _H, proj or _H), f(gates * _H), f(gates * _H)]
            if proj:
                found.append(f(proj, _H))
    return [0.3 * w for w in found]


def _layers(gates: int) -> list[Sample]:
    def state(count: int, width: int = _H) -> object:
        h = f(count, 2, width)
        return (h, f(count, 2, _H)) if gates == 4 else h

    found = [
        S(f(5, 2, _IN), state(1), _weights(gates), True, 1, 0.0, False, False, False),
        S(f(2, 5, _IN), state(4), _weights(gates, 2, 2), True, 2, 0.0, False, True, True),
        S(
            f(8, _IN), np.array([2, 2, 2, 1, 1]), state(2), _weights(gates, 1, 2), True, 1, 0.0,
            False, True,
        ),
    ]  # fmt: skip
    if gates == 4:
        projected = _weights(gates, 1, 1, 2)
        args = (True, 1, 0.0, False, False, False)
        found.append(S(f(5, 2, _IN), state(1, 2), projected, *args).warns())
    return [s.no_forms().no_strides().no_half() for s in found]


def _cell(gates: int) -> list[Sample]:
    h = f(2, _H)
    state = (h, f(2, _H)) if gates == 4 else h
    return [S(f(2, _IN), state, *_weights(gates)).no_forms().no_half()]


SAMPLES = {
    "torch.lstm": _layers(4),
    "torch.gru": _layers(3),
    "torch.rnn_tanh": _layers(1),
    "torch.rnn_relu": _layers(1),
    "torch.lstm_cell": _cell(4),
    "torch.gru_cell": _cell(3),
    "torch.rnn_tanh_cell": _cell(1),
    "torch.rnn_relu_cell": _cell(1),
}
