"""`torch.autograd`: backward, grad, grad modes, custom functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._autograd.backward import run_backward
from .._autograd.grad_mode import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from .._autograd.tensor_base import TensorBase
from .._basics.later import later
from .._basics.state import state
from .._ops.create.copying import born_with_grad
from .._ops.protocol import overriding
from .._tensor.tensor import Tensor
from . import forward_ad as forward_ad, graph as graph
from .function import Function as Function, once_differentiable as once_differentiable
from .modes import (
    detect_anomaly as detect_anomaly,
    set_detect_anomaly as set_detect_anomaly,
    set_multithreading_enabled as set_multithreading_enabled,
)

_vmap = later("torchish.func:vmap")


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TensorBase)


class Variable(metaclass=_VariableMeta):
    """The old name of a tensor: `Variable(t, requires_grad=True)` gives the tensor back."""

    def __new__(cls, data: Any = None, requires_grad: Any = None, volatile: Any = None) -> Any:
        """A tensor on the same memory as `data`, with a fresh history."""
        made = Tensor([]) if data is None else data.detach()
        return born_with_grad(made) if requires_grad else made


def _as_tuple(value: Any, count: int) -> Sequence[Any]:
    if value is None:
        return (None,) * count
    if isinstance(value, TensorBase | graph.GradientEdge):
        return (value,)
    return tuple(value)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Accumulate into `.grad` of the leaves the sum of the gradients of `tensors`.

    Args:
        tensors: the roots; each needs one element or a gradient of its own.
        grad_tensors: cotangents, one a root.
        retain_graph: keep the graph for another pass (default: as create_graph).
        create_graph: make the gradients differentiable.
        inputs: accumulate only into these.

    Raises: RuntimeError where torch does (no graph, freed graph, shapes).
    """
    if inputs is not None and not isinstance(inputs, TensorBase) and len(inputs) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    roots = _as_tuple(tensors, 1)
    grads = _as_tuple(grad_tensors if grad_tensors is not None else grad_variables, len(roots))
    if len(grads) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    chosen = None if inputs is None else _as_tuple(inputs, 1)
    keep = create_graph if retain_graph is None else retain_graph
    run_backward(roots, grads, keep, create_graph, chosen, accumulate_inputs=chosen is not None)


def _batched(
    roots: Sequence[Any], grads: Sequence[Any], keep: bool, graph: bool, wanted: Sequence[Any]
) -> list[Any]:
    """Gradients for many cotangents at once, stacked along their first dim."""
    for k, (root, given) in enumerate(zip(roots, grads, strict=True)):
        if given is None:
            if root.dim():
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            raise ValueError(
                "vmap(vjp, in_dims=0, ...)(<inputs>): Got in_dim=0 for some input, but that input "
                "is a Tensor of dimensionality 0 so expected in_dim to satisfy 0 <= in_dim < 0."
            )
        if given.shape[1:] != root.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                "match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output[{k}] has a shape of {given.shape[1:]} and output[{k}] has a shape of "
                f"{root.shape}. If you only want some tensors in `grad_output` to be considered "
                "batched, consider using vmap."
            )
    is_used: list[bool] = []

    def pull(*some: Any) -> tuple[Any, ...]:
        found = run_backward(roots, some, keep, graph, wanted)
        is_used.extend(g is not None for g in found)
        return tuple(g for g in found if g is not None)

    made = iter(_vmap(pull)(*grads))
    return [next(made) if used else None for used in is_used]


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, without touching `.grad`.

    With `is_grads_batched`, `grad_outputs` have one more, leading, dim: a batch of cotangents.

    Raises: RuntimeError for inputs that the outputs do not depend on (unless `allow_unused`).
    """
    found = overriding.look((*_as_tuple(outputs, 1), *_as_tuple(inputs, 1)), {})
    if found is not None:
        options = {
            "grad_outputs": grad_outputs, "retain_graph": retain_graph,
            "create_graph": create_graph, "only_inputs": only_inputs, "allow_unused": allow_unused,
            "is_grads_batched": is_grads_batched, "materialize_grads": materialize_grads,
        }  # fmt: skip
        return overriding.dispatch(grad, found, (outputs, inputs), options, python=True)  # type: ignore[no-any-return]
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    unused = materialize_grads if allow_unused is None else allow_unused
    roots = _as_tuple(outputs, 1)
    wanted = _as_tuple(inputs, 1)
    if not wanted:
        raise ValueError("grad requires non-empty inputs.")
    grads = _as_tuple(grad_outputs, len(roots))
    keep = create_graph if retain_graph is None else retain_graph
    if state.compiled is not None:
        state.compiled.leave("autograd")
    if is_grads_batched:
        made = _batched(roots, grads, keep, create_graph, wanted)
    else:
        made = run_backward(roots, grads, keep, create_graph, wanted)
    for index, found_grad in enumerate(made):
        if found_grad is None and not unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {index} appears to not have been used in the "
                "graph. Set allow_unused=True if this is the desired behavior."
            )
    if materialize_grads:
        from .._ops.registry import ops

        made = [
            ops.zeros_like(t, requires_grad=True) if g is None else g
            for g, t in zip(made, wanted, strict=True)
        ]
    return tuple(made)


# These two use `grad`. The function takes the name of its module, as in torch.
from . import functional as functional  # noqa: E402
from .gradcheck import gradcheck as gradcheck, gradgradcheck as gradgradcheck  # noqa: E402
