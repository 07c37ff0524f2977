"""Backends that count what they are given, as tests of compiled code use them."""

from __future__ import annotations

from typing import Any

from .backends.registry import lookup_backend


class CompileCounter:
    """Counts graphs (`frame_count`) and the calls in them (`op_count`); runs them as they are."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self.frame_count = self.op_count = 0

    def __call__(self, gm: Any, example_inputs: Any) -> Any:
        self.frame_count += 1
        self.op_count += sum("call" in node.op for node in gm.graph.nodes)
        return gm.forward


class CompileCounterWithBackend(CompileCounter):
    """Counts, keeps the graphs, and hands them to a backend."""

    def __init__(self, backend: Any) -> None:
        super().__init__()
        self.backend = backend

    def clear(self) -> None:
        """Begin again."""
        super().clear()
        self.graphs: list[Any] = []

    def __call__(self, gm: Any, example_inputs: Any) -> Any:
        super().__call__(gm, example_inputs)
        self.graphs.append(gm)
        compile_by = lookup_backend(self.backend)
        return gm.forward if compile_by is None else compile_by(gm, example_inputs)


class EagerAndRecordGraphs:
    """Keeps the graphs and runs them as they are."""

    def __init__(self) -> None:
        self.graphs: list[Any] = []

    def __call__(self, gm: Any, example_inputs: Any) -> Any:
        self.graphs.append(gm)
        return gm.forward
