"""Samples of normalisations."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, f, i, pos

_X = f(3, 4, 5)

SAMPLES = {
    "nn.functional.batch_norm": [
        S(_X, None, None, f(4), f(4), True),
        S(_X, None, None, training=True, eps=0.1),
        S(f(3, 4), f(4), pos(4), f(4), f(4)).no_grad(),
        S(_X, f(4), pos(4), f(4), f(4), True, 0.3).no_grad(),
        S(_X, None, None),
        S(f(1, 4), None, None, training=True),
        S(_X, f(3), pos(3)).no_grad(),
        S(i(3, 4), f(4), pos(4)).no_grad(),
    ],
    "torch.batch_norm": [S(_X, f(4), None, None, None, True, 0.1, 1e-5, False).no_forms()],
    "torch.native_batch_norm": [
        S(_X, f(4), f(4), None, None, True, 0.1, 1e-5).no_forms().no_half(),
    ],
    "nn.functional.layer_norm": [
        S(_X, (5,)),
        S(_X, (4, 5), f(4, 5), f(4, 5)),
        S(_X, (5,), pos(5), eps=0.1),
        S(_X, (4,)),
        S(_X, (5,), f(4)),
        S(_X, 5),
    ],
    "torch.layer_norm": [S(_X, (5,), f(5)).no_forms()],
    "torch.native_layer_norm": [S(_X, (4, 5), f(4, 5), None, 1e-5).no_forms().no_half()],
    "nn.functional.group_norm": [
        S(_X, 2, f(4), f(4)),
        S(f(2, 6, 3), 3),
        S(_X, 3),
        S(_X, 2, f(3)),
    ],
    "torch.group_norm": [S(_X, 4).no_forms()],
    "torch.native_group_norm": [
        S(_X, f(4), f(4), 3, 4, 5, 2, 1e-5).no_forms().no_half(),
    ],
    "nn.functional.instance_norm": [
        S(_X),
        S(f(2, 3, 4, 2), weight=f(3), bias=f(3)),
        S(_X, f(4), pos(4), use_input_stats=False).no_grad(),
        S(_X, f(4), pos(4)).no_grad(),
        S(f(2, 3, 1)),
    ],
    "torch.instance_norm": [
        S(_X, None, None, None, None, True, 0.1, 1e-5, False).no_forms(),
    ],
    "nn.functional.rms_norm": [S(_X, (5,)), S(_X, (4, 5), f(4, 5), 0.1), S(_X, (4,))],
    "nn.functional.local_response_norm": [
        S(_X, 2),
        S(f(2, 5, 3, 2), 3, 0.1, 0.5, 2.0),
        S(f(2, 4), 2),
        S(np.zeros((2, 0, 3), np.int64), 2),
    ],
    "nn.functional.normalize": [S(_X), S(_X, 1.0, -1), S(_X, float("inf"), 0)],
}
