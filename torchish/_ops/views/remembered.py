"""Views whose layout was worked out before.

What a view is of a tensor, its shape, strides and offset, depends on how the tensor lies in its
storage and on the arguments alone. With torchish-cpu each view function keeps what it found, and a
call that comes again is made in C (`native/src/recorder/views.c`): 1 microsecond for 3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..._autograd.nodes import OpNode
from ..._autograd.tensor_base import TensorBase
from ..._basics.memo import Bounded
from ..._basics.recorder import recorder
from ..._basics.state import process, state
from ..._core.values import Value

MOST = 4096  # layouts that one function keeps


def remembered(make: Callable[..., Any], creation: str | None = None) -> Callable[..., Any]:
    """A function of a tensor and whole numbers that gives a view, or views, by `view_of`.

    `creation`: the mark that it gives its views, where it gives one.
    """
    if recorder is None:
        return make
    layouts = Bounded(MOST)
    look = recorder.view

    @functools.wraps(make)
    def view(input: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return make(input, *args, **kwargs)
        found = look(layouts, input, args)
        if found is None:
            found = make(input, *args)
            if _are_ints(args) and _are_views(found, input):
                key = (input._storage.aval, input._aval, input._layout, args)
                layouts.keep(key, _entry(found, creation))
        return found

    return view


def _are_ints(given: Any) -> bool:
    return all(type(x) is int or (isinstance(x, tuple) and _are_ints(x)) for x in given)


def _are_views(made: Any, source: Any) -> bool:
    """Whether a call gave differentiable views of its tensor, and nothing that C does not make."""
    if not isinstance(source, TensorBase) or source._storage.strides is not None:
        return False
    if state.forward is not None or made == ():
        return False
    base = source if source._base is None else source._base
    return all(
        type(v) is process.tensor_class and v._storage is source._storage and v._base is base
        for v in (made if type(made) is tuple else (made,))
    )


def _entry(made: Any, creation: str | None) -> tuple[bool, tuple[Any, ...]]:
    """What `recorder.view` makes such views of: whether there is one, and the parts."""
    is_one = type(made) is not tuple
    views = (made,) if is_one else made
    return is_one, tuple((v._aval, v._layout, v._part, creation, *_step(v)) for v in views)


def _step(view: Any) -> tuple[Any, tuple[Any, ...]]:
    """The kernel whose gradient is a view's and its operands; None where it has no history."""
    node = view._grad_fn
    if not isinstance(node, OpNode) or node.saved is None:
        return None, ()
    values: list[Any] = [None] * node.kernel.n_in
    for place, value in zip(node.kept, node.saved, strict=True):
        values[place] = value
    if any(type(v) is Value for v in values):
        return None, ()
    return node.kernel, (None, *[0 if v is None else v for v in values[1:]])
