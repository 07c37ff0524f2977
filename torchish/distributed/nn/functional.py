"""Collectives that gradients flow through.

Invariant: each is a linear map of what all ranks give; its backward is the adjoint map, one of the
functions here again, so gradients of any order work. All ranks of the group must call each of them,
and must go backward through it together.

Source: https://docs.pytorch.org/docs/stable/distributed.html
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..._ops.registry import ops
from ...autograd import Function
from .. import _collectives as plain
from .._group import ReduceOp, get_rank, get_world_size

__all__ = [
    "all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce",
    "reduce_scatter", "scatter",
]  # fmt: skip

Map = Callable[..., Any]


class _Linear(Function):
    """A map of tensors over ranks, and the map that takes gradients back."""

    @staticmethod
    def forward(ctx: Any, there: Map, back: Map, *tensors: Any) -> Any:
        """What `there` makes of the tensors."""
        ctx.back = back
        return there(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """What `back` makes of the gradients: one for each tensor."""
        found = ctx.back(*grads)
        return None, None, *(found if isinstance(found, tuple) else (found,))


def _old(name: str, instead: str) -> None:
    warnings.warn(
        f"torch.distributed.nn.functional.{name} is deprecated, use "
        f"torch.distributed._functional_collectives.{instead} instead.",
        category=FutureWarning,
        stacklevel=3,
    )


# --- the maps, without warnings: backward passes use them too -------------------------------------


def _broadcast(tensor: Any, src: int, group: Any) -> Any:
    def there(x: Any) -> Any:
        made = x.clone()
        plain.broadcast(made, src, group)
        return made

    def back(grad: Any) -> Any:
        total = _reduce(grad, src, ReduceOp.SUM, group)
        return total if get_rank() == src else ops.zeros_like(total)

    return _Linear.apply(there, back, tensor)


def _reduce(tensor: Any, dst: int, op: Any, group: Any) -> Any:
    def there(x: Any) -> Any:
        made = x.clone()
        plain.reduce(made, dst, op, group)
        return made

    return _Linear.apply(there, lambda grad: _broadcast(grad, dst, group), tensor)


def _all_reduce(tensor: Any, op: Any, group: Any) -> Any:
    def there(x: Any) -> Any:
        made = x.clone()
        plain.all_reduce(made, op, group)
        return made

    return _Linear.apply(there, lambda grad: _all_reduce(grad, op, group), tensor)


def _all_gather(tensor: Any, group: Any) -> Any:
    def there(x: Any) -> Any:
        made = [ops.empty_like(x) for _ in range(get_world_size(group))]
        plain.all_gather(made, x.contiguous(), group)
        return tuple(made)

    def back(*grads: Any) -> Any:
        return _reduce_scatter(ops.empty_like(grads[0]), grads, ReduceOp.SUM, group)

    return _Linear.apply(there, back, tensor)


def _reduce_scatter(output: Any, tensors: Sequence[Any], op: Any, group: Any) -> Any:
    def there(*given: Any) -> Any:
        plain.reduce_scatter(output, [x.contiguous() for x in given], op, group)
        return output.clone()

    return _Linear.apply(there, lambda grad: _all_gather(grad, group), *tensors)


def _all_to_all(outputs: Sequence[Any], tensors: Sequence[Any], group: Any) -> Any:
    shapes = [(x.shape, x.dtype, x.device) for x in tensors]

    def there(*given: Any) -> Any:
        plain.all_to_all(list(outputs), [x.contiguous() for x in given], group)
        return tuple(x.clone() for x in outputs)

    def back(*grads: Any) -> Any:
        made = [ops.empty(shape, dtype=dtype, device=device) for shape, dtype, device in shapes]
        return _all_to_all(made, grads, group)

    return _Linear.apply(there, back, *tensors)


def _all_to_all_single(output: Any, tensor: Any, out_sizes: Any, in_sizes: Any, group: Any) -> Any:
    shape = tensor.shape

    def there(x: Any) -> Any:
        plain.all_to_all_single(output, x.contiguous(), out_sizes, in_sizes, group)
        return output.clone()

    def back(grad: Any) -> Any:
        made = ops.empty(shape, dtype=grad.dtype, device=grad.device)
        return _all_to_all_single(made, grad, in_sizes, out_sizes, group)

    return _Linear.apply(there, back, tensor)


# --- public ---------------------------------------------------------------------------------------


def broadcast(tensor: Any, src: int, group: Any = None) -> Any:
    """Rank `src`'s tensor, in every rank.

    Gradients are summed in rank `src`; the others get zeros.
    """
    _old("broadcast", "broadcast")
    return _broadcast(tensor, src, group)


def gather(tensor: Any, dst: int = 0, group: Any = None) -> Any:
    """All ranks' tensors in rank `dst`, zeros in the others. Gradients go back to each."""

    def there(x: Any) -> Any:
        made = [ops.zeros_like(x) for _ in range(get_world_size(group))]
        plain.gather(x.contiguous(), made if get_rank() == dst else None, dst, group)
        return tuple(made)

    return _Linear.apply(there, lambda *grads: scatter(grads, dst, group), tensor)


def scatter(tensors: Sequence[Any], src: int = 0, group: Any = None) -> Any:
    """This rank's entry of the tensors of rank `src`; every rank gives tensors of that shape."""

    def there(*given: Any) -> Any:
        made = ops.zeros_like(given[0])
        mine = [x.contiguous() for x in given] if get_rank() == src else None
        plain.scatter(made, mine, src, group)
        return made

    return _Linear.apply(there, lambda grad: gather(grad, src, group), *tensors)


def reduce(tensor: Any, dst: int, op: Any = ReduceOp.SUM, group: Any = None) -> Any:
    """The reduction of all ranks' tensors, in rank `dst`. Each rank's gradient is that of `dst`."""
    return _reduce(tensor, dst, op, group)


def reduce_scatter(
    output: Any, input_list: Sequence[Any], op: Any = ReduceOp.SUM, group: Any = None
) -> Any:
    """The reduction of all ranks' lists; this rank's entry of it is returned, and in `output`."""
    _old("reduce_scatter", "reduce_scatter_single")
    return _reduce_scatter(output, input_list, op, group)


def all_gather(tensor: Any, group: Any = None) -> Any:
    """The tensors of all ranks, as a tuple; gradients from every rank are summed.

    Example:
        >>> features = torch.cat(torch.distributed.nn.all_gather(features))
    """
    _old("all_gather", "all_gather_single")
    return _all_gather(tensor, group)


def all_to_all(
    output_tensor_list: Sequence[Any], input_tensor_list: Sequence[Any], group: Any = None
) -> Any:
    """Entry i of the result, and of the outputs, is this rank's entry of the list of rank i."""
    return _all_to_all(output_tensor_list, input_tensor_list, group)


def all_to_all_single(
    output: Any, input: Any, output_split_sizes: Any = None, input_split_sizes: Any = None,
    group: Any = None,
) -> Any:  # fmt: skip
    """`all_to_all` of one tensor, cut along dim 0 into equal parts or the given sizes."""
    _old("all_to_all_single", "all_to_all_single")
    return _all_to_all_single(output, input, output_split_sizes, input_split_sizes, group)


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: Any = None) -> Any:
    """The reduction of all ranks' tensors; a gradient is the reduction of all ranks' gradients."""
    _old("all_reduce", "all_reduce")
    return _all_reduce(tensor, op, group)
