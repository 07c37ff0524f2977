"""Samplers, splits and datasets give what PyTorch's give, and leave the generator where it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.utils.data as theirs

from torchish._random.generator import Generator, default_generator
from torchish.utils import data as ours


def in_both(function: Callable[..., Any], seed: int = 3) -> Any:
    """Run with PyTorch's and with our module from one seed; results and streams must agree."""
    torch.manual_seed(seed)
    default_generator.manual_seed(seed)
    expected, got = function(theirs, torch.Generator), function(ours, Generator)
    assert got == expected
    assert default_generator.state_array().tobytes() == torch.get_rng_state().numpy().tobytes()
    return got


def error(function: Callable[..., Any], *args: Any, **options: Any) -> tuple[type, str]:
    try:
        function(*args, **options)
    except Exception as caught:
        return type(caught), str(caught)
    raise AssertionError("nothing raised")


SAMPLERS = {
    "sequential": lambda m, g: m.SequentialSampler(range(7)),
    "random": lambda m, g: m.RandomSampler(range(1000)),
    "random fewer": lambda m, g: m.RandomSampler(range(10), num_samples=4),
    "random more": lambda m, g: m.RandomSampler(range(10), num_samples=25),
    "random replaced": lambda m, g: m.RandomSampler(range(10), True, 70),
    "random own": lambda m, g: m.RandomSampler(range(10), generator=g().manual_seed(1)),
    "random own replaced": lambda m, g: m.RandomSampler(range(9), True, 33, g().manual_seed(1)),
    "subset": lambda m, g: m.SubsetRandomSampler([2, 4, 6, 8, 10]),
    "subset own": lambda m, g: m.SubsetRandomSampler("abcde", g().manual_seed(1)),
    "batch": lambda m, g: m.BatchSampler(m.RandomSampler(range(11)), 3, False),
    "batch drop": lambda m, g: m.BatchSampler(m.RandomSampler(range(11)), 3, True),
    "batch of a list": lambda m, g: m.BatchSampler([5, 3, 1], 2, False),
    "distributed": lambda m, g: m.DistributedSampler(range(11), 3, 1),
    "distributed drop": lambda m, g: m.DistributedSampler(range(11), 3, 2, drop_last=True),
    "distributed plain": lambda m, g: m.DistributedSampler(range(11), 4, 3, shuffle=False),
    "distributed few": lambda m, g: m.DistributedSampler(range(2), 5, 4, seed=9),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_order_and_length(name: str) -> None:
    def run(module: Any, generator: Any) -> Any:
        sampler = SAMPLERS[name](module, generator)
        return list(sampler), list(sampler), len(sampler)

    in_both(run)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_weighted(replacement: bool, own: bool) -> None:
    def run(module: Any, generator: Any) -> Any:
        source = generator().manual_seed(4) if own else None
        weights = [0.1, 0.9, 0.4, 0.0, 3.0, 0.6]
        sampler = module.WeightedRandomSampler(weights, 5, replacement, source)
        return list(sampler), list(sampler), len(sampler), sampler.weights.tolist()

    in_both(run)


def test_distributed_epochs() -> None:
    def run(module: Any, generator: Any) -> Any:
        sampler = module.DistributedSampler(range(10), 2, 0)
        passes = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            passes.append(list(sampler))
        return passes

    in_both(run)


@pytest.mark.parametrize(
    "lengths", [[3, 7], [10], [0, 10], [0.3, 0.3, 0.4], [0.5, 0.5], [0.33, 0.33, 0.34]]
)
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.filterwarnings("ignore:Length of split")
def test_random_split(lengths: list[Any], own: bool) -> None:
    def run(module: Any, generator: Any) -> Any:
        options = {"generator": generator().manual_seed(2)} if own else {}
        return [part.indices for part in module.random_split(range(10), lengths, **options)]

    in_both(run)


def test_random_split_warns_of_empty_parts() -> None:
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        ours.random_split(range(2), [0.9, 0.1])


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.RandomSampler(range(3), replacement=1),
        lambda m: m.RandomSampler(range(3), num_samples=0),
        lambda m: m.RandomSampler([]),
        lambda m: m.WeightedRandomSampler([1.0], 0),
        lambda m: m.WeightedRandomSampler([1.0], 1, 1),
        lambda m: m.WeightedRandomSampler([[1.0]], 1),
        lambda m: m.BatchSampler([1], 0, False),
        lambda m: m.BatchSampler([1], True, False),
        lambda m: m.BatchSampler([1], 1, 1),
        lambda m: m.DistributedSampler(range(3), 2, 2),
        lambda m: m.random_split(range(3), [1, 1]),
        lambda m: m.random_split(range(3), [-0.5, 1.5]),
        lambda m: m.ConcatDataset([]),
        lambda m: m.StackDataset(),
        lambda m: m.StackDataset(range(2), range(3)),
        lambda m: m.StackDataset(range(2), a=range(2)),
        lambda m: m.ConcatDataset([range(3)])[-4],
        lambda m: m.Dataset()[0],
        lambda m: iter(m.Sampler()),
        lambda m: len(m.ChainDataset([range(2)])),
        lambda m: type("S", (m.Subset,), {"__getitem__": lambda s, i: 1})(range(3), [0]),
    ],
)
def test_errors_are_pytorchs(make: Callable[[Any], Any]) -> None:
    assert error(make, ours) == error(make, theirs)


# --- datasets ---


def squares(module: Any, count: int) -> Any:
    class Squares(module.Dataset):  # type: ignore[name-defined,misc]
        def __len__(self) -> int:
            return count

        def __getitem__(self, index: int) -> int:
            return index * index

    return Squares()


def stream(module: Any, count: int) -> Any:
    class Stream(module.IterableDataset):  # type: ignore[name-defined,misc]
        def __len__(self) -> int:
            return count

        def __iter__(self) -> Any:
            return iter(range(count))

    return Stream()


@pytest.mark.parametrize(
    "run",
    [
        lambda m: [(squares(m, 3) + squares(m, 4))[i] for i in (0, 2, 3, 6, -1, -7)],
        lambda m: m.ConcatDataset([squares(m, 2), squares(m, 3)]).cumulative_sizes,
        lambda m: list(stream(m, 2) + stream(m, 3)),
        lambda m: len(stream(m, 2) + stream(m, 3)),
        lambda m: m.StackDataset(squares(m, 3), range(3))[2],
        lambda m: m.StackDataset(a=squares(m, 3), b=range(3)).__getitems__([0, 2]),
        lambda m: m.StackDataset(squares(m, 4), m.Subset(range(9), [8, 7, 6, 5])).__getitems__([1]),
        lambda m: m.Subset(squares(m, 5), [4, 2])[1],
        lambda m: m.Subset(m.Subset(squares(m, 5), [4, 2, 0]), [2, 1]).__getitems__([0, 1]),
        lambda m: len(m.Subset(range(9), [1, 2])),
        lambda m: m.Dataset[int] is not None,
    ],
)
def test_datasets(run: Callable[[Any], Any]) -> None:
    assert run(ours) == run(theirs)


def test_cummulative_sizes_is_deprecated() -> None:
    with pytest.warns(FutureWarning, match="is renamed to `cumulative_sizes`"):
        assert ours.ConcatDataset([range(2)]).cummulative_sizes == [2]
