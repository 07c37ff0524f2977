"""Rules of control flow and of calls with an inner jaxpr that is not inlined: loops in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .plan import Plan
from .table import Array, Run, is_half, rule
from .windows import padded, spread


@rule("cond")
def _cond(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    branches = params["branches"]
    plans: list[Any] = [None] * len(branches)

    def run(index: Array, *operands: Array) -> list[Array]:
        k = min(max(int(index), 0), len(branches) - 1)
        if plans[k] is None:  # only what is taken is planned
            plans[k] = Plan(branches[k])
        return plans[k].run(list(operands))  # type: ignore[no-any-return]

    return run


@rule("while")
def _while(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    test, body = Plan(params["cond_jaxpr"]), Plan(params["body_jaxpr"])

    def run(*operands: Array) -> list[Array]:
        test_consts, body_consts = operands[:n_cond], operands[n_cond : n_cond + n_body]
        carry = list(operands[n_cond + n_body :])
        while bool(test.run([*test_consts, *carry])[0]):
            carry = body.run([*body_consts, *carry])
        return carry

    return run


@rule("scan")
def _scan(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    body = Plan(params["jaxpr"])
    n_consts, n_carry = params["num_consts"], params["num_carry"]
    length = params["length"]
    order = range(length - 1, -1, -1) if params["reverse"] else range(length)

    def run(*operands: Array) -> list[Array]:
        consts = operands[:n_consts]
        carry = list(operands[n_consts : n_consts + n_carry])
        rows = operands[n_consts + n_carry :]
        stacked = [np.empty(o.shape, o.dtype) for o in outs[n_carry:]]
        for i in order:
            made = body.run([*consts, *carry, *[x[i] for x in rows]])
            carry = made[:n_carry]
            for to, value in zip(stacked, made[n_carry:], strict=True):
                to[i] = value
        return [*carry, *stacked]

    return run


@rule("platform_index")
def _platform_index(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    """Which branch of `platform_dependent`: the CPU's, else the default one."""
    platforms = params.get("platforms")
    if platforms is None:
        return None
    chosen = next((k for k, names in enumerate(platforms) if names is None or "cpu" in names), 0)
    made = np.asarray(chosen, outs[0].dtype)
    return lambda *_: made


@rule("custom_linear_solve")
def _custom_linear_solve(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    """What its `solve` gives; the other three functions are for derivatives."""
    counts = params["const_lengths"]
    plan = Plan(params["jaxprs"].solve)
    first = counts.matvec + counts.vecmat
    rest = first + counts.solve + counts.transpose_solve

    def run(*operands: Array) -> list[Array]:
        made: list[Array] = plan.run([*operands[first : first + counts.solve], *operands[rest:]])
        return made

    return run


def _over(closed: Any, shape: tuple[int, ...], dtypes: Sequence[Any]) -> Any:
    """The plan of a jaxpr of numbers, applied to the elements of arrays of `shape`."""
    import jax
    from jax.extend.core import jaxpr_as_fun

    function = jaxpr_as_fun(closed)
    for _ in shape:
        function = jax.vmap(function)
    return Plan(jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct(shape, d) for d in dtypes]))


@rule("reduce")
def _reduce(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    """Elements one by one, those of all results at a time."""
    count, axes, shape = len(outs), tuple(params["dimensions"]), outs[0].shape
    plan = _over(params["jaxpr"], shape, [a.dtype for a in ins])

    def run(*operands: Array) -> list[Array]:
        made = [np.broadcast_to(x, shape) for x in operands[count:]]
        moved = [np.moveaxis(x, axes, range(len(axes))) for x in operands[:count]]
        rows = [x.reshape(-1, *shape) for x in moved]
        for k in range(len(rows[0])):
            made = plan.run([*made, *[x[k, ...] for x in rows]])
        return made

    return run


def _closed(params: dict[str, Any]) -> Any:
    from jax.extend.core import ClosedJaxpr

    return ClosedJaxpr(params["jaxpr"], params["consts"])


@rule("reduce_window")
def _reduce_window(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    """The windows' elements one by one, those of all windows at a time."""
    count, shape = len(outs), outs[0].shape
    window, strides = params["window_dimensions"], params["window_strides"]
    dilation, pads = params["window_dilation"], params["padding"]
    plan = _over(_closed(params), shape, [a.dtype for a in ins])

    def prepared(x: Array, initial: Array) -> Array:
        return padded(spread(x, params["base_dilation"], initial), pads, initial)

    def run(*operands: Array) -> list[Array]:
        initials = operands[count:]
        made = [np.broadcast_to(x, shape) for x in initials]
        wide = [prepared(x, i) for x, i in zip(operands[:count], initials, strict=True)]
        for place in np.ndindex(*window):
            at = tuple(
                slice(p * d, p * d + (n - 1) * s + 1, s) if n else slice(0, 0)
                for p, d, n, s in zip(place, dilation, shape, strides, strict=True)
            )
            made = plan.run([*made, *[x[at] for x in wide]])
        return made

    return run


@rule("igamma_grad_a")
def _igamma_grad_a(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    """dP(a, x)/da = -p(a, x) dx/da, dx/da being the derivative of a sample at constant P."""
    import jax
    from jax import lax

    def function(a: Any, x: Any) -> Any:
        density = lax.exp((a - 1) * lax.log(x) - x - lax.lgamma(a))
        slope = lax.random_gamma_grad(a, x)
        made = -density * slope
        return lax.select(x == 0, slope, made)

    dtype = np.dtype(np.float32) if is_half(outs[0].dtype) else outs[0].dtype
    avals = [jax.ShapeDtypeStruct(a.shape, dtype) for a in ins]
    plan = Plan(jax.make_jaxpr(function)(*avals))

    def run(*arrays: Array) -> Array:
        made: Array = plan.run([x.astype(dtype) for x in arrays])[0]
        return made.astype(outs[0].dtype)

    return run
