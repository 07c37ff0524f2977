"""Backward nodes as dispatch modes see them.

A node's gradient is one kernel here: it runs first, and then a mode is shown the operators that
torch's node is made of. Calling such an operator gives what the kernel gave; a mode can look at
backward, not change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..._autograd.nodes import OpNode
from ..._autograd.tensor_base import from_value
from ..._basics.state import state
from ..._core.values import Value
from ..registry import ops
from .dispatching import packet, show, without_modes

_plain_apply = OpNode.apply
# torch's backward operators whose names do not follow from the node's.
_NAMES = {
    "MaxPool2DWithIndicesBackward0": "max_pool2d_with_indices_backward",
    "ReluBackward0": "threshold_backward", "SoftmaxBackward0": "_softmax_backward_data",
    "LogSoftmaxBackward0": "_log_softmax_backward_data", "NllLossBackward0": "nll_loss_backward",
    "EmbeddingBackward0": "embedding_dense_backward", "ConvolutionBackward0":
    "convolution_backward", "ScaledDotProductFlashAttentionForCpuBackward0":
    "_scaled_dot_product_flash_attention_for_cpu_backward",
}  # fmt: skip
# Views and sums: their gradients are views again, which are not shown.
_SILENT = frozenset((
    "TBackward0", "ViewBackward0", "UnsafeViewBackward0", "TransposeBackward0", "ExpandBackward0",
    "PermuteBackward0", "SelectBackward0", "SliceBackward0", "UnsqueezeBackward0", "AliasBackward0",
    "SqueezeBackward0", "SqueezeBackward1", "AddBackward0", "SumBackward0", "SumBackward1",
    "ReshapeAliasBackward0", "CloneBackward0", "SplitBackward0", "UnbindBackward0", "CatBackward0",
    "StackBackward0", "ToCopyBackward0",
))  # fmt: skip


def engage() -> None:
    """Show nodes from now on while a dispatch mode is active."""
    OpNode.apply = _apply  # type: ignore[method-assign]


def _apply(self: OpNode, grads: list[Any], graph: bool) -> Sequence[Any]:
    if not state.dispatch_modes:
        return _plain_apply(self, grads, graph)
    saved = dict(zip(self.kept, self.saved or (), strict=False))
    outs = _plain_apply(self, grads, graph)
    name = self.name()
    if name not in _SILENT:
        for label, args, result in _operators(self, name, saved, grads, outs):
            _tell(label, args, result)
    return outs


def _tell(label: str, args: Sequence[Any], result: Any) -> None:
    base, _, overload = label.partition(".")
    show(getattr(packet(base), overload or "default"), lambda *a, **k: result, args, {})


def _tensor(value: Any) -> Any:
    with without_modes():
        return from_value(value) if type(value) is Value else value


def _operators(
    node: OpNode, name: str, saved: dict[int, Any], grads: Sequence[Any], outs: Sequence[Any]
) -> Iterator[tuple[str, Sequence[Any], Any]]:
    given = [_tensor(g[0]) for g in grads if g is not None]
    made = [None if o is None else _tensor(o[0]) for o in outs]
    operands = [_tensor(saved.get(i)) for i in range(len(outs))]
    products = {"AddmmBackward0": "mm", "MmBackward0": "mm", "BmmBackward0": "bmm",
                "BaddbmmBackward0": "bmm"}  # fmt: skip
    if node.kernel.name == "linear" and given:
        yield from _linear(given[0], operands, made)
        return
    if name in products and given:
        yield from _products(products[name], given[0], operands[-2:], made)
        return
    if name == "ConvolutionBackward0":
        known = (node._metadata or {}).get("aten") or (None,) * 6
        mask = [o is not None for o in made] + [False] * (3 - len(made))
        bias = None if len(made) < 3 or made[2] is None else [given[0].shape[1]]
        args = (given[0], *_shaped(node, operands)[:2], bias, *known, mask)
        yield "convolution_backward", args, tuple(made)
        return
    label = _NAMES.get(name) or _snake(name)
    if label == "mul_backward":
        for other, out in zip(reversed(operands), made, strict=True):
            if out is not None:
                yield "mul.Tensor", (given[0], other), out
        return
    values = [x for x in operands if x is not None]
    found = [m for m in made if m is not None]
    yield label, (*given, *values), found[0] if len(found) == 1 else tuple(found)


def _shaped(node: OpNode, operands: Sequence[Any]) -> list[Any]:
    """The operands; one that the gradient does not need stands as an empty tensor of its shape."""
    found = []
    for aval, x in zip(node.kernel.in_avals, operands, strict=False):
        if x is None and hasattr(aval, "shape"):
            with without_modes():
                x = ops.empty(tuple(aval.shape), device="meta")
        found.append(x)
    return found


def _products(
    kind: str, grad: Any, operands: Sequence[Any], made: Sequence[Any]
) -> Iterator[tuple[str, Sequence[Any], Any]]:
    turn = ("t", ()) if kind == "mm" else ("transpose.int", (1, 2))
    first, second = operands
    with without_modes():
        turned = [None if x is None else x.transpose(-2, -1) for x in (first, second)]
    if made[-2] is not None:
        yield turn[0], (second, *turn[1]), turned[1]
        yield kind, (grad, turned[1]), made[-2]
    if made[-1] is not None:
        yield turn[0], (first, *turn[1]), turned[0]
        yield kind, (turned[0], grad), made[-1]
    if len(made) == 3 and made[0] is not None and kind == "mm":
        yield "sum.dim_IntList", (grad, [0], True), made[0]


def _linear(
    grad: Any, operands: Sequence[Any], made: Sequence[Any]
) -> Iterator[tuple[str, Sequence[Any], Any]]:
    """A linear layer whose forward no mode saw: its kernel has the weight as it is."""
    with without_modes():
        rows = grad.reshape(-1, grad.shape[-1])
        x = None if operands[0] is None else operands[0].reshape(-1, operands[0].shape[-1])
    if made[0] is not None:
        yield "mm", (rows, operands[1]), made[0]
    if made[1] is not None:
        with without_modes():
            turned = rows.t()
        yield "t", (rows,), turned
        yield "mm", (turned, x), made[1]
    if len(made) == 3 and made[2] is not None:
        yield "sum.dim_IntList", (rows, [0], True), made[2]


def _snake(name: str) -> str:
    base = re.sub(r"Backward\d*$", "", name)
    text = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", base).lower()
    return f"{text.replace('2_d', '2d').replace('1_d', '1d').replace('3_d', '3d')}_backward"
