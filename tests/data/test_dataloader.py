"""DataLoader: batches, order, random streams, lengths and errors are PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

from torchish._autograd import interop
from torchish._random.generator import Generator, default_generator
from torchish._tensor.tensor import Tensor
from torchish.utils import data as ours


def plain(value: Any) -> Any:
    """A batch with tensors as lists."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, Tensor):
        return interop.host_array(value).tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def in_both(function: Callable[..., Any], seed: int = 3) -> Any:
    """Run with both modules from one seed; results and what is left of the streams must agree."""
    torch.manual_seed(seed)
    default_generator.manual_seed(seed)
    expected, got = plain(function(theirs, torch.Generator)), plain(function(ours, Generator))
    assert got == expected
    assert default_generator.state_array().tobytes() == torch.get_rng_state().numpy().tobytes()
    return got


class Stream:
    """Numbers in [0, count), shared out among workers."""

    def __new__(cls, module: Any, count: int, share: bool = True) -> Any:
        class Numbers(module.IterableDataset):  # type: ignore[name-defined,misc]
            def __iter__(self) -> Any:
                info = module.get_worker_info()
                if info is None or not share:
                    return iter(range(count))
                return iter(range(info.id, count, info.num_workers))

        return Numbers()


OPTIONS = {
    "default": {},
    "batches": {"batch_size": 4},
    "drop_last": {"batch_size": 4, "drop_last": True},
    "shuffle": {"batch_size": 4, "shuffle": True},
    "no batches": {"batch_size": None},
    "no batches, shuffle": {"batch_size": None, "shuffle": True},
    "sampler": {"batch_size": 3, "sampler": [5, 1, 3, 9, 2]},
    "batch_sampler": {"batch_sampler": [[1, 2], [3], [9, 8, 7]]},
    "collate": {"batch_size": 4, "collate_fn": sum},
}


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("name", OPTIONS)
def test_batches_order_and_streams(name: str, workers: int) -> None:
    def run(module: Any, generator: Any) -> Any:
        # PyTorch without workers: with the same numbers of draws it stands for both.
        count = 0 if module is theirs else workers
        loader = module.DataLoader(range(10), num_workers=count, **OPTIONS[name])
        return [list(loader), list(loader), len(loader)]

    in_both(run)


@pytest.mark.parametrize("workers", [0, 2])
def test_own_generator(workers: int) -> None:
    def run(module: Any, generator: Any) -> Any:
        source = generator().manual_seed(7)
        count = 0 if module is theirs else workers
        loader = module.DataLoader(range(20), 6, shuffle=True, generator=source, num_workers=count)
        return [list(loader), list(loader)]

    in_both(run)


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3},
        {"batch_size": 3, "drop_last": True},
        {"batch_size": None},
        {"batch_size": 2, "prefetch_factor": 1},
    ],
)
@pytest.mark.parametrize("share", [True, False])
def test_streams(options: dict[str, Any], workers: int, share: bool) -> None:
    options = {k: v for k, v in options.items() if workers or k != "prefetch_factor"}

    def run(module: Any, generator: Any) -> Any:
        return list(module.DataLoader(Stream(module, 11, share), num_workers=workers, **options))

    in_both(run)


@pytest.mark.parametrize("batch_size", [1, 3, None])
@pytest.mark.parametrize("drop_last", [True, False])
def test_length_of_a_stream(batch_size: int | None, drop_last: bool) -> None:
    def run(module: Any, generator: Any) -> Any:
        class Sized(module.IterableDataset):  # type: ignore[name-defined,misc]
            def __len__(self) -> int:
                return 4

            def __iter__(self) -> Any:
                return iter(range(5))

        loader = module.DataLoader(Sized(), batch_size, drop_last=drop_last and bool(batch_size))
        length = len(loader)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            batches = list(loader)
        texts = [str(w.message).split(" was reported")[1] for w in caught]
        return [length, batches, texts]

    in_both(run)


def test_stream_without_length() -> None:
    for module in (theirs, ours):
        with pytest.raises(TypeError, match="has no len"):
            len(module.DataLoader(Stream(module, 3)))


def test_tensor_dataset() -> None:
    x = np.linspace(1, 10, 10, dtype=np.float32)
    y = x[::-1].copy()

    def run(module: Any, generator: Any) -> Any:
        make = torch.tensor if module is theirs else lambda a: interop.wrap_host(a.copy())
        dataset = module.TensorDataset(make(x), make(y))
        return [list(module.DataLoader(dataset, 4, shuffle=True)), dataset[3], len(dataset)]

    in_both(run)
    old = ours.TensorDataset(
        data_tensor=interop.wrap_host(x.copy()), target_tensor=interop.wrap_host(y.copy())
    )
    assert plain(old[0]) == [1.0, 10.0] and len(old) == 10
    assert old.data_tensor is old.tensors[0]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        ours.TensorDataset(interop.wrap_host(x.copy()), interop.wrap_host(y[:3].copy()))


@pytest.mark.parametrize("wrap", [False, True])
def test_rows_of_tensors_are_gathered_at_once(wrap: bool) -> None:
    rows = interop.wrap_host(np.arange(24, dtype=np.float32).reshape(6, 2, 2))
    dataset: Any = ours.TensorDataset(rows, interop.wrap_host(np.arange(6)))
    if wrap:
        dataset = ours.Subset(dataset, [5, 3, 1, 0])
    slow = ours.DataLoader(dataset, 3, collate_fn=lambda batch: ours.default_collate(batch))
    for a, b in zip(ours.DataLoader(dataset, 3), slow, strict=True):
        assert type(a) is type(b) and plain(a) == plain(b)
        assert [t.stride() for t in a] == [t.stride() for t in b]
    batch = next(iter(ours.DataLoader(dataset, 3)))
    batch[0].zero_()
    assert interop.host_array(rows).sum() == 276  # a copy
    outside = ours.DataLoader(dataset, sampler=[7])
    with pytest.raises(IndexError):
        next(iter(outside))


def test_getitems_is_used() -> None:
    class Many(ours.Dataset):
        def __len__(self) -> int:
            return 4

        def __getitems__(self, indices: list[int]) -> list[int]:
            return [10 * i for i in indices]

    assert plain(list(ours.DataLoader(Many(), batch_size=2))) == [[0, 10], [20, 30]]


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"num_workers": 1, "prefetch_factor": -2},
        {"persistent_workers": True},
        {"sampler": [1], "shuffle": True},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_sampler": [[1]], "shuffle": True},
        {"batch_sampler": [[1]], "sampler": [1]},
        {"batch_sampler": [[1]], "drop_last": True},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"multiprocessing_context": "spawn"},
        {"multiprocessing_context": "nonsense", "num_workers": 1},
        {"multiprocessing_context": 3, "num_workers": 1},
    ],
)
def test_option_errors_are_pytorchs(options: dict[str, Any]) -> None:
    raised = []
    for module in (theirs, ours):
        with pytest.raises(Exception) as caught:
            module.DataLoader(range(3), **options)
        raised.append((caught.type, str(caught.value)))
    assert raised[0] == raised[1]


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}])
def test_option_errors_of_streams_are_pytorchs(options: dict[str, Any]) -> None:
    raised = []
    for module in (theirs, ours):
        with pytest.raises(ValueError) as caught:
            module.DataLoader(Stream(module, 3), **options)
        raised.append(str(caught.value))
    assert raised[0] == raised[1]


def test_empty_dataset() -> None:
    assert list(ours.DataLoader([])) == []
    with pytest.raises(ValueError, match="num_samples should be a positive integer value"):
        ours.DataLoader([], shuffle=True)


def test_fixed_attributes() -> None:
    loader = ours.DataLoader(range(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset"):
        with pytest.raises(
            ValueError, match=f"{name} attribute should not be set after DataLoader"
        ):
            setattr(loader, name, None)
    loader.num_workers = 0  # others may change


def test_attributes_read_as_in_pytorch() -> None:
    def run(module: Any, generator: Any) -> Any:
        loader = module.DataLoader(range(3), batch_size=2, shuffle=True, num_workers=1)
        return [
            loader.batch_size, loader.drop_last, loader.num_workers, loader.prefetch_factor,
            loader.timeout, loader.pin_memory, loader.persistent_workers, loader.generator,
            type(loader.sampler).__name__, type(loader.batch_sampler).__name__, loader.in_order,
            loader.collate_fn.__name__, loader.multiprocessing_context,
        ]  # fmt: skip

    in_both(run)


@pytest.mark.parametrize("workers", [3, 100])
def test_too_many_workers_warn_as_in_pytorch(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    texts = []
    for module in (theirs, ours):
        with pytest.warns(UserWarning, match="This DataLoader will create") as caught:
            module.DataLoader(range(3), num_workers=workers)
        texts.append(str(caught[0].message))
    assert texts[0] == texts[1]


def test_pin_memory_without_accelerator_warns_as_in_pytorch() -> None:
    texts = []
    for module in (theirs, ours):
        with pytest.warns(UserWarning) as caught:
            next(iter(module.DataLoader(range(3), pin_memory=True)))
        texts.append([str(w.message) for w in caught])
    assert texts[0] == texts[1]


def test_iterators_do_not_pickle() -> None:
    import pickle

    with pytest.raises(NotImplementedError):
        pickle.dumps(iter(ours.DataLoader(range(3))))
    assert pickle.loads(pickle.dumps(ours.DataLoader(range(3)))).batch_size == 1
