"""Recipes: a jaxpr as a flat list of equations on numbered slots, as plain data.

Invariants: inner jaxprs of calls are inlined, branches that are chosen already too; equations that
nobody needs are dropped, and equations on constants alone are computed here. A recipe holds names,
parameters and shapes and nothing of JAX's, so that it can be pickled; `plan.py` makes functions of
it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .costs import ATTENTION, BYTE, CALL, FLOP, FUNCTION_BYTE, PATCH_BYTE, WEIGHTED, of_compiling
from .fallback import bound, jitted
from .simplify import Simplified
from .table import RULES, Array

# Constants up to this size are computed with the recipe.
FOLD_BYTES = 1 << 16

_FUNCTIONS = frozenset(
    "exp exp2 log expm1 log1p sin cos tan tanh logistic erf erfc erf_inv pow lgamma digamma atan2 "
    "sinh cosh asin acos atan sort cumsum cumprod gather scatter scatter-add accurate_tanh "
    "accurate_erf accurate_log1p".split()
)
_VIEWS = frozenset(
    "reshape squeeze transpose broadcast_in_dim slice rev copy optimization_barrier stop_gradient"
    " expand_dims dynamic_slice iota".split()
)
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_CALLS = frozenset(
    "jit pjit closed_call core_call remat checkpoint remat2 custom_jvp_call custom_vjp_call "
    "custom_vjp_call_jaxpr custom_lin".split()
)


class TypedKey(Exception):
    """A variable is a JAX random key, which numpy has no type for."""


class Shaped:
    """Shape and dtype of a slot, as rules see it."""

    __slots__ = ("dtype", "ndim", "shape")

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.ndim = len(self.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return _interned, (self.shape, self.dtype)


@functools.lru_cache(maxsize=4096)
def _interned(shape: tuple[int, ...], dtype: Any) -> Shaped:
    return Shaped(shape, dtype)


def _shaped(aval: Any) -> Shaped:
    if jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended):
        raise TypedKey
    return _interned(tuple(aval.shape), aval.dtype)


class Equation(NamedTuple):
    """One primitive applied: everything that its rule is made from.

    `bind` applies it by JAX, for primitives without a rule; it is not pickled. `acts`: whether it
    does something beside computing (a callback, a print).
    """

    name: str
    params: dict[str, Any]
    ins: list[Shaped]
    outs: list[Shaped]
    several: bool
    bind: Any
    acts: bool = False

    def function(self) -> Any:
        """What its rule makes of it; None where XLA must run it."""
        maker = RULES.get(self.name)
        return None if maker is None else maker(self.params, self.ins, self.outs)

    @property
    def key(self) -> Any:
        """What two equations have in common that compute the same; None where that is not known."""
        if self.acts:
            return None
        params = tuple(sorted(self.params.items()))
        outs = tuple((x.shape, x.dtype) for x in self.outs)
        try:
            hash(params)
        except TypeError:
            return None
        return self.name, params, outs

    @property
    def size(self) -> int:
        """Bytes of the results."""
        return _size(self.outs)

    def __reduce__(self) -> tuple[Any, ...]:
        return Equation, (
            self.name,
            self.params,
            self.ins,
            self.outs,
            self.several,
            None,
            self.acts,
        )


class Recipe:
    """A jaxpr ready to be linked: see the module's text.

    `steps` are (equation, slots of its inputs, of its outputs, slots that are dead by then if its
    first operand dies there, else None). `cost` is what a run takes, `price` what XLA takes to
    compile it (seconds, by the model).
    """

    __slots__ = ("constants", "cost", "n_in", "n_slots", "outs", "price", "steps")

    def __init__(self, closed: Any) -> None:
        flat = _Flat(closed)
        self.n_in = flat.n_in
        self.cost = self.price = 0.0
        simple = Simplified(flat.equations)
        outs = [simple.stands.get(name, name) for name in flat.outs]
        equations = simple.equations
        last: dict[Any, int] = {name: len(equations) for name in outs}
        needed = []
        for k in range(len(equations) - 1, -1, -1):
            eqn, ins, made = equations[k]
            if not any(n in last for n in made) and not eqn.acts:
                continue
            needed.append((k, eqn, ins, made))
            for n in ins:
                last.setdefault(n, k)
        needed.reverse()
        slots: dict[Any, int] = {("in", k): k for k in range(self.n_in)}
        self.constants: list[Array] = []
        for n, array in flat.constants.items():
            if n in last:
                slots[n] = len(slots)
                self.constants.append(array)
        self.steps: list[Any] = []
        for k, eqn, ins, made in needed:
            for n in made:
                slots[n] = len(slots)
            self.cost += _cost(eqn)
            self.price += of_compiling(eqn.name)
            at = tuple(slots[n] for n in ins)
            dead = None
            if ins and last[ins[0]] == k and at[0] not in at[1:]:
                dead = tuple(
                    slots[n] for n, end in last.items()
                    if end < k and n in slots and n not in flat.constants
                )  # fmt: skip
            self.steps.append((eqn, at, tuple(slots[n] for n in made), dead))
        self.outs = [slots[n] for n in outs]
        self.n_slots = len(slots)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, found: dict[str, Any]) -> None:
        for name, value in found.items():
            setattr(self, name, value)


class _Flat:
    """The equations of a jaxpr, those of inner calls in their place, on names."""

    def __init__(self, closed: Any) -> None:
        self.equations: list[tuple[Equation, list[Any], list[Any]]] = []
        self.constants: dict[Any, Array] = {}
        jaxpr = closed.jaxpr
        names: dict[Any, Any] = {v: ("in", k) for k, v in enumerate(jaxpr.invars)}
        self.n_in = len(jaxpr.invars)
        self.temporaries = 0
        # By id: what is called several times (an optimizer's rule) is made once.
        self.known: dict[int, Equation] = {}
        self._inline(jaxpr, closed.consts, names)
        self.outs = [self._name(v, names) for v in jaxpr.outvars]

    def _name(self, v: Any, names: dict[Any, Any]) -> Any:
        if not hasattr(v, "val"):
            return names[v]
        return self._constant(np.asarray(v.val, v.aval.dtype))

    def _constant(self, array: Array) -> Any:
        name = ("const", len(self.constants))
        self.constants[name] = array
        return name

    def _fresh(self) -> Any:
        self.temporaries += 1
        return ("temp", self.temporaries)

    def _inline(self, jaxpr: Any, consts: Sequence[Any], names: dict[Any, Any]) -> None:
        for v, c in zip(jaxpr.constvars, consts, strict=True):
            names[v] = self._constant(np.asarray(c))
        for eqn in jaxpr.eqns:
            ins = [self._name(v, names) for v in eqn.invars]
            inner, operands = self._called(eqn, ins)
            if inner is not None:
                body, body_consts = inner
                inside = dict(zip(body.invars, operands, strict=True))
                self._inline(body, body_consts, inside)
                for v, made in zip(eqn.outvars, body.outvars, strict=True):
                    names[v] = self._name(made, inside)
                continue
            outs = [self._fresh() for _ in eqn.outvars]
            self._equation(eqn, ins, outs)
            names.update(zip(eqn.outvars, outs, strict=True))

    def _called(self, eqn: Any, ins: list[Any]) -> tuple[Any, list[Any]]:
        """The jaxpr that an equation only calls (with its constants), and on what; or None."""
        if eqn.primitive.name == "cond" and ins[0] in self.constants:
            branches = eqn.params["branches"]
            k = min(max(int(self.constants[ins[0]]), 0), len(branches) - 1)
            return (branches[k].jaxpr, branches[k].consts), ins[1:]
        return _inner_jaxpr(eqn), ins

    def _equation(self, eqn: Any, ins: list[Any], outs: list[Any]) -> None:
        made = self.known.get(id(eqn))
        if made is None:
            made = self.known[id(eqn)] = _equation(eqn)
        if all(n in self.constants for n in ins) and _size(made.outs) <= FOLD_BYTES:
            self._fold(made, ins, outs)
            return
        self.equations.append((made, ins, outs))

    def _fold(self, eqn: Equation, ins: list[Any], outs: list[Any]) -> None:
        function = eqn.function()
        if function is None:
            function = jitted(eqn)
        with np.errstate(all="ignore"):
            made = function(*[self.constants[n] for n in ins])
        results = made if eqn.several else [made]
        self.constants.update(zip(outs, results, strict=True))


def _equation(eqn: Any) -> Equation:
    name, params = eqn.primitive.name, eqn.params
    if name.startswith("scatter"):  # which combination it is, its name says
        params = {k: v for k, v in params.items() if k not in ("update_jaxpr", "update_consts")}
    return Equation(
        name, params, [_shaped(v.aval) for v in eqn.invars], [_shaped(v.aval) for v in eqn.outvars],
        eqn.primitive.multiple_results, bound(eqn), bool(eqn.effects),
    )  # fmt: skip


def _inner_jaxpr(eqn: Any) -> tuple[Any, Sequence[Any]] | None:
    """The jaxpr that an equation only calls, and its constants."""
    if eqn.primitive.name not in _CALLS:
        return None
    for key in _INNER:
        inner = eqn.params.get(key)
        if inner is not None:
            break
    else:
        return None
    body = getattr(inner, "jaxpr", inner)
    if len(body.invars) != len(eqn.invars) or len(body.outvars) != len(eqn.outvars):
        return None
    return body, getattr(inner, "consts", ())


def _size(outs: Sequence[Shaped]) -> int:
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in outs)


def _cost(eqn: Equation) -> float:
    """Modelled seconds of one equation (static: shapes only)."""
    name, ins = eqn.name, eqn.ins
    if name in _VIEWS:
        return CALL
    cost = CALL + _size(eqn.outs) * (FUNCTION_BYTE if name in _FUNCTIONS else BYTE)
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        inner = math.prod(ins[0].shape[d] for d in contracted)
        cost += FLOP * 2 * inner * math.prod(eqn.outs[0].shape)
    elif name in WEIGHTED:
        # <conv(x, w), g> has 2 sqrt(|x| |w| |g| taps) operations at stride 1, however it is read.
        sizes = [math.prod(a.shape) for a in (*ins[:2], eqn.outs[0])]
        geo = eqn.params.get("geo")
        taps = math.prod(ins[1].shape[2:] if geo is None else geo.kernel)
        cost += FLOP * 2 * math.sqrt(math.prod(sizes) * taps) + PATCH_BYTE * taps * max(sizes)
    elif name in ATTENTION:
        operations, at = ATTENTION[name]  # of q (..., L, E), before k (..., S, E) and v (..., S, F)
        scores = math.prod(ins[at].shape[:-1]) * ins[at + 1].shape[-2]
        width = ins[at].shape[-1] + ins[at + 2].shape[-1]
        cost += scores * (operations * width * FLOP + 4 * FUNCTION_BYTE)
    elif name.startswith("reduce") or name in ("argmax", "argmin"):
        cost += math.prod(ins[0].shape) * ins[0].dtype.itemsize * BYTE
    elif name == "max_pool":
        cost += 4 * math.prod(eqn.params["win"].kernel) * _size(eqn.outs) * BYTE
    elif name == "scan":
        body = eqn.params["jaxpr"].jaxpr
        cost += eqn.params["length"] * len(body.eqns) * 2 * CALL
    return cost
