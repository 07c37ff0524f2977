"""Strides over OpInfo samples laid out anew, for entries whose rules are their own."""

from __future__ import annotations

import pytest
import torch

from tests.compat.opinfo import layouts, runner

NAMES = {
    "sort", "argsort", "msort", "flip", "stack", "roll", "index_fill", "constant_pad_nd", "addr",
    "nn.functional.glu", "nn.functional.max_pool3d", "nn.functional.avg_pool3d",
    "nn.functional.pixel_shuffle", "nn.functional.channel_shuffle", "nn.functional.prelu",
    "inner", "ldexp", "stft", "unravel_index", "einsum", "nn.functional.cosine_similarity",
    "nn.functional.pairwise_distance", "nn.functional.max_unpool1d",
    "nn.functional.huber_loss", "nn.functional.pad.reflect", "nn.functional.group_norm",
}  # fmt: skip


@pytest.mark.parametrize("op", [op for op in runner.entries() if runner.label(op) in NAMES],
                         ids=runner.label)  # fmt: skip
def test_strides_of_samples(op: object) -> None:
    assert list(layouts.differences(op, torch.float32, 3)) == []
