"""`torch.autograd.gradcheck`: gradients compared with finite differences.

Complex tensors are treated as pairs of real numbers: with L = Re(conj(v) f), torch's gradient g
holds dL/dRe(x) in its real part and dL/dIm(x) in its imaginary part.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._autograd.interop import host_array, wrap_host
from .._autograd.tensor_base import TensorBase
from .._basics.later import later
from .._ops.registry import ops
from . import forward_ad

_grad = later("torchish.autograd:grad")
_vmap = later("torchish.func:vmap")


__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient differs from finite differences."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func` at `inputs` are (f(x + eps) - f(x - eps)) / (2 eps).

    Args:
        inputs: tensors (float64 or complex128 where they require grad) and anything else.
        nondet_tol: how far two backward passes may differ.
        check_forward_ad, check_backward_ad: which of the two modes are compared.
        check_batched_grad, check_batched_forward_grad: whether many directions at once give what
            each of them gives.
        fast_mode: accepted; every element is checked in either case.
    Raises: GradcheckError unless `raise_exception` is false; ValueError if no input requires grad.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    if check_batched_grad and not check_backward_ad:
        raise AssertionError(
            "Setting check_batched_grad=True requires check_backward_ad to be True"
        )
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be True"
        )
    given = _as_tuple(inputs)
    wanted = _checked_inputs(given)
    try:
        numerical = [_numerical(func, given, given[k], eps) for k in wanted]
        if check_backward_ad:
            _check(func, given, wanted, numerical, atol, rtol, nondet_tol, check_undefined_grad)
        if check_forward_ad:
            _check_forward(func, given, wanted, numerical, atol, rtol)
        if check_batched_grad:
            _check_batched(func, given, wanted)
        if check_batched_forward_grad:
            _check_batched_forward(func, given, wanted)
        return True
    except GradcheckError:
        if raise_exception:
            raise
        return False


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """`gradcheck` of the gradient: of the inputs and of the cotangents (default: random ones).

    Raises: as `gradcheck`.
    """
    given = _as_tuple(inputs)
    if grad_outputs is None:
        cotangents = tuple(_random_like(out) for out in _differentiable(func(*given)))
    else:
        cotangents = _as_tuple(grad_outputs)
    count = len(cotangents)
    wanted = [k for k, x in enumerate(given) if isinstance(x, TensorBase) and x._needs_grad()]

    def first(*args: Any) -> tuple[Any, ...]:
        outs = _differentiable(func(*args[:-count]))
        got = _grad(
            outs, [args[k] for k in wanted], args[-count:], create_graph=True, allow_unused=True
        )
        return tuple(g for g in got if g is not None)

    return gradcheck(
        first, (*given, *cotangents), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode, check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev,
    )  # fmt: skip


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _differentiable(outputs: Any) -> tuple[Any, ...]:
    return tuple(o for o in _as_tuple(outputs) if isinstance(o, TensorBase) and o.requires_grad)


def _random_like(out: Any) -> Any:
    """Numbers in [-1, 1) drawn as torch draws them: from the default generator."""
    drawn = ops.rand(out.shape, dtype=out.dtype, device=out.device) * 2 - 1
    return drawn.detach().requires_grad_()


def _checked_inputs(given: Sequence[Any]) -> list[int]:
    """Positions of the inputs that require grad."""
    wanted = []
    for k, x in enumerate(given):
        if not (isinstance(x, TensorBase) and x.requires_grad):
            continue
        t: Any = x
        if t.dtype.name not in ("float64", "complex128"):
            warnings.warn(
                f"Input #{k} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=3,
            )
        if any(stride == 0 and n > 1 for stride, n in zip(t.stride(), t.shape, strict=True)):
            raise RuntimeError(
                f"The {k}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients "
                "correctly. You should call .contiguous on the input before passing it to "
                "gradcheck."
            )
        wanted.append(k)
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )
    return wanted


def _check(
    func: Callable[..., Any],
    given: tuple[Any, ...],
    wanted: list[int],
    numerical: list[list[np.ndarray[Any, Any]]],
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_undefined_grad: bool,
) -> None:
    outputs = [o for o in _as_tuple(func(*given)) if isinstance(o, TensorBase)]
    inputs = [given[k] for k in wanted]
    if not _differentiable(outputs):
        if any(np.any(block) for blocks in numerical for block in blocks):
            raise GradcheckError("Numerical gradient for function expected to be zero")
        return
    number = 0
    for k, out in enumerate(outputs):
        if not out.requires_grad:
            continue
        analytical = _analytical(out, inputs)
        again = _analytical(out, inputs)
        for j, (a, b) in enumerate(zip(analytical, again, strict=True)):
            n = numerical[j][k]
            if not np.allclose(a, n, rtol, atol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {number} with respect to input {j},\n"
                    f"numerical:{n.T}\nanalytical:{a.T}\n"
                )
            if np.any(np.abs(a - b) > nondet_tol):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and "
                    "grad_output multiple times gives different values, although analytical "
                    "gradient matches numerical gradient.The tolerance for nondeterminism was "
                    f"{nondet_tol}."
                )
        number += 1
    if check_undefined_grad:
        _check_zero_cotangents(_differentiable(outputs), inputs)


# --- forward mode, and many directions at once ---------------------------------------------------


def _check_forward(
    func: Any, given: Any, wanted: list[int], numerical: Any, atol: float, rtol: float
) -> None:
    for j, place in enumerate(wanted):
        rows = [_tangents(func, given, place, d) for d in _directions(given[place])]
        for k, columns in enumerate(zip(*rows, strict=True)):
            a, n = np.stack(columns), numerical[j][k]
            if not np.allclose(a, n, rtol, atol):
                raise GradcheckError(
                    f"Jacobian computed with forward mode mismatch for output {k} with respect to "
                    f"input {j},\nnumerical:{n.T}\nanalytical:{a.T}\n"
                )


def _tangents(func: Any, given: Any, place: int, direction: Any) -> list[np.ndarray[Any, Any]]:
    """How each output changes when one input changes along `direction`."""
    with forward_ad.dual_level():
        args = list(given)
        args[place] = forward_ad.make_dual(args[place], direction)
        found = []
        for out in _as_tuple(func(*args)):
            if isinstance(out, TensorBase):
                tangent = forward_ad.unpack_dual(out).tangent
                none = np.zeros(tuple(out.shape), out.dtype.np)
                found.append(_pairs(none if tangent is None else host_array(tangent.detach())))
    return found


def _directions(x: Any) -> list[Any]:
    """The unit tensors of the shape of `x` (for complex ones, times 1 and times i)."""
    units = (1.0, 1j) if x.dtype.is_complex else (1.0,)
    found = []
    for index in np.ndindex(*tuple(x.shape)):
        for unit in units:
            direction = np.zeros(tuple(x.shape), x.dtype.np)
            direction[index] = unit
            found.append(wrap_host(direction, x.device))
    return found


def _check_batched(func: Any, given: Any, wanted: list[int]) -> None:
    inputs = [given[k] for k in wanted]
    for out in _differentiable(func(*given)):
        cotangents = [_random_like(out).detach() for _ in range(2)]
        options: Any = {"retain_graph": True, "allow_unused": True}
        alone = [_grad(out, inputs, c, **options) for c in cotangents]
        stacked = ops.stack(cotangents)
        together = _grad(out, inputs, stacked, is_grads_batched=True, **options)
        _compare_batched(zip(*alone, strict=True), together, "is_grads_batched=True")


def _check_batched_forward(func: Any, given: Any, wanted: list[int]) -> None:
    for place in wanted:
        directions = [_random_like(given[place]).detach() for _ in range(2)]

        def push(direction: Any, place: int = place) -> list[Any]:
            with forward_ad.dual_level():
                args = list(given)
                args[place] = forward_ad.make_dual(args[place].detach(), direction)
                outs = [o for o in _as_tuple(func(*args)) if isinstance(o, TensorBase)]
                found = [forward_ad.unpack_dual(o).tangent for o in outs]
                return [t for t in found if t is not None]

        alone = [push(d) for d in directions]
        _compare_batched(zip(*alone, strict=True), _vmap(push)(ops.stack(directions)), "vmap")


def _compare_batched(alone: Any, together: Any, how: str) -> None:
    for one_by_one, batch in zip(alone, together, strict=True):
        if batch is None:
            continue
        a = np.stack([host_array(x.detach()) for x in one_by_one])
        b = host_array(batch.detach())
        if not np.allclose(a, b, 1e-5, 1e-8):
            raise GradcheckError(
                f"Gradients computed for many directions at once ({how}) differ from those of each "
                f"of them:\n{b}\ninstead of\n{a}\n"
            )


# --- backward ------------------------------------------------------------------------------------


def _pairs(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A flat real array; a complex number becomes (real, imaginary)."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if np.iscomplexobj(flat):
        flat = np.stack([flat.real, flat.imag], -1).reshape(-1)
    return flat.astype(np.float64)


def _numerical(func: Any, given: Any, x: Any, eps: float) -> list[np.ndarray[Any, Any]]:
    """Central differences of every output with respect to `x`, perturbed in its own memory."""
    before = np.array(host_array(x))
    units = (1.0, 1j) if np.iscomplexobj(before) else (1.0,)
    columns: list[list[Any]] = []
    try:
        for index in np.ndindex(*before.shape):
            for unit in units:
                sides = []
                for step in (eps, -eps):
                    moved = before.copy()
                    moved[index] += np.asarray(step * unit).astype(moved.dtype)
                    x.data.copy_(wrap_host(moved))
                    outs = [o for o in _as_tuple(func(*given)) if isinstance(o, TensorBase)]
                    sides.append([_pairs(host_array(o.detach())) for o in outs])
                columns.append([(a - b) / (2 * eps) for a, b in zip(*sides, strict=True)])
    finally:
        x.data.copy_(wrap_host(before))
    return [np.stack(rows) for rows in zip(*columns, strict=True)]


def _analytical(out: Any, inputs: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The same by backward passes, one an element (two for a complex one)."""
    units = (1.0, 1j) if out.dtype.is_complex else (1.0,)
    rows: list[list[Any]] = [[] for _ in inputs]
    shape, kind = tuple(out.shape), np.dtype(out.dtype.np)
    for index in np.ndindex(*shape):
        for unit in units:
            cotangent = np.zeros(shape, kind)
            cotangent[index] = unit
            grads = _grad(
                out, inputs, wrap_host(cotangent, out.device), retain_graph=True, allow_unused=True
            )
            for k, (g, x) in enumerate(zip(grads, inputs, strict=True)):
                rows[k].append(
                    np.zeros(x.numel() * (2 if x.dtype.is_complex else 1))
                    if g is None
                    else _pairs(host_array(g))
                )
    return [np.stack(r, -1) if r else np.zeros((0, 0)) for r in rows]


def _check_zero_cotangents(outputs: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Zero cotangents give zero gradients, or none."""
    zeros = [wrap_host(np.zeros(tuple(o.shape), o.dtype.np), o.device) for o in outputs]
    for g in _grad(outputs, inputs, zeros, retain_graph=True, allow_unused=True):
        if g is not None and np.any(host_array(g)):
            raise GradcheckError("backward not multiplied by grad_output")
