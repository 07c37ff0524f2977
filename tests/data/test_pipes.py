"""Data pipes through loaders, beside PyTorch: order, shares of workers, seeds, lengths, groups."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import graph as torch_graph, graph_settings as torch_settings
from torch.utils.data.datapipes import iter as torch_iter, map as torch_map
from torch.utils.data.datapipes.iter import sharding as torch_sharding

import torchish
from torchish.utils.data import graph, graph_settings
from torchish.utils.data.datapipes import iter as pipes, map as map_pipes

OURS = SimpleNamespace(
    torch=torchish, iter=pipes, map=map_pipes, graph=graph, settings=graph_settings,
    groups=pipes.SHARDING_PRIORITIES,
)  # fmt: skip
THEIRS = SimpleNamespace(
    torch=torch, iter=torch_iter, map=torch_map, graph=torch_graph, settings=torch_settings,
    groups=torch_sharding.SHARDING_PRIORITIES,
)  # fmt: skip


def result(run: Callable[[Any], Any], lib: Any) -> Any:
    """What a program gives, or its exception's kind and text."""
    lib.torch.manual_seed(3)
    try:
        return run(lib)
    except (RuntimeError, TypeError, ValueError) as error:
        return type(error), str(error).replace("IterDataPipe instance", " instance").split(" to ")[
            0
        ]


def agree(run: Callable[[Any], Any]) -> None:
    mine, theirs = result(run, OURS), result(run, THEIRS)
    if isinstance(theirs, tuple) and isinstance(theirs[1], str):
        theirs = (theirs[0], theirs[1].replace("  ", " "))
        mine = (mine[0], mine[1].replace("  ", " "))
    assert mine == theirs


def batches(lib: Any, pipe: Any, passes: int = 1, **options: Any) -> list[Any]:
    loader = lib.torch.utils.data.DataLoader(pipe, batch_size=2, **options)
    out = [[batch.tolist() for batch in loader] for _ in range(passes)]
    return [out, lib.torch.rand(1).item()]


def filtered(lib: Any, shuffle: bool = True) -> Any:
    pipe = lib.iter.IterableWrapper(range(11))
    return (pipe.shuffle() if shuffle else pipe).sharding_filter()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [None, False, True])
def test_each_item_comes_once_in_pytorchs_order(workers: int, shuffle: bool | None) -> None:
    agree(lambda lib: batches(lib, filtered(lib), 2, num_workers=workers, shuffle=shuffle))


def test_workers_that_stay_are_seeded_for_each_pass() -> None:
    agree(lambda lib: batches(lib, filtered(lib), 3, num_workers=2, persistent_workers=True))


def test_worker_threads_take_shares_too() -> None:
    loader = torchish.utils.data.DataLoader(
        filtered(OURS), batch_size=2, num_workers=2, multiprocessing_context="thread"
    )
    assert sorted(x for batch in loader for x in batch.tolist()) == list(range(11))


def test_pipes_without_a_filter_come_from_every_worker() -> None:
    agree(lambda lib: batches(lib, lib.iter.IterableWrapper(range(5)), num_workers=2))


def test_loaders_warn_where_no_pipe_shuffles() -> None:
    def run(lib: Any) -> Any:
        with pytest.warns(UserWarning, match="does not contain a `Shuffler`"):
            return batches(lib, lib.iter.IterableWrapper(range(7)), shuffle=True)

    agree(run)


def test_map_pipes_through_a_loader() -> None:
    agree(lambda lib: batches(lib, lib.map.SequenceWrapper(range(7)), num_workers=2, shuffle=True))


GROUPS: dict[str, Callable[[Any], Any]] = {
    "ranks, then workers": lambda lib: _shared(lib, None, (2, 0, "DISTRIBUTED"),
                                               (2, 1, "MULTIPROCESSING")),
    "one group counts": lambda lib: _shared(lib, "DISTRIBUTED", (2, 0, "MULTIPROCESSING"),
                                            (5, 1, "DISTRIBUTED")),
    "the last share holds": lambda lib: _shared(lib, None, (2, 0, "DEFAULT"), (3, 1, "DEFAULT")),
    "default after others": lambda lib: _shared(lib, None, (2, 0, "DISTRIBUTED"),
                                                (2, 1, "DEFAULT")),
    "others after default": lambda lib: _shared(lib, None, (2, 0, "DEFAULT"),
                                                (2, 1, "DISTRIBUTED")),
    "no such share": lambda lib: _shared(lib, None, (2, 2, "DEFAULT")),
}  # fmt: skip


def _shared(lib: Any, only: str | None, *shares: tuple[int, int, str]) -> Any:
    group = None if only is None else lib.groups[only]
    pipe = lib.iter.IterableWrapper(range(10)).sharding_filter(group)
    for count, place, name in shares:
        pipe.apply_sharding(count, place, lib.groups[name])
    return list(pipe), len(pipe)


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_shares(name: str) -> None:
    agree(GROUPS[name])


def test_filters_on_filters_are_refused() -> None:
    agree(lambda lib: lib.settings.apply_sharding(
        filtered(lib).map(str).sharding_filter(), 2, 0))  # fmt: skip


def test_graphs_name_every_pipe() -> None:
    def names(part: Any) -> Any:
        return [
            (type(pipe).__name__.removesuffix("IterDataPipe"), names(inner))
            for pipe, inner in part.values()
        ]

    def run(lib: Any) -> Any:
        pipe = lib.iter.IterableWrapper(range(3))
        both = lib.iter.Zipper(pipe.map(str), pipe.batch(2))
        found = lib.graph.traverse_dps(both)
        return names(found), len(lib.settings.get_all_graph_pipes(found))

    agree(run)


LENGTHS: dict[str, Callable[[Any], Any]] = {
    "listed, said": lambda lib: len(lib.iter.FileLister(".", length=3)),
    "listed": lambda lib: len(lib.iter.FileLister(".")),
    "opened, said": lambda lib: len(lib.iter.FileOpener(lib.iter.IterableWrapper("ab"), length=7)),
    "opened": lambda lib: len(lib.iter.FileOpener(lib.iter.IterableWrapper("ab"))),
    "shares of a stream": lambda lib: len(
        lib.iter.IterableWrapper(iter("ab"), deepcopy=False).filter(str).sharding_filter()
    ),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths(name: str) -> None:
    agree(LENGTHS[name])
