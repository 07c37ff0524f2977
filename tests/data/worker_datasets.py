"""Datasets of worker processes, for either library: `make(torch)` gives its classes.

They are made inside functions, as forked workers allow.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

SEEN: list[int] = []  # a global that workers change


def make(torch: Any) -> SimpleNamespace:
    """The datasets on `torch`'s classes."""
    data = torch.utils.data

    class Draws(data.Dataset):
        """What each source of random numbers gives in a worker."""

        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            info = data.get_worker_info()
            return {
                "index": index,
                "numpy": int(np.random.randint(1 << 30)),
                "python": random.randint(0, 1 << 30),
                "torch": torch.rand(2),
                "normal": torch.randn(2),
                "seed": info.seed,
                "initial": torch.initial_seed(),
                "id": (info.id, info.num_workers, info.worker_method, info.rng is None),
                "threads": torch.get_num_threads(),
            }

    class Stream(data.IterableDataset):
        """Shares its numbers among workers."""

        def __iter__(self) -> Any:
            info = data.get_worker_info()
            first, step = (0, 1) if info is None else (info.id, info.num_workers)
            for i in range(first, 7, step):
                yield i, torch.randn(2)

    class Ending(data.Dataset):
        """Ends its worker at index 3 in a given way."""

        def __init__(self, how: str) -> None:
            self.how = how

        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> Any:
            if index == 3:
                if self.how.startswith("SIG"):
                    os.kill(os.getpid(), getattr(signal, self.how))
                if self.how == "exit":
                    os._exit(3)
                if self.how == "sys.exit":
                    sys.exit(4)
                if self.how == "error":
                    raise ValueError("broken sample 3")
                if self.how == "key":
                    raise KeyError("gone")
            return index

    class Kinds(data.Dataset):
        """Samples of many types, one a batch."""

        def __len__(self) -> int:
            return len(self.samples())

        def samples(self) -> list[Any]:
            base = torch.arange(12.0).reshape(3, 4)
            return [
                torch.arange(6000.0).reshape(2, 3000),
                base.t(),
                base[1:, ::2],
                torch.ones(3, dtype=torch.bfloat16),
                torch.tensor([True, False]),
                torch.tensor(2.5),
                torch.zeros(0, 3),
                torch.ones(2, requires_grad=True),
                torch.nn.Parameter(torch.ones(2)),
                torch.arange(8.0).expand(2, 8),
                torch.complex(torch.ones(2), torch.ones(2)),
                {"a": np.arange(5000), "b": "text", "c": (1, [torch.ones(1)])},
                [b"bytes", None, 1.5, {torch.float32: torch.int64}],
                torch.channels_last,
                torch.ones(1, 2, 3, 3).to(memory_format=torch.channels_last),
            ]

        def __getitem__(self, index: int) -> Any:
            return self.samples()[index]

    class Process(data.Dataset):
        """Facts about the process of the worker, which it changes."""

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            SEEN.append(index)
            os.environ["SEEN_BY_WORKER"] = str(index)
            self.last = index
            return os.getpid(), len(SEEN)

    return SimpleNamespace(
        Draws=Draws, Stream=Stream, Ending=Ending, Kinds=Kinds, Process=Process, torch=torch
    )
