"""What numpy need not be asked to do: shapes and transposes that the next call takes over.

A pass over the equations of a recipe. Each numpy call costs a microsecond whatever its size, and
jaxprs of gradients are full of them: a transpose of a transpose, a bias reshaped and broadcast
before it is added. Nothing here changes a bit of any result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recipe import Equation, Shaped

# An equation, the names of its inputs and of its results.
Named = tuple["Equation", list[Any], list[Any]]

# Numpy broadcasts what these take by itself.
_BROADCASTING = frozenset("add add_any sub mul max min eq ne lt le gt ge and or xor".split())
# What only XLA or JAX makes something of.
_IDENTITIES = frozenset("optimization_barrier stop_gradient copy copy_p real_copy name".split())
_ONE_TERM = frozenset(["reduce_sum", "reduce_max", "reduce_min"])


class Simplified:
    """The equations that are left, and which name stands for which."""

    def __init__(self, equations: Sequence[Named]) -> None:
        self.equations: list[Named] = []
        self.stands: dict[Any, Any] = {}
        self._made: dict[Any, tuple[Equation, list[Any]]] = {}
        for equation, ins, outs in equations:
            self._add(equation, [self.stands.get(name, name) for name in ins], outs)

    def _add(self, equation: Equation, ins: list[Any], outs: list[Any]) -> None:
        if equation.name == "transpose":
            equation, ins = self._transpose(equation, ins)
        elif _only_reshapes(equation):
            equation, ins = self._reshape(equation, ins)
        elif equation.name == "dot_general":
            equation, ins = self._product(equation, ins)
        elif equation.name in _BROADCASTING:
            equation, ins = self._broadcast(equation, ins)
        if _is_identity(equation):
            self.stands.update(zip(outs, ins, strict=True))
            return
        if outs:
            self._made[outs[0]] = equation, ins
        self.equations.append((equation, ins, outs))

    def _maker(self, name: Any) -> tuple[Any, list[Any]]:
        return self._made.get(name, (None, []))

    def _transpose(self, equation: Equation, ins: list[Any]) -> tuple[Equation, list[Any]]:
        """A transpose of a transpose is one."""
        maker, sources = self._maker(ins[0])
        if maker is None or maker.name != "transpose":
            return equation, ins
        first = maker.params["permutation"]
        order = tuple(first[d] for d in equation.params["permutation"])
        return equation._replace(params={"permutation": order}, ins=maker.ins), sources

    def _reshape(self, equation: Equation, ins: list[Any]) -> tuple[Equation, list[Any]]:
        """A reshape of a reshape is one; so is a sum of single terms."""
        maker, sources = self._maker(ins[0])
        source = equation.ins[0]
        if maker is not None and maker.name == "reshape" and len(sources) == 1:
            source, ins = maker.ins[0], sources
        made = equation._replace(name="reshape", params={}, ins=[source], bind=None)
        return made, ins[:1]

    def _product(self, equation: Equation, ins: list[Any]) -> tuple[Equation, list[Any]]:
        """A product of matrices reads a transposed one as it lies."""
        contracted, batch = equation.params["dimension_numbers"]
        if batch != ((), ()) or [x.ndim for x in equation.ins] != [2, 2]:
            return equation, ins
        dims, shapes, ins = [tuple(d) for d in contracted], list(equation.ins), list(ins)
        for k in (0, 1):
            maker, sources = self._maker(ins[k])
            if maker is not None and maker.name == "transpose" and len(dims[k]) == 1:
                dims[k] = (1 - dims[k][0],)
                shapes[k], ins[k] = maker.ins[0], sources[0]
        params = {**equation.params, "dimension_numbers": (tuple(dims), batch)}
        return equation._replace(params=params, ins=shapes), ins

    def _broadcast(self, equation: Equation, ins: list[Any]) -> tuple[Equation, list[Any]]:
        """Elementwise calls broadcast leading dimensions themselves."""
        shapes, ins = list(equation.ins), list(ins)
        for k in (0, 1):
            maker, sources = self._maker(ins[k])
            if (
                maker is not None
                and shapes[1 - k].shape == equation.outs[0].shape
                and _adds_leading(maker)
            ):
                shapes[k], ins[k] = maker.ins[0], sources[0]
        return equation._replace(ins=shapes), ins


def _is_identity(equation: Equation) -> bool:
    if equation.name in _IDENTITIES:
        return True
    if equation.name == "transpose":
        return tuple(equation.params["permutation"]) == tuple(range(equation.ins[0].ndim))
    return _only_reshapes(equation) and equation.ins[0].shape == equation.outs[0].shape


def _only_reshapes(equation: Equation) -> bool:
    """Whether the result has the operand's elements in their order."""
    name, params = equation.name, equation.params
    if name == "reshape":
        return params.get("dimensions") is None
    if name == "broadcast_in_dim":
        dims, shape = params["broadcast_dimensions"], equation.outs[0].shape
        return (
            len(equation.ins) == 1
            and _count(equation.ins[0]) == _count(equation.outs[0])
            and all(shape[d] == n for d, n in zip(dims, equation.ins[0].shape, strict=True))
        )
    if name in _ONE_TERM and equation.ins[0].dtype == equation.outs[0].dtype:
        return all(equation.ins[0].shape[a] == 1 for a in params["axes"])
    return name in ("squeeze", "expand_dims")


def _adds_leading(equation: Equation) -> bool:
    """Whether numpy's broadcasting would add the same dimensions: those in front."""
    if len(equation.ins) != 1:
        return False
    source, made = equation.ins[0], equation.outs[0]
    if equation.name == "broadcast_in_dim":
        dims = tuple(equation.params["broadcast_dimensions"])
        return dims == tuple(range(made.ndim - source.ndim, made.ndim))
    if equation.name != "reshape":
        return False
    front = made.ndim - source.ndim
    return front >= 0 and made.shape == (1,) * front + source.shape


def _count(x: Shaped) -> int:
    count = 1
    for n in x.shape:
        count *= n
    return count
