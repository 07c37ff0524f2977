"""The checks of one OpInfo entry at one dtype: forward, gradient, forms, errors.

A check gives "ok" or one line that says what went wrong. Samples are capped (`Limits`), evenly
spread over what OpInfo offers, so that a run is bounded and always the same.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

import torchish
from torchish._core.trace import flush_point

from .compare import Differs, is_tensor, leaves, same, same_aliases, same_gradients, same_layout
from .convert import Missing, counterpart, to_torch, to_torchish
from .excluded import label

# Results whose values are not defined.
UNDEFINED = {
    "empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided", "empty_permuted",
    "resize_", "resize_as_",
}  # fmt: skip
# Second gradients: sampled where torch itself has them and the problem is small.
SECOND_ORDER_LIMIT = 400


@dataclass(frozen=True)
class Limits:
    """How many samples each check of an entry takes; None takes all."""

    forward: int | None = 4
    gradient: int | None = 2
    second: int | None = 1
    forms: int | None = 1
    errors: int | None = 6
    seconds: int = 60


EVERYTHING = Limits(None, None, 2, 6, None, 900)


class Slow(Exception):
    """An entry took longer than its limit."""


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Raise Slow in the main thread after so many seconds."""

    def ring(*_: Any) -> None:
        raise Slow(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def spread(items: list[Any], count: int | None) -> list[Any]:
    """At most `count` items, the first one and others at even distances."""
    if count is None or len(items) <= count:
        return items
    step = len(items) / count
    return [items[int(k * step)] for k in range(count)]


@dataclass
class Call:
    """One call of an entry: the arguments for both libraries, made afresh each time."""

    sample: Any

    def theirs(self, grad: bool = False) -> tuple[list[Any], dict[str, Any]]:
        """Fresh arguments for torch."""
        args = to_torch((self.sample.input, *self.sample.args))
        return self._flagged(list(args), to_torch(self.sample.kwargs), grad)

    def own(self, grad: bool = False) -> tuple[list[Any], dict[str, Any]]:
        """Fresh arguments for torchish."""
        args = to_torchish((self.sample.input, *self.sample.args))
        return self._flagged(list(args), to_torchish(self.sample.kwargs), grad)

    def _flagged(self, args: list[Any], kwargs: dict[str, Any], grad: bool) -> Any:
        if not grad:
            for tensor in filter(is_tensor, leaves([args, kwargs])):
                tensor.requires_grad_(False)
        return args, kwargs


def run(library: Any, function: Any, args: Any, kwargs: Any) -> Any:
    """One seeded call; the exception is the result where it raises."""
    library.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = function(*args, **kwargs)
            if library is torchish:
                flush_point("the call is over")  # index errors of device values are raised here
            return result
        except (Missing, Slow):
            raise
        except Exception as error:
            return error


def agree(own: Any, theirs: Any, *, values: bool = True) -> None:
    """Both raise the same class, or both return equal results."""
    if isinstance(theirs, Exception):
        if not isinstance(own, Exception):
            raise Differs(f"does not raise {type(theirs).__name__}: {short(theirs)}")
        same_class(own, theirs)
    elif isinstance(own, Exception):
        raise Differs(f"raises {type(own).__name__}: {short(own)}")
    else:
        same(own, theirs, values=values)


def same_class(own: Exception, theirs: Exception) -> None:
    """torchish's NotSupportedError counts as torch's NotImplementedError, nothing else."""
    names = {c.__name__ for c in type(own).__mro__}
    wanted = type(theirs)
    if wanted.__module__.startswith("torch"):  # LinAlgError and the like: the nearest known class
        wanted = next(c for c in wanted.__mro__ if not c.__module__.startswith("torch"))
    if wanted.__name__ not in names:
        raise Differs(
            f"raises {type(own).__name__}: {short(own)} instead of "
            f"{type(theirs).__name__}: {short(theirs)}"
        )


def short(error: Any) -> str:
    """The first line of an error, bounded."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else "")[:200]


# --- the checks ---------------------------------------------------------------------------------


def _of_svd(u: Any, s: Any, vh: Any) -> list[Any]:
    k = s.shape[-1]
    return [s, (u[..., :k] * s[..., None, :]) @ vh[..., :k, :], u.mH @ u, vh @ vh.mH]


# Factors are unique up to the sign (complex: the phase) of each vector: for these entries what does
# not depend on it is compared: the values, the product and that the vectors are orthonormal.
FACTORS: dict[str, Callable[[Any], list[Any]]] = {
    "linalg.svd": lambda r: _of_svd(*r),
    "svd": lambda r: _of_svd(r[0], r[1], r[2].mH),
    "svd_lowrank": lambda r: _of_svd(r[0], r[1], r[2].mH),
    "pca_lowrank": lambda r: _of_svd(r[0], r[1], r[2].mH),
    "linalg.eigh": lambda r: [r[0], (r[1] * r[0][..., None, :]) @ r[1].mH, r[1].mH @ r[1]],
}


def forward(op: Any, calls: list[Call]) -> None:
    """Values, shape, dtype and layout of the function's results."""
    own_op = counterpart(op.op)
    for call in calls:
        (args, kwargs), (own_args, own_kwargs) = call.theirs(), call.own()
        theirs = run(torch, op.op, args, kwargs)
        own = run(torchish, own_op, own_args, own_kwargs)
        agree(own, theirs, values=op.name not in UNDEFINED and op.name not in FACTORS)
        if op.name in FACTORS and not isinstance(theirs, Exception):
            agree(FACTORS[op.name](own), FACTORS[op.name](theirs))
        if not isinstance(theirs, Exception):
            same_aliases(own, theirs, own_args, args)


def layout(op: Any, calls: list[Call]) -> None:
    """Strides of fresh results."""
    own_op = counterpart(op.op)
    for call in calls:
        theirs = run(torch, op.op, *call.theirs())
        own = run(torchish, own_op, *call.own())
        if not isinstance(theirs, Exception) and not isinstance(own, Exception):
            same_layout(own, theirs)


def variant(op: Any, calls: list[Call], function: Any) -> None:
    """The method, operator or alias gives what the function gives."""
    own_op = counterpart(function)
    for call in calls:
        theirs = run(torch, function, *call.theirs())
        own = run(torchish, own_op, *call.own())
        agree(own, theirs, values=op.name not in UNDEFINED)


def inplace(op: Any, calls: list[Call]) -> None:
    """The in-place form writes the input and returns it."""
    own_op = counterpart(op.inplace_variant)
    for call in calls:
        if call.sample.broadcasts_input:
            continue
        (args, kwargs), (own_args, own_kwargs) = call.theirs(), call.own()
        theirs = run(torch, op.inplace_variant, args, kwargs)
        own = run(torchish, own_op, own_args, own_kwargs)
        agree(own, theirs, values=op.name not in UNDEFINED)
        if theirs is args[0] and own is not own_args[0]:
            raise Differs("does not return its input")
        if not isinstance(theirs, Exception) and op.name not in UNDEFINED:
            same(own_args[0], args[0])


def out_form(op: Any, calls: list[Call]) -> None:
    """`out=` receives the result and is returned."""
    own_op = counterpart(op.op)
    for call in calls:
        args, kwargs = call.theirs()
        expected = run(torch, op.op, *call.theirs())
        if isinstance(expected, Exception) or not all(map(is_tensor, leaves(expected))):
            continue
        fresh = [torch.empty_like(t) for t in leaves(expected)]
        outs = fresh[0] if is_tensor(expected) else tuple(fresh)
        own_outs = to_torchish(outs)
        theirs = run(torch, op.op, args, {**kwargs, "out": outs})
        own_args, own_kwargs = call.own()
        own = run(torchish, own_op, own_args, {**own_kwargs, "out": own_outs})
        values = op.name not in UNDEFINED
        agree(own, theirs, values=values)
        if not isinstance(theirs, Exception):
            same(own_outs, outs, values=values)


def differentiated(op: Any, call: Call, library: Any, own: bool, order: int) -> list[Any] | None:
    """First (or second) gradients with fixed cotangents; None where nothing is differentiable."""
    args, kwargs = call.own(True) if own else call.theirs(True)
    function = counterpart(op.op) if own else op.op
    finish = call.sample.output_process_fn_grad
    inputs = [t for t in leaves([args, kwargs]) if is_tensor(t) and t.requires_grad]
    library.manual_seed(0)
    out = function(*args, **kwargs)
    out = (counterpart(finish) if own else finish)(out)
    outs = [t for t in leaves(out) if is_tensor(t) and t.requires_grad]
    if not inputs or not outs:
        return None
    grads = _pull(library, list(enumerate(outs)), inputs, own, create_graph=order == 2)
    if order == 1:
        return list(grads)
    firsts = [(k, g) for k, g in enumerate(grads) if g is not None and g.requires_grad]
    if not firsts:
        return None
    return list(_pull(library, firsts, inputs, own, create_graph=False))


def _pull(
    library: Any, numbered: list[Any], inputs: list[Any], own: bool, create_graph: bool
) -> Any:
    """Gradients of results whose cotangents are chosen by their number."""
    cotangents, outs = [], [out for _, out in numbered]
    for k, out in numbered:
        made = _cotangent(out, k)
        cotangents.append(to_torchish(made) if own else made)
    return library.autograd.grad(
        outs, inputs, cotangents, allow_unused=True, create_graph=create_graph
    )


def _cotangent(out: Any, position: int) -> torch.Tensor:
    """A fixed cotangent of the output's shape and dtype: different numbers near one."""
    numel = 1
    for n in out.shape:
        numel *= n
    dtype = getattr(torch, str(out.dtype).removeprefix("torch."))
    flat = 1.0 + 0.25 * torch.sin(torch.arange(numel, dtype=torch.float64) + position)
    if dtype.is_complex:
        flat = flat + 0.5j * torch.cos(torch.arange(numel, dtype=torch.float64))
    return flat.reshape(tuple(out.shape)).to(dtype)


def gradient(op: Any, calls: list[Call], order: int = 1) -> None:
    """Gradients of all inputs that require them."""
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                theirs = differentiated(op, call, torch, False, order)
            except Exception:
                continue  # torch itself cannot; the forward check has compared the errors
            if theirs is None:
                continue
            try:
                own = differentiated(op, call, torchish, True, order)
            except (Missing, Slow):
                raise
            except Exception as error:
                raise Differs(f"raises {type(error).__name__}: {short(error)}") from error
        if own is None:
            raise Differs("the result does not require grad")
        same_gradients(own, theirs)


def errors(op: Any, limit: int | None, texts: bool = False) -> None:
    """Wrong arguments raise torch's class (and text, if asked)."""
    own_op = counterpart(op.op)
    for wrong in spread(list(op.error_inputs("cpu")), limit):
        call = Call(wrong.sample_input)
        theirs = run(torch, op.op, *call.theirs())
        if not isinstance(theirs, Exception):
            continue
        own = run(torchish, own_op, *call.own())
        agree(own, theirs)
        if texts and short(own) != short(theirs):
            raise Differs(f"says {short(own)!r} instead of {short(theirs)!r}")


# --- an entry -----------------------------------------------------------------------------------


def plan(op: Any, dtype: torch.dtype, limits: Limits) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks that apply to an entry at a dtype."""
    grads = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    samples = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=grads), 4000))
    calls = [Call(s) for s in samples]
    few = spread(calls, limits.forms)
    yield "forward", lambda: forward(op, spread(calls, limits.forward))
    if dtype is torch.float32:
        yield "layout", lambda: layout(op, spread(calls, limits.forward))
    if grads and dtype is not torch.float64:
        yield "gradient", lambda: gradient(op, spread(calls, limits.gradient))
    if dtype is torch.float64 and grads:
        small = [c for c in calls if _size(c) <= SECOND_ORDER_LIMIT]
        yield "gradient", lambda: gradient(op, spread(calls, limits.second))
        if op.supports_gradgrad:
            yield "second", lambda: gradient(op, spread(small, limits.second), 2)
    if dtype not in (torch.float32, torch.int64):
        return
    for name in ("method_variant", "operator_variant"):
        function = getattr(op, name, None)
        if callable(function):
            kind = name.removesuffix("_variant")
            yield kind, lambda f=function: variant(op, few, f)  # type: ignore[misc]
    if callable(op.inplace_variant):
        yield "inplace", lambda: inplace(op, few)
    if op.supports_out:
        yield "out", lambda: out_form(op, few)


def _size(call: Call) -> int:
    return sum(t.numel() for t in leaves([call.sample.input, call.sample.args]) if is_tensor(t))


def outcome(check: Callable[[], None]) -> str:
    """What a check says: "ok", or why not."""
    try:
        check()
    except Differs as error:
        return str(error)
    except Missing as error:
        return f"missing: {error}"
    except Slow as error:
        return f"slow: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {short(error)}"
    return "ok"


def examine(op: Any, dtype: torch.dtype, limits: Limits) -> dict[str, str]:
    """All checks of an entry at one dtype."""
    found: dict[str, str] = {}
    with contextlib.suppress(Exception):
        flush_point("an entry begins")  # what the entry before has left to be checked
    try:
        with alarm(limits.seconds):
            torch.manual_seed(0)
            for name, check in plan(op, dtype, limits):
                found[name] = "running"
                found[name] = outcome(check)
    except Slow as error:
        found.update({k: f"slow: {error}" for k, v in found.items() if v == "running"})
        found.setdefault("forward", f"slow: {error}")
    return found


def examine_errors(op: Any, limits: Limits, texts: bool = False) -> str:
    """The error inputs of an entry."""
    if op.error_inputs_func is None:
        return "none"
    with alarm(limits.seconds):
        return outcome(lambda: errors(op, limits.errors, texts))


__all__ = [
    "EVERYTHING", "Limits", "examine", "examine_errors", "label", "replace",
]  # fmt: skip
