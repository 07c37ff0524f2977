"""The forms of composites: in place, `out=` and the flag `inplace`, from one definition.

A composite is plain Python over tensors and says nothing of its forms. What it returns is a result,
which a form writes to its target; or `last(operator, ...)`, the call with which it ends, not made
yet: then a form is the operator's own, with that operator's checks, casts and history.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import SCALAR_NAMES
from ..._basics.state import state
from .calling import call_inplace, check_out_dtype, resize_output
from .signatures import of_composite

_KEYWORD, _EITHER = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD

# `return last(ops.mul, input, 2)`: the operator's call, which each form makes in its way.
last = partial


class _Checked(partial):  # type: ignore[type-arg]
    """A last call whose result is looked at in every form."""

    check: Callable[[Any], None]

    def __call__(self, **form: Any) -> Any:
        result = super().__call__(**form)
        self.check(result)
        return result


def checked(call: partial[Any], check: Callable[[Any], None]) -> partial[Any]:
    """`last(...)` with `check(result)` after it."""
    made = _Checked(call.func, *call.args, **call.keywords)
    made.check = check
    return made


class Out(NamedTuple):
    """What `out=` means for a composite's result.

    rule: of `calling.check_out_dtype`.
    history: whether gradients pass, as they do where torch's form is a composite, too.
    warn: whether a target with elements is resized with a warning.
    creates: the result is made in the target's dtype, which a `dtype=` may not contradict.
    fit: fit(target, result) -> result, for targets of another shape.
    gives_lists: whether several targets are given back.
    at: where torch takes `out` by position, too.
    """

    rule: str = "cast"
    history: bool = True
    warn: bool = True
    creates: bool = False
    fit: Callable[[Any, Any], Any] | None = None
    gives_lists: bool = True
    at: int | None = None


DRAWN = Out("any", history=False, warn=False)
CREATED = Out(history=False, warn=False, creates=True)


def plain(body: Callable[..., Any]) -> Callable[..., Any]:
    """The composite itself."""

    def public(*args: Any, **kwargs: Any) -> Any:
        made = body(*args, **kwargs)
        return made() if isinstance(made, partial) else made

    made: Any = public
    made.body = body
    return _dress(made, body)


def with_out(body: Callable[..., Any], how: Out) -> Any:
    """The composite with `out=`."""

    def public(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        made = body(*args, **kwargs)
        if isinstance(made, partial):
            return made() if out is None else made(out=out)
        return made if out is None else _written(out, made, how)

    def creator(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return body(*args, **kwargs)
        return _written(out, body(*args, **_in_dtype(out, kwargs, body.__name__)), how)

    made: Any = creator if how.creates else public
    if how.at is None:
        made.body = body  # what guards call where there is no `out`
        return _dress(made, body, inspect.Parameter("out", _KEYWORD, default=None))
    at = how.at

    def by_position(*args: Any, **kwargs: Any) -> Any:
        if len(args) > at:
            args, kwargs = (*args[:at], *args[at + 1 :]), {**kwargs, "out": args[at]}
        return made(*args, **kwargs)

    return _dress(by_position, body, inspect.Parameter("out", _EITHER, default=None), at)


def in_place(
    body: Callable[..., Any], label: str, before: Callable[..., None] | None = None
) -> Callable[..., Any]:
    """The composite's form that writes to its first argument; `before` sees the call first."""
    named = _renamed(body, label)
    first = body.__code__.co_varnames[0]

    def inplace(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args, **kwargs)
        made = named(*args, **kwargs)
        target = args[0] if args else kwargs[first]
        if not isinstance(made, partial):
            return target if made is target else target.copy_(made)
        last_one: Any = made.func
        result = call_inplace(last_one.operator, target, made.args[1:], made.keywords)
        if isinstance(made, _Checked):
            made.check(result)
        return result

    _dress(inplace, named)
    inplace.__doc__ = f"In-place `{body.__name__}`."
    return inplace


def with_flag(body: Callable[..., Any], inplace: Callable[..., Any]) -> Callable[..., Any]:
    """The composite with torch's last argument `inplace`."""
    limit = body.__code__.co_argcount

    def public(*args: Any, **kwargs: Any) -> Any:
        if len(args) > limit:
            args, kwargs = args[:limit], {**kwargs, "inplace": args[limit]}
        if kwargs and kwargs.pop("inplace", False):
            return inplace(*args, **kwargs)
        made = body(*args, **kwargs)
        return made() if isinstance(made, partial) else made

    return _dress(public, body, inspect.Parameter("inplace", _EITHER, default=False))


def _written(target: Any, made: Any, how: Out) -> Any:
    """A result in its target, several in theirs.

    Raises: RuntimeError when a gradient would be lost, or the dtypes do not fit.
    """
    if isinstance(made, tuple):
        done = [_written(t, m, how) for t, m in zip(target, made, strict=True)]
        kind: Any = type(made)
        return kind(done) if how.gives_lists else None
    if how.fit is not None:
        made = how.fit(target, made)
    check_out_dtype(how.rule, made.dtype, target.dtype)
    lost = not how.history and state.grad_enabled
    if lost and (made.requires_grad or target.requires_grad):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of "
            "the arguments requires grad."
        )
    resize_output(target, tuple(made.shape), warn_level=4 if how.warn else 0)
    return target.copy_(made)


def _in_dtype(out: Any, kwargs: dict[str, Any], name: str) -> dict[str, Any]:
    """The keywords of a creation whose result goes to `out`."""
    if not isinstance(out, TensorBase):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    dtype, given = out._aval.dtype, kwargs.get("dtype")
    if given is not None and given is not dtype:
        raise RuntimeError(
            f"dtype {SCALAR_NAMES[given]} does not match dtype of out parameter "
            f"({SCALAR_NAMES[dtype]})"
        )
    made: dict[str, Any] = {"device": out._storage.device, **kwargs, "dtype": dtype}
    made.pop("requires_grad", None)
    return made


# --- functions that say what they are ------------------------------------------------------------


def _renamed(body: Any, label: str) -> Any:
    """The same function under another name, which Python's own errors show."""
    made = FunctionType(body.__code__, body.__globals__, label, body.__defaults__, body.__closure__)
    made.__kwdefaults__ = body.__kwdefaults__
    made.__annotations__ = body.__annotations__
    made.__qualname__ = label
    made.__module__ = body.__module__
    return made


def _dress(
    public: Any, body: Any, extra: inspect.Parameter | None = None, at: int | None = None
) -> Any:
    """Give a form the name, text and signature of its composite, and one more parameter."""
    public.__name__ = body.__name__
    public.__qualname__ = body.__qualname__
    public.__doc__ = body.__doc__
    public.__module__ = body.__module__
    public.__wrapped__ = body
    if extra is not None:
        public.__signature__ = of_composite(body, extra, at)
        public.added = (extra.name, at)  # read by docstrings.py
    return public
