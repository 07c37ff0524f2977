"""`torch.layout`: strided tensors, and the sparse ones of `torch.sparse`."""

from __future__ import annotations

from typing import Any


class layout:
    """How a tensor lies in memory."""

    __slots__ = ("name",)
    __module__ = "torch"

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> Any:
        from ..._serialization.locations import _get_layout

        return _get_layout, (repr(self),)


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")
sparse_bsr = layout("sparse_bsr")
sparse_bsc = layout("sparse_bsc")
