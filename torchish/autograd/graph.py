"""`torch.autograd.graph`: grad nodes, edges between them, hooks over several tensors."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .._autograd.nodes import Node as Node, leaf_node
from .._autograd.tensor_base import TensorBase, from_value
from .._basics.errors import not_supported
from .._basics.state import state

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip


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
    nodes = [_node_of(t) for t in tensors]
    gathering = _Gathering(nodes, fn)
    return _Handles([t.register_hook(gathering.hook(k)) for k, t in enumerate(tensors)])


def _node_of(tensor: Any) -> Node:
    """The node that the gradient of a tensor arrives at.

    Raises: AssertionError when it does not require grad.
    """
    if isinstance(tensor, GradientEdge):
        return tensor.node
    if not tensor.requires_grad:
        raise AssertionError("Expected gradient function to be set")
    return get_gradient_edge(tensor).node


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
    """Inside, `pack_hook(tensor)` is kept for backward in place of each tensor; backward gets
    `unpack_hook` of it. Of nested pairs the innermost counts.

    Raises: RuntimeError inside `disable_saved_tensors_hooks`.
    Differs from torch: operators whose gradient torch computes from other tensors than this engine
    does, beyond the usual layers, have the tensors packed that this engine keeps.
    Source: https://docs.pytorch.org/docs/stable/autograd.html
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if state.saved_hooks_refused is not None:
            raise RuntimeError(state.saved_hooks_refused)
        for hook in (self.pack_hook, self.unpack_hook):
            if not callable(hook):
                raise TypeError(
                    "_push_saved_tensors_default_hooks(): incompatible function arguments. The "
                    "following argument types are supported:\n    1. (arg0: "
                    "collections.abc.Callable, arg1: collections.abc.Callable) -> None\n\nInvoked "
                    f"with: {self.pack_hook!r}, {self.unpack_hook!r}"
                )
        state.saved_hooks.append((self.pack_hook, self.unpack_hook))

    def __exit__(self, *args: object) -> None:
        state.saved_hooks.pop()


class save_on_cpu(saved_tensors_hooks):
    """Inside, what backward needs is kept on the CPU and moved back when it is needed."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Any) -> tuple[Any, Any]:
            kept = tensor.cpu()
            pinned = pin_memory and tensor.device.type == device_type
            return tensor.device, kept.pin_memory() if pinned else kept

        def unpack(packed: tuple[Any, Any]) -> Any:
            return packed[1].to(packed[0], non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, `saved_tensors_hooks` raises RuntimeError(error_message)."""
    if state.saved_hooks:
        raise RuntimeError(error_message)
    before, state.saved_hooks_refused = state.saved_hooks_refused, error_message
    try:
        yield
    finally:
        state.saved_hooks_refused = before


class _SavedAsTheyWere:
    """Keeps the value that a tensor has when it is saved, whatever is written to it later."""

    active: _SavedAsTheyWere | None = None

    def pack(self, tensor: Any) -> Any:
        """The present value."""
        return tensor._value()

    def unpack(self, value: Any) -> Any:
        """A tensor of that value.

        Raises: AssertionError outside of the context.
        """
        if _SavedAsTheyWere.active is not self:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context"
                "in which the graph was originally recorded."
            )
        return from_value(value)

    def clear(self) -> None:
        """Nothing to forget: the nodes hold the values."""


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_SavedAsTheyWere]:
    """Inside, tensors that backward needs may be written to: backward sees them as they were saved.

    Raises: RuntimeError when contexts are nested.
    """
    kept = _SavedAsTheyWere()
    with saved_tensors_hooks(kept.pack, kept.unpack):
        if _SavedAsTheyWere.active is not None:
            _SavedAsTheyWere.active = None
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        _SavedAsTheyWere.active = kept
        try:
            yield kept
        finally:
            _SavedAsTheyWere.active = None
