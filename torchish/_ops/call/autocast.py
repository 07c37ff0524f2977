"""Autocast in the call path: listed functions cast their floating operands while it is on.

Invariant: `state.autocast` is None unless autocast is on for some device type; then it maps device
types to dtypes. Operators look at it only once `engage` was called, so that a process that never
uses autocast does not pay for it; listed composites always do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.dtypes import dtype
from ..._basics.state import state
from .. import registry
from . import calling
from .autocast_lists import CPU, CUDA
from .operator import Operator

_BANNED = (
    "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
    "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
    "In this case, combine the two layers using torch.nn.functional."
    "binary_cross_entropy_with_logits\nor torch.nn.BCEWithLogitsLoss.  binary_cross_entropy_with_"
    "logits and BCEWithLogits are\nsafe to autocast."
)


def _by_name(lists: dict[str, str]) -> dict[str, str]:
    return {name: kind for kind, names in lists.items() for name in names.split()}


POLICIES = {"cpu": _by_name(CPU), "cuda": _by_name(CUDA), "xla": _by_name(CUDA)}
_LISTED = frozenset().union(*POLICIES.values())
_PLAIN_PLACES = ("torch", "method", "nn.functional", "special")


_labels: dict[Operator, str] = {}
_plain_call = calling.call


def guard_listed() -> None:
    """Note the listed operators; put a check in front of every listed composite."""
    for place in registry.PLACES:
        table = registry.table(place)
        for name, function in table.items():
            label = name if place in _PLAIN_PLACES else f"{place}.{name}"
            if label in _LISTED:
                operator = getattr(function, "operator", None)
                if operator is None:
                    table[name] = _guarded(label, function)
                else:
                    _labels[operator] = label


def engage() -> None:
    """From the first use of autocast on, every operator call looks whether it is on."""
    calling.call = _checked_call


def _checked_call(operator: Operator, args: Any, kwargs: Any) -> Any:
    if state.autocast is not None:
        label = _labels.get(operator)
        if label is not None:
            return run(label, functools.partial(_forward, operator), args, kwargs)
    return _plain_call(operator, args, kwargs)


def _forward(operator: Operator, *args: Any, **kwargs: Any) -> Any:
    return _plain_call(operator, args, kwargs)


@functools.cache
def _guarded(label: str, function: Callable[..., Any]) -> Callable[..., Any]:
    body = getattr(function, "body", function)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if state.autocast is None:
            return function(*args, **kwargs)
        return run(label, function, args, kwargs)

    def cast(args: Any, kwargs: Any) -> Any:
        return run(label, function, args, kwargs)

    # What `overriding.guard` calls in place of this function: one call less.
    made: Any = checked
    made.cast, made.body = cast, body
    return checked


def run(
    label: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a listed function as autocast asks; what it calls in turn is not cast again.

    The `out=` form is left alone, as in torch.
    """
    modes = state.autocast
    if kwargs.get("out") is None:
        for place, target in modes.items():
            kind = POLICIES[place].get(label)
            if label == "pad" and not _reads_edges(*args, **kwargs):
                continue
            if kind is None or not any(t._storage.device.type == place for t in _tensors(args)):
                continue
            if kind == "banned":
                raise RuntimeError(_BANNED)
            if kind == "sum":
                if kwargs.get("dtype") is None and _eligible(args[0], place):
                    kwargs = {**kwargs, "dtype": dtypes.float32}
            else:
                wanted = target if kind == "low" else dtypes.float32
                if kind == "widest":
                    wanted = _widest((*args, *kwargs.values()), place, target)
                args = tuple([_cast(x, place, wanted) for x in args])
                kwargs = {k: _cast(x, place, wanted) for k, x in kwargs.items()}
            state.autocast = None
            try:
                return function(*args, **kwargs)
            finally:
                state.autocast = modes
    return function(*args, **kwargs)


def _reads_edges(input: Any, pad: Any, mode: str = "constant", value: Any = None) -> bool:
    """Whether `pad` runs one of torch's listed padding kernels."""
    return mode == "replicate" or (mode == "reflect" and len(pad) <= 4)


def _tensors(values: Any) -> Iterator[Any]:
    for x in values:
        if isinstance(x, TensorBase):
            yield x
        elif isinstance(x, list | tuple):
            yield from _tensors(x)


def _eligible(x: Any, place: str) -> bool:
    """Whether autocast may cast a value: a floating tensor of that device, but no float64."""
    return (
        isinstance(x, TensorBase)
        and x._aval.dtype.is_floating_point
        and x._aval.dtype is not dtypes.float64
        and x._storage.device.type == place
    )


def _cast(x: Any, place: str, wanted: dtype) -> Any:
    if isinstance(x, TensorBase):
        if _eligible(x, place) and x._aval.dtype is not wanted:
            return x.to(wanted)  # type: ignore[attr-defined]
        return x
    if type(x) in (list, tuple):
        return type(x)(_cast(y, place, wanted) for y in x)
    return x


def _widest(values: Any, place: str, low: dtype) -> dtype:
    wanted = low
    for x in _tensors(values):
        if _eligible(x, place) and x._aval.dtype is not low:
            if x._aval.dtype is not dtypes.float32:
                raise RuntimeError("Unexpected floating ScalarType in at::autocast::prioritize")
            wanted = dtypes.float32
    return wanted
