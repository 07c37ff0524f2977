"""Samples of activations and their `nn.functional` fronts."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import N, S, Sample, b, f, i, unit

_EDGES = np.array([-4.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 30.0], np.float32)
_LARGE = np.array([-120.0, -1.0, 0.0, 1.0, 120.0], np.float32)


def _plain(*extra: Sample) -> list[Sample]:
    return [S(f(3, 4)), S(f(2, 3).T), S(_EDGES), S(_LARGE), S(f()), S(i(3)), *extra]


SAMPLES = {
    "torch.relu": [*_plain(), S(b(3)), S(np.array([np.nan, 1.0], np.float32))],
    "torch.sigmoid": _plain(),
    "torch.selu": _plain(),
    "torch.celu": _plain(S(f(3), 0.7)),
    "torch.threshold": [S(f(3, 4), 0.5, -1.0), S(_EDGES, 0.0, 2.0)],
    "torch.hardshrink": _plain(S(f(3), 1.0)),
    "torch.prelu": [
        S(f(2, 3, 4), f(3)),
        S(f(3), f(1)),
        S(f(3, 4), f(1)),
        S(f(2, 3), f(2)),
        S(f(3), f(1).astype(np.float64)),
    ],
    "torch.softmax": [
        S(f(3, 4), 1),
        S(f(3, 4), 0),
        S(f(), 0),
        S(f(3), 0, N("float64")),
        S(i(3), 0),
        S(f(3), 2),
    ],
    "torch.log_softmax": [
        S(f(3, 4), 1),
        S(f(3, 4), 0),
        S(f(), 0),
        S(f(3), 0, N("float64")),
        S(i(3), 0),
    ],
    "nn.functional.relu": [*_plain(), S(f(3), inplace=True).no_grad()],
    "nn.functional.relu6": [*_plain(), S(f(3), inplace=True).no_grad()],
    "nn.functional.leaky_relu": _plain(S(f(3), 0.2), S(f(3), 0.2, True).no_grad()),
    "nn.functional.elu": _plain(S(f(3), 0.5), S(f(3), 0.5, True).no_grad()),
    "nn.functional.selu": _plain(S(f(3), True).no_grad()),
    "nn.functional.celu": _plain(S(f(3), 0.5), S(f(3), 0.0)),
    "nn.functional.gelu": _plain(S(f(3, 4), approximate="tanh"), S(f(3), approximate="x")),
    "nn.functional.silu": _plain(S(f(3), True).no_grad()),
    "nn.functional.mish": _plain(S(f(3), True).no_grad()),
    "nn.functional.softplus": _plain(S(f(3), 2.0, 1.0)),
    "nn.functional.softsign": [S(f(3, 4)), S(_EDGES)],
    "nn.functional.softshrink": _plain(S(f(3), 1.0)),
    "nn.functional.hardshrink": _plain(S(f(3), 1.0)),
    "nn.functional.hardtanh": _plain(S(f(3), -0.5, 2.0), S(f(3), 1.0, 0.0)),
    "nn.functional.hardswish": _plain(S(f(3), True).no_grad()),
    "nn.functional.hardsigmoid": _plain(S(f(3), True).no_grad()),
    "nn.functional.tanhshrink": [S(f(3, 4)), S(_EDGES)],
    "nn.functional.threshold": [S(f(3, 4), 0.5, -1.0), S(f(3), 0.5, 1.0, True).no_grad()],
    "nn.functional.logsigmoid": _plain(),
    "nn.functional.sigmoid": [S(f(3, 4))],
    "nn.functional.tanh": [S(f(3, 4))],
    "nn.functional.prelu": [S(f(2, 3), f(3))],
    "nn.functional.glu": [S(f(3, 4)), S(f(4, 3), 0), S(f(3, 3)), S(f())],
    "nn.functional.softmax": [S(f(3, 4), -1), S(f(3, 4)).warns(), S(f(2, 2, 3)).warns()],
    "nn.functional.softmin": [S(f(3, 4), -1), S(f(3, 4)).warns()],
    "nn.functional.log_softmax": [S(f(3, 4), -1), S(f(3, 4)).warns()],
    "nn.functional.relu_": [S(f(3)).no_grad()],
    "nn.functional.leaky_relu_": [S(f(3), 0.2).no_grad()],
    "nn.functional.elu_": [S(f(3)).no_grad()],
    "nn.functional.selu_": [S(f(3)).no_grad()],
    "nn.functional.celu_": [S(f(3)).no_grad()],
    "nn.functional.hardtanh_": [S(f(3)).no_grad()],
    "nn.functional.threshold_": [S(f(3), 0.5, 1.0).no_grad()],
    "special.expit": [S(f(3))],
    "special.softmax": [S(f(3, 4), 1)],
    "special.log_softmax": [S(f(3, 4), 1)],
    "special.logit": [S(unit(3, 4)), S(f(3), 0.1)],
}
