"""Rules of control flow and of calls with an inner jaxpr that is not inlined: loops in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Array, Run, rule


def _inner(closed: Any) -> Any:
    from .plan import Plan

    return Plan(closed)


@rule("cond")
def _cond(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    branches = params["branches"]
    plans: list[Any] = [None] * len(branches)

    def run(index: Array, *operands: Array) -> list[Array]:
        k = min(max(int(index), 0), len(branches) - 1)
        if plans[k] is None:  # only what is taken is planned
            plans[k] = _inner(branches[k])
        return plans[k].run(list(operands))  # type: ignore[no-any-return]

    return run


@rule("while")
def _while(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    test, body = _inner(params["cond_jaxpr"]), _inner(params["body_jaxpr"])

    def run(*operands: Array) -> list[Array]:
        test_consts, body_consts = operands[:n_cond], operands[n_cond : n_cond + n_body]
        carry = list(operands[n_cond + n_body :])
        while bool(test.run([*test_consts, *carry])[0]):
            carry = body.run([*body_consts, *carry])
        return carry

    return run


@rule("scan")
def _scan(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    body = _inner(params["jaxpr"])
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
