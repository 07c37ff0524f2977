"""PowerSGD starts from the random matrices that PyTorch draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish as torch
from torchish.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("rank", [1, 2])
def test_starting_matrices(batch: bool, rank: int) -> None:
    shapes = [(6, 5), (3, 5), (6, 5)]
    state = PowerSGDState(
        None, rank, 2, warm_start=False, random_seed=3, batch_tensors_with_same_shape=batch
    )
    found = state._starts(0, [(m, rank) for _, m in shapes], [torch.zeros(s) for s in shapes])
    with oracle.random.fork_rng(devices=[]):
        oracle.manual_seed(np.random.RandomState(3).randint(1_000_000_000))
        if batch:
            first, third = oracle.randn(2, 5, rank)
            second = oracle.randn(1, 5, rank)[0]
        else:  # grouped by shape all the same
            first, third, second = (oracle.randn(1, 5, rank)[0] for _ in range(3))
    wanted: list[Any] = []
    for drawn in (first, second, third):
        q, r = oracle.linalg.qr(drawn)
        wanted.append(q * r.diagonal().sign())
    for q, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(q.numpy(), w.numpy(), rtol=1e-4, atol=1e-5)
