"""`torch.layout`: only strided tensors exist here."""

from __future__ import annotations


class layout:
    """How a tensor lies in memory."""

    __slots__ = ("name",)
    __module__ = "torch"

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


strided = layout("strided")
sparse_coo = layout("sparse_coo")
