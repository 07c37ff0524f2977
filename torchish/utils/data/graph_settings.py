"""What a loader asks of all pipes of a graph: their share of the data, their order, their seeds."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from . import _draws
from .datapipes.iter import SHARDING_PRIORITIES
from .graph import DataPipe, DataPipeGraph, traverse_dps

__all__ = [
    "apply_random_seed",
    "apply_sharding",
    "apply_shuffle_seed",
    "apply_shuffle_settings",
    "get_all_graph_pipes",
]


def get_all_graph_pipes(graph: DataPipeGraph) -> list[DataPipe]:
    """The pipes of a graph, each once."""
    found: dict[int, DataPipe] = {}

    def visit(part: DataPipeGraph) -> None:
        for key, (pipe, inner) in part.items():
            if key not in found:
                found[key] = pipe
                visit(inner)

    visit(graph)
    return list(found.values())


def _has_method(pipe: DataPipe, name: str) -> bool:
    return inspect.ismethod(getattr(pipe, name, None))


def apply_sharding(
    datapipe: DataPipe, num_of_instances: int, instance_id: int,
    sharding_group: Any = SHARDING_PRIORITIES.DEFAULT,
) -> DataPipe:  # fmt: skip
    """Tell each `sharding_filter` which items are this instance's.

    Raises: RuntimeError where one such filter reads another.
    """

    def visit(graph: DataPipeGraph, above: DataPipe | None) -> None:
        for pipe, inner in graph.values():
            below = above
            if _has_method(pipe, "apply_sharding"):
                if above is not None:
                    raise RuntimeError(
                        "Sharding twice on a single pipeline is likely unintended and will cause "
                        f"data loss. Sharding already applied to {above} while trying to apply to "
                        f"{pipe}"
                    )
                below = pipe
                share: Any = pipe.apply_sharding
                takes_group = len(inspect.signature(share).parameters) >= 3
                more = {"sharding_group": sharding_group} if takes_group else {}
                share(num_of_instances, instance_id, **more)
            visit(inner, below)

    visit(traverse_dps(datapipe), None)
    return datapipe


def apply_shuffle_settings(datapipe: DataPipe, shuffle: bool | None = None) -> DataPipe:
    """Switch the shuffling pipes on or off (None: leave them); one is added where none is."""
    if shuffle is None:
        return datapipe
    pipes = [
        pipe for pipe in get_all_graph_pipes(traverse_dps(datapipe))
        if _has_method(pipe, "set_shuffle") and _has_method(pipe, "set_seed")
    ]  # fmt: skip
    if shuffle and not pipes:
        warnings.warn(
            "`shuffle=True` was set, but the datapipe does not contain a `Shuffler`. Adding one at "
            "the end. Be aware that the default buffer size might not be sufficient for your task.",
            stacklevel=2,
        )
        datapipe = datapipe.shuffle()
        pipes = [datapipe]
    for pipe in pipes:
        pipe.set_shuffle(shuffle)
    return datapipe


def apply_random_seed(datapipe: DataPipe, rng: Any) -> DataPipe:
    """Give each pipe that takes a seed one that `rng` draws."""
    for pipe in get_all_graph_pipes(traverse_dps(datapipe)):
        if _has_method(pipe, "set_seed"):
            pipe.set_seed(_draws.seed(rng))
    return datapipe


def apply_shuffle_seed(datapipe: DataPipe, rng: Any) -> DataPipe:
    """The old name of `apply_random_seed`; warns."""
    warnings.warn(
        "`apply_shuffle_seed` is deprecated since 1.12 and will be removed in the future releases. "
        "Please use `apply_random_seed` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return apply_random_seed(datapipe, rng)
