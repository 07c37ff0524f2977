"""`torch.Tensor`: attributes, Python's protocols and printing.

Operators and methods come from the registry (at the end of this file); what is written here is what
is not an operator: shape and dtype attributes, autograd attributes, reading out, conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _ops  # noqa: F401 - registers every operator
from ._core import dtypes, nodes
from ._core.devices import device
from ._core.dtypes import dtype
from ._core.errors import not_supported
from ._core.interop import host_array, strided_view
from ._core.layout import memory_order
from ._core.size import Size
from ._core.state import process
from ._core.storage import VersionCounter
from ._core.tensor_base import TensorBase, detached
from ._legacy_types import LEGACY_TYPES, LegacyType, legacy_dtype, legacy_tensor
from ._operators import attach
from ._ops import registry
from ._ops.copying import born_with_grad
from ._ops.registry import ops


class _TensorMeta(type):
    """`torch.Tensor` is its own metaclass-level type check: subclasses count as tensors."""


class Tensor(TensorBase, metaclass=_TensorMeta):
    """A multi-dimensional array that records how it was made.

    `Tensor(2, 3)` makes an uninitialised tensor, `Tensor([1, 2])` copies data; prefer
    `torch.empty` and `torch.tensor`.
    """

    __module__ = "torch"
    __array_priority__ = 1000
    __hash__ = object.__hash__
    is_sparse = is_quantized = is_mkldnn = is_nested = is_mps = is_xpu = is_ipu = False
    is_sparse_csr = is_vulkan = is_maia = is_mtia = False
    names_ = None
    _shown_as = "tensor"  # subclasses show their own name

    def __new__(cls, *args: Any, device: Any = None, **kwargs: Any) -> Any:
        made = legacy_tensor(args, process.default_dtype)
        return made if cls is Tensor else cls._make_subclass(cls, made, False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Everything is done in `__new__`."""

    @staticmethod
    def _make_subclass(cls: Any, data: Any, require_grad: bool = False, **kwargs: Any) -> Any:
        """A tensor of class `cls` on the memory of `data`, with a fresh history."""
        made = detached(data, cls=cls)
        return born_with_grad(made) if require_grad else made

    def as_subclass(self, cls: Any) -> Any:
        """The same tensor as an instance of `cls`."""
        return Tensor._make_subclass(cls, self, self.requires_grad)

    if TYPE_CHECKING:
        # What the registry attaches when this module is loaded; the stubs spell it out.
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Any: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __iadd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __isub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __imul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __rtruediv__(self, other: Any) -> Any: ...
        def __itruediv__(self, other: Any) -> Any: ...
        def __floordiv__(self, other: Any) -> Any: ...
        def __rfloordiv__(self, other: Any) -> Any: ...
        def __ifloordiv__(self, other: Any) -> Any: ...
        def __mod__(self, other: Any) -> Any: ...
        def __rmod__(self, other: Any) -> Any: ...
        def __imod__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __rpow__(self, other: Any) -> Any: ...
        def __ipow__(self, other: Any) -> Any: ...
        def __matmul__(self, other: Any) -> Any: ...
        def __rmatmul__(self, other: Any) -> Any: ...
        def __imatmul__(self, other: Any) -> Any: ...
        def __and__(self, other: Any) -> Any: ...
        def __rand__(self, other: Any) -> Any: ...
        def __iand__(self, other: Any) -> Any: ...
        def __or__(self, other: Any) -> Any: ...
        def __ror__(self, other: Any) -> Any: ...
        def __ior__(self, other: Any) -> Any: ...
        def __xor__(self, other: Any) -> Any: ...
        def __rxor__(self, other: Any) -> Any: ...
        def __ixor__(self, other: Any) -> Any: ...
        def __lshift__(self, other: Any) -> Any: ...
        def __rlshift__(self, other: Any) -> Any: ...
        def __ilshift__(self, other: Any) -> Any: ...
        def __rshift__(self, other: Any) -> Any: ...
        def __rrshift__(self, other: Any) -> Any: ...
        def __irshift__(self, other: Any) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...
        def __neg__(self) -> Any: ...
        def __pos__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...

    # --- shape and type --------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The size of each dim."""
        return self._aval.shape

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dim."""
        if dim is None:
            return self._aval.shape
        if self._aval.ndim == 0:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        return self._aval.shape[registry.wrap_dim(dim, self._aval.ndim)]

    def stride(self, dim: int | None = None) -> Any:
        """Elements between neighbours along each dim, or along one."""
        strides = tuple(self._strides)
        if dim is None:
            return strides
        if not strides:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        return strides[registry.wrap_dim(dim, len(strides))]

    def storage_offset(self) -> int:
        """Elements before the first one in the storage."""
        return self._offset

    @property
    def dtype(self) -> dtype:
        """The element type."""
        return self._aval.dtype

    @property
    def device(self) -> device:
        """Where the data lives."""
        return self._storage.device

    @property
    def layout(self) -> Any:
        """Always `torch.strided`."""
        from ._ops.layout_type import strided

        return strided

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return self._aval.ndim

    def dim(self) -> int:
        """The number of dims."""
        return self._aval.ndim

    ndimension = dim

    def dim_order(self) -> tuple[int, ...]:
        """Dims from the outermost in memory to the innermost."""
        return memory_order(tuple(self._aval.shape), tuple(self._strides))

    def numel(self) -> int:
        """The number of elements."""
        return self._aval.numel

    nelement = numel

    def element_size(self) -> int:
        """Bytes an element."""
        return self._aval.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self._aval.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._aval.nbytes

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return self._aval.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return self._aval.dtype.is_complex

    def is_signed(self) -> bool:
        """Whether the dtype has a sign."""
        return self._aval.dtype.is_signed

    def is_conj(self) -> bool:
        """Whether a lazy conjugation is pending."""
        return self._conjugated

    def is_neg(self) -> bool:
        """Always False: torchish has no lazy negation."""
        return False

    def is_inference(self) -> bool:
        """Whether the tensor was made in inference mode."""
        return self._inference

    def is_pinned(self, device: Any = None) -> bool:
        """Always False: XLA stages transfers itself."""
        return False

    def pin_memory(self, device: Any = None) -> Any:
        """The tensor itself: XLA stages transfers itself."""
        return self

    def is_shared(self) -> bool:
        """Always False for CPU tensors here: processes share no tensor memory."""
        return False

    def share_memory_(self) -> Any:
        """Refused: processes share no tensor memory."""
        raise not_supported("Tensor.share_memory_()", "threads, or torch.distributed")

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self._storage.device.type == "cuda"

    @property
    def is_cpu(self) -> bool:
        """Whether the data is on the CPU."""
        return self._storage.device.type == "cpu"

    @property
    def is_xla(self) -> bool:
        """Whether the data is on an XLA device other than CPU and GPU."""
        return self._storage.device.type == "xla"

    @property
    def is_meta(self) -> bool:
        """Whether the tensor has no data."""
        return self._storage.device.type == "meta"

    def get_device(self) -> int:
        """The device's index, -1 for the CPU."""
        return -1 if self.is_cpu else int(self.device.index or 0)

    def has_names(self) -> bool:
        """Always False: named tensors are out of scope."""
        return False

    @property
    def names(self) -> tuple[None, ...]:
        """None for each dim: named tensors are out of scope."""
        return (None,) * self._aval.ndim

    def data_ptr(self) -> int:
        """A number that tensors sharing memory derive from the same base address."""
        if self._aval.numel == 0:
            return 0
        return self._storage.address + self._offset * self._aval.dtype.itemsize

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The legacy type name (`torch.FloatTensor`), or a conversion to `dtype`."""
        if dtype is None:
            place = "cuda." if self.is_cuda else ""
            return f"torch.{place}{dtypes.SCALAR_NAMES[self._aval.dtype]}Tensor"
        if isinstance(dtype, str):
            dtype = legacy_dtype(dtype)
        if isinstance(dtype, LegacyType):
            dtype = dtype.dtype
        return self.to(dtype)  # type: ignore[attr-defined]

    def untyped_storage(self) -> Any:
        """The memory, in bytes."""
        from .storage import untyped_storage

        return untyped_storage(self)

    def storage(self) -> Any:
        """The memory, in elements."""
        from .storage import typed_storage

        return typed_storage(self)

    _typed_storage = storage

    def is_set_to(self, tensor: Any) -> bool:
        """Whether both tensors are the same view of the same memory."""
        return (
            self._storage is tensor._storage
            and self.shape == tensor.shape
            and self.stride() == tensor.stride()
            and self._offset == tensor._offset
        )

    @property
    def T(self) -> Any:
        """All dims reversed."""
        return ops.permute(self, tuple(range(self._aval.ndim))[::-1])

    @property
    def mT(self) -> Any:
        """The last two dims swapped."""
        self._check_matrix("mT")
        return ops.transpose(self, -2, -1)

    @property
    def H(self) -> Any:
        """The conjugate transpose of a matrix."""
        if self._aval.ndim not in (0, 2):
            raise RuntimeError(
                "tensor.H is only supported on matrices (2-D tensors). Got "
                f"{self._aval.ndim}-D tensor. For batches of matrices, consider using tensor.mH"
            )
        return self if self._aval.ndim == 0 else ops.adjoint(self)

    @property
    def mH(self) -> Any:
        """The conjugate transpose of the last two dims."""
        self._check_matrix("mH")
        return ops.adjoint(self)

    def _check_matrix(self, name: str) -> None:
        if self._aval.ndim < 2:
            raise RuntimeError(
                f"tensor.{name} is only supported on matrices or batches of matrices. Got "
                f"{self._aval.ndim}-D tensor."
            )

    @property
    def real(self) -> Any:
        """The real parts, a view."""
        return ops.real(self)

    @real.setter
    def real(self, value: Any) -> None:
        ops.real(self).copy_(value)

    @property
    def imag(self) -> Any:
        """The imaginary parts, a view."""
        return ops.imag(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        ops.imag(self).copy_(value)

    # --- autograd --------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted for this tensor or what it was made from."""
        return self._needs_grad()

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and not (self.is_floating_point() or self.is_complex()):
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients"
            )
        if not self.is_leaf:
            if not value:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want "
                    "to use a "
                    "computed variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach()."
                )
            return
        if value and self._inference:
            from ._core.state import state

            if not state.inference:
                raise RuntimeError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                    "allowed."
                )
        self._requires_grad = bool(value)

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was not made by a recorded operator."""
        if self._base is not None:
            self._refresh()
        return self._grad_fn is None

    @property
    def grad_fn(self) -> Any:
        """The grad node that made this tensor."""
        if self._base is not None:
            self._refresh()
        return self._grad_fn

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf (or of a tensor that retains it)."""
        if self._grad is None and not self._retains and not self._requires_grad:
            if self._grad_fn is not None:
                _warn_non_leaf()
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            self._check_grad(value)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def _check_grad(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            raise TypeError(
                "assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if value._aval.dtype is not self._aval.dtype:
            raise RuntimeError(
                "attempting to assign a gradient with dtype "
                f"'{_c_type(value._aval.dtype)}' to a tensor with grad_dtype "
                f"'{dtypes.SCALAR_NAMES[self._aval.dtype]}'. The gradient must match the tensor's "
                "grad_dtype (defaults to the tensor's dtype). You can set the tensor's grad_dtype "
                "attribute with a specific dtype, or None to allow any dtype. Set grad_dtype with "
                "caution. Diverging the dtypes of a tensor and its gradient may break downstream "
                "systems that assume they match."
            )
        if value._storage.device != self._storage.device:
            raise RuntimeError(
                f"attempting to assign a gradient located on device with type "
                f"'{value._storage.device.type}' to a tensor located on device with type "
                f"'{self._storage.device.type}'. Please ensure that the gradient and the "
                f"tensor are "
                "on the same device"
            )
        if value._aval.shape != self._aval.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value._aval.shape)}' to a tensor "
                f"of size '{list(self._aval.shape)}'. Please ensure that the gradient and the "
                f"tensor "
                "are the same size"
            )

    @property
    def data(self) -> Any:
        """The same memory without history; writes through it are not counted."""
        return detached(self, share_version=False)

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if (
            value._aval.dtype.is_floating_point != self._aval.dtype.is_floating_point
            and self._requires_grad
        ):
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex "
                "dtype"
            )
        if self._own_version is None:
            counter = VersionCounter()
            counter.version = self._version_counter.version
            self._own_version = counter
        self._storage, self._aval, self._layout = value._storage, value._aval, value._layout
        self._memo, self._accumulator = None, None

    def backward(
        self, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False,
        inputs: Any = None,
    ) -> None:  # fmt: skip
        """Accumulate the gradient of this tensor into the leaves it depends on."""
        from .autograd import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `.grad`.

        Raises: RuntimeError when the tensor does not require grad.
        """
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        fn = self.grad_fn
        if fn is None or self._retains:
            return
        import weakref

        if fn.retained is None:
            fn.retained = {}
        fn.retained[self._out_nr] = weakref.ref(self)
        self._retains = True

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called."""
        return self._retains

    def register_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(grad)` when the gradient of this tensor is computed; it may replace it.

        Raises: RuntimeError when the tensor does not require grad.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        fn = self.grad_fn
        if fn is None:
            if self._leaf_hooks is None:
                self._leaf_hooks = {}
            node = nodes.leaf_node(self)
            node.tensor_hooks = {0: self._leaf_hooks}
            return nodes.add_hook(self._leaf_hooks, hook)
        if fn.tensor_hooks is None:
            fn.tensor_hooks = {}
        return nodes.add_hook(fn.tensor_hooks.setdefault(self._out_nr, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(tensor)` after a gradient has been accumulated into this leaf."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        hooks = self.__dict__.setdefault("_post_accumulate_hooks", {})
        return nodes.add_hook(hooks, hook)

    def _is_view(self) -> bool:
        return self._base is not None

    # --- reading out -----------------------------------------------------------------------------

    def item(self) -> Any:
        """The one element as a Python number.

        Raises: RuntimeError for any other number of elements.
        """
        if self._aval.numel != 1:
            raise RuntimeError(
                f"a Tensor with {self._aval.numel} elements cannot be converted to Scalar"
            )
        return _number(self._value().host().reshape(-1)[0], self._aval.dtype)

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        array = host_array(self)
        if self._aval.dtype in (dtypes.bfloat16, dtypes.float8_e4m3fn, dtypes.float8_e5m2):
            array = array.astype(np.float32)
        return array.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """A numpy array that shares this tensor's memory: writes on either side show.

        Raises: TypeError and RuntimeError for tensors on devices or that require grad.
        """
        if force:
            return self.detach().cpu().resolve_conj().numpy()  # type: ignore[attr-defined]
        if not self.is_cpu:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() "
                f"to copy "
                "the tensor to host memory first."
            )
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if self._conjugated:
            raise RuntimeError(
                "Can't call numpy() on Tensor that has conjugate bit set. Use "
                "tensor.resolve_conj().numpy() instead."
            )
        if self._aval.dtype is dtypes.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        flat = self._storage.share().view(self._aval.dtype.np)
        return strided_view(flat, tuple(self._aval.shape), self._strides, self._offset, True)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__()

    def __dlpack_device__(self) -> Any:
        return (1, 0)

    def __bool__(self) -> bool:
        if self._aval.numel != 1:
            if self._aval.numel == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
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

    def __iter__(self) -> Iterator[Any]:
        if self._aval.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self, 0))

    def __reversed__(self) -> Any:
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
        from ._printing import tensor_str

        fn = self.grad_fn
        return tensor_str(
            None if self.is_meta else host_array(self),
            dtype_name=self._aval.dtype.name,
            shape=tuple(self._aval.shape),
            device=str(self.device),
            default_dtype_name=process.default_dtype.name,
            requires_grad=self._requires_grad,
            grad_fn_name=None if fn is None else fn.name(),
            class_name=type(self).__dict__.get("_shown_as", type(self).__name__),
            contents=tensor_contents,
        )

    def __format__(self, format_spec: str) -> str:
        if self._aval.ndim == 0 and not self.is_meta and type(self) is Tensor:
            return format(self.item(), format_spec)
        return object.__format__(self, format_spec)

    # --- copies and pickles ----------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        from ._utils import reduce_tensor

        return reduce_tensor(self, protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from ._utils import deepcopy_tensor

        return deepcopy_tensor(self, memo)

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)))


def _warn_non_leaf() -> None:
    import warnings

    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
        "attribute won't be populated during autograd.backward(). If you indeed want the .grad "
        "field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf "
        "Tensor. If "
        "you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor instead. "
        "See github.com/pytorch/pytorch/pull/30531 for more informations.",
        stacklevel=3,
    )


def _c_type(dt: dtype) -> str:
    return dtypes.CPP_NAMES.get(dt, dt.name)


def _number(element: Any, dt: dtype) -> Any:
    if dt.category == dtypes.FLOAT:
        return float(element)
    return element.item()


attach(Tensor)
process.tensor_class = Tensor

__all__ = ["LEGACY_TYPES", "LegacyType", "Tensor"]
