"""What `torchish` itself exports: the registry's functions, dtypes, constants and small queries."""

from __future__ import annotations

import math
from typing import Any

from .._autograd import grad_mode
from .._autograd.tensor_base import TensorBase
from .._basics import devices, dtypes
from .._basics.errors import NotSupportedError, absent
from .._basics.size import Size
from .._basics.state import process, state
from .._ops import registry
from .._ops.call.binding import as_number
from .._ops.call.operator import forget_kernels, number_type
from .._ops.protocol import overriding
from .._ops.shared import layout_type, memory_format
from .._random.generator import Generator
from .._tensor.printing import set_printoptions
from .._tensor.tensor import LEGACY_TYPES, LegacyType, Tensor
from . import asserting
from .limits import finfo, iinfo
from .process import NAMES as PROCESS_NAMES, MissingName, missing as missing_name
from .report import explain


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, TensorBase)


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage."""
    from ..storage import is_storage as check

    return bool(check(obj))


def is_floating_point(input: Any) -> bool:
    """Whether the dtype is a floating one."""
    return bool(input.is_floating_point())


def is_complex(input: Any) -> bool:
    """Whether the dtype is complex."""
    return bool(input.is_complex())


def is_signed(input: Any) -> bool:
    """Whether the dtype has a sign."""
    return bool(input.is_signed())


def is_conj(input: Any) -> bool:
    """Whether a lazy conjugation is pending."""
    return bool(input.is_conj())


def is_neg(input: Any) -> bool:
    """Whether a lazy negation is pending (never)."""
    return bool(input.is_neg())


def is_nonzero(input: Any) -> bool:
    """Whether the one element is not zero."""
    return bool(input)


def is_same_size(input: Any, other: Any) -> bool:
    """Whether both have the same shape."""
    return bool(input.shape == other.shape)


def is_inference(input: Any) -> bool:
    """Whether the tensor was made in inference mode."""
    return bool(input.is_inference())


def numel(input: Any) -> int:
    """The number of elements."""
    if not isinstance(input, TensorBase):
        raise TypeError(
            f"numel(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    return input._aval.numel


def get_default_dtype() -> Any:
    """The dtype of new floating tensors."""
    return process.default_dtype


def set_default_dtype(d: Any) -> None:
    """Choose the dtype of new floating tensors.

    Raises: TypeError for a dtype that is not floating.
    """
    if not isinstance(d, dtypes.dtype) or not d.is_floating_point:
        lead = "" if isinstance(d, dtypes.dtype) else "invalid dtype object: "
        raise TypeError(lead + "only floating-point types are supported as the default type")
    process.default_dtype = d
    forget_kernels()


def set_default_tensor_type(t: Any) -> None:
    """The old form of `set_default_dtype`."""
    if isinstance(t, str):
        t = globals()["public"]()[t.removeprefix("torch.")]
    set_default_dtype(t.dtype)


def get_default_device() -> Any:
    """The device of new tensors."""
    return devices.resolve(None)


def set_default_device(device: Any) -> None:
    """Choose the device of new tensors (None: the CPU)."""
    process.default_device = None if device is None else devices.resolve(device)


def _assert(condition: Any, message: Any) -> None:
    """Python's `assert` as a function, which `fx` can trace."""
    if not condition:
        raise AssertionError(message)


def promote_types(type1: Any, type2: Any) -> Any:
    """The smallest dtype that both promote to."""
    first, second = [dtypes.PYTHON_TYPES.get(t, t) for t in (type1, type2)]
    return dtypes.promote_types(first, second)


def result_type(tensor1: Any, tensor2: Any) -> Any:
    """The dtype of an arithmetic result of two tensors or numbers."""
    dims: list[Any] = []
    zeros: list[Any] = []
    wrapped: list[Any] = []
    for x in (tensor1, tensor2):
        if isinstance(x, TensorBase):
            (dims if x._aval.ndim else zeros).append(x._aval.dtype)
        else:
            wrapped.append(number_type(type(as_number(x))))
    return dtypes.result_type(dims, zeros, wrapped)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether torch's casting rules allow `from_` to become `to`."""
    return dtypes.can_cast(*[dtypes.PYTHON_TYPES.get(t, t) for t in (from_, to)])


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that all the given shapes broadcast to."""
    from .._ops.call.operator import broadcast_check

    sizes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    try:
        return Size(broadcast_check(sizes))
    except RuntimeError:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape"
        ) from None


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was told to warn only."""
    return state.deterministic_warns_only


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was set."""
    return state.deterministic


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Recorded only: XLA's programs are deterministic on CPU; GPU scatters follow XLA_FLAGS."""
    state.deterministic, state.deterministic_warns_only = bool(mode), bool(warn_only)


def get_num_threads() -> int:
    """Threads that XLA's CPU backend may use; 1 in a data-loading worker."""
    import os

    if process.num_threads is not None:
        return process.num_threads

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_num_threads(num: int) -> None:
    """XLA sizes its thread pool at start: only the present number is accepted silently."""
    if not isinstance(num, int) or num <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    if num != get_num_threads():
        import warnings

        warnings.warn(
            "torchish: XLA sizes its CPU thread pool at start-up; set_num_threads has no effect. "
            "Limit the process's CPUs (taskset) instead.",
            stacklevel=2,
        )


def get_num_interop_threads() -> int:
    """As `get_num_threads`."""
    return get_num_threads()


def set_num_interop_threads(num: int) -> None:
    """As `set_num_threads`: XLA sizes its pool at start."""
    set_num_threads(num)


def set_flush_denormal(mode: bool) -> bool:
    """Not supported by XLA's CPU backend: returns False, as torch does on such machines."""
    return False


def typename(obj: Any) -> str:
    """The qualified type name of any object."""
    if isinstance(obj, TensorBase):
        return str(obj.type())  # type: ignore[attr-defined]
    module = type(obj).__module__
    prefix = "" if module in (None, "builtins") else module + "."
    return prefix + type(obj).__name__


_CONSTANTS = {
    "inf": math.inf, "nan": math.nan, "pi": math.pi, "e": math.e, "newaxis": None,
}  # fmt: skip
_NAMES = (
    is_tensor, is_storage, get_default_dtype, set_default_dtype,
    set_default_tensor_type, get_default_device, set_default_device, broadcast_shapes,
    is_deterministic_algorithms_warn_only_enabled,
    are_deterministic_algorithms_enabled, use_deterministic_algorithms, get_num_threads,
    set_num_threads, get_num_interop_threads, set_num_interop_threads, set_flush_denormal,
    typename, explain, finfo, iinfo, set_printoptions,
    grad_mode.no_grad, grad_mode.enable_grad, grad_mode.set_grad_enabled,
    grad_mode.inference_mode, grad_mode.is_grad_enabled, grad_mode.is_inference_mode_enabled,
    Generator, Size, NotSupportedError,
)  # fmt: skip


_OVERRIDABLE = (
    is_floating_point, is_complex, is_signed, is_conj, is_neg, is_nonzero, is_same_size,
    is_inference, numel, promote_types, result_type, can_cast, _assert,
)  # fmt: skip


def public() -> dict[str, Any]:
    """Every name of the torch namespace that is not a submodule."""
    found: dict[str, Any] = dict(registry.table("torch"))
    found.update({f.__name__: f for f in _NAMES})
    for f in _OVERRIDABLE:
        found[f.__name__] = overriding.guard(f, f.__name__, "torch")
    found.update(asserting.NAMES)
    found.update(dtypes.BY_NAME)
    found.update(dtypes.ALIASES, chalf=dtypes.BY_NAME["complex32"])
    found.update(_CONSTANTS)
    found.update(PROCESS_NAMES)
    found.update(
        dtype=dtypes.dtype, device=devices.device, Tensor=Tensor,
        memory_format=memory_format.memory_format, layout=layout_type.layout,
        strided=layout_type.strided, sparse_coo=layout_type.sparse_coo,
        sparse_csr=layout_type.sparse_csr, sparse_csc=layout_type.sparse_csc,
        sparse_bsr=layout_type.sparse_bsr, sparse_bsc=layout_type.sparse_bsc,
        jagged=layout_type.jagged,
        contiguous_format=memory_format.contiguous_format,
        legacy_contiguous_format=memory_format.contiguous_format,
        preserve_format=memory_format.preserve_format, channels_last=memory_format.channels_last,
        channels_last_3d=memory_format.channels_last_3d,
        save=_save, load=_load,
    )  # fmt: skip
    for name, dt in LEGACY_TYPES.items():
        found[name] = LegacyType(dt)
    from .._storage.legacy import legacy_classes
    from ..storage import TypedStorage, UntypedStorage

    found.update(
        UntypedStorage=UntypedStorage, TypedStorage=TypedStorage, StorageBase=UntypedStorage
    )
    found.update(legacy_classes())
    found["Storage"] = found["FloatStorage"]
    return found


def _save(*args: Any, **kwargs: Any) -> None:
    """Write an object to a file in PyTorch's format; see `torchish.serialization.save`."""
    from ..serialization import save

    save(*args, **kwargs)


def _load(*args: Any, **kwargs: Any) -> Any:
    """Read an object from a file in PyTorch's format; see `torchish.serialization.load`."""
    from ..serialization import load

    return load(*args, **kwargs)


_save.__name__, _load.__name__ = "save", "load"


def missing(name: str) -> Any:
    """Raise for a name that the torch namespace lacks.

    A private name, or one that torch has not either, is an AttributeError as usual.
    """
    raise missing_name("torch", name)


def absent_module(name: str) -> Exception:
    """The error for a submodule that PyTorch has and torchish lacks."""
    text = f"module 'torch' has no attribute '{name}'. {absent(f'torch.{name}')}"
    return MissingName(text)


__all__ = [
    "missing",
    "public",
]
