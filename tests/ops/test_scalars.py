"""Nothing recompiles for a changed scalar: every pointwise operator of the registry that takes one.

Each sample with numbers runs with two other sets of numbers of the same types: no kernel may be
made for the second call, and nothing compiled. (The samples' own numbers are often 0, 1 or 2, for
which some operators have a formula of their own: `x ** 2` is one more program, once.)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import torchish
from tests.ops.samples import activation, pointwise
from tests.ops.sampling import N, Sample, all_samples
from torchish._autograd.interop import host_array
from torchish._basics.settings import settings
from torchish._basics.stats import stats
from torchish._ops.call.operator import Operator, _all as every_operator

DYNAMIC = ("scalar", "operand")
# Names whose number is no operand: it chooses the formula.
FORMULAS = {"torch.pairwise_distance": "p is the order of the norm"}
reached: set[int] = set()


def takes_numbers(operator: Operator) -> bool:
    """Whether an operator is pointwise and has an argument that may be a number."""
    return operator.elementwise and any(p.kind in DYNAMIC for p in operator.binder.params)


def function_of(name: str) -> Any:
    """The public function of a sample's name; for methods, the unbound one."""
    home: Any = torchish
    for part in name.removeprefix("torch.").split("."):
        home = getattr(home, part)
    return home


def is_number(value: Any) -> bool:
    """Whether a sample's argument is a number that may change."""
    return isinstance(value, float | int) and not isinstance(value, bool)


def changed(function: Any, sample: Sample, step: int) -> Sample | None:
    """The sample with other numbers of the same types; None if it has none that may change."""
    operator = getattr(function, "operator", None)
    params = operator.binder.params if operator is not None else ()
    static = dict.fromkeys(("dim", "n", "decimals", "keepdim", "correction"), "static")
    kinds = {p.name: p.kind for p in params} if operator is not None else static
    order = [p.kind for p in params]
    found = False

    def other(value: Any, kind: str | None) -> Any:
        nonlocal found
        dynamic = kind in DYNAMIC if operator is not None else kind != "static"
        if not (is_number(value) and dynamic) or not np.isfinite(value):
            return value
        found = True
        return value + 6 + step if isinstance(value, int) else value / (1 + step / 4) + 0.0625

    args = tuple(other(a, order[k] if k < len(order) else None) for k, a in enumerate(sample.args))
    kwargs = {k: other(v, kinds.get(k)) for k, v in sample.kwargs.items()}
    return Sample(args, kwargs, sample.options) if found else None


def run(function: Any, sample: Sample) -> None:
    """One call of a sample, read out."""

    def build(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torchish.from_numpy(value.copy(order="K"))
        if isinstance(value, N):
            return getattr(torchish, value.name)
        return type(value)(map(build, value)) if type(value) in (list, tuple) else value

    torchish.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = function(*map(build, sample.args), **{k: build(v) for k, v in sample.kwargs.items()})
        for leaf in made if isinstance(made, tuple | list) else (made,):
            if torchish.is_tensor(leaf):
                host_array(leaf)


def kernels() -> dict[int, int]:
    """How many specialisations each pointwise operator with numbers has."""
    return {k: len(o.kernels) for k, o in enumerate(every_operator) if takes_numbers(o)}


def cases() -> Iterator[tuple[str, Sample, Sample]]:
    """Every sample of a pointwise operator with numbers, with its numbers changed twice."""
    families = {*pointwise.SAMPLES, *activation.SAMPLES}
    for name, samples in sorted(all_samples().items()):
        function = function_of(name)
        operator = getattr(function, "operator", None)
        inside = name in families or "dropout" in name
        if name in FORMULAS or not (inside if operator is None else operator.elementwise):
            continue
        for sample in samples:
            first, second = (changed(function, sample, step) for step in (1, 2))
            if first is not None and second is not None:
                yield name, first, second


CASES = list(cases())


@pytest.fixture(autouse=True, scope="module")
def node_by_node() -> Iterator[None]:
    """Every kernel is compiled by itself, so that the counter sees each of them."""
    before = settings.eager
    settings.eager = True
    yield
    settings.eager = before


@pytest.mark.parametrize("case", CASES, ids=[f"{name}-{k}" for k, (name, *_) in enumerate(CASES)])
def test_a_changed_number_compiles_nothing(case: Any) -> None:
    name, first, second = case
    function = function_of(name)
    before = kernels()
    try:
        run(function, first)
        middle, compiled = kernels(), stats.compiled
        run(function, second)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return  # a sample of an error, or a number outside what the operator takes
    after = kernels()
    reached.update(k for k in after if after[k] > before[k])
    grown = [every_operator[k].name for k in after if after[k] != middle[k]]
    assert not grown, f"{grown} made a kernel for another number"
    assert stats.compiled == compiled


def test_every_pointwise_operator_was_tried() -> None:
    missing = [
        operator.name
        for k, operator in enumerate(every_operator)
        if takes_numbers(operator) and not operator.kernels and k not in reached
        if not any(name.endswith("." + operator.name) for name in FORMULAS)
    ]
    assert not missing, "these operators have no sample with a number"
