"""`NAME_copy`: what a view operator shows, in memory of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import dtype
from ..._basics.strides import dense_span
from ..call.composites import Out
from ..create.copying import copied
from ..registry import composite, methods, ops
from .scatter import lies_with_gaps

# A view operator's name in one of both places -> its copy is registered as NAME_copy.
_VIEWS = (
    "alias", "as_strided", "expand", "permute", "select", "split", "split_with_sizes",
    "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "view_as_complex",
    "view_as_real",
)  # fmt: skip


def _view(name: str) -> Callable[..., Any]:
    try:
        return getattr(ops, name)  # type: ignore[no-any-return]
    except AttributeError:
        return getattr(methods, name)  # type: ignore[no-any-return]


_EXACT = Out("exact", gives_lists=False)


def _copied(shown: Any, name: str = "") -> Any:
    """Contiguous copies of one view or several; their grad node is named, or after the view's."""
    if isinstance(shown, TensorBase):
        node = shown.grad_fn
        return copied(shown, name or ("" if node is None else f"{node.name()}_copy"))
    return tuple(_copied(view) for view in shown)


def _register(name: str) -> None:
    def copy(input: Any, *args: Any, **kwargs: Any) -> Any:
        of_size = name == "view" and not any(
            isinstance(a, dtype) for a in (*args, *kwargs.values())
        )
        return _copied(_view("reshape" if of_size else name)(input, *args, **kwargs))

    copy.__name__ = copy.__qualname__ = name + "_copy"
    copy.__doc__ = f"`{name}`, copied: shares no memory with `input`."
    composite(into=("torch",), out=_EXACT)(copy)


for _name in _VIEWS:
    _register(_name)


@composite(into=("torch",), out="exact")
def detach_copy(input: Any) -> Any:
    """A copy; unlike `detach` it stays part of the graph, as in torch."""
    return _copied(input, "CloneBackward0")


@composite(into=("torch",), out="exact")
def slice_copy(input: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """`input[start:end:step]` along `dim`, copied."""
    return _copied(methods._slice(input, dim, start, end, step))


@composite(out=Out("exact", history=False, warn=False))
def narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """`narrow`, copied: shares no memory with `input`."""
    return _copied(ops.narrow(input, dim, start, length), "NarrowCopyBackward0")


@composite()
def as_strided_scatter(
    input: Any, src: Any, size: Any, stride: Any, storage_offset: Any = None
) -> Any:
    """A copy of `input` with `input.as_strided(size, stride, storage_offset)` replaced by `src`.

    Raises: RuntimeError when `src` has another shape.
    """
    if tuple(src.shape) != tuple(size):
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(size)}"
        )
    if lies_with_gaps(input):  # torch copies the memory with its gaps
        layout = tuple(input.shape), tuple(input.stride())
        room = input.storage_offset() + dense_span(*layout)
        memory = ops.as_strided(input, (room,), (1,), 0).clone()
        made = ops.as_strided(memory, *layout, input.storage_offset())
    else:
        made = input.clone()
    part = ops.as_strided(made, size, stride, storage_offset)
    part.copy_(src)
    return made
