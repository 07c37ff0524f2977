"""Copies: clone, contiguous, copy_, fill_, to, detach and the other moves between memories."""

from __future__ import annotations

import gc
import math
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._autograd.apply import apply_kernel, check_history, write_inplace
from ..._autograd.casting import cast_kernel
from ..._autograd.forward import dual_level
from ..._autograd.interop import moved, storage_array, tensor_on, wrap_host
from ..._autograd.nodes import Node, node_class
from ..._autograd.tensor_base import TensorBase, detached, from_value, view_of
from ..._basics import dtypes
from ..._basics.devices import CPU, device, resolve
from ..._basics.dtypes import CPP_NAMES, SCALAR_NAMES, dtype
from ..._basics.memo import memoised
from ..._basics.memory import check_size
from ..._basics.state import state
from ..._basics.strides import contiguous_strides, dense_span, preserved_strides
from ..._core import store
from ..._core.kernels import Kernel
from ..._core.values import Aval, aval_of
from ..call.operator import broadcast_check, cast
from ..registry import Tensor, composite, ops
from ..shared.memory_format import (
    channels_last_strides,
    contiguous_format,
    preserve_format,
    suggested,
)
from .on_memory import on_storage


@memoised(1024)
def _identity(aval: Aval, name: str) -> Kernel:
    known = store.identity("clone", aval)
    return Kernel("clone", lambda x: (x,), (aval,), (aval,), grad_name=name, identity=known)


def _format_strides(input: Any, memory_format: Any) -> tuple[int, ...] | None:
    """Strides of a copy in a memory format (None: row-major)."""
    shape = tuple(input._aval.shape)
    if memory_format is None or memory_format is preserve_format:
        return None if input._is_plain else preserved_strides(shape, tuple(input._strides))
    if memory_format is contiguous_format:
        return None
    return channels_last_strides(shape, memory_format)


@composite()
def clone(input: Any, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, part of the graph."""
    return copied(input, "CloneBackward0", _format_strides(input, memory_format))


def copied(input: Any, name: str, strides: Any = None) -> Any:
    """A copy whose grad node has a name of its own; row-major unless strides are given."""
    return apply_kernel(_identity(input._aval, name), (input,), strides)[0]


@composite(into=("method",))
def contiguous(self: Any, memory_format: Any = contiguous_format) -> Tensor:
    """The tensor itself if its layout is `memory_format` already, else a copy that is."""
    if is_contiguous(self, memory_format):
        return self
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return clone(self, memory_format=memory_format)


@composite(into=("method",))
def is_contiguous(self: Any, memory_format: Any = contiguous_format) -> bool:
    """Whether elements lie in memory in the order of `memory_format`."""
    if memory_format is contiguous_format or memory_format is preserve_format:
        return bool(self._is_contiguous())
    shape, strides = tuple(self._aval.shape), tuple(self._strides)
    wanted = channels_last_strides(shape, memory_format)
    return all(n == 1 or a == b for n, a, b in zip(shape, strides, wanted, strict=True))


@composite(into=("method",))
def detach(self: Any) -> Tensor:
    """The same memory without history.

    Differs from `clone`: writes on either side show on the other.
    """
    return detached(self)


@composite(name="detach", into=("torch",))
def detach_function(input: Any) -> Any:
    """`input.detach()`."""
    return detached(input)


@composite()
def detach_(input: Any) -> Tensor:
    """Cut the tensor from its history, in place.

    Raises: RuntimeError for views.
    """
    if input._base is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using "
            "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
            "True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
            "these gradients. To fix this error, please refer to the Optimizer.zero_grad() "
            "function in torch/optim/optimizer.py as the solution."
        )
    if input._grad_fn is not None:
        input._grad_fn.cut |= {input._out_nr}
    input._grad_fn, input._requires_grad = None, False
    return input


@composite(into=("method",))
def alias(self: Any) -> Any:
    """A view of the whole tensor."""
    return view_of(self, "AliasBackward0", lambda s, t, o: (s, t, o))


# --- writing -------------------------------------------------------------------------------------


@memoised(1024)
def _copy_kernel(target: Aval, source: Aval, with_target: bool) -> Kernel:
    """Cast and broadcast `source` to `target`'s aval; `with_target` keeps the graph's old edge."""
    shape, np_dtype = broadcast_check((target.shape, source.shape)), target.dtype.np
    result = aval_of(shape, target.dtype)

    def fill(x: Any) -> tuple[Any]:
        return (jnp.broadcast_to(cast(x, np_dtype), shape),)

    name = store.identity("copy_", target, source, with_target)
    if with_target:
        return Kernel(
            "copy_", lambda old, x: fill(x), (target, source), (result,),
            grad_name="CopyBackwards", identity=name,
        )  # fmt: skip
    return Kernel("copy_", fill, (source,), (result,), grad_name="CopyBackwards", identity=name)


@composite(into=("method",))
def copy_(self: Any, src: Any, non_blocking: bool = False) -> Tensor:
    """Write `src`, cast and broadcast, into this tensor."""
    if not isinstance(src, TensorBase):
        if isinstance(src, complex) and not self._aval.dtype.is_complex:
            src = src.real
        if isinstance(src, int | float | complex):
            return fill_(self, src)
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    needs = state.grad_enabled and self._needs_grad()
    same = src is self or (src._aval is self._aval and self.is_set_to(src))
    if same and not needs and not src._needs_grad():
        check_history(self, False)
        self._version_counter.version += 1
        return self
    src = _on(src, self._storage.device)
    return write_inplace(
        self,
        lambda: _copy_kernel(self._aval, src._aval, needs),
        (self, src) if needs else (src,),
        cast=False,
        overlap="last",
        expanded="write" if src is self else "refuse",
    )


@memoised(1024)
def _fill_kernel(aval: Aval, source: Any, zero: bool = False) -> Kernel:
    shape, np_dtype = tuple(aval.shape), aval.dtype.np

    def fn(old: Any, number: Any) -> tuple[Any]:
        return (jnp.broadcast_to(cast(number, np_dtype), shape),)

    name = "ZeroBackward0" if zero else f"FillBackward{3 if isinstance(source, Aval) else 2}"
    known = store.identity("fill_", aval, source)
    return Kernel("fill_", fn, (aval, source), (aval,), grad_name=name, identity=known)


@composite()
def fill_(input: Any, value: Any) -> Tensor:
    """Set every element to `value` (a number or a 0-dim tensor)."""
    if isinstance(value, TensorBase):
        if value._aval.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value._aval.ndim} dimensions."
            )
        kernel = _fill_kernel(input._aval, value._aval)
    else:
        value = value.item() if hasattr(value, "item") else value
        if type(value) is complex and not input._aval.dtype.is_complex:
            raise RuntimeError(
                "value cannot be converted to type "
                f"{SCALAR_NAMES[input._aval.dtype].lower()} without overflow"
            )
        kind: Any = type(value)
        kernel = _fill_kernel(input._aval, kind)
    return write_inplace(
        input, kernel, (input, value), cast=False, overlap="last",
        expanded="refuse" if isinstance(value, TensorBase) else "write",
    )  # fmt: skip


@composite()
def zero_(input: Any) -> Tensor:
    """Set every element to zero."""
    kernel = _fill_kernel(input._aval, int, True)
    return write_inplace(input, kernel, (input, 0), cast=False, overlap="last", expanded="write")


# --- dtype and device ----------------------------------------------------------------------------


class _ToDevice(Node):
    """History of a copy between devices."""

    def __init__(self, edge: Any, aval: Any, home: device) -> None:
        super().__init__((edge,), (aval,))
        self.home = home

    def apply(self, grads: list[Any], graph: bool) -> list[Any]:
        """Send the gradient back to where the input lives."""
        if grads[0] is None:
            return [None]
        value, edge = grads[0]
        if edge is not None:
            edge = _copied(edge, value.aval, value.device)
        return [(moved(value, self.home), edge)]


def _copied(edge: Any, aval: Any, home: device) -> Any:
    """The edge of a copy of what `edge` leads to, which lives at `home`."""
    node: Any = node_class("ToCopyBackward0", _ToDevice)
    return node(edge, aval, home), 0


def _on(input: Any, dev: device) -> Any:
    """The tensor on `dev` (itself if it is there), with history."""
    home = input._storage.device
    if home is dev:
        return input
    level = dual_level(input)
    if level is not None:
        return level.make(*[_on(part, dev) for part in level.unpack(input)])
    made = from_value(moved(input._value(), dev))
    if state.grad_enabled:
        edge = input._edge()
        if edge is not None:
            made._grad_fn, made._out_nr = _copied(edge, made._aval, home)
    return made


def convert(
    input: Any, dt: Any = None, dev: Any = None, copy: bool = False, memory_format: Any = None
) -> Any:
    """The tensor with another dtype and device; itself when nothing changes."""
    made = input
    if dev is not None:
        made = _on(made, dev)
    dt = dtypes.wanted(dt)
    if dt is not None and made._aval.dtype is not dt:
        strides = None
        if not made._is_plain:
            strides = preserved_strides(tuple(made._aval.shape), tuple(made._strides))
        made = apply_kernel(cast_kernel(made._aval, dt), (made,), strides)[0]
    if memory_format is not None and memory_format is not preserve_format:
        layout = tuple(made._aval.shape), tuple(made._strides)
        wanted = _format_strides(made, memory_format) or contiguous_strides(layout[0])
        kept = made is input and suggested(*layout) is memory_format
        if not kept and layout[1] != wanted:
            made = clone(made, memory_format=memory_format)
    return clone(made) if copy and made is input else made


@composite(into=("method",))
def to(
    self: Any, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
    copy: bool = False, memory_format: Any = None, other: Any = None,
) -> Tensor:  # fmt: skip
    """`to(dtype)`, `to(device, dtype)`, `to(other)`: the tensor itself when nothing changes."""
    flags = [a for a in args if isinstance(a, bool)]  # non_blocking, copy
    if len(flags) > 1:
        copy = flags[1]
    for a in args:
        if isinstance(a, dtypes.dtype) or (type(a) is type and a in dtypes.PYTHON_TYPES):
            dtype = a
        elif isinstance(a, TensorBase):
            other = a
        elif a is not None and not isinstance(a, bool):
            device = a
    if other is not None:
        dtype, device = other._aval.dtype, other._storage.device
    dev = None if device is None else resolve(device)
    return convert(self, dtype, dev, copy, memory_format)


def _dtype_method(name: str, to: dtype) -> None:
    def method(self: Any, memory_format: Any = None) -> Any:
        return convert(self, to, None, False, memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The tensor as torch.{to.name}."
    composite(into=("method",))(method)


for _name, _dtype in {**dtypes.ALIASES, "bfloat16": dtypes.bfloat16, "bool": dtypes.bool_,
                      "byte": dtypes.uint8, "char": dtypes.int8}.items():  # fmt: skip
    _dtype_method(_name, _dtype)


@composite(into=("method",))
def type_as(self: Any, other: Any) -> Tensor:
    """`self.to(other.dtype)` on other's device."""
    return convert(self, other._aval.dtype, other._storage.device)


@composite(into=("method",))
def cpu(self: Any, memory_format: Any = None) -> Tensor:
    """The tensor on the CPU."""
    return convert(self, None, CPU, False, memory_format)


@composite(into=("method",))
def cuda(
    self: Any, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Tensor:
    """The tensor on a GPU (the current one by default)."""
    where = "cuda" if device is None else device
    where = f"cuda:{where}" if isinstance(where, int) else where
    return convert(self, None, resolve(where), False, memory_format)


@composite()
def resolve_conj(input: Any) -> Any:
    """The tensor with a lazy conjugation carried out."""
    return clone(input) if input.is_conj() else input


@composite()
def resolve_neg(input: Any) -> Any:
    """The tensor with a lazy negation carried out."""
    return clone(input) if input.is_neg() else input


@composite(into=("method",))
def requires_grad_(self: Any, requires_grad: bool = True) -> Tensor:
    """Set whether gradients are recorded for this leaf, in place."""
    if requires_grad and not _has_gradients(self):
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    self.requires_grad = requires_grad
    return self


def born_with_grad(made: Any) -> Any:
    """`made`, just created, as a leaf that requires grad (torch words the error differently)."""
    if not _has_gradients(made):
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    made.requires_grad = True
    return made


def _has_gradients(tensor: Any) -> bool:
    return bool(tensor.is_floating_point() or tensor.is_complex())


@composite(into=("method",))
def set_(
    self: Any, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Any:
    """Point this tensor at the memory of another tensor or of a storage; at none without source.

    A storage that is too small for the layout grows; new elements are undefined (zero here).

    Raises: RuntimeError for a tensor of another dtype, or a storage that cannot grow.
    """
    needs = self._needs_grad() or (isinstance(source, TensorBase) and source._needs_grad())
    if size is not None or not isinstance(source, TensorBase):
        check_history(self, needs)
    if source is None:
        other = ops.empty(0, dtype=self._aval.dtype, device=self._storage.device)
    elif isinstance(source, TensorBase):
        same = source._aval.dtype is self._aval.dtype
        if size is None and not same:
            raise RuntimeError(
                f"Could not set tensor of type {CPP_NAMES[source._aval.dtype]} to a tensor of type "
                f"{CPP_NAMES[self._aval.dtype]}"
            )
        check_history(self, needs)
        other = detached(source)
        if size is not None:
            if not source._is_contiguous():
                raise RuntimeError("passed in tensor to be used as storage must be contiguous")
            if not same:  # its bytes are taken for elements of this one's type
                other = tensor_on(source._storage, 0, (0,), (1,), self._aval.dtype)
            other = _reaching(other, storage_offset + source._offset, tuple(size), stride)
    elif size is None:
        other = on_storage(source, self._aval.dtype, storage_offset, size, stride)
    else:
        other = on_storage(source, self._aval.dtype)
        other = _reaching(other, storage_offset, tuple(size), stride)
    self._point_at(other)
    self._version_counter.version += 1
    if needs and state.grad_enabled:
        for tensor in (self, self._base):
            if tensor is not None:
                tensor._requires_grad = False
                tensor._grad_fn, tensor._out_nr = _NoDerivative(tensor._aval), 0
    return self


def _reaching(input: Any, offset: int, shape: tuple[int, ...], stride: Any) -> Any:
    """Another layout of a tensor's memory, which grows where the layout reaches past its end."""
    if any(n < 0 for n in shape):
        raise RuntimeError("numel: integer multiplication overflow")
    strides = contiguous_strides(shape) if stride is None else tuple(stride)
    reach = (offset + dense_span(shape, strides)) * input._aval.dtype.itemsize
    storage = input._storage
    width = storage.dtype.itemsize
    if 0 not in shape and reach > storage.numel * width:
        _grow(storage, -(-reach // width))
    return ops.as_strided(input, shape, strides, offset)


class _NoDerivative(Node):
    """History of a tensor that was pointed at other memory: torch has no gradient for that."""

    def __init__(self, aval: Aval) -> None:
        super().__init__((), (aval,))

    def apply(self, grads: list[Any], graph: bool) -> list[Any]:
        """Raise torch's error."""
        raise RuntimeError("derivative for set_ is not implemented")


_NoDerivative.__name__ = _NoDerivative.__qualname__ = "NotImplemented"


@composite(into=("method",))
def resize_(self: Any, *sizes: Any, memory_format: Any = None) -> Any:
    """Change the size in place; new elements are undefined (zero here).

    Raises: RuntimeError for a tensor that requires grad.
    """
    from ..views.whole import as_sizes

    shape = as_sizes(sizes, "resize_")
    if self._needs_grad():
        raise RuntimeError("cannot resize variables that require grad")
    strides = _resized_strides(shape, memory_format)
    if shape == tuple(self._aval.shape) and memory_format is None:
        return self
    if any(n < 0 for n in shape):
        raise RuntimeError("numel: integer multiplication overflow")
    numel = math.prod(shape)
    storage = self._storage
    reach, width = (self._offset + numel) * self._aval.dtype.itemsize, storage.dtype.itemsize
    if reach > storage.numel * width:
        _grow(storage, -(-reach // width))
    found = ops.as_strided(detached(self), shape, strides, self._offset)
    self._aval, self._layout, self._memo = found._aval, found._layout, None
    return self


def _resized_strides(shape: tuple[int, ...], memory_format: Any) -> tuple[int, ...]:
    if memory_format is None or memory_format is contiguous_format:
        return contiguous_strides(shape)
    if memory_format is preserve_format:
        raise RuntimeError("Unsupported memory formatPreserve")
    return channels_last_strides(shape, memory_format)


def _keep_layouts(storage: Any) -> None:
    """Let tensors that are the whole of a storage keep their shape when it becomes another one."""
    layout = (tuple(storage.strides or storage.aval.strides), 0, False)
    if sys.getrefcount(storage) <= 4:  # one tensor, and the names on the way here
        return
    for holder in gc.get_referrers(storage):
        if isinstance(holder, dict) and holder.get("_storage") is storage:
            holder.setdefault("_layout", None)
            if holder["_layout"] is None:
                holder["_layout"] = layout
        elif isinstance(holder, TensorBase) and holder._layout is None:
            holder._layout = layout


def _grow(storage: Any, count: int) -> None:
    """Enlarge a storage to `count` of its elements, keeping its content."""
    if storage.host is not None:
        raise RuntimeError("Trying to resize storage that is not resizable")
    check_size((count,), storage.dtype.itemsize, storage.device)
    new = np.zeros(count, storage.dtype.np)
    new[: storage.numel] = storage_array(storage)
    _keep_layouts(storage)
    made = wrap_host(new, storage.device)
    storage.reset(made._value())


__all__ = [
    "clone",
    "convert",
    "copy_",
]
