"""Plans: a jaxpr as a flat list of numpy calls, made once and run many times.

Invariants: inner jaxprs of calls are inlined, equations nobody needs are dropped, and equations on
constants alone are computed when the plan is made. Arrays are never written to, with one
exception: an update (`dynamic_update_slice`, `scatter`) whose operand dies there, and which nothing
else refers to, happens in place.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .fallback import jitted, jitted_jaxpr
from .indexing import scatter_in_place
from .shapes import update_slice
from .table import RULES, Array, Run

# How a step calls its function: by the number of its arguments, or several results, or in place.
UNARY, BINARY, NARY, SEVERAL, UPDATE = range(5)
# Constants up to this size are computed with the plan.
FOLD_BYTES = 1 << 16

# The static cost model, in seconds (measured on one core): a call of a rule, a byte it makes, a
# floating-point operation, a byte of a transcendental function, a byte of a convolution's patches.
CALL, BYTE, FLOP, FUNCTION_BYTE = 7e-7, 1.5e-10, 1.3e-11, 6e-10
PATCH_BYTE = 8e-11
# Compiling an equation, and a convolution.
COMPILE_EQUATION, COMPILE_WEIGHTED = 7e-4, 0.12
# Primitives that cost what a convolution costs.
WEIGHTED = frozenset("conv_general_dilated conv conv_input_grad conv_weight_grad".split())
_FUNCTIONS = frozenset(
    "exp exp2 log expm1 log1p sin cos tan tanh logistic erf erfc erf_inv pow lgamma digamma atan2 "
    "sinh cosh asin acos atan sort cumsum cumprod gather scatter scatter-add".split()
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


class Plan:
    """A closed jaxpr, ready to run on numpy arrays."""

    # `cost` is what a run takes, `price` what XLA takes to compile it (seconds, by the model).
    __slots__ = ("cost", "n_in", "outs", "price", "rest", "single", "steps")

    def __init__(self, closed: Any) -> None:
        try:
            builder: Any = _Builder(closed)
        except _TypedKey:
            builder = _Whole(closed)
        self.n_in = builder.n_in
        self.steps = builder.steps
        self.rest = builder.rest
        self.outs = builder.outs
        self.cost = builder.cost
        self.price = builder.price
        self.single = self._single()

    def _single(self) -> Any:
        """The function of a plan that is one call on its inputs in order, else None."""
        if len(self.steps) != 1 or self.outs != [self.steps[0][3]]:
            return None
        kind, function, ins, _ = self.steps[0]
        if kind == BINARY and ins == (0, 1) and self.n_in == 2:
            return function
        return function if kind == UNARY and ins == 0 and self.n_in == 1 else None

    def run(self, args: list[Any]) -> list[Any]:
        """Results for the arrays `args`; the list is taken over (emptied)."""
        if self.single is not None:
            return [self.single(*args)]
        env = args + self.rest
        args.clear()
        for kind, function, ins, out in self.steps:
            if kind == BINARY:
                env[out] = function(env[ins[0]], env[ins[1]])
            elif kind == UNARY:
                env[out] = function(env[ins])
            elif kind == NARY:
                env[out] = function(*[env[k] for k in ins])
            elif kind == SEVERAL:
                for slot, made in zip(out, function(*[env[k] for k in ins]), strict=True):
                    env[slot] = made
            else:
                env[out] = _updated(env, function, ins)
        return [env[k] for k in self.outs]


# --- updates in place -----------------------------------------------------------------------------


def _taken(env: list[Any], slot: int) -> tuple[Any, int, int]:
    """An array out of `env`, with the number of references to it and to its base."""
    x = env[slot]
    env[slot] = None
    base = x.base
    return x, sys.getrefcount(x), 0 if base is None else sys.getrefcount(base)


_, _ALONE, _ = _taken([np.empty(1)], 0)
_, _ALONE_VIEW, _ALONE_BASE = _taken([np.empty(1).reshape(1, 1)], 0)


def _updated(env: list[Any], function: Any, ins: tuple[Any, ...]) -> Any:
    """Apply an update that writes into its operand, on a copy when others can see the operand."""
    dead, ins = ins[0], ins[1:]
    rest = [env[k] for k in ins[1:]]
    for slot in dead:
        env[slot] = None
    x, refs, base_refs = _taken(env, ins[0])
    base = x.base
    if base is None:
        alone = refs == _ALONE
    else:
        alone = (
            refs == _ALONE_VIEW
            and base_refs == _ALONE_BASE
            and type(base) is np.ndarray
            and base.base is None
        )
    if not (alone and x.flags.writeable and 0 not in x.strides):
        x = np.array(x, order="C")
    return function(x, *rest)


# --- building -------------------------------------------------------------------------------------


class _TypedKey(Exception):
    """A variable is a JAX random key, which numpy has no type for."""


class _Whole:
    """A jaxpr as one step that XLA runs: draws of devices other than the CPU (simulated ones)."""

    def __init__(self, closed: Any) -> None:
        self.n_in = len(closed.jaxpr.invars)
        slots = list(range(self.n_in, self.n_in + len(closed.jaxpr.outvars)))
        self.steps = [(SEVERAL, jitted_jaxpr(closed), tuple(range(self.n_in)), slots)]
        self.rest: list[Any] = [None] * len(slots)
        self.outs = slots
        self.cost, self.price = CALL, COMPILE_EQUATION * len(closed.jaxpr.eqns)


class _Aval:
    """Shape and dtype of a slot, as rules see it."""

    __slots__ = ("dtype", "ndim", "shape")

    def __init__(self, aval: Any) -> None:
        if jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended):
            raise _TypedKey
        self.shape = tuple(aval.shape)
        self.dtype = np.dtype(aval.dtype)
        self.ndim = len(self.shape)


class _Builder:
    """Numbers the variables of a jaxpr and turns its equations into steps."""

    def __init__(self, closed: Any) -> None:
        self.steps: list[Any] = []
        self.cost = self.price = 0.0
        self.equations: list[tuple[Any, list[Any], list[Any]]] = []
        self.constants: dict[Any, Array] = {}
        jaxpr = closed.jaxpr
        names: dict[Any, Any] = {v: ("in", k) for k, v in enumerate(jaxpr.invars)}
        self.n_in = len(jaxpr.invars)
        self.temporaries = 0
        self._inline(jaxpr, closed.consts, names)
        outs = [self._name(v, names) for v in jaxpr.outvars]
        self._number(outs)

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
        """Note the equations of `jaxpr`, those of inner calls in their place."""
        for v, c in zip(jaxpr.constvars, consts, strict=True):
            names[v] = self._constant(np.asarray(c))
        for eqn in jaxpr.eqns:
            ins = [self._name(v, names) for v in eqn.invars]
            inner = _inner_jaxpr(eqn)
            if inner is not None:
                body, body_consts = inner
                inside = dict(zip(body.invars, ins, strict=True))
                self._inline(body, body_consts, inside)
                for v, made in zip(eqn.outvars, body.outvars, strict=True):
                    names[v] = self._name(made, inside)
                continue
            outs = [self._fresh() for _ in eqn.outvars]
            self._equation(eqn, ins, outs)
            names.update(zip(eqn.outvars, outs, strict=True))

    def _equation(self, eqn: Any, ins: list[Any], outs: list[Any]) -> None:
        in_avals = [_Aval(v.aval) for v in eqn.invars]
        out_avals = [_Aval(v.aval) for v in eqn.outvars]
        name = eqn.primitive.name
        maker = RULES.get(name)
        function = None if maker is None else maker(eqn.params, in_avals, out_avals)
        if function is None:
            function = jitted(eqn, out_avals)
        size = sum(math.prod(a.shape) * a.dtype.itemsize for a in out_avals)
        if all(n in self.constants for n in ins) and size <= FOLD_BYTES:
            with np.errstate(all="ignore"):
                made = function(*[self.constants[n] for n in ins])
            results = made if eqn.primitive.multiple_results else [made]
            self.constants.update(zip(outs, results, strict=True))
            return
        self.equations.append(((eqn, function, _cost(name, eqn, in_avals, size)), ins, outs))

    def _number(self, outs: list[Any]) -> None:
        """Drop what nobody needs, give slots to the rest, in-place updates included."""
        last: dict[Any, int] = {name: len(self.equations) for name in outs}
        needed = []
        for k in range(len(self.equations) - 1, -1, -1):
            what, ins, made = self.equations[k]
            if not any(n in last for n in made) and not what[0].effects:
                continue
            needed.append((k, what, ins, made))
            for n in ins:
                last.setdefault(n, k)
        needed.reverse()
        slots: dict[Any, int] = {("in", k): k for k in range(self.n_in)}
        used = {n for _, _, ins, _ in needed for n in ins} | set(outs)
        constants = [n for n in self.constants if n in used]
        for n in constants:
            slots[n] = len(slots)
        first_temporary = len(slots)
        for k, (eqn, function, cost), ins, made in needed:
            for n in made:
                slots[n] = len(slots)
            self.cost += cost
            self.price += COMPILE_WEIGHTED if eqn.primitive.name in WEIGHTED else COMPILE_EQUATION
            at = tuple(slots[n] for n in ins)
            dying = last.get(ins[0], -1) == k if ins else False
            step = _step(eqn, function, at, [slots[n] for n in made])
            if dying and step[0] in (BINARY, NARY) and at[0] not in at[1:]:
                in_place = _in_place(eqn)
                if in_place is not None:
                    step = (UPDATE, in_place, (self._dead(last, slots, k), *at), step[3])
            self.steps.append(step)
        self.outs = [slots[n] for n in outs]
        self.rest: list[Any] = [self.constants[n] for n in constants]
        self.rest += [None] * (len(slots) - first_temporary)

    def _dead(self, last: dict[Any, int], slots: dict[Any, int], k: int) -> tuple[int, ...]:
        """Slots in use whose last use lies before equation k (views of an operand keep it)."""
        return tuple(
            slots[n] for n, end in last.items()
            if end < k and n in slots and n not in self.constants
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


def _step(eqn: Any, function: Run, ins: tuple[int, ...], outs: list[int]) -> Any:
    if eqn.primitive.multiple_results:
        return (SEVERAL, function, ins, outs)
    if len(ins) == 1:
        return (UNARY, function, ins[0], outs[0])
    return (BINARY if len(ins) == 2 else NARY, function, ins, outs[0])


def _in_place(eqn: Any) -> Run | None:
    """The form of an update that writes into its first operand."""
    name = eqn.primitive.name
    if name == "dynamic_update_slice":
        return update_slice
    if name.startswith("scatter"):
        return scatter_in_place(name, eqn.params, [_Aval(v.aval) for v in eqn.invars])
    return None


def _cost(name: str, eqn: Any, ins: Sequence[_Aval], size: int) -> float:
    """Modelled seconds of one equation (static: shapes only)."""
    if name in _VIEWS:
        return CALL
    cost = CALL + size * (FUNCTION_BYTE if name in _FUNCTIONS else BYTE)
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        inner = math.prod(ins[0].shape[d] for d in contracted)
        cost += FLOP * 2 * inner * math.prod(eqn.outvars[0].aval.shape)
    elif name in WEIGHTED:
        # <conv(x, w), g> has 2 sqrt(|x| |w| |g| taps) operations at stride 1, however it is read.
        sizes = [math.prod(a.shape) for a in (*ins[:2], _Aval(eqn.outvars[0].aval))]
        geo = eqn.params.get("geo")
        taps = math.prod(ins[1].shape[2:] if geo is None else geo.kernel)
        cost += FLOP * 2 * math.sqrt(math.prod(sizes) * taps) + PATCH_BYTE * taps * max(sizes)
    elif name.startswith("reduce") or name in ("argmax", "argmin"):
        cost += math.prod(ins[0].shape) * ins[0].dtype.itemsize * BYTE
    elif name == "scan":
        body = eqn.params["jaxpr"].jaxpr
        cost += eqn.params["length"] * len(body.eqns) * 2 * CALL
    return cost
