"""How tensors are pickled and rebuilt, and how exceptions travel between threads.

Checkpoints name the `_rebuild_*` functions, so their names and signatures are PyTorch's.
"""

from __future__ import annotations

import copyreg
import pickle
import sys
import traceback
import warnings
from collections import OrderedDict
from typing import Any

from ._basics.errors import not_supported
from ._basics.later import later
from ._ops.create.on_memory import on_storage
from ._ops.registry import ops
from ._serialization.state import mapped_device, state as serialization_state
from ._tensor import host as _host
from .storage import TypedStorage, UntypedStorage, class_name_of, typed_storage, untyped_storage

_sparse_coo_tensor = later("torchish.sparse.construct:sparse_coo_tensor")
_sparse_compressed_tensor = later("torchish.sparse.construct:sparse_compressed_tensor")
_is_forking_pickler = later("torchish.multiprocessing.reductions:is_forking_pickler")
_reduce_shared = later("torchish.multiprocessing.reductions:reduce_tensor")


def _rebuild_tensor(storage: TypedStorage, storage_offset: int, size: Any, stride: Any) -> Any:
    """A tensor that views `storage`."""
    return _on_storage(storage._untyped_storage, storage.dtype, storage_offset, size, stride)


def _on_storage(untyped: UntypedStorage, dt: Any, offset: int, size: Any, stride: Any) -> Any:
    """A tensor that views `untyped`, which takes its first tensor's element type."""
    if untyped.device.type == "meta":
        return _rebuild_meta_tensor_no_storage(dt, size, stride, False)
    return on_storage(untyped, dt, offset, size, stride)


def _finish(tensor: Any, requires_grad: bool, metadata: Any) -> Any:
    if metadata and metadata.get("conj"):
        tensor = tensor.conj()
    if metadata and metadata.get("neg"):
        tensor = ops._neg_view(tensor)
    if requires_grad:
        tensor.requires_grad_()
    return tensor


def _rebuild_tensor_v2(
    storage: TypedStorage,
    storage_offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    metadata: Any = None,
) -> Any:
    """A tensor that views `storage`, whose class says the dtype."""
    tensor = _rebuild_tensor(storage, storage_offset, size, stride)
    return _finish(tensor, requires_grad, metadata)


def _rebuild_tensor_v3(
    storage: Any,
    storage_offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    """A tensor of `dtype` that views the bytes of `storage`."""
    untyped = storage if isinstance(storage, UntypedStorage) else storage._untyped_storage
    tensor = _on_storage(untyped, dtype, storage_offset, size, stride)
    return _finish(tensor, requires_grad, metadata)


def _rebuild_parameter(data: Any, requires_grad: bool, backward_hooks: Any) -> Any:
    """A parameter on the given data."""
    from .nn.parameter import Parameter

    return Parameter(data, requires_grad)  # type: ignore[misc]


def _rebuild_parameter_with_state(
    data: Any, requires_grad: bool, backward_hooks: Any, state: Any
) -> Any:
    """A parameter with the Python attributes that it had."""
    return _set_obj_state(_rebuild_parameter(data, requires_grad, backward_hooks), state)


def _rebuild_meta_tensor_no_storage(dtype: Any, size: Any, stride: Any, requires_grad: bool) -> Any:
    """A tensor without data."""
    return ops.empty_strided(  # type: ignore[misc]
        tuple(size), tuple(stride), dtype=dtype, device="meta", requires_grad=requires_grad
    )


def _rebuild_device_tensor_from_cpu_tensor(
    data: Any, dtype: Any, device: Any, requires_grad: bool
) -> Any:
    """A tensor of a device whose storages are not pickled (`xla`)."""
    tensor = data.to(dtype=dtype, device=mapped_device(device)).detach()
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_device_tensor_from_numpy(
    data: Any, dtype: Any, device: Any, requires_grad: bool
) -> Any:
    """The same from a numpy array, as older versions wrote it."""
    tensor = _host.wrap(data.copy())
    return _rebuild_device_tensor_from_cpu_tensor(tensor, dtype, device, requires_grad)


_rebuild_xla_tensor = _rebuild_device_tensor_from_numpy


def _unsupported(feature: str) -> Any:
    def rebuild(*args: Any) -> Any:
        raise not_supported(f"{feature} tensors in a checkpoint", "convert them to dense tensors")

    return rebuild


def _rebuild_sparse_tensor(layout: Any, data: Any) -> Any:
    """A sparse tensor of a checkpoint."""
    if layout.name == "sparse_coo":
        indices, values, size, *coalesced = data
        return _sparse_coo_tensor(indices, values, size, is_coalesced=(coalesced or [None])[0])
    return _sparse_compressed_tensor(*data, layout=layout)


_rebuild_qtensor = _unsupported("quantized")
_rebuild_nested_tensor = _unsupported("nested")
_rebuild_wrapper_subclass = _unsupported("wrapper-subclass")


def _rebuild_from_type_v2(func: Any, new_type: type, args: Any, state: Any) -> Any:
    """A tensor of a subclass, or with Python attributes."""
    # Weights-only loading may call this function, so it must not call just anything itself.
    if func not in _rebuilders() or not issubclass(new_type, _host.tensor_class()):
        raise pickle.UnpicklingError(f"{func} does not rebuild a tensor of type {new_type}")
    tensor = func(*args)
    if type(tensor) is not new_type:
        tensor = tensor.as_subclass(new_type)
    if new_type.__dict__.get("__setstate__") is not None and new_type is not _host.tensor_class():
        tensor.__setstate__(state)
        return tensor
    return _set_obj_state(tensor, state)


def _rebuilders() -> list[Any]:
    names = [n for n in globals() if n.startswith("_rebuild_") and n != "_rebuild_from_type_v2"]
    return [globals()[n] for n in names if callable(globals()[n]) and n != "_rebuilders"]


def _get_obj_state(obj: Any) -> Any:
    """The Python attributes of a tensor: a dict, or (dict, slots), or nothing."""
    state = dict(obj.__dict__)
    names = copyreg._slotnames(type(obj))  # type: ignore[attr-defined]
    slots = {n: getattr(obj, n) for n in names if hasattr(obj, n)}
    return (state, slots) if slots else state


def _set_obj_state(obj: Any, state: Any) -> Any:
    """Give `obj` the attributes that `_get_obj_state` took."""
    if isinstance(state, tuple) and len(state) != 2:
        raise RuntimeError(f"Invalid serialized state: {state}")
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            if name.startswith("__"):
                raise pickle.UnpicklingError(f"a tensor's attribute cannot be called {name}")
            setattr(obj, name, value)
    return obj


def class_token(tensor: Any) -> Any:
    """The class of a tensor for another process, which may know `torch` as something else."""
    kind = type(tensor)
    if kind is _host.tensor_class():
        return "Tensor"
    return "Parameter" if kind.__name__ == "Parameter" and kind.__module__ in _PARAMETERS else kind


_PARAMETERS = ("torch.nn.parameter", "torchish.nn.parameter")


def as_class(token: Any, tensor: Any, requires_grad: bool, attributes: Any) -> Any:
    """What `class_token` was taken of, on the memory of a plain tensor."""
    if token == "Parameter":
        from .nn.parameter import Parameter

        tensor = Parameter(tensor, requires_grad)  # type: ignore[misc]
    elif token != "Tensor":
        tensor = tensor.as_subclass(token)
    if requires_grad and not tensor.requires_grad:
        tensor.requires_grad_()
    return _set_obj_state(tensor, attributes)


def warn_of_hooks(tensor: Any) -> None:
    """Warn of the backward hooks that a pickled tensor loses."""
    for hook in (tensor._leaf_hooks or {}).values():
        if not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, "
                "you can decorate the function with @torch.utils.hooks.unserializable_hook to "
                "suppress this warning",
                stacklevel=4,
            )


def reduce_tensor(tensor: Any, protocol: int = 2) -> tuple[Any, ...]:
    """What `Tensor.__reduce_ex__` returns: the storage and the view on it."""
    del protocol
    warn_of_hooks(tensor)
    kind = tensor.device.type
    if kind == "meta":
        place = (tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()), tensor.requires_grad)
        reduced: tuple[Any, ...] = (_rebuild_meta_tensor_no_storage, place)
    elif kind == "xla":
        if serialization_state.skip_data:
            raise RuntimeError(
                "Cannot serialize tensors on backends with no storage under skip_data context "
                "manager"
            )
        there = (tensor.detach().cpu(), tensor.dtype, str(tensor.device), tensor.requires_grad)
        reduced = (_rebuild_device_tensor_from_cpu_tensor, there)
    else:
        reduced = _reduce_dense(tensor)
    attributes = _get_obj_state(tensor)
    if type(tensor) is _host.tensor_class() and not attributes:
        return reduced
    return _rebuild_from_type_v2, (reduced[0], type(tensor), reduced[1], attributes)


def _reduce_dense(tensor: Any) -> tuple[Any, ...]:
    legacy = class_name_of(tensor.dtype) is not None
    args: tuple[Any, ...] = (
        typed_storage(tensor) if legacy else untyped_storage(tensor),
        tensor.storage_offset(),
        # Tuples of their own: pickle would write one that occurs twice as a reference.
        (*tensor.shape,),
        (*tensor.stride(),),
        tensor.requires_grad,
        OrderedDict(),
    )
    if not legacy:
        args = (*args, tensor.dtype)
    bits = {name: True for name in ("conj", "neg") if getattr(tensor, f"is_{name}")()}
    if bits:
        args = (*args, bits)
    return (_rebuild_tensor_v2 if legacy else _rebuild_tensor_v3), args


def reduce_for_process(tensor: Any, depth: int) -> Any:
    """What `multiprocessing` sends for a tensor, if it is what pickles it; None otherwise.

    It is told how at the first tensor that it sees, which comes here: a program that has no
    processes does not pay for importing what they need.
    """
    if not _is_forking_pickler(depth + 2):
        return None
    return _reduce_shared(tensor)


def reduce_parameter(parameter: Any, protocol: int = 2) -> tuple[Any, ...]:
    """What `Parameter.__reduce_ex__` returns."""
    del protocol
    attributes = _get_obj_state(parameter)
    args: tuple[Any, ...] = (parameter.data, parameter.requires_grad, OrderedDict())
    if not attributes:
        return _rebuild_parameter, args
    return _rebuild_parameter_with_state, (*args, attributes)


def deepcopy_tensor(tensor: Any, memo: dict[int, Any]) -> Any:
    """What `Tensor.__deepcopy__` returns: a copy in which shared storages stay shared.

    Raises: RuntimeError for a tensor that autograd computed.
    """
    if id(tensor) in memo:
        return memo[id(tensor)]
    if not tensor.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    copied = _copy_memory(tensor, memo)
    if type(tensor) is not _host.tensor_class():
        if type(tensor.new_empty([])) is not type(tensor):
            raise RuntimeError(
                "The default implementation of __deepcopy__() for non-wrapper subclasses only "
                "works for subclass types that implement new_empty() and for which that function "
                "returns another instance of the same subclass. You should either properly "
                "implement new_empty() for your subclass or override __deepcopy__() if it is "
                "intended behavior for new_empty() to return an instance of a different type."
            )
        copied = tensor_as(type(tensor), copied)
    if tensor.requires_grad:
        copied.requires_grad_()
    if tensor.grad is not None:
        copied.grad = deepcopy_tensor(tensor.grad, memo)
    from copy import deepcopy

    _set_obj_state(copied, deepcopy(_get_obj_state(tensor), memo))
    memo[id(tensor)] = copied
    return copied


def tensor_as(cls: type, tensor: Any) -> Any:
    """A leaf of class `cls` on the memory of `tensor`."""
    return tensor._make_subclass(cls, tensor)


def _copy_memory(tensor: Any, memo: dict[int, Any]) -> Any:
    """A tensor like this one on a copy of its storage; recorded, not run."""
    if tensor.device.type == "meta":
        return tensor.detach()
    cell = _host.storage_of(tensor)
    if cell.dtype is not tensor.dtype:
        return tensor.detach().clone()
    key = id(cell)
    if key not in memo:
        whole = _host.tensor_on(cell, 0, (cell.numel,), (1,)).clone()
        memo[key] = _host.storage_of(whole)
        memo.setdefault(id(memo), []).append(cell)  # ids stay taken while copying goes on
    copied = _host.tensor_on(memo[key], tensor.storage_offset(), tensor.shape, tensor.stride())
    if tensor.is_neg():
        return copied.neg()
    return copied.conj() if tensor.is_conj() else copied


class KeyErrorMessage(str):
    """A text whose repr is itself, so that KeyError shows its line breaks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ExceptionWrapper:
    """An exception on its way from a worker to the consumer, with its traceback as text."""

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        exc_info = sys.exc_info() if exc_info is None else exc_info
        self.exc_type = exc_info[0]
        self.exc_msg = "".join(traceback.format_exception(*exc_info))
        self.where = where

    def reraise(self) -> None:
        """Raise it here, naming where it was caught."""
        text = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            text = KeyErrorMessage(text)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=text)
        try:
            exception = self.exc_type(text)
        except Exception:
            # Exceptions that need other arguments cannot be made from a text.
            raise RuntimeError(text) from None
        raise exception


# --- tensors as one flat one, for exchanges of many -----------------------------------------------


def _flatten_dense_tensors(tensors: Any) -> Any:
    """All elements, one tensor after the other, as one 1-D tensor."""
    return ops.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Any, tensors: Any) -> tuple[Any, ...]:
    """Views of `flat` in the shapes of `tensors`."""
    parts = flat.split([t.numel() for t in tensors])
    return tuple(part.view(t.shape) for part, t in zip(parts, tensors, strict=True))


def _take_tensors(tensors: Any, size_limit: int) -> Any:
    """The tensors in groups of one dtype and at most `size_limit` bytes; a larger one alone."""
    open_groups: dict[str, tuple[list[Any], int]] = {}
    for tensor in tensors:
        group, size = open_groups.get(tensor.type(), ([], 0))
        own = tensor.numel() * tensor.element_size()
        if group and size + own > size_limit:
            yield group
            group, size = [], 0
        open_groups[tensor.type()] = ([*group, tensor], size + own)
    for group, _ in open_groups.values():
        if group:
            yield group
