"""`torch.autograd.graph`: grad nodes, edges between them, hooks over several tensors."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .._core.errors import not_supported
from .._core.nodes import Node as Node, leaf_node
from .._core.state import state
from .._core.tensor_base import TensorBase

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip

_HOOKS = "torch.utils.checkpoint.checkpoint (XLA decides where saved values live)"


class GradientEdge(NamedTuple):
    """A place in the graph: an output of a grad node. `grad` takes it where it takes a tensor."""

    node: Node
    output_nr: int
    # Keeps the accumulator of a leaf alive.
    ownership_token: Any = None

    def _edge(self) -> tuple[Node, int]:
        return (self.node, self.output_nr)

    @property
    def _aval(self) -> Any:
        return self.node.out_avals[self.output_nr]

    @property
    def _storage(self) -> Any:
        raise not_supported("a GradientEdge as root without a gradient", "grad_outputs=")


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge that the gradient of `tensor` arrives at.

    Raises: RuntimeError when the tensor does not require grad.
    """
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    node = tensor.grad_fn
    return GradientEdge(leaf_node(tensor) if node is None else node, tensor._out_nr, tensor)


def increment_version(tensor: Any) -> None:
    """Count an in-place write that autograd could not see."""
    for t in (tensor,) if isinstance(tensor, TensorBase) else tensor:
        t._version_counter.version += 1


class _Handles:
    """Removes several hooks at once."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take all hooks out."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[..., Any], *, mode: str = "all"
) -> _Handles:
    """Call `fn` once a backward pass: with all gradients ("all", None where none came), or with the
    first one that is computed ("any").

    Raises: ValueError for another mode; RuntimeError for a tensor that does not require grad.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    if mode == "any":
        hook = _once(fn)
        return _Handles([t.register_hook(hook) for t in tensors if t.requires_grad])
    nodes = [get_gradient_edge(t).node if t.requires_grad else None for t in tensors]
    gathering = _Gathering(nodes, fn)
    return _Handles([t.register_hook(gathering.hook(k)) for k, t in enumerate(tensors)])


def _once(fn: Callable[..., Any]) -> Callable[..., None]:
    """`fn` at its first call in each backward pass."""
    last: list[Any] = [lambda: None]

    def hook(grad: Any) -> None:
        if last[0]() is not state.backward_pass:
            last[0] = weakref.ref(state.backward_pass)
            fn(grad)

    return hook


class _Gathering:
    """Collects the gradients of one backward pass until the last one has come."""

    def __init__(self, nodes: Sequence[Node | None], fn: Callable[..., Any]) -> None:
        self.nodes, self.fn = nodes, fn
        self.current: Any = None
        self.grads: list[Any] = []
        self.left = 0

    def hook(self, k: int) -> Callable[..., None]:
        """The hook of the k-th tensor."""

        def gather(grad: Any) -> None:
            if self.current is not state.backward_pass:
                self.current = state.backward_pass
                self.grads = [None] * len(self.nodes)
                self.left = sum(self.current.will_run(n) for n in self.nodes)
            self.grads[k] = grad
            self.left -= 1
            if self.left == 0:
                grads, self.grads, self.current = self.grads, [], None
                self.fn(grads)

        return gather


class saved_tensors_hooks:
    """Refused: what backward needs are values inside XLA programs, and no tensors."""

    def __init__(self, pack_hook: Any = None, unpack_hook: Any = None) -> None:
        if _disabled:
            raise RuntimeError(_disabled[-1])
        raise not_supported("torch.autograd.graph.saved_tensors_hooks", _HOOKS)


class save_on_cpu(saved_tensors_hooks):
    """Refused, as `saved_tensors_hooks`."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__()


_disabled: list[str] = []


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, `saved_tensors_hooks` raises RuntimeError(error_message)."""
    _disabled.append(error_message)
    try:
        yield
    finally:
        _disabled.pop()


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Refused: in-place writes to saved tensors raise, as in torch outside this context."""
    raise not_supported("torch.autograd.graph.allow_mutation_on_saved_tensors", "clone()")
    yield
