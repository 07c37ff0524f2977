"""Tensors that a module owns: parameters, buffers, and their lazy forms."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._autograd.grad_mode import no_grad
from .._autograd.tensor_base import from_value
from .._basics.later import later
from .._basics.size import Size
from .._core.values import Value
from .._ops.protocol import overriding
from .._ops.registry import ops
from .._tensor.attributes import every_field
from .._tensor.tensor import Tensor, _TensorMeta

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "is_lazy",
]

_reduce_parameter = later("torchish._utils:reduce_parameter")
_reduce_for_process = later("torchish._utils:reduce_for_process")


class _ParameterMeta(_TensorMeta):
    """Lets tensors that carry `_is_param` count as parameters."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if super().__instancecheck__(instance):
            return True
        return cls is Parameter and isinstance(instance, Tensor) and _flag(instance, "_is_param")


class _BufferMeta(_TensorMeta):
    """Makes `isinstance(t, Buffer)` true for the plain tensors that `Buffer` returns."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls is not Buffer:
            return super().__instancecheck__(instance)
        return isinstance(instance, Tensor) and _flag(instance, "_is_buffer")


def _flag(tensor: Tensor, name: str) -> bool:
    return bool(every_field(tensor).get(name, False))


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor that a `Module` registers when it is assigned as an attribute.

    Args:
        data: the initial contents; shared, not copied.
        requires_grad: whether gradients are accumulated into `grad`.

    Example:
        >>> Parameter(torch.zeros(2)).requires_grad
        True
    """

    _shown_as = "tensor"
    # Results of operators on parameters are plain tensors.
    __torch_function__: Any = overriding.disabled_impl  # type: ignore[assignment]

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = ops.empty(0)
        if type(data) is Tensor or isinstance(data, Parameter):
            return Tensor._make_subclass(cls, data, requires_grad)
        tensor = data.detach().requires_grad_(requires_grad)
        if type(tensor) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires "
                "that detach() returns an instance of the same type, but return type "
                f"{type(tensor).__name__} was found instead. To use the type as a Parameter, "
                "please correct the detach() semantics defined by its __torch_dispatch__() "
                "implementation."
            )
        tensor._is_param = True
        return tensor

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            # torch keeps the grad out of a copied parameter
            memo[id(self)] = type(self)(_copied(self), self.requires_grad)
        return memo[id(self)]

    def __repr__(self, **kwargs: Any) -> str:
        text = super().__repr__(**kwargs)
        text = text if type(self) is Parameter else f"Parameter({text})"
        return "Parameter containing:\n" + text

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if "multiprocessing.reduction" in sys.modules:
            shared = _reduce_for_process(self, depth=2)
            if shared is not None:
                return shared
        return _reduce_parameter(self, protocol)


def _copied(param: Parameter) -> Tensor:
    """The contents as a tensor of its own.

    An array is never written to, so both may refer to it; as Values of their own, so that the first
    step runs the same program as the later ones.
    """
    value = param._value()
    if not param._is_plain or value.array is None:
        with no_grad():
            return param.data.clone()
    return from_value(Value(value.array, value.aval, value.device))


overriding.declare_plain(Parameter)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A plain tensor that a `Module` registers as a buffer when it is assigned.

    Args:
        data: the contents, shared.
        persistent: whether the buffer is part of `state_dict`.
    """

    __torch_function__: Any = overriding.disabled_impl  # type: ignore[assignment]
    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = ops.empty(0)
        tensor: Any = data.detach().requires_grad_(data.requires_grad)
        tensor.persistent = persistent
        tensor._is_buffer = True
        return tensor


if TYPE_CHECKING:
    _Mixed = Tensor
else:
    _Mixed = object  # a tensor class stands after the mixin


def _refuse(name: str) -> Any:
    def refused(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {name}. This error happens when "
            "you are using a `LazyModule` or explicitly manipulating "
            f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling torch "
            "functions"
        )

    return refused


class UninitializedTensorMixin(_Mixed):
    """What the two lazy tensors share: a dtype and device, no shape until `materialize`."""

    cls_to_become: type

    def materialize(self, shape: Any, device: Any | None = None, dtype: Any | None = None) -> None:
        """Gives the tensor its shape; it becomes an ordinary one with undefined contents."""
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        self.data = ops.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self) -> Size:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. "
            "This error usually happens in `load_state_dict` when trying to load "
            "an uninitialized parameter into an initialized one. "
            "Call `forward` to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self) -> None:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. "
            "Call `forward` to initialize the parameters before calling "
            "`module.share_memory()`."
        )

    def __repr__(self, **kwargs: Any) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad,)


for _name in (
    *("add", "mul", "sub", "div", "matmul", "size", "dim", "numel", "view", "reshape", "sum"),
    *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__"),
    *("__matmul__", "__neg__", "__getitem__", "__setitem__", "__len__", "fill_", "zero_"),
    *("uniform_", "normal_", "copy_", "item", "numpy", "tolist", "clone"),
):
    setattr(UninitializedTensorMixin, _name, _refuse(_name))


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet; lazy modules give it one at their first call."""

    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any | None = None, dtype: Any | None = None
    ) -> UninitializedParameter:
        data = ops.empty(0, device=device, dtype=dtype)
        return Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape is not known yet."""

    cls_to_become = Tensor
    __torch_function__: Any = overriding.disabled_impl  # type: ignore[assignment]

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any | None = None,
        dtype: Any | None = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        data = ops.empty(0, device=device, dtype=dtype)
        buffer = Tensor._make_subclass(cls, data, requires_grad)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer


def is_lazy(param: Any) -> bool:
    """Whether `param` is an uninitialized parameter or buffer."""
    return isinstance(param, UninitializedTensorMixin)
