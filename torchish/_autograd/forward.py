"""Forward-mode derivatives: tangents that travel with the edges of the graph.

A tensor that has a tangent stands at a `Dual`: a node before the one where it stands otherwise (if
gradients flow backward from it at all). Every recorded kernel asks for the history of its results
in one place (`nodes.history`), also kernels that read views, write in place or belong to a backward
pass. There the tangents of the operands are taken off their edges, the kernel's jvp is applied to
them as one more operator, and the results' edges get its tangents.

Invariants: of two nested levels the inner one's Duals stand before the outer one's, and tangents
are tensors that may be dual at outer levels, and have histories, themselves. A Dual whose level has
ended means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .._basics.state import state
from .._core.kernels import Kernel
from .._core.values import Aval, Value
from . import nodes
from .apply import apply_kernel
from .nodes import Edge, Node, Var, reverse
from .tensor_base import alias, detached, from_values, view_of


class Dual(Node):
    """Where a tensor with a tangent stands; gradients pass through to where it stands otherwise."""

    is_dual = True
    flow = nodes.DUAL

    def __init__(self, tangent: Any, primal: Edge | None, aval: Aval, level: Level) -> None:
        super().__init__((primal,), (aval,))
        self.tangent, self.level = tangent, level

    @property
    def is_reverse(self) -> bool:  # type: ignore[override]
        """Whether gradients flow backward from here."""
        step = self.edges[0]
        return step is not None and step[0].is_reverse

    @property
    def stands_for_leaf(self) -> bool:  # type: ignore[override]
        """Whether it does without its tangent."""
        step = self.edges[0]
        return step is not None and step[0].stands_for_leaf

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Pass the gradient on."""
        return grads

    def over(self, primal: Edge | None) -> Dual:
        """The same tangent before another place of the graph."""
        return Dual(self.tangent, primal, self.out_avals[0], self.level)


class Level:
    """One computation of tangents; levels nest."""

    def __init__(self, outer: Level | None) -> None:
        self.outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.is_alive = True

    def history(
        self, kernel: Kernel, operands: Sequence[Any], edges: Sequence[Edge | None]
    ) -> list[Edge | None]:
        """What `nodes.history` gives, with the tangents of this level and of those around it."""
        edges = [self._alive(e) for e in edges]
        inner = [self.without(e) for e in edges]
        primal = history(self.outer, kernel, operands, inner)
        duals: dict[int, Any] = {
            i: e[0]
            for i, e in enumerate(edges)
            if e is not None and self.holds(e[0]) and nodes.is_inexact(kernel.in_avals[i])
        }
        if not duals or not any(kernel.differentiable):
            return primal
        for step in primal:
            step = reverse(step)
            if step is not None:
                step[0].marked = edges  # type: ignore[attr-defined]  # what it keeps has tangents
        jvp = kernel.jvp(tuple(duals))
        kept = [_placed(operands[p], inner[p]) for p in jvp.saved]
        with current(self.outer):
            tangents = iter(apply_kernel(jvp, [*kept, *[d.tangent for d in duals.values()]]))
        return [
            (Dual(next(tangents), step, aval, self), 0) if d else step
            for d, step, aval in zip(kernel.differentiable, primal, kernel.out_avals, strict=True)
        ]

    def _alive(self, edge: Edge | None) -> Edge | None:
        """An edge without the tangents of levels that have ended."""
        while edge is not None and edge[0].is_dual and not self._is_within(edge[0].level):  # type: ignore[attr-defined]
            edge = edge[0].edges[0]
        return edge

    def without(self, edge: Edge | None) -> Edge | None:
        """An edge without the tangents of this level, and of those that have ended."""
        edge = self._alive(edge)
        return self._alive(edge[0].edges[0]) if edge is not None and self.holds(edge[0]) else edge

    def _is_within(self, level: Level) -> bool:
        at: Level | None = self
        while at is not None and at is not level:
            at = at.outer
        return at is level

    def make(self, tensor: Any, tangent: Any) -> Any:
        """A tensor on the same memory with a tangent.

        Raises: RuntimeError for a tensor that has one, or for a tangent of another size; ValueError
        for integers.
        """
        for name, part in (("primal", tensor), ("tangent", tangent)):
            if part._aval.dtype.category < 2:
                raise ValueError(
                    f"Expected {name} to be floating point or complex, but got: {part._aval.dtype}"
                )
        edge = tensor._edge()
        if self.tangent(edge) is not None:
            raise RuntimeError(
                "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
                f"same level {self.depth} is not supported."
            )
        check_size(tensor, tangent)
        edge = self._viewed(tensor)._edge()
        return self.placed(tensor, (Dual(tangent, edge, tensor._aval, self), 0))

    def unpack(self, tensor: Any) -> tuple[Any, Any]:
        """A tensor without its tangent of this level, and that tangent or None."""
        tangent = self.tangent(tensor._edge())
        return self._viewed(tensor), tangent

    def _viewed(self, tensor: Any) -> Any:
        """A view of a tensor that has no tangent of this level."""
        with current(self.outer):
            return view_of(tensor, "ViewBackward0", lambda s, t, o: (s, t, o))

    def tangent(self, edge: Edge | None) -> Any:
        """The tangent of this level that an edge carries, or None."""
        edge = self._alive(edge)
        dual: Any = None if edge is None else edge[0]
        return dual.tangent if dual is not None and self.holds(dual) else None

    def holds(self, node: Node) -> bool:
        """Whether a node is a Dual of this level."""
        return node.is_dual and node.level is self  # type: ignore[attr-defined]

    def placed(self, tensor: Any, edge: Edge | None) -> Any:
        """The same memory at a place of the graph."""
        made = alias(tensor, tuple(tensor._aval.shape), tensor._strides, tensor._offset)
        if edge is not None:
            made._grad_fn, made._out_nr = edge
        return made

    forward_only = staticmethod(lambda edge: forward_only(edge))


def check_size(tensor: Any, tangent: Any) -> None:
    """Raise torch's RuntimeError for a tangent of another size."""
    sizes = [list(t._aval.shape) for t in (tensor, tangent)]
    if sizes[0] != sizes[1]:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {sizes[0]} while the given forward "
            f"gradient is of size {sizes[1]}."
        )


def history(
    level: Level | None, kernel: Kernel, operands: Sequence[Any], edges: Sequence[Edge | None]
) -> list[Edge | None]:
    """`nodes.history` at a level, None being outside of all."""
    if level is not None:
        return level.history(kernel, operands, edges)
    if not state.grad_enabled:
        return [None] * kernel.n_out
    return nodes.reverse_history(kernel, operands, edges)


def forward_only(edge: Edge | None) -> Edge | None:
    """What is left of an edge where no history is kept: its tangents."""
    if edge is None or not edge[0].is_dual:
        return None
    dual: Any = edge[0]
    inner = forward_only(dual.edges[0])
    return Dual(without_history(dual.tangent), inner, dual.out_avals[0], dual.level), 0


def without_history(tensor: Any) -> Any:
    """The same memory without history, but with its tangents."""
    made = detached(tensor)
    edge = None if state.forward is None else forward_only(tensor._edge())
    if edge is not None:
        made._grad_fn, made._out_nr = edge
    return made


def dual_level(tensor: Any) -> Level | None:
    """The innermost level at which a tensor has a tangent now."""
    level: Level | None = state.forward
    edge = None if level is None else tensor._edge()
    if level is None or edge is None or not edge[0].is_dual:
        return None
    while level is not None and not level.holds(edge[0]):
        level = level.outer
    return level


@contextmanager
def new_level() -> Iterator[Level]:
    """A level around a block, inside those that are there."""
    level = enter_level()
    try:
        yield level
    finally:
        leave_level(level)


def enter_level() -> Level:
    """Begin a level."""
    level = Level(state.forward)
    state.forward = level
    return level


def leave_level(level: Level) -> None:
    """End a level: tangents of its tensors mean nothing from now on."""
    state.forward = level.outer


@contextmanager
def current(level: Level | None) -> Iterator[None]:
    """Run a block as if `level` were the innermost one; None: tangents are not computed."""
    before, state.forward = state.forward, level
    try:
        yield
    finally:
        state.forward = before


def _placed(operand: Any, edge: Edge | None) -> Any:
    return from_values((operand,), (edge,))[0] if type(operand) is Value else operand


__all__ = [
    "Dual", "Level", "current", "dual_level", "enter_level", "forward_only",
    "history", "leave_level", "new_level", "reverse", "without_history",
]  # fmt: skip
