"""How a tensor lies on one dimension of a mesh: whole, cut along a dim, or as summands."""

from __future__ import annotations

from dataclasses import dataclass


class Placement:
    """Base of the three."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether it is cut, along `dim` where that is given."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Whether it is whole everywhere."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether it is made of summands."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Cut along `dim`."""

    dim: int

    def __str__(self) -> str:
        return f"S({self.dim})"


@dataclass(frozen=True)
class _StridedShard(Shard):
    """Cut along `dim` in turns."""

    split_factor: int = 1


@dataclass(frozen=True)
class Replicate(Placement):
    """Whole on every device."""

    def __str__(self) -> str:
        return "R"


@dataclass(frozen=True)
class Partial(Placement):
    """Summands, still to be reduced by `reduce_op`."""

    reduce_op: str = "sum"

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"

    def __str__(self) -> str:
        return f"P({self.reduce_op})"
