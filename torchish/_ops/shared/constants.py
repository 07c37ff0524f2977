"""Constants of the torch namespace that print and pickle by their names."""

from __future__ import annotations


class Constant:
    """One of a few objects of a kind, known by its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"
