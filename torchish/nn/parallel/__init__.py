"""One batch over several devices: `torch.nn.parallel`."""

from __future__ import annotations

from typing import Any

from .data_parallel import DataParallel, data_parallel
from .replicate import parallel_apply, replicate
from .scatter_gather import gather, scatter, scatter_kwargs

__all__ = [
    "DataParallel",
    "data_parallel",
    "gather",
    "parallel_apply",
    "replicate",
    "scatter",
    "scatter_kwargs",
]


def __getattr__(name: str) -> Any:
    # torch.distributed is loaded only where processes work together.
    if name == "DistributedDataParallel":
        from .distributed import DistributedDataParallel

        return DistributedDataParallel
    raise AttributeError(f"module 'torch.nn.parallel' has no attribute {name!r}")
