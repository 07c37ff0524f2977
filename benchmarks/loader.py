"""A pass over small samples: the loader's time a batch, against PyTorch's and against threads.

`TensorDataset`, and a class of the user's that indexes two tensors, at three batch sizes, fetched
by the caller and by two workers. Workers are persistent, so what starting them costs is not in it.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from .timing import medians, report

ROWS, FEATURES, WORKERS = 1000, 8, 2
SIZES = (1, 4, 32)


def _tensors(library: Any) -> tuple[Any, Any]:
    library.manual_seed(0)
    return library.randn(ROWS, FEATURES), library.arange(ROWS) % 10


def rows(library: Any) -> Any:
    """The library's own dataset of tensors."""
    return library.utils.data.TensorDataset(*_tensors(library))


def indexed(library: Any) -> Any:
    """A class of the user's: a tensor and a label at an index."""
    x, y = _tensors(library)

    class Indexed(library.utils.data.Dataset):  # type: ignore[misc,name-defined]
        def __getitem__(self, index: int) -> Any:
            return x[index], y[index]

        def __len__(self) -> int:
            return ROWS

    return Indexed()


def passes(
    library: Any, make: Callable[[Any], Any], size: int, workers: int, context: Any = None
) -> Callable[[], None]:
    """One pass, over a loader whose workers have been started."""
    loader = library.utils.data.DataLoader(
        make(library), size, num_workers=workers, persistent_workers=workers > 0,
        multiprocessing_context=context,
    )  # fmt: skip

    def run() -> None:
        collections.deque(loader, 0)

    return run


def main(
    sizes: tuple[int, ...] = SIZES, rounds: int = 9, kinds: tuple[Any, ...] = (rows, indexed)
) -> dict[str, dict[str, float]]:
    """Measure and print; microseconds a batch, by what was loaded and how."""
    import torch

    import torchish

    found: dict[str, dict[str, float]] = {}
    for make in kinds:
        for size in sizes:
            for workers in (0, WORKERS):
                contestants = {
                    "PyTorch": passes(torch, make, size, workers),
                    "torchish": passes(torchish, make, size, workers),
                }
                if workers:
                    contestants["threads"] = passes(torchish, make, size, workers, "thread")
                times = medians(contestants, warmup=1, rounds=rounds)
                times = {name: seconds / -(-ROWS // size) for name, seconds in times.items()}
                title = f"{make.__name__}, batches of {size}, {workers} workers"
                report(f"loader: {title}", times, 1e6, "us a batch")
                found[title] = times
    return found
