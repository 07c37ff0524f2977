"""Loaders of every kind: samples that are views, samplers, streams, seeds, errors of the user's."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests import oracle
from tests.oracle import tries

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
case = CASES = oracle.Cases()


def loader(torch: Any, dataset: Any, *options: Any, **named: Any) -> Any:
    return torch.utils.data.DataLoader(dataset, *options, **named)


def dataset(torch: Any, item: Callable[[int], Any], count: int = 6) -> Any:
    class Items(torch.utils.data.Dataset):
        def __getitem__(self, index: int) -> Any:
            return item(index)

        def __len__(self) -> int:
            return count

    return Items()


def stream(torch: Any, items: Callable[[Any], Any]) -> Any:
    class Items(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            return iter(items(torch.utils.data.get_worker_info()))

    return Items()


# --- samples that index one tensor ---


@case
def views_of_one_tensor(torch: Any) -> Any:
    x = torch.arange(48.0).reshape(6, 2, 4)
    sources = [
        x, x.transpose(0, 2), x[:, 1], x[::2, :, ::3], x[0, 0, 0].expand(6, 2), x.bfloat16(),
        x.long(), x > 7, torch.complex(x, x), torch.complex(x, x).conj(), x[:, :, :0], x[:, 0, 0],
        x.flip(0), torch.from_numpy(np.arange(12).reshape(6, 2)), x.double()[1:], x.half(),
        x.unfold(0, 3, 1), x.as_strided((4, 3), (1, 2), 5),
    ]  # fmt: skip
    collate = torch.utils.data.default_collate
    return [collate([s[i] for i in (2, 0, 1, 2)]) for s in sources if len(s) > 2]


@case
def views_with_something_of_their_own(torch: Any) -> Any:
    collate = torch.utils.data.default_collate
    x = torch.arange(12.0).reshape(6, 2)
    wanting, leaf = x.clone().requires_grad_(), x[1].detach().requires_grad_()
    other = torch.arange(12.0).reshape(6, 2)
    mixed = [x[0], x[1].double()], [x[0], x[1, :1]], [x[0], x.t()[0][:2]], [x[0], other[3]]
    with torch.no_grad():
        cut = wanting[0], wanting[1]
    return tries(
        lambda: collate([wanting[0], wanting[1]]),
        lambda: collate([x[0], leaf]),
        lambda: collate(list(cut)),
        lambda: collate([x[0] * 2, x[1] * 2]),
        lambda: collate([(wanting * 2)[0], x[1]]),
        *[lambda m=m: collate(m) for m in mixed],
    )


@case
def a_batch_is_a_copy(torch: Any) -> Any:
    x = torch.arange(12.0).reshape(6, 2)
    batch = torch.utils.data.default_collate([x[0], x[3]])
    x.add_(100)
    again = torch.utils.data.default_collate([x[0], x[3]])
    again.zero_()
    shared = x.numpy()
    shared[3] = -1
    return batch, x, torch.utils.data.default_collate([x[3], x[0]]), batch.is_contiguous()


@case
def rows_and_pairs_by_workers(torch: Any) -> Any:
    x, y = torch.arange(24.0).reshape(12, 2), torch.arange(12)
    pairs = dataset(torch, lambda i: (x[i], y[i]), 12)
    found = []
    for size in (1, 4, 5):
        for workers in (0, 2):
            torch.manual_seed(size)
            found.append(list(loader(torch, pairs, size, shuffle=True, num_workers=workers)))
    return found


@case
def subsets_of_subsets(torch: Any) -> Any:
    data = torch.utils.data
    rows = data.TensorDataset(torch.arange(20.0).reshape(10, 2), torch.arange(10))
    inner = data.Subset(rows, [9, 7, 5, 3, 1, -1])
    return [
        tries(lambda s=s: list(loader(torch, s, 2, num_workers=2)))
        for s in (
            data.Subset(rows, [3, 3, 0]), data.Subset(inner, [4, 0, 2]), inner,
            data.Subset(inner, [5]), data.Subset(data.Subset(rows, [1, 2]), []),
        )
    ]  # fmt: skip


# --- samplers and streams ---


@case
def samplers_of_batches(torch: Any) -> Any:
    class ByLength:
        def __iter__(self) -> Any:
            yield from ([5], [0, 3, 4], [1, 2])

        def __len__(self) -> int:
            return 3

    words = ["a", "bb", "c", "dd", "eee", "f"]
    items = dataset(torch, lambda i: (words[i], torch.full((2,), float(i))))
    same = loader(torch, items, batch_sampler=ByLength(), num_workers=2)
    keys = dataset(torch, lambda k: {"key": k, "size": len(k)})
    return len(same), list(same), list(
        loader(torch, keys, batch_sampler=[["left", "up"], ["down"]], num_workers=1)
    )  # fmt: skip


@case
def parts_of_a_stream(torch: Any) -> Any:
    def own(info: Any) -> Any:
        return range(10) if info is None else range(info.id, 10, info.num_workers)

    def uneven(info: Any) -> Any:
        return range([7, 0, 2][info.id])

    return [
        list(loader(torch, stream(torch, own), 3, num_workers=3)),
        list(loader(torch, stream(torch, uneven), 2, num_workers=3, drop_last=True)),
        list(loader(torch, stream(torch, uneven), None, num_workers=3)),
        list(loader(torch, stream(torch, own), 4, num_workers=2, prefetch_factor=1)),
        list(loader(torch, stream(torch, own), 4)),
    ]


@case
def a_persistent_stream(torch: Any) -> Any:
    def noisy(info: Any) -> Any:
        return (torch.rand(()) + info.id for _ in range(2))

    batches = loader(torch, stream(torch, noisy), 2, num_workers=2, persistent_workers=True)
    return [list(batches) for _ in range(3)]


@case
def seeds_of_persistent_workers(torch: Any) -> Any:
    def drawn(i: int) -> Any:
        info = torch.utils.data.get_worker_info()
        return i, torch.rand(()), random.random(), np.random.rand(), info.seed % 10**6

    found = []
    for keep in (True, False):
        torch.manual_seed(11)
        batches = loader(torch, dataset(torch, drawn), 2, num_workers=2, persistent_workers=keep,
                         generator=torch.Generator().manual_seed(5))  # fmt: skip
        found.append([list(batches) for _ in range(2)])
    return found, torch.rand(1)


@case
def what_worker_init_fn_changes(torch: Any) -> Any:
    items = dataset(torch, lambda i: int(os.environ.get("OF_A_WORKER", "0")) + i)

    def init(worker: int) -> None:
        os.environ["OF_A_WORKER"] = str(100 * (worker + 1))
        torch.utils.data.get_worker_info().dataset.touched = worker

    batches = list(loader(torch, items, 1, num_workers=2, worker_init_fn=init))
    return batches, os.environ.get("OF_A_WORKER"), hasattr(items, "touched")


@case
def pinned_without_an_accelerator(torch: Any) -> Any:
    items = dataset(torch, lambda i: {"x": torch.ones(2) * i, "name": str(i)}, 3)
    return [list(loader(torch, items, 2, pin_memory=True, num_workers=w)) for w in (0, 1)]


# --- what goes wrong ---


class Own(Exception):
    """An error that means something where it is raised and where it arrives."""


class Pair(Exception):
    """An error that cannot be made from its text alone."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def _told(work: Callable[[], Any]) -> Any:
    """The class of an error, its first line and its last."""
    try:
        return work()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return type(error).__name__, lines[0], lines[-1]


@case
def errors_of_the_users(torch: Any) -> Any:
    def collate(samples: Any) -> Any:
        raise Own("this batch")

    def pair(i: int) -> Any:
        raise Pair(1, 2)

    def init(worker: int) -> None:
        raise KeyError("no such worker")

    fine = dataset(torch, lambda i: i)
    uneven = dataset(torch, lambda i: torch.ones(i + 1))
    return [
        _told(lambda g=given, w=w, o=options: list(loader(torch, *g, num_workers=w, **o)))
        for w in (0, 1)
        for given, options in (
            ((fine, 2), {"collate_fn": collate}),
            ((dataset(torch, pair),), {}),
            ((uneven, 3), {}),
            ((dataset(torch, lambda i: object()),), {}),
            ((dataset(torch, lambda i: [1][i]), 2), {}),
            ((dataset(torch, lambda i: {"a": i} if i else {"b": i}), 2), {}),
            ((dataset(torch, lambda i: [1] * (i + 1)), 2), {}),
            ((fine, 2), {"worker_init_fn": init} if w else {}),
        )
    ]


@case
def loading_goes_on_after_an_error(torch: Any) -> Any:
    items = dataset(torch, lambda i: 1 // (i - 2), 5)
    iterator, found = iter(loader(torch, items, 1, num_workers=2)), []
    for _ in range(6):
        found.append(_told(lambda: next(iterator)))
    return found[:5], found[5][0]


@case
def a_worker_is_too_slow(torch: Any) -> Any:
    items = dataset(torch, lambda i: time.sleep(4 * (i == 1)) or i, 3)
    iterator = iter(loader(torch, items, 1, num_workers=1, timeout=2))
    return next(iterator), _told(lambda: next(iterator))


@case
def loaders_inside_loaders(torch: Any) -> Any:
    inner = torch.utils.data.TensorDataset(torch.arange(4.0))
    items = dataset(torch, lambda i: sum(b[0].sum() for b in loader(torch, inner, 2)) + i)
    nested = dataset(torch, lambda i: len(list(loader(torch, inner, 2, num_workers=1))))
    return list(loader(torch, items, 3, num_workers=2)), _told(
        lambda: list(loader(torch, nested, 3, num_workers=1))
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, ignore="fork")
