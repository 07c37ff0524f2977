"""What the node of a recorded kernel keeps, in torch's names and torch's order.

`plan_of` tells it for one kernel: which operands and results hooks get to pack, under which names
they show as `grad_fn._saved_...`, and how the gradient is computed from what is unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp

from .._autograd import nodes
from .._autograd.nodes import OpNode
from .._autograd.saved import FREED_HOOKS, Saved, SavedHandle, pack
from .._autograd.tensor_base import TensorBase, detached, from_value
from .._basics.dtypes import INT
from .._core.kernels import Kernel, VjpKernel, scalar_array
from .._core.trace import record
from .._core.values import Value, host_value
from .._ops.call.binding import MISSING
from .._ops.call.operator import _SCALARS, _described
from ._saved_names import KEPT
from ._saving_rules import KEPT_ON_THE_WAY, OWN, RESULTS, RESULTS_OF, RULES

_LINEAR = ("_linear_addmm", "_linear_mm", "_linear_addmm_view", "_linear_mm_view")


class Plan:
    """What is kept for a kernel. A place is an operand's number, or -1 - k for result k."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.labels: list[str] = [""] * kernel.n_in  # torch's name of each operand
        self.static: dict[str, Any] = {}
        operator = ""
        if kernel.origin is not None:
            operator = kernel.origin[0].name
            self._read_call(*kernel.origin)
        row = KEPT_ON_THE_WAY.get(operator) or KEPT.get(kernel.grad_name, "| |")
        self.inputs, self.results, self.others = (part.split() for part in row.split("|"))
        self._rename(operator)
        self.numbers = _numbers(self.results, kernel.grad_name, kernel.n_out)
        self.own = OWN.get(kernel.grad_name, "").split()
        rule = RULES.get(operator)
        self.rule = rule if rule is not None and self.results else None
        # Of a linear layer torch keeps the transposed weight, and the rows of a batch.
        self.transposed: int | None = None
        self.rows: int | None = None
        if operator in _LINEAR:
            rows, weight = kernel.n_in - 2, kernel.n_in - 1
            self.transposed = weight if kernel.in_avals[weight].ndim == 2 else None
            self.rows = rows if kernel.in_avals[rows].ndim > 2 else None
        self.extra = self._extra_kernel()
        self._vjps: dict[Any, VjpKernel] = {}

    def _read_call(self, operator: Any, key: Sequence[Any]) -> None:
        """Names of the operands, and the static arguments, from how the operator was called."""
        params = operator.binder.params
        self.static = _described(params, key)
        number = 0
        for p, k in zip(params, key, strict=True):
            if p.kind == "static" or k is None or k is MISSING:
                continue
            count = len(k) if p.kind == "tensors" else 1
            for step in range(count):
                self.labels[number + step] = p.name
            number += count
            self.static.pop(p.name, None)

    def _rename(self, operator: str) -> None:
        """Our parameters' names to torch's: `input` is often `self` there."""
        names = {}
        if "input" not in self.inputs + self.others:
            names["input"] = "mat1" if "mat1" in self.inputs else "self"
        for ours in ("x", "A"):
            if ours not in self.inputs and self.inputs == ["self"]:
                names[ours] = "self"
        if operator in _LINEAR:
            names["weight"] = "mat2"
        self.labels = [names.get(label, label) for label in self.labels]

    def _extra_kernel(self) -> Kernel | None:
        """Computes the results that only torch's own function has, from the operands."""
        rule = self.rule
        if rule is None or rule.results is None:
            return None
        find, described, labels = rule.results, self.static, self.labels

        def fn(*arrays: Any) -> tuple[Any, ...]:
            return find(described, dict(zip(labels, arrays, strict=True)))

        return Kernel(self.kernel.name, fn, self.kernel.in_avals, differentiable=False)

    # --- packing ---------------------------------------------------------------------------------

    def tensors(
        self, node: OpNode, operands: Sequence[Any], results: Sequence[Any]
    ) -> Iterator[tuple[int, Any, int | None]]:
        """(place, tensor, which own output it is or None), in the order of packing."""
        if self.rule is None:
            wanted = [i for i in node.wanted if self.labels[i] in self.own]
            kept = dict.fromkeys([*node.kept, *wanted])
            places = [i for i in kept if isinstance(operands[i], TensorBase)]
            places.sort(key=lambda i: self.labels[i] if self.labels[i] in self.inputs else "~")
            for i in places:
                yield i, self._shown(i, operands[i]), None
            is_torchs = all(self.labels[i] in self.inputs for i in places)
            if is_torchs and set(self.own) <= {self.labels[i] for i in node.wanted}:
                yield from self._results(results)
            return
        for label in self.inputs:
            if label in self.labels:
                i = self.labels.index(label)
                if isinstance(operands[i], TensorBase):
                    yield i, operands[i], None
        if self.extra is None:
            yield from self._results(results)
            return
        values = [x._value() if isinstance(x, TensorBase) else x for x in operands]
        for k, value in enumerate(record(self.extra, values)):
            yield -1 - k, from_value(value), None

    def _results(self, results: Sequence[Any]) -> Iterator[tuple[int, Any, int | None]]:
        for k in self.numbers:
            if k < len(results):
                is_smooth = results[k]._aval.dtype.category > INT
                yield -1 - k, results[k], k if is_smooth else None

    def _shown(self, place: int, tensor: Any) -> Any:
        """The tensor as torch keeps it: a linear layer's rows, its weight transposed."""
        if place == self.transposed:
            return tensor.t()
        if place == self.rows:
            return tensor.reshape(-1, tensor._aval.shape[-1])
        return tensor

    def restored(self, place: int, tensor: Any) -> Any:
        """The tensor as the kernel takes it, from how it was shown."""
        if place == self.transposed:
            return detached(tensor).t() if tensor._aval.ndim == 2 else tensor
        if place == self.rows:
            return detached(tensor).reshape(tuple(self.kernel.in_avals[place].shape))
        return tensor

    def aval(self, place: int) -> Any:
        """What the gradient kernel takes at a place."""
        if place >= 0:
            return self.kernel.in_avals[place]
        return (self.extra or self.kernel).out_avals[-1 - place]

    def vjp(self, wanted: tuple[int, ...], given: tuple[int, ...], graph: bool) -> VjpKernel:
        """The gradient kernel; its `saved` are places."""
        rule = self.rule
        if rule is None or given != (0,) or (graph and rule.results is not None):
            return self.kernel.vjp(wanted, given)
        found = self._vjps.get(wanted)
        if found is None:
            found = self._vjps[wanted] = self._from_rule(rule, wanted)
        return found

    def _from_rule(self, rule: Any, wanted: tuple[int, ...]) -> VjpKernel:
        kernel, described, labels = self.kernel, self.static, self.labels
        places = [i for i, label in enumerate(labels) if label in self.inputs or self._number(i)]
        numbers = self.numbers if self.extra is None else list(range(self.extra.n_out))
        names = [labels[p] for p in places] + self.results
        places += [-1 - k for k in numbers]
        described = {**described, "shape": tuple(kernel.in_avals[0].shape)}
        targets = [kernel.in_avals[i] for i in wanted]

        def fn(*arrays: Any) -> tuple[Any, ...]:
            found = rule.backward(described, dict(zip(names, arrays, strict=False)), arrays[-1])
            return tuple(
                jnp.asarray(found[labels[i]]).reshape(tuple(a.shape)).astype(a.dtype.np)
                for i, a in zip(wanted, targets, strict=True)
            )

        avals = [self.aval(p) for p in places]
        made = VjpKernel(
            kernel.name + ".vjp", fn, [*avals, kernel.out_avals[0]], targets,
            grad_name=kernel.grad_name + "Backward",
        )  # fmt: skip
        made.saved = tuple(places)
        return made

    def _number(self, i: int) -> bool:
        return self.kernel.in_avals[i] in _SCALARS

    def next_functions(self, node: OpNode) -> list[Any]:
        """The edges as torch shows them: a linear layer's weight passes its transpose."""
        found = list(node.edges)
        place = self.transposed
        if place is not None and self.rows is None and found[place] is not None:
            step = nodes.node_class("TBackward0", nodes.Node)((found[place],), node.out_avals)
            found[place] = (step, 0)
        return found

    # --- attributes of the node ------------------------------------------------------------------

    def attribute(self, node: OpNode, name: str) -> Any:
        """`grad_fn._saved_<name>`.

        Raises: AttributeError for a name that torch does not have, RuntimeError once it is freed.
        """
        if name in self.others and name in self.static:
            return self.static[name]
        if name not in self.inputs + self.results + self.others:
            raise AttributeError(name)
        if node.saved is None:
            raise RuntimeError(nodes.FREED)
        if node.packed is not None:
            saved = node.packed.saved.get(self._place(name))
            if saved is not None:
                return saved.unpack(node)
        elif name in self.results and self.extra is None:
            for place, kept in node.tensors:
                if place is None:
                    kept.check()
                    return kept.tensor((node, 0))
        return self._operand(node, name)

    def _place(self, name: str) -> int:
        if name in self.results:
            number = self.results.index(name)
            return -1 - (self.numbers[number] if self.numbers else number)
        return self.labels.index(name) if name in self.labels else len(self.labels)

    def _operand(self, node: OpNode, name: str) -> Any:
        if name in self.labels:
            i = self.labels.index(name)
            for place, kept in node.tensors:
                if place is not None and node.kept[place] == i:
                    kept.check()
                    return self._shown(i, kept.tensor(node.edges[i]))
            if node.packed is not None:
                return node.packed.numbers.get(i)
            if i in node.kept:
                value = node.saved[node.kept.index(i)]  # type: ignore[index]
                return from_value(value) if type(value) is Value else self._plain(name, value)
        return None

    def _plain(self, name: str, number: Any) -> Any:
        return from_value(host_value(scalar_array(number))) if name in self.inputs else number

    def raw(self, node: OpNode, name: str) -> Any:
        """`grad_fn._raw_saved_<name>`: registers hooks on one saved tensor."""
        if name not in self.inputs + self.results:
            raise AttributeError(name)
        self.attribute(node, name)

        def find() -> Saved:
            if node.packed is None and node.saved is not None:
                operands, results = self._rebuilt(node)
                pack(node, operands, results)
            if node.packed is None:
                raise RuntimeError(FREED_HOOKS)
            saved = node.packed.saved.get(self._place(name))
            if saved is None:
                raise RuntimeError(f"{node.name()} keeps no tensor '{name}'")
            return saved  # type: ignore[no-any-return]

        return SavedHandle.of(find)

    def _rebuilt(self, node: OpNode) -> tuple[list[Any], list[Any]]:
        """The kept operands and results as tensors again."""
        operands: list[Any] = [None] * self.kernel.n_in
        for place, i in enumerate(node.kept):
            value = node.saved[place]  # type: ignore[index]
            operands[i] = from_value(value) if type(value) is Value else value
            if type(value) is Value and node.edges[i] is not None:
                operands[i]._grad_fn, operands[i]._out_nr = node.edges[i]  # type: ignore[misc]
        results: list[Any] = []
        for where, kept in node.tensors:
            if where is None:
                results.append(kept.tensor((node, 0)))
            else:
                operands[node.kept[where]] = kept.tensor(node.edges[node.kept[where]])
        return operands, results


def _numbers(names: list[str], grad_name: str, count: int) -> list[int]:
    """Which of the kernel's results torch's names are; none where a name is no result of it."""
    table = {**RESULTS, **RESULTS_OF.get(grad_name, {})}
    found = [table.get(name, count) for name in names]
    return found if len(set(found)) == len(found) and all(k < count for k in found) else []


def plan_of(kernel: Kernel) -> Plan:
    """The plan of a kernel, worked out once."""
    if kernel.keeps is None:
        kernel.keeps = Plan(kernel)
    return kernel.keeps  # type: ignore[no-any-return]


__all__ = ["Plan", "plan_of"]
