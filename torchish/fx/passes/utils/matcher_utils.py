"""Finding a graph within another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ....nn.parameter import Parameter
from ...graph import Graph
from ...node import Node


@dataclass
class InternalMatch:
    """One occurrence of a pattern."""

    anchors: list[Node]
    nodes_map: dict[Node, Node] = field(default_factory=dict)
    placeholder_nodes: list[Node] = field(default_factory=list)
    returning_nodes: list[Node] = field(default_factory=list)
    name_node_map: dict[str, Node] = field(default_factory=dict)
    pattern_nodes: list[Node] = field(default_factory=list)

    def copy(self) -> InternalMatch:
        """A match that can be tried further without changing this one."""
        return InternalMatch(
            list(self.anchors), dict(self.nodes_map), list(self.placeholder_nodes),
            list(self.returning_nodes), dict(self.name_node_map), list(self.pattern_nodes),
        )  # fmt: skip


class SubgraphMatcher:
    """Finds the occurrences of one pattern.

    Args:
        pattern: the graph to find.
        match_output: whether what uses the results has to be the output too.
        match_placeholder: whether placeholders match placeholders only.
        remove_overlapping_matches: whether of two overlapping ones the first is kept.
        ignore_literals: whether constants may differ.
    """

    def __init__(
        self, pattern: Graph, match_output: bool = False, match_placeholder: bool = False,
        remove_overlapping_matches: bool = True, ignore_literals: bool = False,
    ) -> None:  # fmt: skip
        self.pattern = pattern
        self.match_output = match_output
        self.match_placeholder = match_placeholder
        self.remove_overlapping_matches = remove_overlapping_matches
        self.ignore_literals = ignore_literals
        nodes = list(pattern.nodes)
        if not nodes:
            raise ValueError("SubgraphMatcher cannot be initialized with an empty pattern")
        for node in nodes:
            if node.op != "output" and not node.users:
                raise AssertionError(
                    "SubgraphMatcher cannot be initialized with an pattern with dead code"
                )
        self.placeholders = [n for n in nodes if n.op == "placeholder"]
        output = next(n for n in reversed(nodes) if n.op == "output")
        self.returning = output.all_input_nodes
        if match_output:
            self.anchors = [output]
        else:
            self.anchors = [n for n in self.returning if len(n.users) == 1]

    def match(self, graph: Graph, node_name_match: str = "") -> list[InternalMatch]:
        """All occurrences in `graph`, later ones first where they were found first."""
        candidates = [
            [n for n in graph.nodes if self._same_kind(anchor, n) and _named(n, node_name_match)]
            for anchor in self.anchors
        ]
        found: list[InternalMatch] = []
        self._search(0, candidates, InternalMatch([]), found)
        valid = []
        for match in found:
            match.pattern_nodes = list(self.pattern.nodes)
            match.anchors = [match.nodes_map[a] for a in self.anchors]
            match.placeholder_nodes = [
                match.nodes_map[p] for p in self.placeholders if p in match.nodes_map
            ]
            match.returning_nodes = [match.nodes_map[r] for r in self.returning]
            if self._contained(match):
                valid.append(match)
        return self._apart(valid) if self.remove_overlapping_matches else valid

    def _search(
        self, k: int, candidates: list[list[Node]], match: InternalMatch,
        found: list[InternalMatch],
    ) -> None:  # fmt: skip
        if k == len(self.anchors):
            found.append(match)
            return
        for node in candidates[k]:
            tried = match.copy()
            if self._match_nodes(self.anchors[k], node, tried):
                self._search(k + 1, candidates, tried, found)

    def _same_kind(self, pattern: Node, node: Node) -> bool:
        if not self.match_placeholder and pattern.op == "placeholder":
            return True
        if pattern.op != node.op:
            return False
        if pattern.op in ("placeholder", "output"):
            return True
        if pattern.op == "get_attr":
            return self._same_attribute(pattern, node)
        if pattern.op == "call_module":
            return self._same_module(pattern, node)
        return bool(pattern.target == node.target)

    @staticmethod
    def _same_attribute(pattern: Node, node: Node) -> bool:
        first, second = _value(pattern), _value(node)
        if first is None or second is None:
            return pattern.target == node.target
        return type(first) is type(second) or isinstance(second, Parameter)

    @staticmethod
    def _same_module(pattern: Node, node: Node) -> bool:
        first, second = _value(pattern), _value(node)
        if first is None or second is None:
            return pattern.target == node.target
        return type(first) is type(second)

    def _match_nodes(self, pattern: Node, node: Any, match: InternalMatch) -> bool:
        if not isinstance(node, Node):
            return False
        if pattern in match.nodes_map:
            return match.nodes_map[pattern] is node
        if node in match.nodes_map.values():
            return False
        if not self._same_kind(pattern, node):
            return False
        match.nodes_map[pattern] = node
        if pattern.op == "placeholder":
            return True
        return self._match_args(pattern, node, match)

    def _match_args(self, pattern: Node, node: Node, match: InternalMatch) -> bool:
        first, second = pattern.args, node.args
        one, two = dict(pattern.kwargs), dict(node.kwargs)
        if len(first) != len(second) or set(one) != set(two):
            bound = _bound(pattern), _bound(node)
            if bound[0] is None or bound[1] is None:
                return False
            (first, one), (second, two) = bound
        return self._match_values(list(first), list(second), match) and all(
            self._match_values(one[k], two.get(k), match) for k in one
        )

    def _match_values(self, pattern: Any, value: Any, match: InternalMatch) -> bool:
        if isinstance(pattern, Node):
            if not isinstance(value, Node):
                if pattern.op == "placeholder" and not self.match_placeholder:
                    match.nodes_map[pattern] = value
                    return True
                return False
            return self._match_nodes(pattern, value, match)
        if isinstance(pattern, list | tuple):
            if not isinstance(value, list | tuple) or len(pattern) != len(value):
                return False
            return all(self._match_values(p, v, match) for p, v in zip(pattern, value, strict=True))
        if isinstance(value, Node):
            return False
        return self.ignore_literals or (type(pattern) is type(value) and pattern == value)

    def _contained(self, match: InternalMatch) -> bool:
        """Whether nothing outside uses an inner value."""
        lookup = {n: p for p, n in match.nodes_map.items() if isinstance(n, Node)}
        for node, pattern in lookup.items():
            if pattern.op == "placeholder" or node in match.returning_nodes:
                continue
            if any(user not in lookup for user in node.users):
                return False
        return True

    def _apart(self, matches: list[InternalMatch]) -> list[InternalMatch]:
        kept: list[InternalMatch] = []
        taken: set[Node] = set()
        for match in matches:
            inner = {
                n
                for p, n in match.nodes_map.items()
                if isinstance(n, Node) and p.op not in ("placeholder", "output")
            }
            if not inner & taken:
                kept.append(match)
                taken |= inner
        return kept


def _named(node: Node, text: str) -> bool:
    return not text or text in node.name


def _value(node: Node) -> Any:
    holder: Any = node.graph.owning_module
    for atom in node.target.split("."):
        holder = getattr(holder, atom, None)
    return holder


def _bound(node: Node) -> Any:
    if node.op != "call_function":
        return None
    return node.normalized_arguments(node.graph.owning_module, normalize_to_only_use_kwargs=True)
