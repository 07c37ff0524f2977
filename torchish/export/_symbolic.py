"""Programs for sizes that are not known: what several sizes have in common.

A torch function is recorded for numbers, not for symbols: its Python computes with sizes, and its
kernels are specialised to them. So it is recorded at several sizes, and the equations of the
recordings are laid side by side. Where they agree they are kept; where a size differs it is
expressed in the symbols (`b`, `2*b + 1`, `b*t`, `(h + 1) // 2`), and every recording has to bear it
out. Recordings that differ in structure have no common program, which is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

SAMPLES = 5
_STEPS = ((0, 1, 3, 6, 8), (0, 3, 1, 8, 4), (0, 5, 7, 2, 4), (0, 2, 9, 5, 3))
_DIVISORS = (1, 2, 3, 4, 8, 16, 32)
_CALLS = frozenset(
    "jit pjit closed_call core_call remat checkpoint remat2 custom_jvp_call custom_vjp_call "
    "custom_vjp_call_jaxpr".split()
)
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")


class SymbolError(ValueError):
    """The program is not one of these symbols."""


def sample_sizes(symbols: dict[str, tuple[int, float]], examples: dict[str, int]) -> list[Any]:
    """Sizes to record at: a dict by symbol for each recording.

    Raises: SymbolError for bounds that leave too few sizes.
    """
    columns = []
    for k, (name, (low, high)) in enumerate(symbols.items()):
        start = max(int(low), 5 + 2 * k, min(examples[name], 64))
        steps = _STEPS[k % len(_STEPS)]
        if start + max(steps) > high:
            start = int(high) - max(steps)
        if start < max(low, 2):
            raise SymbolError(f"{name} has too few sizes between {low} and {high}")
        columns.append([start + s for s in steps])
    return [
        {name: column[k] for name, column in zip(symbols, columns, strict=True)}
        for k in range(SAMPLES)
    ]


class Fit:
    """Numbers of the recordings as expressions in the symbols.

    Args:
        sizes: of each recording, the size of each symbol.
        symbols: the expression of each symbol.
    """

    def __init__(self, sizes: Sequence[dict[str, int]], symbols: dict[str, Any]) -> None:
        self.symbols = list(symbols.values())
        self.table = np.array([[s[name] for name in symbols] for s in sizes], np.float64)

    def integer(self, values: Sequence[int]) -> Any:
        """A whole number. Raises: SymbolError."""
        v = np.array(values, np.float64)
        for found in (self._of_one(v), self._product(v), self._linear(v)):
            if found is not None:
                return found
        raise SymbolError(f"a size is {list(values)} in recordings at {self.table.tolist()}")

    def number(self, values: Sequence[Any], dtype: Any) -> Any:
        """A number of an equation as an array. Raises: SymbolError."""
        v = np.array([float(x) for x in values], np.float64)
        with np.errstate(all="ignore"):
            forms: list[tuple[Any, Callable[[Any], Any]]] = [
                (v, lambda e: e),
                (1 / v, lambda e: 1 / e),
                (v**2, jnp.sqrt),
                (1 / v**2, lambda e: 1 / jnp.sqrt(e)),
            ]
        for inverse, form in forms:
            whole = np.round(inverse)
            if np.isfinite(inverse).all() and np.allclose(inverse, whole, 1e-6, 1e-6):
                try:
                    expression = self.integer([int(x) for x in whole])
                except SymbolError:
                    continue
                # JAX makes an array of a symbolic size by itself
                return form(jnp.asarray(expression, jnp.float64)).astype(dtype)
        raise SymbolError(f"a number is {list(values)} in recordings at {self.table.tolist()}")

    def _of_one(self, v: Any) -> Any:
        for column, symbol in zip(self.table.T, self.symbols, strict=True):
            rise = (v[-1] - v[0]) / (column[-1] - column[0])
            for divisor in _DIVISORS:
                for a in {int(np.floor(rise * divisor)), int(np.ceil(rise * divisor))}:
                    low = int((v * divisor - a * column).max())
                    high = int((v * divisor - a * column).min()) + divisor - 1
                    if a and low == high:
                        made = symbol * a + low
                        return made if divisor == 1 else made // divisor
        return None

    def _product(self, v: Any) -> Any:
        for first in range(len(self.symbols)):
            for second in range(first, len(self.symbols)):
                ratio = v / (self.table[:, first] * self.table[:, second])
                if np.allclose(ratio, round(ratio[0]), 0, 1e-9) and round(ratio[0]):
                    return self.symbols[first] * self.symbols[second] * round(ratio[0])
        return None

    def _linear(self, v: Any) -> Any:
        rows = np.hstack([self.table, np.ones((len(v), 1))])
        found: Any = np.round(np.linalg.lstsq(rows, v, rcond=None)[0])
        if not np.array_equal(rows @ found, v):
            return None
        return sum((s * int(a) for s, a in zip(self.symbols, found, strict=False)), int(found[-1]))


class Common:
    """What several recordings of one function have in common, as a function of arrays."""

    def __init__(self, recordings: Sequence[ClosedJaxpr], fit: Fit) -> None:
        self.recordings, self.fit = recordings, fit

    def __call__(self, *arrays: Any) -> list[Any]:
        """The results for arrays of symbolic shapes. Raises: SymbolError."""
        return self._run(list(self.recordings), arrays)

    def _run(self, closed: Sequence[ClosedJaxpr], args: Sequence[Any]) -> list[Any]:
        jaxprs = [c.jaxpr for c in closed]
        env: dict[Any, Any] = {}
        places: list[dict[Any, int]] = [{} for _ in jaxprs]
        counts = {len(j.eqns) for j in jaxprs}
        if len(counts) > 1:
            raise SymbolError(f"recordings have {sorted(counts)} equations")

        def bind(variables: Sequence[Any], value: Any) -> None:
            number = len(env)
            env[number] = value
            for table, variable in zip(places, variables, strict=True):
                table[variable] = number

        def read(atoms: Sequence[Any]) -> Any:
            if isinstance(atoms[0], Literal):
                return self._literal(atoms)
            found = {t[a] for t, a in zip(places, atoms, strict=True)}
            if len(found) > 1:
                raise SymbolError("recordings are wired differently")
            return env[found.pop()]

        for variables, values in zip(
            _columns([j.constvars for j in jaxprs]), _columns([c.consts for c in closed]),
            strict=True,
        ):  # fmt: skip
            bind(variables, self._constant(values))
        for variables, value in zip(_columns([j.invars for j in jaxprs]), args, strict=True):
            bind(variables, value)
        for eqns in _columns([j.eqns for j in jaxprs]):
            names = {e.primitive.name for e in eqns}
            if len(names) > 1:
                raise SymbolError(f"recordings differ: {sorted(names)}")
            operands = [read(atoms) for atoms in _columns([e.invars for e in eqns])]
            for variables, value in zip(
                _columns([e.outvars for e in eqns]), self._apply(eqns, operands), strict=True
            ):
                bind(variables, value)
        return [read(atoms) for atoms in _columns([j.outvars for j in jaxprs])]

    def _apply(self, eqns: Sequence[Any], operands: list[Any]) -> list[Any]:
        primitive, name = eqns[0].primitive, eqns[0].primitive.name
        params = [e.params for e in eqns]
        if name in _CALLS:
            key = next(k for k in _INNER if k in params[0])
            return self._run([_closed(p[key]) for p in params], operands)
        if name in _CONTROL:
            return _CONTROL[name](self, params, operands)
        merged = {key: self._merged(name, key, [p[key] for p in params]) for key in params[0]}
        made = primitive.bind(*operands, **merged)
        return list(made) if primitive.multiple_results else [made]

    def inner(self, jaxprs: Sequence[Any]) -> Callable[..., list[Any]]:
        """The function that inner jaxprs of equations have in common."""
        closed = [_closed(j) for j in jaxprs]
        return lambda *args: self._run(closed, args)

    def merged(self, params: Sequence[dict[str, Any]], key: str) -> Any:
        """One parameter of the recordings' equations."""
        return self._merged("", key, [p[key] for p in params])

    def _merged(self, name: str, key: str, values: Sequence[Any]) -> Any:
        first = values[0]
        if all(_same(first, v) for v in values[1:]):
            return first
        if all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values):
            return self.fit.integer([int(v) for v in values])
        if isinstance(first, tuple | list) and len({len(v) for v in values}) == 1:
            parts = [self._merged(name, key, column) for column in zip(*values, strict=True)]
            return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
        raise SymbolError(f"{name} has another {key} at each size")

    def _literal(self, atoms: Sequence[Any]) -> Any:
        values = [a.val for a in atoms]
        if all(_same(values[0], v) for v in values[1:]):
            return values[0]
        return self._constant(values)

    def _constant(self, values: Sequence[Any]) -> Any:
        arrays = [np.asarray(v) for v in values]
        if all(np.array_equal(arrays[0], a) for a in arrays[1:]):
            return values[0]
        if any(a.ndim for a in arrays):
            shape = self._merged("", "shape", [a.shape for a in arrays])
            return _affine(arrays, shape)
        return self.fit.number(arrays, arrays[0].dtype)


def _affine(arrays: Sequence[np.ndarray[Any, Any]], shape: Sequence[Any]) -> Any:
    """A constant that is a number plus multiples of its indices at every size (`full`, `arange`).

    Raises: SymbolError for any other.
    """
    example = arrays[0]
    origin = example[(0,) * example.ndim]
    made: Any = jnp.full(tuple(shape), origin, example.dtype)
    wanted = [np.full(a.shape, origin) for a in arrays]
    for dim, n in enumerate(example.shape):
        step = example[tuple(int(d == dim) for d in range(example.ndim))] - origin if n > 1 else 0
        if step:
            made = made + lax.broadcasted_iota(example.dtype, tuple(shape), dim) * step
            for k, a in enumerate(arrays):
                wanted[k] = wanted[k] + np.indices(a.shape)[dim].astype(a.dtype) * step
    if not all(np.array_equal(w, a) for w, a in zip(wanted, arrays, strict=True)):
        raise SymbolError("a constant array differs from size to size")
    return made


def _while(common: Common, params: Sequence[Any], operands: list[Any]) -> list[Any]:
    first = params[0]
    split = first["cond_nconsts"], first["cond_nconsts"] + first["body_nconsts"]
    outer, given, carry = (
        operands[: split[0]], operands[split[0] : split[1]], operands[split[1] :],
    )  # fmt: skip
    test, body = (common.inner([p[k] for p in params]) for k in ("cond_jaxpr", "body_jaxpr"))
    return list(
        lax.while_loop(
            lambda c: test(*outer, *c)[0], lambda c: tuple(body(*given, *c)), tuple(carry)
        )
    )


def _scan(common: Common, params: Sequence[Any], operands: list[Any]) -> list[Any]:
    first = params[0]
    consts, carried = first["num_consts"], first["num_carry"]
    given, carry, xs = (
        operands[:consts], operands[consts : consts + carried], operands[consts + carried :],
    )  # fmt: skip
    body = common.inner([p["jaxpr"] for p in params])

    def step(c: Any, x: Any) -> Any:
        outs = body(*given, *c, *x)
        return tuple(outs[:carried]), tuple(outs[carried:])

    last, ys = lax.scan(
        step, tuple(carry), tuple(xs), length=common.merged(params, "length"),
        reverse=first["reverse"],
    )  # fmt: skip
    return [*last, *ys]


def _cond(common: Common, params: Sequence[Any], operands: list[Any]) -> list[Any]:
    branches = [
        (lambda run: lambda *args: tuple(run(*args)))(common.inner(column))
        for column in zip(*[p["branches"] for p in params], strict=True)
    ]
    index, *rest = operands
    return list(lax.switch(index, branches, *rest))


_CONTROL = {"while": _while, "scan": _scan, "cond": _cond}


def _columns(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    if len({len(r) for r in rows}) > 1:
        raise SymbolError("recordings differ in the number of their values")
    return zip(*rows, strict=True)


def _closed(jaxpr: Any) -> ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, Jaxpr | ClosedJaxpr):
        return str(a) == str(b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


__all__ = ["Common", "Fit", "SymbolError", "sample_sizes"]
