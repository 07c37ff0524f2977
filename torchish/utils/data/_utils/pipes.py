"""What a loader does for a dataset that is a data pipe: seeds that all copies share, and shares.

A pass draws one seed; the pipes of every worker (and of every process) are seeded from it alike, so
that their shuffles agree, and `sharding_filter` then leaves each its own items.
"""

from __future__ import annotations

from typing import Any

from .. import _draws


def is_pipe(dataset: Any) -> bool:
    """Whether a dataset is a data pipe, asked without loading the pipes' modules."""
    return hasattr(type(dataset), "register_datapipe_as_function")


def switch_shuffling(dataset: Any, shuffle: bool | None) -> None:
    """Switch the pipe's shufflers on or off, as the loader was asked for (None: leave them)."""
    from ..graph_settings import apply_shuffle_settings

    apply_shuffle_settings(dataset, shuffle)


def processes() -> tuple[int, int]:
    """How many processes share the data, and which of them this is."""
    from .... import distributed

    if not distributed.is_initialized():
        return 1, 0
    return distributed.get_world_size(), distributed.get_rank()


def draw_seed(generator: Any) -> int:
    """The seed of one pass: the first process's, in all of them."""
    seed = _draws.seed(generator)
    if processes()[0] > 1:
        from .... import distributed

        drawn = [seed]
        distributed.broadcast_object_list(drawn, src=0)
        seed = drawn[0]
    return seed


def apply_seed(dataset: Any, seed: int) -> None:
    """Seed the pipes for a pass."""
    from ..graph_settings import apply_random_seed

    apply_random_seed(dataset, _draws.seeded(seed))


def apply_share(dataset: Any, count: int, place: int) -> None:
    """Leave one of `count` takers its part."""
    from ..graph_settings import apply_sharding

    apply_sharding(dataset, count, place)
