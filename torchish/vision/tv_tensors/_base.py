"""The base of tensors that know what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._ops.protocol.overriding import DisableTorchFunctionSubclass
from ..._ops.registry import ops
from ..._tensor.tensor import Tensor
from ._return_type import returns_subclass

# Operations that keep the subclass whatever `set_return_type` says.
_KEEP_SUBCLASS = {
    Tensor.clone,
    Tensor.to,
    Tensor.detach,
    Tensor.requires_grad_,
    Tensor.pin_memory,
}


class TVTensor(Tensor):
    """Base class of images, videos, boxes, masks and keypoints; subclass it for other kinds.

    Operations return plain tensors, except for `clone`, `to`, `detach`, `requires_grad_` and
    `pin_memory`, and unless `set_return_type("TVTensor")` says otherwise.
    """

    __module__ = "torchish.vision.tv_tensors"

    @staticmethod
    def _to_tensor(
        data: Any, dtype: Any = None, device: Any = None, requires_grad: bool | None = None
    ) -> Tensor:
        if requires_grad is None:
            requires_grad = data.requires_grad if isinstance(data, Tensor) else False
        if isinstance(data, Tensor) and type(data) is not Tensor:
            data = data.as_subclass(Tensor)
        return ops.as_tensor(data, dtype=dtype, device=device).requires_grad_(requires_grad)

    @classmethod
    def _wrap_output(
        cls, output: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The result of an operation as this class; lists and tuples item by item."""
        if isinstance(output, Tensor) and not isinstance(output, cls):
            like = _first(cls, args, kwargs or {})
            return output.as_subclass(cls) if like is None else cls._like(output, like)
        if isinstance(output, (tuple, list)):
            parts = [cls._wrap_output(part, args, kwargs) for part in output]
            return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
        return output

    @classmethod
    def _like(cls, tensor: Tensor, like: TVTensor) -> Any:
        """`tensor` with what `like` knows, whatever its shape."""
        return tensor.as_subclass(cls)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        with DisableTorchFunctionSubclass():
            output = func(*args, **(kwargs or {}))
        kept = returns_subclass() or (func in _KEEP_SUBCLASS and isinstance(args[0], cls))
        if kept:
            return cls._wrap_output(output, args, kwargs)
        # What works in place returns its input.
        return output.as_subclass(Tensor) if isinstance(output, cls) else output

    @classmethod
    def wrap(cls, tensor: Tensor, like: TVTensor, **kwargs: Any) -> TVTensor:
        """`tensor` as this class, with the facts that `like` carries."""
        return tensor.as_subclass(cls)

    def _make_repr(self, **kwargs: Any) -> str:
        facts = ", ".join(f"{key}={value}" for key, value in kwargs.items())
        return f"{super().__repr__()[:-1]}, {facts})"

    # Facts rather than operations: they do not go through the protocol.
    @property
    def shape(self) -> Any:
        with DisableTorchFunctionSubclass():
            return super().shape

    @property
    def ndim(self) -> int:
        with DisableTorchFunctionSubclass():
            return super().ndim

    @property
    def device(self) -> Any:
        with DisableTorchFunctionSubclass():
            return super().device

    @property
    def dtype(self) -> Any:
        with DisableTorchFunctionSubclass():
            return super().dtype

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.detach().clone().requires_grad_(self.requires_grad)


def _first(cls: type, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """The first instance of `cls` among arguments, inside lists and tuples too."""
    for item in (*args, *kwargs.values()):
        if isinstance(item, cls):
            return item
        if isinstance(item, (list, tuple)):
            found = _first(cls, item, {})
            if found is not None:
                return found
    return None
