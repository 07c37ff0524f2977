"""Replacing every occurrence of a pattern in a graph."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..nn.modules.module import Module
from ._symbolic_trace import symbolic_trace
from .graph import Graph
from .graph_module import GraphModule
from .node import Node
from .passes.utils.matcher_utils import InternalMatch, SubgraphMatcher

__all__ = ["Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters"]


class Match(NamedTuple):
    """One occurrence: the node that ends it, and the node for each of the pattern's."""

    anchor: Node
    nodes_map: dict[Node, Node]


@dataclass
class ReplacedPatterns:
    """One occurrence, and the nodes that took its place."""

    anchor: Node
    nodes_map: dict[Node, Node]
    replacements: list[Node]


def replace_pattern(
    gm: GraphModule, pattern: Callable[..., Any] | GraphModule,
    replacement: Callable[..., Any] | GraphModule,
) -> list[Match]:  # fmt: skip
    """Put `replacement` in place of every occurrence of `pattern`; overlapping ones once.

    Args:
        gm: the module to change.
        pattern, replacement: functions (traced first) or graph modules of the same arguments.
    """
    found = replace_pattern_with_filters(gm, pattern, replacement)
    return [Match(anchor=m.anchor, nodes_map=m.nodes_map) for m in found]


def replace_pattern_with_filters(
    gm: GraphModule,
    pattern: Callable[..., Any] | Graph | GraphModule,
    replacement: Callable[..., Any] | Graph | GraphModule | None = None,
    match_filters: list[Callable[[InternalMatch, Graph, Graph], bool]] | None = None,
    ignore_literals: bool = False,
    replacement_callback: Callable[[InternalMatch, Graph, Graph], Graph] | None = None,
    node_name_match: str = "",
) -> list[ReplacedPatterns]:
    """`replace_pattern` for those occurrences that all filters accept.

    Args:
        match_filters: functions of (match, the graph, the pattern's graph).
        ignore_literals: whether numbers and other constants may differ from the pattern's.
        replacement_callback: gives the replacement's graph for each match.
    """
    original = gm.graph
    pattern_graph = _graph_of(pattern)
    matcher = SubgraphMatcher(
        pattern_graph, match_output=False, match_placeholder=False,
        remove_overlapping_matches=True, ignore_literals=ignore_literals,
    )  # fmt: skip
    matches = [
        m
        for m in matcher.match(original, node_name_match=node_name_match)
        if all(accept(m, original, pattern_graph) for accept in match_filters or ())
    ]
    fixed = None if replacement is None else _graph_of(replacement)
    if fixed is None and replacement_callback is None:
        raise AssertionError(
            "Must provide either a replacement GraphModule or a replacement callback"
        )
    changed: dict[Node, Node] = {}
    done = []
    for match in matches:
        new = fixed
        if replacement_callback is not None:
            new = replacement_callback(match, original, pattern_graph)
        assert new is not None
        done.append(_put(match, original, new, changed))
    gm.recompile()
    if isinstance(replacement, Module):
        _take_attributes(gm, replacement)
    return done


def _graph_of(source: Any) -> Graph:
    if isinstance(source, GraphModule):
        return source.graph
    if isinstance(source, Graph):
        return source
    return symbolic_trace(source).graph


def _put(
    match: InternalMatch, graph: Graph, replacement: Graph, changed: dict[Node, Node]
) -> ReplacedPatterns:
    """Copy the replacement to where the occurrence ends, and take the occurrence out."""
    inputs = [n for n in replacement.nodes if n.op == "placeholder"]
    if len(match.placeholder_nodes) != len(inputs):
        raise AssertionError("the pattern and its replacement take different arguments")
    match.placeholder_nodes = [changed.get(n, n) for n in match.placeholder_nodes]
    val_map: dict[Node, Node] = dict(zip(inputs, match.placeholder_nodes, strict=True))
    users = {u for n in match.returning_nodes for u in n.users}
    first = next((n for n in graph.nodes if n in users), None)
    if first is None:
        first = _after_last(graph, match.returning_nodes)
    with graph.inserting_before(first):
        copied = graph.graph_copy(replacement, val_map)
    results = copied if isinstance(copied, tuple | list) else (copied,)
    if len(match.returning_nodes) != len(results):
        raise AssertionError("the pattern and its replacement return different numbers of values")
    made = [v for v in val_map.values() if v not in match.placeholder_nodes]
    for old, new in zip(match.returning_nodes, results, strict=True):
        old.replace_all_uses_with(new)
        changed[old] = new
    _remove(match, graph)
    return ReplacedPatterns(match.anchors[0], match.nodes_map, made)


def _after_last(graph: Graph, nodes: list[Node]) -> Node:
    last = [n for n in graph.nodes if n in nodes][-1]
    return last.next


def _remove(match: InternalMatch, graph: Graph) -> None:
    for node in reversed(list(match.pattern_nodes)):
        if node.op not in ("placeholder", "output") and node in match.nodes_map:
            found = match.nodes_map[node]
            if not found._erased and not found.users:
                graph.erase_node(found)


def _take_attributes(gm: GraphModule, replacement: Module) -> None:
    """Give the module the submodules and attributes that the replacement's nodes refer to."""
    gm.delete_all_unused_submodules()
    for node in gm.graph.nodes:
        if node.op not in ("call_module", "get_attr"):
            continue
        missing = object()
        holder: Any = gm
        for atom in node.target.split("."):
            holder = getattr(holder, atom, missing)
            if holder is missing:
                break
        if holder is not missing:
            continue
        value: Any = replacement
        for atom in node.target.split("."):
            value = getattr(value, atom, missing)
            if value is missing:
                raise RuntimeError(
                    f'Attempted to create a "{node.op}" node during subgraph rewriting with '
                    f"target {node.target}, but the referenced attribute does not exist in the "
                    "replacement GraphModule"
                )
        if node.op == "call_module":
            gm.add_submodule(node.target, copy.deepcopy(value))
        else:
            _set_at(gm, node.target, value)
    gm.graph.lint()


def _set_at(gm: GraphModule, target: str, value: Any) -> None:
    from .graph_module import _assign_attr

    _assign_attr(value, gm, target)
