"""Samples of covariance, correlation, finite differences and in-place functions."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, c, f, i, pos

SAMPLES = {
    "torch.cov": [S(f(3, 5)), S(f(4)), S(f(2, 4), correction=0), S(c(2, 4)), S(f(2, 2, 2)),
                  S(f(2, 3), fweights=np.array([1, 2, 1])), S(f(2, 3), aweights=pos(3)).no_grad(),
                  S(f(2, 3), fweights=np.array([1, 2, 1]), aweights=pos(3)).no_grad(),
                  S(f(2, 3), fweights=f(3)),
                  S(np.eye(2, dtype=np.float32), aweights=np.array([1.0, -1.0], np.float32))],
    "torch.corrcoef": [S(f(3, 5)), S(f(4)), S(f(2, 2, 2))],
    "torch.gradient": [S(f(4)), S(f(3, 4)), S(f(3, 4), dim=1), S(f(3, 4), spacing=2.0),
                       S(f(3, 4), spacing=[0.5, 2.0]), S(f(4), edge_order=2), S(f(1)),
                       S(f(4), spacing=(np.array([0.0, 1.0, 3.0, 4.0], np.float32),)).no_grad(),
                       S(f(3, 4), edge_order=3), S(i(4))],
    "Tensor.sum_to_size": [S(f(2, 3), 1, 3), S(f(2, 3), (3,)), S(f(2, 3), 2, 3), S(f(2, 3), 2)],
    "Tensor.fill_diagonal_": [S(f(3, 3), 1.0).no_grad(), S(f(5, 2), 1.0, True).no_grad(),
                              S(f(2, 2, 2), 3).no_grad(), S(f(3), 1.0).no_grad()],
    "torch.clamp_min_": [S(f(3), 0.0).no_grad()],
    "torch.clamp_max_": [S(f(3), 0.0).no_grad()],
    "torch.gcd_": [S(i(3), i(3))],
    "torch.lcm_": [S(i(3), i(3))],
    "torch.ldexp_": [S(f(3), i(3)).no_grad()],
    "torch.xlogy_": [S(f(3), pos(3)).no_grad()],
    "torch.threshold_": [S(f(3), 0.5, 1.0).no_grad()],
    "torch.hash_tensor": [S(i(4)), S(f(3, 4), 1)],
    "torch.fill": [S(f(3), 2.0), S(i(3), 2)],
    "Tensor.igamma_": [S(pos(3), pos(3)).no_grad()],
    "Tensor.igammac_": [S(pos(3), pos(3)).no_grad()],
}  # fmt: skip
