"""`torch.Tensor`: attributes, Python's protocols and printing.

Operators and methods come from the registry (at the end of this file); what is written here, and in
the two classes below it, is what is not an operator.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _ops  # noqa: F401 - registers every operator
from .._autograd.interop import host_array, is_recording, strided_view, to_jax
from .._autograd.tensor_base import TensorBase, detached
from .._basics import dtypes
from .._basics.devices import META
from .._basics.errors import not_supported
from .._basics.later import later
from .._basics.state import process, state
from .._ops.create.copying import born_with_grad
from .._ops.protocol import overriding
from .._ops.protocol.overriding import DisableTorchFunctionSubclass, convert
from .._ops.registry import methods, ops
from .attributes import every_field, user_attributes
from .autograd import TensorAutograd
from .legacy_types import LEGACY_TYPES, LegacyType, legacy_tensor
from .operators import attach

if TYPE_CHECKING:
    from .._generated.methods import Methods
else:
    Methods = TensorAutograd

_from_dense = later("torchish.sparse.construct:from_dense")
_to_layout = later("torchish.sparse.tensors:to_layout")
_sparse_mask = later("torchish.sparse.questions:sparse_mask")
_reduce_tensor = later("torchish._utils:reduce_tensor")
_reduce_for_process = later("torchish._utils:reduce_for_process")
_deepcopy_tensor = later("torchish._utils:deepcopy_tensor")


class _TensorMeta(type):
    """`torch.Tensor` is its own metaclass-level type check: subclasses count as tensors."""

    def __new__(mcls, name: str, bases: Any, namespace: dict[str, Any], **kwargs: Any) -> Any:
        # Each class has it, since a plain class among the bases would bring Python's own.
        namespace.setdefault("__dict__", user_attributes)
        return super().__new__(mcls, name, bases, namespace, **kwargs)


def _no_dense_dims(dense_dim: int | None) -> None:
    if dense_dim:
        raise not_supported("compressed matrices with dense dims", "to_sparse(sparse_dim)")


class Tensor(Methods, metaclass=_TensorMeta):
    """A multi-dimensional array that records how it was made.

    `Tensor(2, 3)` makes an uninitialised tensor, `Tensor([1, 2])` copies data; prefer
    `torch.empty` and `torch.tensor`.
    """

    __module__ = "torch"
    __array_priority__ = 1000
    is_sparse = is_quantized = is_mkldnn = is_nested = is_mps = is_xpu = is_ipu = False
    is_sparse_csr = is_vulkan = is_maia = is_mtia = False
    names_ = None
    _shown_as = "tensor"  # subclasses show their own name

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = legacy_tensor(args, kwargs, process.default_dtype)
        return made if cls is Tensor else Tensor.as_subclass(made, cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Everything is done in `__new__`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__torch_function__ is not overriding.disabled_impl:
            overriding.engage()

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func` on the memory of the arguments; tensors among the results become `cls`."""
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        with DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
            return result if func in unwrapped_functions() else convert(result, cls)

    __torch_dispatch__ = overriding.disabled_dispatch

    @staticmethod
    def _make_subclass(cls: Any, data: Any, require_grad: bool = False, **kwargs: Any) -> Any:
        """A tensor of class `cls` on the memory of `data`, with a fresh history."""
        _check_subclass(cls)
        made = detached(data, cls=cls)
        return born_with_grad(made) if require_grad else made

    @staticmethod
    def _make_wrapper_subclass(cls: Any, *args: Any, **kwargs: Any) -> Any:
        raise not_supported(
            "Tensor._make_wrapper_subclass (tensors without memory)",
            "a subclass over real data with __torch_function__",
        )

    def as_subclass(self, cls: Any) -> Any:
        """The same tensor as an instance of `cls`: a view of it, with its history."""
        _check_subclass(cls)
        with DisableTorchFunctionSubclass():
            view = methods.alias(self)
        made = object.__new__(cls)
        every_field(made).update(every_field(view))
        return made

    def to_sparse(self, *args: Any, **kwargs: Any) -> Any:
        """Its elements that are not zero, as a sparse tensor."""
        return _from_dense(self, *args, **kwargs)

    to_sparse_coo = to_sparse

    def to_sparse_csr(self, dense_dim: int | None = None) -> Any:
        """A matrix in compressed rows."""
        _no_dense_dims(dense_dim)
        return _to_layout(self.to_sparse(), "sparse_csr")

    def to_sparse_csc(self, dense_dim: int | None = None) -> Any:
        """A matrix in compressed columns."""
        _no_dense_dims(dense_dim)
        return _to_layout(self.to_sparse(), "sparse_csc")

    def to_sparse_bsr(self, blocksize: Any, dense_dim: int | None = None) -> Any:
        """A matrix in blocks (height, width), by rows of blocks."""
        _no_dense_dims(dense_dim)
        return _to_layout(self.to_sparse(), "sparse_bsr", blocksize)

    def to_sparse_bsc(self, blocksize: Any, dense_dim: int | None = None) -> Any:
        """A matrix in blocks (height, width), by columns of blocks."""
        _no_dense_dims(dense_dim)
        return _to_layout(self.to_sparse(), "sparse_bsc", blocksize)

    def sparse_mask(self, mask: Any) -> Any:
        """Its values at the places of a sparse `mask`."""
        return _sparse_mask(self, mask)

    # --- reading out -----------------------------------------------------------------------------

    def item(self) -> int | float | bool:
        """The one element as a Python number.

        Raises: RuntimeError for any other number of elements.
        """
        if self._aval.numel != 1:
            raise RuntimeError(
                f"a Tensor with {self._aval.numel} elements cannot be converted to Scalar"
            )
        if self._storage.device is META:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        found = self._value().host().item()
        return float(found) if self._aval.dtype.category == dtypes.FLOAT else found

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        array = host_array(self)
        if self._aval.dtype in (dtypes.bfloat16, dtypes.float8_e4m3fn, dtypes.float8_e5m2):
            array = array.astype(np.float32)
        return array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """A numpy array that shares this tensor's memory: writes on either side show.

        Raises: TypeError and RuntimeError for tensors on devices or that require grad, the latter
        where gradients are recorded.
        """
        if force:
            return self.detach().cpu().resolve_conj().resolve_neg().numpy()  # type: ignore[attr-defined]
        if not self.is_cpu:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        if self.requires_grad and state.grad_enabled:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if self._conjugated:
            bit, way = ("negative", "neg") if self.is_neg() else ("conjugate", "conj")  # type: ignore[attr-defined]
            raise RuntimeError(
                f"Can't call numpy() on Tensor that has {bit} bit set. Use "
                f"tensor.resolve_{way}().numpy() instead."
            )
        if self._aval.dtype is dtypes.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        flat = self._storage.share().view(self._aval.dtype.np)
        return strided_view(flat, tuple(self._aval.shape), self._strides, self._offset, True)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """The contents for numpy, which trusts that `copy=True` gives memory of its own.

        Raises: ValueError for `copy=False` where the dtype needs a copy.
        """
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError("Unable to avoid copy while creating an array as requested.")
            return array.astype(dtype)
        return array.copy() if copy else array

    def jax(self, *, force: bool = False) -> Any:
        """The contents as a `jax.Array`, in the same memory where that can be; runs what is
        pending.

        The array never changes: later writes to the tensor show in the tensor only.

        Args:
            force: leave history and lazy conjugation behind instead of refusing.
        Raises: RuntimeError for a tensor that requires grad, or inside a function that is being
            recorded (`torch.func.vmap`, `torchish.func.to_jax`).
        """
        if is_recording(self):
            raise RuntimeError(
                "Tensor.jax(): a function is being recorded, its tensors have no data yet. Call "
                "JAX code here through torchish.func.from_jax(function)."
            )
        if self.requires_grad and not force:
            raise RuntimeError(
                "Can't call jax() on Tensor that requires grad. Use tensor.detach().jax() instead."
            )
        return to_jax(self)

    def __jax_array__(self) -> Any:
        if state.compiled is not None:
            state.compiled.leave("__jax_array__", "gave a tensor to JAX")
        return self.jax()

    def __dlpack__(self, *, stream: Any = None, **options: Any) -> Any:
        from .dlpack import export

        return export(self, stream, **options)

    def __dlpack_device__(self) -> Any:
        from .dlpack import device_of

        return device_of(self)

    def __bool__(self) -> bool:
        if self._aval.numel != 1:
            if self._aval.numel == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        if state.compiled is not None:
            state.compiled.leave("__bool__", "attempted to jump with TensorVariable()")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self._single())

    def __float__(self) -> float:
        return float(self._single())

    def __complex__(self) -> complex:
        return complex(self._single())

    def _single(self) -> Any:
        if self._aval.numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def __index__(self) -> int:
        if self._aval.numel != 1 or self._aval.dtype.category > dtypes.INT:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if self._aval.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._aval.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._aval.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self, 0))

    def __reversed__(self) -> Tensor:
        return self if self._aval.ndim == 0 else ops.flip(self, tuple(range(self._aval.ndim)))

    def __contains__(self, element: Any) -> bool:
        if isinstance(element, TensorBase | int | float | complex):
            same: Any = element == self
            return bool(same.any())
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )

    # --- text ------------------------------------------------------------------------------------

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from .printing import tensor_str

        fn = self.grad_fn
        text: str = tensor_str(
            None if self.is_meta else host_array(self),
            dtype_name=self._aval.dtype.name,
            shape=tuple(self._aval.shape),
            device=str(self.device),
            default_dtype_name=process.default_dtype.name,
            requires_grad=self._requires_grad,
            grad_fn_name=None if fn is None else fn.name().rsplit("::", 1)[-1],
            class_name=type(self).__dict__.get("_shown_as", type(self).__name__),
            contents=tensor_contents,
        )
        return f"Parameter({text})" if every_field(self).get("_is_param") else text

    def __format__(self, format_spec: str) -> str:
        if self._aval.ndim == 0 and not self.is_meta and type(self) is Tensor:
            return format(self.item(), format_spec)
        return object.__format__(self, format_spec)

    # --- copies and pickles ----------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        if "multiprocessing.reduction" in sys.modules:
            shared = _reduce_for_process(self, depth=2)
            if shared is not None:
                return shared
        return _reduce_tensor(self, protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _deepcopy_tensor(self, memo)

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)))


def _check_subclass(cls: Any) -> None:
    if not issubclass(cls, TensorBase):
        raise TypeError(
            "Creating a Tensor subclass from a class that does not inherit from Tensor is not "
            "possible. Make sure your class inherits from Tensor."
        )
    if cls.__torch_dispatch__ is not overriding.disabled_dispatch:
        raise not_supported(
            f"__torch_dispatch__ of a tensor subclass ({cls.__name__})",
            "__torch_function__, or a TorchDispatchMode",
        )


def unwrapped_functions() -> set[Any]:
    """Getters whose results stay as they are."""
    return {Tensor.grad.__get__}  # type: ignore[union-attr]


attach(Tensor)
process.tensor_class = Tensor
overriding.declare_plain(Tensor)
overriding.guard_class(Tensor)

__all__ = ["LEGACY_TYPES", "LegacyType", "Tensor"]
