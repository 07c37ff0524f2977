"""`torch._dynamo.explain`: into which graphs a call falls, and why."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class GraphCompileReason:
    """Why a graph ends."""

    reason: str
    user_stack: list[traceback.FrameSummary] = field(default_factory=list)
    graph_break: bool = True


@dataclass
class ExplainOutput:
    """The graphs of one call; prints as a report."""

    graphs: list[Any]
    graph_count: int
    graph_break_count: int
    break_reasons: list[GraphCompileReason]
    op_count: int
    ops_per_graph: list[list[Any]] | None = None
    out_guards: list[Any] | None = None
    compile_times: str | None = None

    def __str__(self) -> str:
        lines = [
            f"Graph Count: {self.graph_count}",
            f"Graph Break Count: {self.graph_break_count}",
            f"Op Count: {self.op_count}",
            "Break Reasons:",
        ]
        for k, found in enumerate(self.break_reasons, 1):
            lines += [f"  Break Reason {k}:", f"    Reason: {found.reason}", "    User Stack:"]
            lines += [f"      {frame}" for frame in found.user_stack]
        lines.append("Ops per Graph:")
        for k, ops in enumerate(self.ops_per_graph or [], 1):
            lines += [f"  Ops {k}:", *[f"    {op}" for op in ops]]
        return "\n".join([*lines, "Out Guards:", ""])


def explain(f: Callable[..., Any], *extra_args: Any, **extra_kwargs: Any) -> Any:
    """A function that calls `f` and returns an `ExplainOutput`.

    There are no guards to list: a call's graphs are looked up by their structure.
    """

    def inner(*args: Any, **kwargs: Any) -> ExplainOutput:
        from .capture import Graphs
        from .eval_frame import captured

        graphs: list[Any] = []
        ops: list[list[Any]] = []
        reasons: list[GraphCompileReason] = []

        def keep(module: Any, inputs: Any) -> Any:
            graphs.append(module)
            ops.append([n.target for n in module.graph.nodes if n.op == "call_function"])
            return module.forward

        def broken(reason: str, frame: Any) -> None:
            stack = [] if frame is None else [_summary(frame)]
            reasons.append(GraphCompileReason(reason, stack))

        kept = Graphs(keep)
        kept.on_break = broken
        captured(getattr(f, "_torchdynamo_orig_callable", f), args, kwargs, kept, False)
        count = sum(map(len, ops))
        return ExplainOutput(
            graphs, len(graphs), max(len(graphs) - 1, 0), reasons, count, ops, [], None
        )

    return inner(*extra_args, **extra_kwargs) if extra_args or extra_kwargs else inner


def _summary(frame: Any) -> traceback.FrameSummary:
    code = frame.f_code
    return traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_name)
