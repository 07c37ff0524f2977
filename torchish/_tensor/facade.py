"""Tensors that are seen as one and kept as others: what sparse and nested tensors share.

Invariant: a facade has no memory of its own (its `_storage` is that of what it holds, for questions
about the device), so every operator on one comes through `__torch_function__` to `_call`; what is
computed goes through operators on the tensors that it holds, whose autograd is the facade's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._ops.protocol.overriding import DisableTorchFunctionSubclass
from .tensor import Tensor


class Facade(Tensor):
    """A tensor over others; a layout says which (`_held`) and what operators do (`_call`)."""

    __module__ = "torch"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            with DisableTorchFunctionSubclass():  # of dtype, device and the like
                return func(*args, **(kwargs or {}))
        return cls._call(name, func, args, kwargs or {})

    @staticmethod
    def _call(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator does."""
        raise NotImplementedError

    def _held(self) -> Sequence[Any]:
        """The tensors that have the elements."""
        raise NotImplementedError

    def _over(self, held: Sequence[Any]) -> Any:
        """A facade alike over other tensors."""
        raise NotImplementedError

    @property
    def requires_grad(self) -> bool:
        """Whether what it holds needs a gradient."""
        return any(part.requires_grad for part in self._held())

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Ask for gradients of what it holds."""
        for part in self._held():
            part.requires_grad_(requires_grad)
        return self

    @property
    def grad_fn(self) -> Any:
        """The node that made the first of what it holds, of those that one made."""
        return next((part.grad_fn for part in self._held() if part.grad_fn is not None), None)

    @property
    def is_leaf(self) -> bool:
        """Whether nothing that it holds was made by an operator that is recorded."""
        return all(part.is_leaf for part in self._held())

    @property
    def grad(self) -> Any:
        """The gradients of what it holds, seen alike."""
        found = [part.grad for part in self._held()]
        return None if any(grad is None for grad in found) else self._over(found)

    @grad.setter
    def grad(self, value: Any) -> None:
        held = self._held()
        grads: Sequence[Any] = [None] * len(held) if value is None else value._held()
        for part, grad in zip(held, grads, strict=True):
            part.grad = grad
