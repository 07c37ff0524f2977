"""Attention as a primitive, with its tangent and its gradient.

    out = softmax(scale q k^T + mask) v

Shapes: q (..., L, E), k (..., S, E), v (..., S, F), all with the same leading dimensions; mask of
q's rank, bool or float, its sizes S at the end and 1 or the full size before; scale ().

Three primitives, all linear in what comes first: `attention(q, k, v, scale, [mask])`,
`attention_tangent(dq, dk, dv, q, k, v, ...)` and its transpose `attention_gradient(d_out, q, k, v,
...)`. On the CPU the first and the last are one call into the optional package torchish-cpu (XLA's
small products and the loops of a softmax take three times as long), numpy runs them by rules of
their own, and everywhere else, and in derivatives of higher order, they are `formula` and what JAX
derives from it.

Source: Vaswani et al., 2017; Dao et al., 2022 (the gradient computes probabilities anew).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching

from ..._interpret.table import Array, Run, rule
from ..conv import onednn
from ..shared import numeric as num
from ..shared.primitives import define


def probabilities(q: Any, k: Any, mask: Any, causal: bool, scale: Any) -> Any:
    """softmax(q k^T scale + mask); a row that is masked entirely gives zeros."""
    scores = jnp.matmul(q, k.swapaxes(-1, -2)) * num.as_dtype(scale, q)
    low = num.as_dtype(-jnp.inf, scores)
    hides = causal or mask is not None
    if causal:
        rows, columns = scores.shape[-2:]
        scores = jnp.where(jnp.tri(rows, columns, dtype=bool), scores, low)
    if mask is not None:
        if num.is_bool(mask):
            scores = jnp.where(mask, scores, low)
        else:
            scores = scores + mask.astype(scores.dtype)
    peak = lax.stop_gradient(jnp.max(scores, -1, keepdims=True, initial=-jnp.inf))
    if hides:
        peak = jnp.where(peak == low, jnp.zeros_like(peak), peak)
    raised = jnp.exp(scores - peak)
    total = jnp.sum(raised, -1, keepdims=True)
    if hides:
        total = jnp.where(total == 0, jnp.ones_like(total), total)
    return raised / total


def formula(q: Any, k: Any, v: Any, scale: Any, mask: Any = None, *, causal: bool) -> list[Any]:
    """Attention in JAX's operators."""
    return [jnp.matmul(probabilities(q, k, mask, causal, scale), v)]


def _tangent_formula(
    dq: Any, dk: Any, dv: Any, q: Any, k: Any, v: Any, *rest: Any, causal: bool
) -> list[Any]:
    def of(*qkv: Any) -> list[Any]:
        return formula(*qkv, *rest, causal=causal)

    return jax.jvp(of, (q, k, v), (dq, dk, dv))[1]  # type: ignore[no-any-return]


def _gradient_formula(d_out: Any, q: Any, k: Any, v: Any, *rest: Any, causal: bool) -> list[Any]:
    def of(*qkv: Any) -> list[Any]:
        return formula(*qkv, *rest, causal=causal)

    return list(jax.vjp(of, q, k, v)[1]([d_out]))


def fits(q: Any, k: Any, v: Any, mask: Any) -> bool:
    """Whether `attend` takes these."""
    if not q.dtype == k.dtype == v.dtype == jnp.float32 or k.shape[-2] != v.shape[-2]:
        return False
    if mask is None:
        return True
    if not (num.is_bool(mask) or mask.dtype == jnp.float32):
        return False
    last = (1,) * (2 - mask.ndim) + mask.shape[-2:]
    return last[0] in (1, q.shape[-2]) and last[1] in (1, k.shape[-2])


def attend(q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: Any) -> Any:
    """Attention of float32 operands whose leading dimensions broadcast."""
    given = [q, k, v] if mask is None else [q, k, v, mask]
    lead = jnp.broadcast_shapes(*(x.shape[:-2] for x in given))
    q, k, v = (jnp.broadcast_to(x, lead + x.shape[-2:]) for x in (q, k, v))
    operands = [q, k, v, jnp.asarray(num.as_dtype(scale, q))]
    if mask is not None:
        mask = mask.reshape((1,) * (q.ndim - mask.ndim) + mask.shape)
        operands.append(jnp.broadcast_to(mask, (*mask.shape[:-1], k.shape[-2])))
    return _attention.bind(*operands, causal=causal)[0]


# Results by the positions of the operands that give their leading sizes and their last one.
Results = Sequence[tuple[int, int]]


def _results(operands: Sequence[Any], results: Results) -> list[Any]:
    shapes = [(*operands[k].shape[:-1], operands[m].shape[-1]) for k, m in results]
    return [jax.ShapeDtypeStruct(s, operands[0].dtype) for s in shapes]


def _native(target: str, results: Results, large: int, formula: Any) -> Callable[..., Any]:
    """The lowering on the CPU."""

    def lowered(*operands: Any, causal: bool) -> list[Any]:
        made = _results(operands, results)
        if not onednn.is_wanted() or any(0 in x.shape for x in (*operands, *made)):
            return formula(*operands, causal=causal)  # type: ignore[no-any-return]
        orders = np.tile(np.arange(operands[0].ndim), large + len(made))
        call = jax.ffi.ffi_call(target, made)
        return list(call(*operands, causal=np.int64(causal), orders=orders))

    return lowered


def _define(name: str, formula: Any, results: Results, large: int, target: str = "") -> Any:
    """A primitive whose first `large` operands are arrays of heads; a scale and a mask follow."""

    def shapes(*avals: Any, causal: bool) -> list[Any]:
        made = _results(avals, results)
        return [avals[0].update(shape=r.shape, weak_type=False) for r in made]

    primitive = define(
        name, shapes, formula, _native(target, results, large, formula) if target else None,
        static=["causal"], several=True, around=onednn.portable,
    )  # fmt: skip

    def batch(args: Any, dims: Any, *, causal: bool) -> Any:
        found = [0] * len(results)
        if dims[large] is not None:
            return jax.vmap(partial(formula, causal=causal), in_axes=dims)(*args), found
        size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
        moved = [
            x[None] if d is None else jnp.moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True)
        ]
        moved[large] = args[large]
        for at in range(large):
            moved[at] = jnp.broadcast_to(moved[at], (size, *moved[at].shape[1:]))
        return primitive.bind(*moved, causal=causal), found

    batching.primitive_batchers[primitive] = batch
    return primitive


_attention = _define("attention", formula, [(0, 2)], 3, onednn.ATTENTION)
_tangent = _define("attention_tangent", _tangent_formula, [(3, 5)], 6)
_gradient = _define(
    "attention_gradient", _gradient_formula, [(1, 1), (2, 2), (3, 3)], 4, onednn.ATTENTION_GRADIENT
)


def _vary(tangents: Sequence[Any]) -> bool:
    return any(type(t) is not ad.Zero for t in tangents)


def _by_formula(formula: Any, primals: Any, tangents: Any, causal: bool) -> Any:
    """Tangents as JAX derives them, those of a float mask too."""
    at = [k for k, t in enumerate(tangents) if type(t) is not ad.Zero]

    def of(*varied: Any) -> Any:
        given = list(primals)
        for k, x in zip(at, varied, strict=True):
            given[k] = x
        return formula(*given, causal=causal)

    return jax.jvp(of, tuple(primals[k] for k in at), tuple(tangents[k] for k in at))


def _attention_jvp(primals: Any, tangents: Any, *, causal: bool) -> Any:
    if _vary(tangents[3:]):
        return _by_formula(formula, primals, tangents, causal)
    moving = map(ad.instantiate_zeros, tangents[:3])
    made = _attention.bind(*primals, causal=causal)
    return made, _tangent.bind(*moving, *primals, causal=causal)


def _linear_jvp(
    primitive: Any, formula: Any, linear: int, primals: Any, tangents: Any, *, causal: bool
) -> Any:
    """That of a primitive which is linear in its first operands."""
    if _vary(tangents[linear:]):
        return _by_formula(formula, primals, tangents, causal)
    moving = map(ad.instantiate_zeros, tangents[:linear])
    made = primitive.bind(*primals, causal=causal)
    return made, primitive.bind(*moving, *primals[linear:], causal=causal)


def _transposed_tangent(cts: Any, *operands: Any, causal: bool) -> list[Any]:
    pulled = _gradient.bind(ad.instantiate_zeros(cts[0]), *operands[3:], causal=causal)
    moving = zip(operands, pulled, strict=False)
    made = [g if ad.is_undefined_primal(x) else None for x, g in moving]
    return made + [None] * (len(operands) - 3)


def _transposed_gradient(cts: Any, d_out: Any, *known: Any, causal: bool) -> list[Any]:
    made = _tangent.bind(*map(ad.instantiate_zeros, cts), *known, causal=causal)
    return made + [None] * len(known)


ad.primitive_jvps[_attention] = _attention_jvp
ad.primitive_jvps[_tangent] = partial(_linear_jvp, _tangent, _tangent_formula, 3)
ad.primitive_jvps[_gradient] = partial(_linear_jvp, _gradient, _gradient_formula, 1)
ad.primitive_transposes[_tangent] = _transposed_tangent
ad.primitive_transposes[_gradient] = _transposed_gradient


# --- in numpy -------------------------------------------------------------------------------------


def _turned(x: Array) -> Array:
    return x.swapaxes(-1, -2)


def _numpy_probabilities(q: Array, k: Array, scale: Array, mask: Any, causal: bool) -> Array:
    made: Array = np.matmul(q, _turned(k))
    made *= scale
    if causal:
        rows, columns = made.shape[-2:]
        np.copyto(made, -np.inf, where=~np.tri(rows, columns, dtype=bool))
    if mask is not None and mask.dtype == bool:
        np.copyto(made, -np.inf, where=~mask)
    elif mask is not None:
        made += mask
    peak = made.max(-1, keepdims=True)
    peak[peak == -np.inf] = 0
    made -= peak
    np.exp(made, out=made)
    total = made.sum(-1, keepdims=True)
    total[total == 0] = 1
    made /= total
    return made


@rule("attention")
def _numpy_attention(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    causal, empty = params["causal"], 0 in ins[1].shape

    def run(q: Array, k: Array, v: Array, scale: Array, mask: Any = None) -> list[Array]:
        if empty:
            return [np.zeros(outs[0].shape, outs[0].dtype)]
        return [np.matmul(_numpy_probabilities(q, k, scale, mask, causal), v)]

    return run


@rule("attention_tangent")
def _numpy_tangent(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    causal, empty = params["causal"], 0 in ins[4].shape

    def run(
        dq: Array, dk: Array, dv: Array, q: Array, k: Array, v: Array, scale: Array,
        mask: Any = None,
    ) -> list[Array]:  # fmt: skip
        if empty:
            return [np.zeros(outs[0].shape, outs[0].dtype)]
        p = _numpy_probabilities(q, k, scale, mask, causal)
        slopes = np.matmul(dq, _turned(k)) + np.matmul(q, _turned(dk))
        slopes *= scale
        slopes -= (p * slopes).sum(-1, keepdims=True)
        slopes *= p
        return [np.matmul(slopes, v) + np.matmul(p, dv)]

    return run


@rule("attention_gradient")
def _numpy_gradient(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    causal, empty = params["causal"], 0 in ins[2].shape

    def run(
        d_out: Array, q: Array, k: Array, v: Array, scale: Array, mask: Any = None
    ) -> list[Array]:
        if empty:
            return [np.zeros(o.shape, o.dtype) for o in outs]
        p = _numpy_probabilities(q, k, scale, mask, causal)
        slopes = np.matmul(d_out, _turned(v))
        slopes -= (p * slopes).sum(-1, keepdims=True)
        slopes *= p
        slopes *= scale
        return [
            np.matmul(slopes, k), np.matmul(_turned(slopes), q), np.matmul(_turned(p), d_out),
        ]  # fmt: skip

    return run
