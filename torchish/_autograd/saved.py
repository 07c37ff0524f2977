"""Tensors that grad nodes keep for the gradient, and the hooks that pack them.

Invariant: a kept tensor never refers to the node that keeps it, though it may be that node's own
output: its place in the graph is put back when it is unpacked. With hooks, what the pack hook
returned is all that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._basics.errors import not_supported
from .._basics.state import process, state
from .._core.trace import record
from .._core.values import Value
from .casting import cast_kernel
from .grad_mode import no_grad
from .nodes import CUT, FREED, AccumulateGrad, Edge, OpNode, SavedTensor
from .tensor_base import TensorBase, detached, from_values

Hooks = tuple[Callable[[Any], Any], Callable[[Any], Any]]

FREED_HOOKS = (
    "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values "
    "of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to "
    "access saved variables after calling backward."
)


class Saved:
    """One tensor that a node keeps; `number` tells which of the node's own outputs it is."""

    __slots__ = ("edge", "freed", "hooks", "kept", "number", "packed", "version")

    def __init__(self, tensor: Any, number: int | None = None) -> None:
        self.version = SavedTensor(tensor)
        self.number = number
        self.edge: Edge | None = None if number is not None else tensor._edge()
        self.hooks: Hooks | None = None
        self.packed: Any = None
        self.freed = False
        self.kept: Any = tensor if number is None else detached(tensor)
        if state.saved_hooks:
            self._pack(state.saved_hooks[-1], tensor)

    def _pack(self, hooks: Hooks, tensor: Any) -> None:
        before = tensor._version_counter.version
        with no_grad():
            packed = hooks[0](tensor)
        if tensor._version_counter.version != before:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook cannot be modified by in-place operations as this can lead to "
                "unexpected side-effects. Please open an issue if you need to perform in-place "
                "operations on the input to a pack hook."
            )
        self.hooks, self.packed, self.kept = hooks, packed, None

    def register_hooks(self, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        """Keep `pack(tensor)` instead of the tensor.

        Raises: RuntimeError when there are hooks already, or nothing is kept any more.
        """
        if self.freed:
            raise RuntimeError(FREED_HOOKS)
        if self.hooks is not None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: "
                "only one pair of hooks is allowed at a time."
            )
        self._pack((pack, unpack), detached(self.kept))

    def unpack(self, node: Any) -> Any:
        """The tensor with its history; `node` is the one that keeps it.

        Raises: RuntimeError after an in-place write, or when it was freed.
        """
        if self.freed:
            raise RuntimeError(FREED)
        if self.hooks is None:
            if self.number is None:
                self.version.made_by(self.kept)
            self.version.check()
            if self.number is None:
                if self.edge is not None and self.edge[1] in self.edge[0].cut:
                    raise RuntimeError(CUT)
                return self.kept
            return _placed(self.kept, (node, self.number))
        made = self.hooks[1](self.packed)
        if not isinstance(made, TensorBase):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(made).__name__}"
            )
        own = None if self.number is None else (node, self.number)
        return _placed(made, own or self.edge)

    def release(self) -> None:
        """Keep nothing any more."""
        self.freed = True
        self.kept = self.packed = self.edge = None


def _placed(tensor: Any, edge: Edge | None) -> Any:
    """The same memory at another place of the graph."""
    made = detached(tensor)
    if edge is not None:
        if isinstance(edge[0], AccumulateGrad):
            import weakref

            made._requires_grad = True
            made._accumulator = weakref.ref(edge[0])
        else:
            made._grad_fn, made._out_nr = edge
    return made


class SavedHandle:
    """What `grad_fn._raw_saved_self` is: it registers hooks on one saved tensor."""

    __module__ = "torch._C._autograd"
    __qualname__ = __name__ = "SavedTensor"

    def __init__(self, *args: Any) -> None:
        raise RuntimeError("Trying to create a SavedTensor object from Python is forbidden.")

    @classmethod
    def of(cls, find: Callable[[], Saved]) -> SavedHandle:
        """The handle of what `find()` returns when hooks are registered."""
        made = object.__new__(cls)
        made._find = find  # type: ignore[attr-defined]
        return made

    def register_hooks(self, pack_hook: Any, unpack_hook: Any) -> None:
        """Keep `pack_hook(tensor)`; backward gets `unpack_hook` of it."""
        self._find().register_hooks(pack_hook, unpack_hook)  # type: ignore[attr-defined]


class Packed:
    """What the node of a recorded kernel keeps as `Saved`, one for each place.

    A place is the number of an operand, or -1 - k for the k-th result that the plan names.
    """

    __slots__ = ("numbers", "plan", "saved")

    def __init__(self, plan: Any, saved: dict[int, Saved], numbers: dict[int, Any]) -> None:
        self.plan, self.saved, self.numbers = plan, saved, numbers

    def gradient(
        self, node: OpNode, given: tuple[int, ...], graph: bool
    ) -> tuple[Any, list[Any], list[Edge | None]]:
        """The gradient kernel, what it takes besides the cotangents, and where that came from."""
        values: dict[int, Any] = dict(self.numbers)
        for place, saved in self.saved.items():
            tensor = self.plan.restored(place, saved.unpack(node))
            values[place] = _fitting(tensor, self.plan.aval(place))
        kernel = self.plan.vjp(node.wanted, given, graph)
        edges: list[Edge | None] = []
        for place in kernel.saved:
            found = self.saved.get(place)
            own = None if found is None or found.number is None else (node, found.number)
            edges.append((node.marked or node.edges)[place] if place >= 0 else own)
        return kernel, [values[p] for p in kernel.saved], edges

    def release(self) -> None:
        """Keep nothing any more."""
        for saved in self.saved.values():
            saved.release()


def _fitting(tensor: Any, aval: Any) -> Value:
    """The value of an unpacked tensor, as the kernel takes it.

    Raises: torch's RuntimeError for a shape that does not broadcast.
    """
    shape, wanted = tuple(tensor._aval.shape), tuple(aval.shape)
    if shape == wanted:
        value: Value = tensor._value()
        if value.aval.dtype is not aval.dtype:
            (value,) = record(cast_kernel(value.aval, aval.dtype), (value,))
        return value
    lead = len(shape) - len(wanted)
    if lead > 0 and all(n == 1 for n in shape[:lead]):
        return _fitting(detached(tensor).reshape(shape[lead:]), aval)
    ndim = max(len(shape), len(wanted))
    have, want = [(1,) * (ndim - len(s)) + s for s in (shape, wanted)]
    for d in range(ndim - 1, -1, -1):
        if have[d] != want[d] and have[d] != 1:
            raise RuntimeError(
                f"The size of tensor a ({want[d]}) must match the size of tensor b ({have[d]}) at "
                f"non-singleton dimension {d}"
            )
    return _fitting(detached(tensor).expand(wanted), aval)


def pack(node: OpNode, operands: Sequence[Any], results: Sequence[Any]) -> None:
    """Keep what `node` needs of its operands and results as `Saved`, packed by the hooks set now.

    `results` are the operator's results as tensors.
    """
    if not node.wanted or node.saved is None:
        return
    if node.marked is not None:
        raise not_supported("hooks on saved tensors with tangents", "leaving the hooks out")
    plan = process.plan_of(node.kernel)
    saved: dict[int, Saved] = {}
    for place, tensor, number in plan.tensors(node, operands, results):
        saved[place] = Saved(tensor, number)
    numbers = {i: x for i, x in enumerate(operands) if not isinstance(x, TensorBase)}
    node.packed = Packed(plan, saved, numbers)
    node.saved, node.tensors = [None] * len(node.kept), []


def pack_values(node: OpNode, values: Sequence[Any], edges: Sequence[Edge | None]) -> None:
    """`pack` for the operands of a node that backward itself made."""
    operands = [
        from_values((v,), (e,))[0] if type(v) is Value else v
        for v, e in zip(values, edges, strict=True)
    ]
    pack(node, operands, ())


process.pack_values = pack_values
__all__ = ["FREED_HOOKS", "Packed", "Saved", "SavedHandle", "pack", "pack_values"]
