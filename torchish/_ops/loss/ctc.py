"""Connectionist temporal classification: forward and backward sums over alignments, as scans.

Source: Graves et al., 2006.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..registry import Tensor, composite, internal, op, ops
from ..shared import numeric as num
from .reduction import reduction_of


def _log_sum(*terms: Any) -> Any:
    """log(sum of exp), where all terms may be -inf."""
    peak = functools.reduce(jnp.maximum, terms)
    peak = jnp.where(jnp.isneginf(peak), jnp.zeros_like(peak), peak)
    return jnp.log(sum(jnp.exp(t - peak) for t in terms)) + peak


def _shift(x: Any, by: int) -> Any:
    """x moved along the states by `by` (either way), -inf moving in."""
    low = jnp.full((x.shape[0], abs(by)), -jnp.inf, x.dtype)
    return (
        jnp.concatenate([low, x[:, :-by]], 1) if by > 0 else jnp.concatenate([x[:, -by:], low], 1)
    )


def _states(targets: Any, blank: int) -> tuple[Any, Any]:
    """Labels with blanks between, (N, 2 S + 1), and where a blank may be skipped."""
    batch, width = targets.shape
    states = jnp.full((batch, 2 * width + 1), blank, targets.dtype)
    states = states.at[:, 1::2].set(targets)
    before = jnp.concatenate([jnp.full((batch, 2), blank, targets.dtype), states[:, :-2]], 1)
    return states, (states != blank) & (states != before)


def _alignments(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int
) -> tuple[Any, Any, Any, Any]:
    """Log probabilities of states, forward sums (T, N, states), their total, and the states."""
    steps = log_probs.shape[0]
    states, skips = _states(targets, blank)
    seen = jnp.take_along_axis(log_probs, states[None], 2, mode="clip")  # T, N, states
    low = num.as_dtype(-jnp.inf, seen)
    at = jnp.arange(states.shape[1])
    valid = at < 2 * target_lengths[:, None] + 1
    start = jnp.where((at < 2) & valid, seen[0], low)

    def step(alpha: Any, now: Any) -> tuple[Any, Any]:
        lp, t = now
        jump = jnp.where(skips, _shift(alpha, 2), low)
        new = jnp.where(valid, _log_sum(alpha, _shift(alpha, 1), jump) + lp, low)
        new = jnp.where((t < input_lengths)[:, None], new, alpha)
        return new, new

    last, rest = lax.scan(step, start, (seen[1:], jnp.arange(1, steps)))
    alphas = jnp.concatenate([start[None], rest])
    end = 2 * target_lengths[:, None]
    blank_end = jnp.take_along_axis(last, end, 1)[:, 0]
    label_end = jnp.take_along_axis(last, jnp.maximum(end - 1, 0), 1)[:, 0]
    label_end = jnp.where(target_lengths > 0, label_end, low)
    total = -_log_sum(blank_end, label_end)
    nothing = jnp.where(target_lengths == 0, jnp.zeros_like(total), -low)
    return seen, alphas, jnp.where(input_lengths == 0, nothing, total), states


def _backward_sums(
    seen: Any, states: Any, input_lengths: Any, target_lengths: Any, blank: int
) -> Any:
    skips = (states != blank) & (
        states != jnp.concatenate([jnp.full_like(states[:, :2], blank), states[:, :-2]], 1)
    )
    low = num.as_dtype(-jnp.inf, seen)
    at = jnp.arange(states.shape[1])
    end = 2 * target_lengths[:, None]
    final = (at == end) | ((at == end - 1) & (end > 0))

    def step(beta: Any, now: Any) -> tuple[Any, Any]:
        lp, t = now
        jump = jnp.where(_shift_flags(skips), _shift(beta, -2), low)
        new = jnp.where(at <= end, _log_sum(beta, _shift(beta, -1), jump) + lp, low)
        new = jnp.where((t == input_lengths - 1)[:, None], jnp.where(final, lp, low), new)
        new = jnp.where((t < input_lengths)[:, None], new, low)
        return new, new

    _, betas = lax.scan(
        step, jnp.full_like(seen[0], low), (seen, jnp.arange(seen.shape[0])), reverse=True
    )
    return betas


def _shift_flags(skips: Any) -> Any:
    """Whether the state two further on may be reached directly."""
    return jnp.concatenate([skips[:, 2:], jnp.zeros_like(skips[:, :2])], 1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _losses(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int,
    zero_infinity: bool,
) -> Any:  # fmt: skip
    """The negative log likelihood of each sample."""
    args = (log_probs, targets, input_lengths, target_lengths)
    return _losses_forward(*args, blank, zero_infinity)[0]


def _losses_forward(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int,
    zero_infinity: bool,
) -> Any:  # fmt: skip
    seen, alphas, total, states = _alignments(
        log_probs, targets, input_lengths, target_lengths, blank
    )
    out = jnp.where(jnp.isinf(total), jnp.zeros_like(total), total) if zero_infinity else total
    return out, (log_probs, seen, alphas, total, states, targets, input_lengths, target_lengths)


def _losses_backward(blank: int, zero_infinity: bool, saved: Any, cotangent: Any) -> Any:
    """exp(log_probs) - occupancy: torch's gradient, which takes log_probs to be a log_softmax."""
    log_probs, seen, alphas, total, states, targets, input_lengths, target_lengths = saved
    betas = _backward_sums(seen, states, input_lengths, target_lengths, blank)
    share = jnp.exp(alphas + betas - seen + total[:, None])
    steps, batch = log_probs.shape[:2]
    t = jnp.arange(steps)[:, None, None]
    n = jnp.arange(batch)[None, :, None]
    used = jnp.zeros_like(log_probs).at[t, n, states[None]].add(share, mode="promise_in_bounds")
    grad = (jnp.exp(log_probs) - used) * cotangent[:, None]
    lost = jnp.zeros((), grad.dtype) if zero_infinity else num.as_dtype(jnp.nan, grad)
    grad = jnp.where(jnp.isinf(total)[:, None], lost, grad)
    grad = jnp.where((t < input_lengths[:, None]), grad, jnp.zeros_like(grad))
    none = [jnp.zeros(x.shape, jax.dtypes.float0) for x in (targets, input_lengths, target_lengths)]
    return grad, *none


_losses.defvjp(_losses_forward, _losses_backward)


@op("none", into=("internal",), grad_name="CtcLossBackward0")
def ctc_losses(
    log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int,
    width: int, zero_infinity: bool,
) -> Any:  # fmt: skip
    """Losses (N) from log_probs (T, N, C); targets (N, S), or one after the other in one row."""
    if not num.is_float(log_probs):
        raise num.not_implemented_for("ctc_loss_cpu", log_probs)
    labels = targets.astype(jnp.int64)
    if labels.ndim == 1:
        starts = jnp.cumsum(target_lengths) - target_lengths
        places = starts[:, None] + jnp.arange(width)
        if labels.shape[0]:
            labels = labels[jnp.clip(places, 0, labels.shape[0] - 1)]
        else:
            labels = jnp.zeros(places.shape, jnp.int64)
    elif labels.shape[1] < width:
        labels = jnp.zeros((labels.shape[0], width), jnp.int64)
    inside = jnp.arange(width) < target_lengths[:, None]
    labels = jnp.where(inside, labels, blank)
    return _losses(log_probs, labels, input_lengths, target_lengths, blank, zero_infinity)


_WHERE = "(while checking arguments for ctc_loss_allocate_outputs)"


def _lengths(values: Any, name: str, batch: int, device: Any) -> tuple[Any, list[int]]:
    """The lengths as an int64 tensor and as numbers."""
    numbers = values.tolist() if hasattr(values, "tolist") else [int(v) for v in values]
    numbers = numbers if isinstance(numbers, list) else [numbers]
    if len(numbers) != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    from ..._basics.dtypes import int64

    return ops.tensor(numbers, dtype=int64, device=device), [int(v) for v in numbers]


def _check_lengths(targets: Any, steps: int, inputs: list[int], labels: list[int]) -> None:
    for value in inputs:
        if value < 0:
            raise RuntimeError(
                f"Expected input_lengths to have value at least 0, but got value {value} {_WHERE}"
            )
        if value > steps:
            raise RuntimeError(
                f"Expected input_lengths to have value at most {steps}, but got value {value} "
                f"{_WHERE}"
            )
    if min(labels, default=0) < 0:
        raise RuntimeError(
            f"Expected target_lengths to have value at least 0, but got value {min(labels)} "
            f"{_WHERE}"
        )
    if targets.dim() == 1:
        if targets.size(0) != sum(labels):
            raise RuntimeError(
                f"Expected tensor to have size {sum(labels)} at dimension 0, but got size "
                f"{targets.size(0)} for argument #2 'targets' {_WHERE}"
            )
        return
    if targets.size(0) != len(labels):
        raise RuntimeError(
            f"Expected tensor to have size {len(labels)} at dimension 0, but got size "
            f"{targets.size(0)} for argument #2 'targets' {_WHERE}"
        )
    if max(labels, default=0) > targets.size(1):
        raise RuntimeError(
            f"Expected tensor to have size at least {max(labels)} at dimension 1, but got size "
            f"{targets.size(1)} for argument #2 'targets' {_WHERE}"
        )


@composite(into=("nn.functional",))
def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """-log of the probability of all alignments of `targets` with `log_probs` (T, N, C) or (T, C).

    "mean" first divides each loss by its target's length.
    """
    reduction = reduction_of(reduction)
    batched = log_probs.dim() == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    if not batched and targets.dim() == 1:
        targets = targets.unsqueeze(0)
    if not 0 <= blank < x.size(2):
        raise RuntimeError("blank must be in label range")
    batch = x.size(1)
    inputs, input_numbers = _lengths(input_lengths, "input_lengths", batch, x.device)
    labels, label_numbers = _lengths(target_lengths, "target_lengths", batch, x.device)
    _check_lengths(targets, x.size(0), input_numbers, label_numbers)
    width = targets.size(1) if targets.dim() == 2 else max(label_numbers, default=0)
    width = max(width, 1)
    losses = internal.ctc_losses(x, targets, inputs, labels, blank, width, zero_infinity)
    if reduction == "mean":
        return (losses / labels.clamp_min(1).to(losses.dtype)).mean()
    if reduction == "sum":
        return losses.sum()
    return losses if batched else losses.squeeze(0)


@composite(into=("torch",), name="ctc_loss")
def torch_ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: int = 0, zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """ctc_loss with torch's numbered reductions."""
    name = ("none", "mean", "sum")[reduction]
    return ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, name, zero_infinity)
