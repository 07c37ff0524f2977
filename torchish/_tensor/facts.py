"""What a tensor is: its shape, dtype, device and memory."""

from __future__ import annotations

import warnings
from typing import Any

from .._autograd.tensor_base import TensorState
from .._basics import dtypes
from .._basics.devices import device
from .._basics.dtypes import dtype
from .._basics.later import later
from .._basics.size import Size
from .._basics.strides import memory_order
from .._core.storage import share_storage
from .._ops import registry
from .._ops.call.warning import user_level
from .._ops.registry import ops
from .._ops.shared.layout_type import strided
from .legacy_types import LegacyType, legacy_dtype

_untyped_storage = later("torchish.storage:untyped_storage")
_typed_storage = later("torchish.storage:typed_storage")
_class_name_of = later("torchish.storage:class_name_of")
_legacy_classes = later("torchish._storage.legacy:legacy_classes")


class TensorFacts(TensorState):
    """Attributes and methods of `Tensor` that read no element and no history."""

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
        return self._conjugated and self._aval.dtype.is_complex

    def is_neg(self) -> bool:
        """Whether a lazy negation is pending: the imaginary part of a lazy conjugate has one."""
        return self._conjugated and not self._aval.dtype.is_complex

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
        """Whether other processes can map the memory (that of a GPU always counts)."""
        storage = self._storage
        return storage.device.type not in ("cpu", "meta") or storage.block is not None

    def share_memory_(self) -> Any:
        """Move the storage to memory that other processes share with this one.

        Children that are forked, and processes that get the tensor by a queue, see each other's
        writes. Nothing happens for memory of a GPU.
        """
        share_storage(self._storage)
        return self

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

    @property
    def name(self) -> None:
        """None, as in PyTorch."""
        return None

    @property
    def volatile(self) -> bool:
        """False: `no_grad` took its place long ago."""
        return False

    def data_ptr(self) -> int:
        """The address of the first element: on the CPU, memory that may be read and written there.

        From then on the storage keeps its content at that address, so every operator that writes
        it waits for its result; identity is cheaper to see by `is_set_to` or `untyped_storage()`.
        """
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

    def storage_type(self) -> Any:
        """The legacy class of the storage."""
        name = _class_name_of(self._aval.dtype)
        if name is None:
            raise KeyError(f"dtype {self._aval.dtype} is not recognized")
        return _legacy_classes("cuda" if self.is_cuda else "cpu")[name]

    def untyped_storage(self) -> Any:
        """The memory, in bytes."""
        return _untyped_storage(self)

    def storage(self) -> Any:
        """The memory, in elements."""
        return _typed_storage(self)

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
        if self._aval.ndim == 0:
            self._scalar_turned("T", "This function is the identity in these cases.")
        elif self._aval.ndim != 2:
            warnings.warn(
                "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
                "deprecated and it will throw an error in a future release. Consider `x.mT` to "
                "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` "
                "to reverse the dimensions of a tensor.",
                stacklevel=user_level(),
            )
        return ops.permute(self, tuple(range(self._aval.ndim))[::-1])

    @property
    def mT(self) -> Any:
        """The last two dims swapped."""
        if self._scalar_turned("mT", "This function is the identity in these cases."):
            return self
        return ops.transpose(self, -2, -1)

    @property
    def H(self) -> Any:
        """The conjugate transpose of a matrix."""
        ndim = self._aval.ndim
        if ndim == 0:
            self._scalar_turned("H", "Consider using x.conj().")
            return ops.conj(self)
        if ndim != 2:
            more = " For batches of matrices, consider using tensor.mH" if ndim > 2 else ""
            raise RuntimeError(
                f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor.{more}"
            )
        return ops.adjoint(self)

    @property
    def mH(self) -> Any:
        """The conjugate transpose of the last two dims."""
        if self._scalar_turned("mH", "Consider using x.conj()."):
            return self
        return ops.adjoint(self)

    def _scalar_turned(self, name: str, instead: str) -> bool:
        """Whether this is a 0-dim tensor, about which torch warns; raises for a vector."""
        if self._aval.ndim == 0:
            warnings.warn(
                f"Tensor.{name} is deprecated on 0-D tensors. {instead}", stacklevel=user_level()
            )
            return True
        if self._aval.ndim < 2:
            raise RuntimeError(
                f"tensor.{name} is only supported on matrices or batches of matrices. Got "
                f"{self._aval.ndim}-D tensor."
            )
        return False

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
