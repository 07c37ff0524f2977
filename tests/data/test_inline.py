"""Small batches of a plain TensorDataset: gathered by the caller, with all that workers give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import torchish
from tests import oracle
from torchish.utils import data
from torchish.utils.data import dataloader

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def pool_of(iterator: Any) -> str:
    return type(iterator._pool).__name__


def rows(library: Any, count: int = 23) -> Any:
    x = library.arange(count * 4, dtype=library.float32).reshape(count, 2, 2)
    return library.utils.data.TensorDataset(x, library.arange(count))


def listed(library: Any, dataset: Any, passes: int = 2, **options: Any) -> Any:
    batches = library.utils.data.DataLoader(dataset, num_workers=2, **options)
    return [[t.tolist() for t in batch] for _ in range(passes) for batch in batches]


class Halves:
    """A sampler that tells how far it was read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __iter__(self) -> Iterator[int]:
        for index in range(20):
            self.read.append(index)
            yield index

    def __len__(self) -> int:
        return 20


def _shuffled(library: Any) -> Any:
    library.manual_seed(3)
    found = listed(library, rows(library), batch_size=5, shuffle=True)
    return found, library.rand(2).tolist()


def _dropped(library: Any) -> Any:
    return listed(library, rows(library), batch_size=4, drop_last=True, prefetch_factor=4)


def _halves(library: Any) -> Any:
    parts = library.utils.data.random_split(
        rows(library), [0.5, 0.5], library.Generator().manual_seed(1)
    )
    return [listed(library, part, batch_size=3, persistent_workers=True) for part in parts]


def _read_ahead(library: Any) -> Any:
    sampler = Halves()
    batches = library.utils.data.DataLoader(
        rows(library), 2, sampler=sampler, num_workers=2, prefetch_factor=3
    )
    iterator = iter(batches)
    seen = [list(sampler.read)]
    for _ in range(3):
        next(iterator)
        seen.append(list(sampler.read))
    return seen


def _written(library: Any) -> Any:
    """Workers keep the rows as they were when they started, persistent ones for ever."""
    found = []
    for persistent in (False, True):
        shared = np.zeros((6, 2), np.float32)
        both = library.from_numpy(shared), library.zeros(6)
        batches = library.utils.data.DataLoader(
            library.utils.data.TensorDataset(*both), 2, num_workers=2,
            persistent_workers=persistent,
        )  # fmt: skip
        for step in range(2):
            for batch in batches:
                shared += 1
                both[1].add_(1)
                found.append([step, [t.tolist() for t in batch]])
    return found


def _outside(library: Any) -> Any:
    batches = library.utils.data.DataLoader(rows(library), 2, sampler=[0, 1, 30, 2], num_workers=2)
    iterator = iter(batches)
    next(iterator)
    try:
        next(iterator)
    except IndexError as error:
        lines = str(error).splitlines()
        return lines[0], lines[-1]


def _odd_indices(library: Any) -> Any:
    return [listed(library, rows(library), 1, batch_size=2, sampler=given)
            for given in ([-1, 0], [np.int64(3), 2])]  # fmt: skip


CASES: list[Callable[[Any], Any]] = [
    _shuffled, _dropped, _halves, _read_ahead, _written, _outside, _odd_indices,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_what_pytorchs_workers_give(case: Callable[[Any], Any]) -> None:
    assert oracle.agree(case, 0.0, warned=False) is not None  # JAX warns of PyTorch's forks


def test_no_process_is_started() -> None:
    iterator = iter(data.DataLoader(rows(torchish), 4, num_workers=2))
    assert pool_of(iterator) == "InlinePool" and iterator._workers == []
    first = next(iterator)
    first[0].zero_()
    assert len(list(iterator)) == 5 and rows(torchish).tensors[0].sum() > 0


class Mine(data.TensorDataset):
    """A subclass may do anything."""


def _shared() -> Any:
    dataset = rows(torchish)
    dataset.tensors[0].share_memory_()
    return dataset


@pytest.mark.parametrize(
    "make,options",
    [
        (rows, {"worker_init_fn": print}),
        (rows, {"multiprocessing_context": "fork"}),
        (rows, {"collate_fn": lambda samples: samples}),
        (rows, {"batch_size": None}),
        (rows, {"batch_size": 1, "batch_sampler": [[1, 2], [3]]}),
        (lambda m: Mine(*rows(m).tensors), {}),
        (lambda m: data.TensorDataset(m.zeros(8, 1 << 15)), {}),
        (lambda m: data.TensorDataset(m.zeros(8, requires_grad=True)), {}),
        (lambda m: _shared(), {}),
        (lambda m: range(4), {}),
    ],
)
def test_what_takes_processes(
    monkeypatch: pytest.MonkeyPatch, make: Any, options: dict[str, Any]
) -> None:
    """Code of the user's, large batches, and memory that workers would see change."""
    monkeypatch.setattr(data.DataLoader, "check_worker_number_rationality", lambda self: None)
    batches = data.DataLoader(make(torchish), **{"batch_size": 4, "num_workers": 1, **options})
    spec = dataloader.WorkerSpec(
        False, batches.dataset, batches._auto_collation, batches.collate_fn, False, 0,
        batches.worker_init_fn, 1,
    )  # fmt: skip
    from torchish.utils.data._utils import processes

    made = []
    monkeypatch.setattr(processes, "ProcessPool", lambda spec, context: made.append(context) or 1)
    assert dataloader._make_pool(spec, batches.multiprocessing_context, batches.batch_size) == 1
    assert made


def test_dtypes_and_layouts() -> None:
    """Batches lie in memory as stacked samples do."""
    wide = torchish.arange(48.0).reshape(6, 8)
    dataset = data.TensorDataset(
        wide[:, ::2], wide.t()[:6], wide.bfloat16(), wide > 3, torchish.complex(wide, wide).conj()
    )
    slow = data.DataLoader(dataset, 4, collate_fn=lambda samples: data.default_collate(samples))
    for mine, other in zip(data.DataLoader(dataset, 4, num_workers=1), slow, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a.dtype is b.dtype and a.stride() == b.stride() and torchish.equal(a, b)
