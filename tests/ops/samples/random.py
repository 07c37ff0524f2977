"""Samples of random functions: both libraries start each call at seed 0 and draw the same.

Errors, state and drawing order have tests of their own in `test_random.py`.
"""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import N, S, f, i, pos, unit

SAMPLES = {
    "torch.rand": [S(2, 3), S((40,), dtype=N("float64")), S(5, dtype=N("complex64"))],
    "torch.randn": [S(2, 3), S((40,)), S(4, 9, dtype=N("bfloat16")), S(3, dtype=N("complex128"))],
    "torch.randint": [S(10, (3,)), S(-5, 10, (3, 4)), S(0, 2**40, (3,)), S(5, 2, (3,))],
    "torch.randperm": [S(7), S(2000), S(5, dtype=N("int32")), S(-1)],
    "torch.rand_like": [S(f(2, 3)), S(f(2, 3).T), S(i(3))],
    "torch.randn_like": [S(f(2, 3)), S(f(6, 5).T), S(f(3), dtype=N("float64"))],
    "torch.randint_like": [S(f(2, 3), 5), S(i(2, 3), -4, 5)],
    "torch.normal": [S(0.0, 1.0, (3,)), S(f(3), pos(3)), S(f(3), 2.0), S(0.5, pos(3, 6))],
    "torch.bernoulli": [S(unit(3, 4)), S(unit(4, 5).T), S(f(3), 0.3).no_forms().no_grad()],
    "torch.multinomial": [S(pos(5), 2), S(pos(3, 4), 4), S(pos(3, 4), 9, True)],
    "torch.poisson": [S(pos(3, 4)), S(pos(3) * 20)],
    "torch.binomial": [S(np.float32([3, 50]), np.float32([0.4, 0.6])).no_grad()],
    # PyTorch approximates the gradient to about 1e-4, JAX computes it to the last places.
    "torch._standard_gamma": [S(pos(3, 4)).within(5), S(unit(4).astype(np.float64)).no_grad()],
    "torch._sample_dirichlet": [S(pos(3, 4)).no_grad()],
    "torch.dropout": [S(f(3, 4), 0.5, True), S(f(3, 4), 0.5, False), S(f(3, 4), 1.0, True)],
    "torch.feature_dropout": [S(f(3, 4, 2), 0.5, True)],
    "torch.alpha_dropout": [S(f(3, 4), 0.5, True)],
    "torch.feature_alpha_dropout": [S(f(3, 4, 2), 0.5, True)],
    "torch.native_dropout": [S(f(3, 4), 0.5, True), S(f(3), 0.5, False)],
    "torch.rrelu": [S(f(3, 4)), S(f(3, 4), training=True)],
    "nn.functional.dropout": [S(f(3, 4)), S(f(4, 5).T, 0.2), S(f(3), 0.5, False), S(f(3), 2.0)],
    "nn.functional.dropout1d": [S(f(2, 3, 4)), S(f(3, 4), 0.3)],
    "nn.functional.dropout2d": [S(f(2, 3, 4, 2))],
    "nn.functional.dropout3d": [S(f(2, 3, 2, 2, 2)), S(f(3, 2, 2, 2), 0.3)],
    "nn.functional.alpha_dropout": [S(f(3, 4), 0.3, True), S(f(3, 4))],
    "nn.functional.feature_alpha_dropout": [S(f(2, 3, 4), 0.3, True)],
    "nn.functional.rrelu": [S(f(3, 4)), S(f(3, 4), 0.1, 0.9, True)],
    "nn.functional.gumbel_softmax": [S(f(3, 4)), S(f(3, 4), 0.5, True, dim=0)],
    "Tensor.uniform_": [S(f(3, 4), -1, 2).no_grad(), S(f(4, 5).T).no_grad()],
    "Tensor.normal_": [S(f(3, 7), 1, 2).no_grad(), S(f(4, 5).T).no_grad()],
    "Tensor.random_": [S(f(3, 4)).no_grad(), S(i(5), 3), S(i(5), -3, 9)],
    "Tensor.bernoulli_": [S(f(3, 4), 0.3).no_grad(), S(i(2, 3), unit(3)).no_half().no_grad()],
    "Tensor.exponential_": [S(f(3, 4), 2.0).no_grad()],
    "Tensor.geometric_": [S(f(3, 4), 0.3).no_grad(), S(i(4), 0.5)],
    "Tensor.cauchy_": [S(f(3, 4), 1, 2).no_grad()],
    "Tensor.log_normal_": [S(f(3, 4), 0, 0.5).no_grad()],
}
