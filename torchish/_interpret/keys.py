"""Rules of counter-based random bits (threefry), which devices other than the CPU draw from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Array, Run, rule

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def _rotated(x: Array, by: int) -> Array:
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


@rule("threefry2x32")
def _threefry2x32(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    """Salmon et al., "Parallel random numbers: as easy as 1, 2, 3": 20 rounds of Threefry-2x32."""

    def run(k0: Array, k1: Array, x0: Array, x1: Array) -> list[Array]:
        keys = (k0, k1, k0 ^ k1 ^ _PARITY)
        a, b = x0 + keys[0], x1 + keys[1]
        for group in range(5):
            for by in _ROTATIONS[group % 2]:
                a = a + b
                b = _rotated(b, by) ^ a
            a = a + keys[(group + 1) % 3]
            b = b + keys[(group + 2) % 3] + np.uint32(group + 1)
        return [np.asarray(a), np.asarray(b)]

    return run
