"""Gradients of a part of the graph: what was made since a mark, between entries and results.

Invariant: a pass over a part stops at its borders (entries, and what the part took from outside
without being given it); nothing behind a border runs, and the hooks there are left to the pass that
comes from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .._core.values import Aval
from .backward import Pass
from .forward import Dual
from .nodes import NOWHERE, AccumulateGrad, Edge, Node, Var, reverse
from .tensor_base import TensorBase, from_value


class Entry(Node):
    """The history of a tensor that enters a part: gradients go on to where it came from."""

    def __init__(self, outer: Edge | None, aval: Aval) -> None:
        super().__init__((outer,), (aval,))

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Pass the gradient on."""
        return grads


def enter(tensor: TensorBase, value: Any = None, *, outer: bool = True) -> Any:
    """A tensor of the same value whose history begins with an Entry."""
    made = from_value(tensor._value() if value is None else value)
    if made._aval.dtype.category >= 2:
        made._grad_fn = _entry(tensor._edge() if outer else None, made._aval)
    return made


def _entry(edge: Edge | None, aval: Aval) -> Node:
    if edge is None or not edge[0].is_dual:
        return Entry(edge, aval)
    dual: Any = edge[0]  # the tangent enters too
    return Dual(dual.tangent, (_entry(dual.edges[0], aval), 0), aval, dual.level)


def borders(edges: Iterable[Edge | None], start: int) -> list[Edge]:
    """Edges that lead out of the part that was made since `start`, in the order of their finding.

    Through an Entry of the part they lead to where it came from; `start` comes from
    `nodes.next_sequence`.
    """
    found: dict[Edge, None] = {}
    seen: set[Node] = set()
    stack = [e for e in edges if e is not None]
    while stack:
        edge = stack.pop()
        node = edge[0]
        if node is NOWHERE:
            continue
        if isinstance(node, AccumulateGrad) or node.sequence < start:
            found[edge] = None
        elif node not in seen:
            seen.add(node)
            stack.extend(e for e in node.edges if e is not None)
    return list(found)


class PartialPass(Pass):
    """A backward pass that delivers to `targets` and goes no further than they."""

    def __init__(
        self, roots: Sequence[tuple[Edge, Var]], graph: bool, keep: bool, targets: Sequence[Edge]
    ) -> None:
        self.stops = {e[0] for e in targets}
        super().__init__(roots, graph, keep, targets)

    def _step(self, node: Node) -> None:
        if node in self.stops:
            self._capture(node, self.buffers.pop(node, [None] * len(node.out_avals)))
        else:
            super()._step(node)


def gradients(
    roots: Sequence[tuple[Edge | None, Var | None]],
    targets: Sequence[Edge | None],
    *,
    graph: bool,
    keep: bool = True,
) -> list[Var | None]:
    """Gradients that arrive at `targets` (None: no gradient) from those of the roots."""
    targets = [reverse(e) for e in targets]
    usable = [(e, v) for e, v in ((reverse(e), v) for e, v in roots) if e and v]
    wanted = list(dict.fromkeys(e for e in targets if e is not None))
    work = PartialPass(usable, graph, keep, wanted)
    work.run()
    return [None if e is None else work.captured.get(e) for e in targets]
