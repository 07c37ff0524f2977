"""`torch.layout`: strided tensors, sparse and nested ones."""

from __future__ import annotations

from typing import Any

from .constants import Constant


class layout(Constant):
    """How a tensor lies in memory."""

    __slots__ = ()
    __module__ = "torch"

    def __reduce__(self) -> Any:
        return _get_layout, (repr(self),)


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")
sparse_bsr = layout("sparse_bsr")
sparse_bsc = layout("sparse_bsc")
jagged = layout("jagged")
_BY_NAME = {
    repr(x): x
    for x in (strided, sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc, jagged)
}


def _get_layout(name: str) -> layout:
    """The layout object that prints as `name` (checkpoints name it `torch.serialization`'s)."""
    return _BY_NAME[name if name.startswith("torch.") else f"torch.{name}"]
