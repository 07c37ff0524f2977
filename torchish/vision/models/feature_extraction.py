"""What a network computes on the way, as a network: outputs chosen by the names of nodes."""

from __future__ import annotations

import copy
import inspect
import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ... import fx, nn
from ...fx.graph_module import _copy_attr
from .. import ops

__all__ = ["create_feature_extractor", "get_graph_node_names"]

Names = list[str] | dict[str, str] | None


class LeafModuleAwareTracer(fx.Tracer):
    """A tracer that does not look into modules of the classes in `leaf_modules`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.leaf_modules = kwargs.pop("leaf_modules", {})
        super().__init__(*args, **kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualname: str) -> bool:
        leaf = isinstance(m, tuple(self.leaf_modules))
        return leaf or super().is_leaf_module(m, module_qualname)


class NodePathTracer(LeafModuleAwareTracer):
    """A tracer that remembers in which module each node was made: `node_to_qualname`.

    A module's own node has the module's path, an operation `path.operation`; further ones of the
    same name end in _1, _2 …
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.current_module_qualname = ""
        self.node_to_qualname: OrderedDict[Any, str] = OrderedDict()

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        outer = self.current_module_qualname
        self.current_module_qualname = name = self.path_of_module(m)
        try:
            if self.is_leaf_module(m, name):
                return self.create_proxy("call_module", name, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            self.current_module_qualname = outer

    def create_proxy(
        self,
        kind: str,
        target: Any,
        args: Any,
        kwargs: Any,
        name: str | None = None,
        type_expr: Any = None,
        *rest: Any,
        **more: Any,
    ) -> Any:
        proxy = super().create_proxy(kind, target, args, kwargs, name, type_expr, *rest, **more)
        path = self._get_node_qualname(self.current_module_qualname, proxy.node)
        self.node_to_qualname[proxy.node] = path
        return proxy

    def _get_node_qualname(self, module_qualname: str, node: Any) -> str:
        name = module_qualname
        if node.op != "call_module":
            name = f"{name}.{node}" if name else str(node)
        if re.match(r".+_[0-9]+$", name):
            name = name.rpartition("_")[0]
        for known in reversed(self.node_to_qualname.values()):
            found = re.fullmatch(rf"{re.escape(name)}(?:_([0-9]+))?", known)
            if found:
                return f"{name}_{int(found.group(1) or 0) + 1}"
        return name


def _is_subseq(x: list[str], y: list[str]) -> bool:
    """Whether `y` is `x` with some items left out."""
    rest = iter(x)
    return all(item in rest for item in y)


def _warn_graph_differences(train: list[str], evaluation: list[str]) -> None:
    if train == evaluation:
        return
    if _is_subseq(train, evaluation):
        text = (
            "NOTE: The nodes obtained by tracing the model in eval mode are a subsequence of those "
            "obtained in train mode. "
        )
    elif _is_subseq(evaluation, train):
        text = (
            "NOTE: The nodes obtained by tracing the model in train mode are a subsequence of "
            "those obtained in eval mode. "
        )
    else:
        text = (
            "The nodes obtained by tracing the model in train mode are different to those obtained "
            "in eval mode. "
        )
    warnings.warn(
        text + "When choosing nodes for feature extraction, you may need to specify output nodes "
        "for train and eval mode separately.",
        stacklevel=3,
    )


def _tracer_options(given: dict[str, Any] | None) -> dict[str, Any]:
    """The user's options; `math`, torchvision.ops and its modules are always leaves."""
    options = {} if given is None else given
    leaves = [
        value
        for _, value in inspect.getmembers(ops)
        if inspect.isclass(value) and issubclass(value, nn.Module)
    ]
    modules = (*options.get("autowrap_modules", ()), math, ops)
    options["autowrap_modules"] = tuple(dict.fromkeys(modules))
    options["leaf_modules"] = list(dict.fromkeys([*options.get("leaf_modules", ()), *leaves]))
    return options


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """The names of a model's nodes in the order of execution, in training and in evaluation.

    Args:
        tracer_kwargs: of the tracer: `autowrap_modules`, `leaf_modules` …
        suppress_diff_warning: say nothing when the two differ.
        concrete_args: values of arguments that the graph is specialised for.
    """
    options, training = _tracer_options(tracer_kwargs), model.training
    names = []
    for mode in (True, False):
        tracer = NodePathTracer(**options)
        tracer.trace(model.train(mode), concrete_args=concrete_args)
        names.append(list(tracer.node_to_qualname.values()))
    if not suppress_diff_warning:
        _warn_graph_differences(*names)
    model.train(training)
    return names[0], names[1]


class DualGraphModule(fx.GraphModule):
    """A graph module that has one graph for training and one for evaluation.

    `train()` and `eval()` change between them.
    """

    def __init__(
        self,
        root: nn.Module,
        train_graph: fx.Graph,
        eval_graph: fx.Graph,
        class_name: str = "GraphModule",
    ) -> None:
        super(fx.GraphModule, self).__init__()
        self.__class__.__name__ = class_name
        self.train_graph = train_graph
        self.eval_graph = eval_graph
        for node in (*train_graph.nodes, *eval_graph.nodes):
            if node.op in ("get_attr", "call_module"):
                if not isinstance(node.target, str):
                    raise TypeError(
                        f"node.target should be of type str instead of {type(node.target)}"
                    )
                _copy_attr(root, self, node.target)
        self.train()
        self.graph = train_graph
        kinds = train_graph._tracer_cls, eval_graph._tracer_cls
        if kinds[0] != kinds[1]:
            raise TypeError(
                "Train mode and eval mode should use the same tracer class. Instead got "
                f"{kinds[1]} for eval vs {kinds[0]} for train"
            )
        self._tracer_cls = None
        if kinds[0] and "<locals>" not in kinds[0].__qualname__:
            self._tracer_cls = kinds[0]

    def train(self, mode: bool = True) -> Any:
        if mode and not self.training:
            self.graph = self.train_graph
        elif not mode and self.training:
            self.graph = self.eval_graph
        return super().train(mode=mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> DualGraphModule:
        made: Any = type(self).__new__(type(self))
        memo[id(self)] = made
        root: Any = nn.Module()
        root.__dict__.update(copy.deepcopy(self.__dict__, memo))
        DualGraphModule.__init__(made, root, root.train_graph, root.eval_graph, type(self).__name__)
        made.meta = copy.deepcopy(getattr(self, "meta", {}), memo)
        return made


def _named(names: Names) -> dict[str, str]:
    if isinstance(names, list):
        return {str(name): str(name) for name in names}
    return {str(key): str(value) for key, value in (names or {}).items()}


def _wanted(both: Names, train: Names, evaluation: Names) -> tuple[dict[str, str], dict[str, str]]:
    """The nodes asked for in training and in evaluation, each with the name of its result."""
    if both is None and train is None and evaluation is None:
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, "
            "should be specified"
        )
    if (train is None) != (evaluation is None):
        raise ValueError(
            "If any of `train_return_nodes` and `eval_return_nodes` are specified, then both "
            "should be specified"
        )
    if (both is None) == (train is None):
        raise ValueError(
            "If `train_return_nodes` and `eval_return_nodes` are specified, then both should be "
            "specified"
        )
    if train is None:
        return _named(both), _named(both)
    return _named(train), _named(evaluation)


def _with_outputs(graph: fx.Graph, paths: dict[Any, str], wanted: dict[str, str]) -> None:
    """Make the graph give the last node of each path that is asked for, and nothing else."""
    available = list(paths.values())
    for query in wanted:
        if not any(re.match(rf"^{query}(\.|$)", name) for name in available):
            raise ValueError(
                f"node: '{query}' is not present in model. Hint: use `get_graph_node_names` to "
                "make sure the `return_nodes` you specified are present. It may even be that you "
                "need to specify `train_return_nodes` and `eval_return_nodes` separately."
            )
    outputs = [node for node in graph.nodes if node.op == "output"]
    if not outputs:
        raise ValueError("No output nodes found in graph_module.graph.nodes")
    for node in reversed(outputs):
        graph.erase_node(node)
    nodes, left, chosen = list(graph.nodes), dict(wanted), []
    for node in reversed(nodes):
        path = paths.get(node)
        if path is None:
            continue
        for query in left:
            if ".".join(path.split(".")[: query.count(".") + 1]) == query:
                chosen.append((left.pop(query), node))
                break
    with graph.inserting_after(nodes[-1]):
        graph.output(OrderedDict(reversed(chosen)))
    graph.eliminate_dead_code()


def create_feature_extractor(
    model: nn.Module,
    return_nodes: Names = None,
    train_return_nodes: Names = None,
    eval_return_nodes: Names = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> fx.GraphModule:
    """A network that gives what the model computes at some of its nodes, as an ordered dict.

    Args:
        return_nodes: names of nodes or of modules (of which the last node counts), in a list or
            with the names that their results get.
        train_return_nodes, eval_return_nodes: the same for each mode, in place of the first.
        tracer_kwargs, concrete_args: of the tracer.
    Raises: ValueError for nodes that the model has not.
    """
    options, training = _tracer_options(tracer_kwargs), model.training
    wanted = _wanted(return_nodes, train_return_nodes, eval_return_nodes)
    graphs, names = [], []
    for mode, queries in zip((True, False), wanted, strict=True):
        tracer = NodePathTracer(**options)
        graph = tracer.trace(model.train(mode), concrete_args=concrete_args)
        paths = list(tracer.node_to_qualname.values())
        if len(set(paths)) != len(paths):
            raise ValueError("There are duplicate nodes in the traced graph")
        made = fx.GraphModule(tracer.root, graph, type(model).__name__)
        # The names belong to the nodes of the traced graph, which the module keeps.
        _with_outputs(made.graph, tracer.node_to_qualname, queries)
        made.recompile()
        graphs.append(made.graph)
        names.append(paths)
    if not suppress_diff_warning:
        _warn_graph_differences(*names)
    found = DualGraphModule(model, graphs[0], graphs[1], class_name=type(model).__name__)
    model.train(training)
    return found.train(training)
