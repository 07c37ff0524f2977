"""Random numbers that data loading draws, from PyTorch's stream in PyTorch's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._random import draws
from ..._random.generator import Generator
from ..._tensor import host as _host

_INT64 = np.dtype(np.int64)


def seed(generator: Any = None) -> int:
    """What `torch.empty((), dtype=torch.int64).random_(generator=generator).item()` draws."""
    return int(draws.integers_default(_host_generator(generator), 1, _INT64)[0])


def randperm(count: int, generator: Any = None) -> list[int]:
    """A permutation of `range(count)`."""
    return draws.permutation(_host_generator(generator), count).tolist()  # type: ignore[no-any-return]


def randint(high: int, count: int, generator: Any = None) -> list[int]:
    """`count` integers in [0, high)."""
    if high <= 0:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from=0 >= to={high}"
        )
    return draws.integers(_host_generator(generator), count, _INT64, high, 0).tolist()  # type: ignore[no-any-return]


def seeded(seed: int) -> Generator:
    """A generator at the start of the stream of `seed`."""
    return Generator().manual_seed(seed)


def _host_generator(generator: Any) -> Generator:
    chosen = _host.thread_generator() if generator is None else generator
    if not chosen.is_host:
        raise RuntimeError(
            f"Expected a 'cpu' device type for generator but found '{chosen.device.type}'"
        )
    return chosen  # type: ignore[no-any-return]
