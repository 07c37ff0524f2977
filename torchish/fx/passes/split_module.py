"""Cutting a graph into submodules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._basics.errors import not_supported
from ...nn.modules.module import Module
from ..graph import Graph
from ..graph_module import GraphModule
from ..node import Node, map_arg

__all__ = ["Partition", "split_module"]


class Partition:
    """The nodes that become one submodule, and what goes in and out of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.submod_name = f"submod_{name}"
        self.node_names: list[str] = []
        self.inputs: dict[str, None] = {}
        self.outputs: dict[str, None] = {}
        self.dependencies: dict[str, None] = {}
        self.dependents: dict[str, None] = {}
        self.graph = Graph()
        self.environment: dict[Node, Node] = {}
        self.targets: dict[str, Any] = {}

    def __repr__(self) -> str:
        return (
            f"name: {self.name},\n nodes: {self.node_names},\n inputs: {self.inputs},\n "
            f"outputs: {self.outputs},\n partitions depended on: {self.dependencies},\n "
            f"partition dependents: {self.dependents}"
        )


def split_module(
    m: GraphModule,
    root_m: Module,
    split_callback: Callable[[Node], Any],
    qualname_map: dict[str, str] | None = None,
    keep_original_order: bool | None = False,
    keep_original_node_name: bool | None = False,
    keep_original_input_name: bool = True,
    *,
    partition_affix: str | None = None,
) -> GraphModule:
    """A module that calls one submodule for each value of `split_callback`.

    Args:
        m: the module to cut.
        root_m: the module that was traced, for attributes that `m` lacks.
        split_callback: node -> the partition that it belongs to.
        qualname_map: filled with new dotted name -> old one.
        keep_original_order: whether partitions are called in the order of their first nodes
            rather than in an order that their dependencies give.

    Raises: RuntimeError if partitions depend on each other in a circle; NotSupportedError for
        other names of nodes and inputs.
    """
    for option, other in (("keep_original_node_name", keep_original_node_name),
                          ("keep_original_input_name", not keep_original_input_name)):  # fmt: skip
        if other:
            raise not_supported(f"split_module({option}={option.endswith('node_name')})",
                                "names as they are made")  # fmt: skip
    return _Split(m, split_callback, qualname_map, keep_original_order, partition_affix).run()


class _Split:
    def __init__(
        self, m: GraphModule, callback: Callable[[Node], Any], names: dict[str, str] | None,
        in_order: bool | None, affix: str | None,
    ) -> None:  # fmt: skip
        self.m, self.callback, self.names, self.in_order = m, callback, names, in_order
        self.affix = affix
        self.partitions: dict[str, Partition] = {}
        self.where: dict[Node, str | None] = {}

    def run(self) -> GraphModule:
        for node in self.m.graph.nodes:
            self.where[node] = None
            if node.op not in ("placeholder", "get_attr", "output"):
                self._assign(node)
        for node in self.m.graph.nodes:
            if node.op == "output":
                map_arg(node.args[0], lambda n: self._cross(n, None))
            elif self.where[node] is not None:
                for used in node.all_input_nodes:
                    self._cross(used, node)
        order = self._sorted()
        for name in order:
            self._start(self.partitions[name])
        for node in self.m.graph.nodes:
            part = self.where[node]
            if part is not None:
                self._copy(node, self.partitions[part])
        return self._assemble(order)

    def _assign(self, node: Node) -> None:
        name = str(self.callback(node))
        if self.affix is not None:
            name = f"{self.affix}_{name}"
        part = self.partitions.setdefault(name, Partition(name))
        part.node_names.append(node.name)
        self.where[node] = name

    def _cross(self, value: Node, user: Node | None) -> Node:
        """Note a value that goes from one partition to another, or out."""
        source = self.where[value]
        target = None if user is None else self.where[user]
        if source == target:
            return value
        if source is not None:
            part = self.partitions[source]
            part.outputs.setdefault(value.name)
            if target is not None:
                part.dependents.setdefault(target)
        if target is not None:
            into = self.partitions[target]
            into.inputs.setdefault(value.name)
            if source is not None:
                into.dependencies.setdefault(source)
        return value

    def _sorted(self) -> list[str]:
        if self.in_order:
            return list(self.partitions)
        waiting = {k: set(p.dependencies) for k, p in self.partitions.items()}
        ready = [k for k, needs in waiting.items() if not needs]
        order: list[str] = []
        while ready:
            name = ready.pop(0)
            order.append(name)
            for user in self.partitions[name].dependents:
                waiting[user].discard(name)
                if not waiting[user]:
                    ready.append(user)
        if len(order) != len(self.partitions):
            raise RuntimeError("cycle exists between partitions!")
        return order

    def _start(self, part: Partition) -> None:
        nodes = {n.name: n for n in self.m.graph.nodes}
        for name in part.inputs:
            made = part.graph.placeholder(name, type_expr=nodes[name].type)
            made.meta = nodes[name].meta.copy()
            part.environment[nodes[name]] = made

    def _copy(self, node: Node, part: Partition) -> None:
        target = node.target
        if node.op == "call_module":
            target = node.target.replace(".", "_")
            self._take(part, target, node.target)
        made = part.graph.create_node(
            node.op, target, map_arg(node.args, lambda n: part.environment[n]),
            map_arg(node.kwargs, lambda n: part.environment[n]), node.name, node.type,
        )  # fmt: skip
        made.meta = node.meta.copy()
        part.environment[node] = made

    def _take(self, part: Partition, target: str, source: str) -> None:
        part.targets[target] = self._attribute(source)
        if self.names is not None:
            self.names[f"{part.submod_name}.{target}"] = source

    def _attribute(self, target: str) -> Any:
        value: Any = self.m
        for atom in target.split("."):
            value = getattr(value, atom)
        return value

    def _assemble(self, order: list[str]) -> GraphModule:
        graph = Graph()
        attrs: dict[str, Any] = {}
        made: dict[str, Node] = {}
        nodes = {n.name: n for n in self.m.graph.nodes}
        for node in self.m.graph.nodes:
            if node.op == "placeholder":
                default = node.args[0] if node.args else ...
                made[node.name] = graph.placeholder(node.target, node.type, default)
                made[node.name].meta = node.meta.copy()
            elif node.op == "get_attr":
                made[node.name] = graph.get_attr(node.target)
                made[node.name].meta = node.meta.copy()
                attrs[node.target] = self._attribute(node.target)
        for name in order:
            part = self.partitions[name]
            results = tuple(part.environment[nodes[n]] for n in part.outputs)
            if results:
                part.graph.output(results[0] if len(results) == 1 else results)
            else:
                part.graph.output(())
            attrs[part.submod_name] = GraphModule(part.targets, part.graph)
            out = graph.call_module(part.submod_name, tuple(made[n] for n in part.inputs))
            for k, value in enumerate(part.outputs):
                made[value] = out if len(part.outputs) == 1 else _item(graph, out, k)
        for node in self.m.graph.nodes:
            if node.op == "output":
                graph.output(map_arg(node.args[0], lambda n: made[n.name]))
        return GraphModule(attrs, graph)


def _item(graph: Graph, out: Node, k: int) -> Node:
    from ..proxy import Proxy

    return Proxy(out)[k].node  # type: ignore[index, no-any-return]
