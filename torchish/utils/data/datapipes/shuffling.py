"""What pipes in random order share: a switch, and the seed of the next pass."""

from __future__ import annotations

import random
from typing import Self

from ...._basics import dtypes
from ...._ops.registry import ops
from .datapipe import IterDataPipe


class Shuffling(IterDataPipe):
    """A pipe whose order is random unless it is switched off."""

    _enabled = True
    _chosen: int | None = None

    def set_shuffle(self, shuffle: bool = True) -> Self:
        """Switch it off or on."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed: int) -> Self:
        """The seed of the next pass."""
        self._chosen = seed
        return self

    def _generator(self) -> random.Random:
        """The numbers of one pass, from the seed that was set or one of torch's stream."""
        seed, self._chosen = self._chosen, None
        if seed is None:
            seed = int(ops.empty((), dtype=dtypes.int64).random_().item())
        return random.Random(seed)
