"""How a tensor takes part in differentiation: its flags, gradient, history and hooks."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

from .._autograd import nodes
from .._autograd.tensor_base import TensorBase, detached, retain
from .._basics import dtypes
from .._basics.dtypes import dtype
from .._basics.later import later
from .._basics.state import process, state
from .facts import TensorFacts

_backward = later("torchish.autograd:backward")


class TensorAutograd(TensorFacts):
    """Attributes and methods of `Tensor` that belong to autograd."""

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
        if value and self._grad_fn is not None and self._grad_fn.is_dual:
            self._grad_fn = self._grad_fn.over((nodes.leaf_node(self), 0))  # type: ignore[attr-defined]
        elif not (self._grad_fn is None if value else self.is_leaf):
            if not value:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use "
                    "a computed variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach()."
                )
            return
        if value and self._inference:
            if not state.inference:
                raise RuntimeError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                    "allowed."
                )
        self._requires_grad = bool(value)

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was not made by a recorded operator."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Any:
        """The grad node that made this tensor."""
        if self._base is not None:
            self._refresh()
        return self._place[0]

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf (or of a tensor that retains it)."""
        if self._grad is None and not self._retains and not self._requires_grad:
            if self._place[0] is not None:
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
                "attempting to assign a gradient located on device with type "
                f"'{value._storage.device.type}' to a tensor located on device with type "
                f"'{self._storage.device.type}'. Please ensure that the gradient and the tensor "
                "are on the same device"
            )
        if value._aval.shape != self._aval.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value._aval.shape)}' to a tensor "
                f"of size '{list(self._aval.shape)}'. Please ensure that the gradient and the "
                "tensor are the same size"
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
        self._point_at(value)
        self._accumulator = None

    def backward(
        self, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False,
        inputs: Any = None,
    ) -> None:  # fmt: skip
        """Accumulate the gradient of this tensor into the leaves it depends on."""
        _backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `.grad`.

        Raises: RuntimeError when the tensor does not require grad.
        """
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        fn, number = self.grad_fn, self._place[1]
        if fn is None or self._retains:
            return
        retain(weakref.ref(self), (fn, number))
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
        fn, number = self.grad_fn, self._place[1]
        if fn is None:
            if self._leaf_hooks is None:
                self._leaf_hooks = {}
            node = nodes.leaf_node(self)
            node.tensor_hooks = {0: self._leaf_hooks}
            return nodes.add_hook(self._leaf_hooks, hook)
        if fn.tensor_hooks is None:
            fn.tensor_hooks = {}
        return nodes.add_hook(fn.tensor_hooks.setdefault(number, {}), hook)

    @property
    def _backward_hooks(self) -> Any:
        """The hooks of this tensor by their ids, or None."""
        fn, number = self.grad_fn, self._place[1]
        if fn is None:
            return self._leaf_hooks
        return (fn.tensor_hooks or {}).get(number)

    def register_post_accumulate_grad_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(tensor)` after a gradient has been accumulated into this leaf."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        if self._post_accumulate_hooks is None:
            self._post_accumulate_hooks = {}
        return nodes.add_hook(self._post_accumulate_hooks, hook)

    def _is_view(self) -> bool:
        return self._base is not None


def _warn_non_leaf() -> None:
    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
        "attribute won't be populated during autograd.backward(). If you indeed want the .grad "
        "field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. "
        "If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor "
        "instead. See github.com/pytorch/pytorch/pull/30531 for more informations.",
        stacklevel=3,
    )


def _c_type(dt: dtype) -> str:
    return dtypes.CPP_NAMES.get(dt, dt.name)


# What a node keeps for a kernel; the tables are loaded when somebody first asks.
process.plan_of = later("torchish.autograd._saving:plan_of")
