"""View operators in place: the tensor itself takes the view's shape, strides and history."""

from __future__ import annotations

from typing import Any

from ..._autograd.apply import check_history
from ..._autograd.nodes import OpNode, node_class
from ..._autograd.tensor_base import TensorBase
from ..registry import composite, methods, ops
from ..shared.memory_format import preserve_format, suggested

# The grad nodes of in-place forms have numbers of their own in torch.
_IN_PLACE = {
    "SqueezeBackward0": "SqueezeBackward3", "SqueezeBackward1": "SqueezeBackward4",
    "SqueezeBackward2": "SqueezeBackward5", "UnsqueezeBackward0": "UnsqueezeBackward1",
    "TransposeBackward0": "TransposeBackward1", "TBackward0": "TBackward1",
    "AsStridedBackward0": "AsStridedBackward1",
}  # fmt: skip


def _become(target: Any, view: Any) -> Any:
    """Give `target` the geometry of `view`, which shows its memory, and count a write."""
    check_history(target, target._needs_grad())
    target._aval, target._layout, target._memo = view._aval, view._layout, None
    node = view._place[0]
    if node is not None:
        name = type(node).__name__
        node.__class__ = node_class(_IN_PLACE.get(name, name), OpNode)
    if view._grad_fn is not None:
        target._requires_grad = False
        target._grad_fn, target._out_nr = view._grad_fn, view._out_nr
    target._version_counter.version += 1
    if view._grad_fn is not None:
        target._attr_version = target._version_counter.version
    return target


def _register(name: str) -> None:
    def inplace(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_history(self, self._needs_grad())
        if name == "t" and self._aval.ndim > 2:
            raise RuntimeError(
                f"t_() expects a tensor with <= 2 dimensions, but self is {self._aval.ndim}D"
            )
        return _become(self, getattr(methods, name)(self, *args, **kwargs))

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"`{name}` of the tensor itself: memory stays, shape and strides change."
    composite(into=("method",))(inplace)


for _name in ("squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze"):
    _register(_name)


@composite()
def as_strided_(self: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """Any layout on the same storage, for the tensor itself."""
    return _become(self, ops.as_strided(self, size, stride, storage_offset))


@composite()
def resize_as_(self: Any, the_template: Any, *, memory_format: Any = None) -> Any:
    """Resize to the shape of another tensor; new elements are undefined."""
    if not isinstance(the_template, TensorBase):
        raise TypeError(
            "resize_as_(): argument 'the_template' (position 1) must be Tensor, not "
            f"{type(the_template).__name__}"
        )
    if memory_format is preserve_format:  # of the template
        memory_format = suggested(tuple(the_template.shape), tuple(the_template.stride()))
    return self.resize_(the_template.shape, memory_format=memory_format)
