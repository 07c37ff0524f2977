"""What a trace costs by the static model, in each tier: equations, bytes and operations, no clock.

The figures were measured on one core; they decide when a program is compiled, so they must depend
on shapes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .costs import CALL, of_compiling

# Modelled seconds: of a node beside its equations when it is interpreted; of calling a kernel's own
# program, and of making that program beside what its equations take.
NODE, LAUNCH, KERNEL = 2e-6, 4e-5, 0.05


class Cost(NamedTuple):
    """What a structure costs by the model: seconds of a cold run, of making its program, and of
    what the first cold run must compile."""

    seconds: float
    price: float
    first: float = 0.0


def of_interpreting(entries: Sequence[Any]) -> Cost:
    """A trace whose cold tier is numpy."""
    seconds = price = 0.0
    for entry in entries:
        if type(entry) is not int:
            plan = entry.plan
            seconds += NODE + plan.cost
            price += plan.price
    return Cost(seconds, price)


def saved_by_linking(plans: Sequence[Any], steps: int) -> float:
    """Seconds that a cold run of these plans takes less where they are linked to so many steps."""
    return NODE * len(plans) + CALL * (sum(len(plan.equations) for plan in plans) - steps)


def of_kernels(entries: Sequence[Any]) -> Cost:
    """A trace whose cold tier is one compiled program a kernel."""
    seconds = price = first = 0.0
    prices: dict[int, float] = {}
    for entry in entries:
        if type(entry) is int:
            continue
        own = prices.get(id(entry))
        if own is None:
            own = prices[id(entry)] = _of_jaxpr(entry.closed.jaxpr)
            if not entry.is_jitted:
                first += KERNEL + own
        seconds += LAUNCH
        price += own
    return Cost(seconds, price, first)


def _of_jaxpr(jaxpr: Any) -> float:
    """Compiling the equations of a jaxpr, those of inner ones included."""
    total = 0.0
    for eqn in jaxpr.eqns:
        total += of_compiling(eqn.primitive.name)
        for value in eqn.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                total += _of_jaxpr(inner)
    return total
