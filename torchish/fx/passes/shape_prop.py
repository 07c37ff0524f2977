"""Noting the shape, dtype and strides of every value of a graph."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..._ops.shared import memory_format
from ..._tensor.tensor import Tensor
from ..interpreter import Interpreter
from ..node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What a graph notes of a tensor."""

    shape: Any
    dtype: Any
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: Any
    is_quantized: bool
    qparams: dict[str, Any]


def _extract_tensor_metadata(result: Tensor, include_contiguity: bool = True) -> TensorMetadata:
    """What a graph notes of `result`."""
    found = None
    if include_contiguity:
        for kind in (
            memory_format.contiguous_format, memory_format.channels_last,
            memory_format.channels_last_3d,
        ):  # fmt: skip
            if result.is_contiguous(memory_format=kind):
                found = kind
                break
    return TensorMetadata(
        result.shape, result.dtype, result.requires_grad, result.stride(), found, False, {}
    )


class ShapeProp(Interpreter):
    """Runs a graph and notes `tensor_meta` and `type` in each node's `meta`.

    Args:
        gm: the module.
        fake_mode: not supported: pass tensors on the meta device instead.
    """

    def __init__(self, gm: Any, fake_mode: Any = None) -> None:
        super().__init__(gm)
        if fake_mode is not None:
            from ..._basics.errors import not_supported

            raise not_supported("ShapeProp(fake_mode=...)", "tensors on the meta device")

    def run_node(self, n: Node) -> Any:
        """Run a node and note what its result is like."""
        result = super().run_node(n)
        found = False

        def look(x: Any) -> Any:
            nonlocal found
            if isinstance(x, Tensor):
                found = True
                return _extract_tensor_metadata(x)
            return x

        meta = map_aggregate(result, look)
        if found:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """Run the graph on these arguments."""
        return super().run(*args)
