"""The user's handle as the engine sees it: storage + layout + autograd state.

Invariants: `_layout` is None exactly when the tensor is its storage's whole base; a view holds no
value of its own, it reads the storage through its layout (memoised until the next write); `_base`
is the root of a differentiable view and never itself such a view.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._basics.errors import not_supported
from .._basics.state import process, state
from .._basics.strides import contiguous_strides, dense_span, is_dense
from .._core.kernels import Kernel, renamed
from .._core.layout import Geometry, read_step, relate_read, relate_write, write_step
from .._core.storage import Storage, VersionCounter, storage_for
from .._core.values import Aval, Value, aval_of
from .._core.view import View
from . import nodes
from .nodes import Edge, Node, leaf_node

# How a differentiable view was made; the last three forbid in-place writes under grad mode.
Ints = tuple[int, ...]
DEFAULT, NO_GRAD, MULTI_OUTPUT, CUSTOM = "default", "no_grad", "multi_output", "custom"


class TensorState:
    """State of a tensor; operators and printing are added by `torchish.tensor.Tensor`.

    The defaults stand on the class, so that making a result sets only what differs.
    """

    _aval: Aval
    _storage: Storage
    _layout: tuple[tuple[int, ...], int, bool] | None = None  # strides, offset, conjugated
    _memo: Value | None = None
    _memo_at: int = -1
    _requires_grad: bool = False
    _grad_fn: Node | None = None
    _out_nr: int = 0
    _part: int = 0  # which of several views this is: each has a node of its own here
    _grad: Any = None
    _accumulator: Any = None
    _leaf_hooks: Any = None
    _post_accumulate_hooks: Any = None
    _retains: bool = False
    _base: Any = None
    _attr_version: int = 0
    _creation: str = DEFAULT
    _own_version: VersionCounter | None = None
    _inference: bool = False

    # --- values ----------------------------------------------------------------------------------

    def _value(self) -> Value:
        """The current content as a Value of this tensor's shape (records a read for a view)."""
        storage = self._storage
        if self._layout is None:
            return storage._value if storage.host is None else storage.value
        # Numpy may have written to memory that is shared with it.
        stale = self._memo_at != storage.writes or storage.host is not None
        if stale or self._memo is None:
            found = View(storage, self._aval, self._layout).read()
            if getattr(found.trace, "private", False):
                return found  # of no use once the region is closed
            self._memo, self._memo_at = found, storage.writes
        return self._memo

    def _write(self, value: Value) -> None:
        """Replace the content (memory only: no history, no version)."""
        storage = self._storage
        if self._layout is None:
            storage.set(value)
            return
        View(storage, self._aval, self._layout).write(value)
        if storage.host is None:
            self._memo, self._memo_at = value, storage.writes

    @property
    def _version_counter(self) -> Any:
        return self._own_version or self._storage.counter or self._storage

    def _point_at(self, other: TensorState) -> None:
        """Take the memory and layout of another tensor; versions are counted as before."""
        old = self._storage
        if self._own_version is None:
            if old.counter is None:
                old.counter = VersionCounter()
                old.counter.version = old.version
            self._own_version = old.counter
        self._storage, self._aval, self._layout = other._storage, other._aval, other._layout
        self._memo = None

    @property
    def _version(self) -> int:
        if self._inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return int(self._version_counter.version)

    # --- geometry --------------------------------------------------------------------------------

    @property
    def _strides(self) -> tuple[int, ...]:
        if self._layout is not None:
            return self._layout[0]
        return self._storage.strides or self._aval.strides

    @property
    def _offset(self) -> int:
        return 0 if self._layout is None else self._layout[1]

    @property
    def _conjugated(self) -> bool:
        return self._layout is not None and self._layout[2]

    @property
    def _is_plain(self) -> bool:
        """Whether this is a whole row-major storage (the fast case everywhere)."""
        return self._layout is None and self._storage.strides is None

    def _is_contiguous(self) -> bool:
        if self._is_plain or self._aval.numel == 0:
            return True
        expected = 1
        for n, s in zip(reversed(self._aval.shape), reversed(self._strides), strict=True):
            if n != 1:
                if s != expected:
                    return False
                expected *= n
        return True

    # --- autograd --------------------------------------------------------------------------------

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` this tensor is."""
        return self._part or self._place[1]

    @property
    def _place(self) -> tuple[Node | None, int]:
        """The grad node that made this tensor, as far as is known, and which output it is."""
        node, number = self._grad_fn, self._out_nr
        while node is not None and node.is_dual:
            step = node.edges[0]
            node, number = (None, 0) if step is None else step
        return (None, 0) if isinstance(node, nodes.AccumulateGrad) else (node, number)

    def _needs_grad(self) -> bool:
        fn = self._grad_fn
        if self._requires_grad or (fn is not None and fn.is_reverse):
            return True
        return self._base is not None and bool(self._base._needs_grad())

    def _edge(self) -> Edge | None:
        """Where this tensor's gradient goes."""
        if self._base is not None:
            self._refresh()
        if self._grad_fn is not None:
            return (self._grad_fn, self._out_nr)
        if self._requires_grad:
            return (leaf_node(self), 0)
        if self._base is not None and self._base._needs_grad():
            return (nodes.NOWHERE, 0)  # a view made under no_grad
        return None

    def _refresh(self) -> None:
        """After an in-place write to the root, a view's history is derived from the root's anew."""
        base = self._base
        if self._attr_version == self._version_counter.version:
            return
        if self._grad_fn is None and base._grad_fn is None and not base._needs_grad():
            return
        if base._grad_fn is None or base._grad_fn.is_reverse:
            check_rebase(self, indirect=True)
        self._attr_version = self._version_counter.version
        edge = base._edge()
        if edge is None:  # the root was cut from its history
            self._grad_fn, self._out_nr = nodes.NOWHERE, 0
            return
        kernel, starts = region_read(base, self)
        made = nodes.history(kernel, (None, *starts), (edge, *[None] * len(starts)))
        if made[0] is not None:
            set_history(self, made[0])


if TYPE_CHECKING:

    class TensorBase(TensorState):
        """What `isinstance` narrows to below the tensor's own layer, which attaches the rest."""

        def __getattr__(self, name: str) -> Any: ...
else:
    TensorBase = TensorState


def set_history(tensor: TensorState, step: Edge | None) -> None:
    """Give a tensor that was written to its new history; a gradient it retains is that one's."""
    old, number = tensor._grad_fn, tensor._out_nr
    tensor._requires_grad = False
    tensor._grad_fn, tensor._out_nr = (None, 0) if step is None else step
    if tensor._retains and old is not None and old.retained is not None:
        ref = old.retained.pop(number, None)
        if step is not None and ref is not None:
            retain(ref, step)


def retain(ref: Any, edge: Edge) -> None:
    """Let the gradient that arrives at `edge` be kept in the `.grad` of the tensor of `ref`."""
    node, number = edge
    if node.retained is None:
        node.retained = {}
    node.retained[number] = ref


def check_rebase(view: TensorState, *, indirect: bool) -> None:
    """Raise torch's error for a write, under autograd, that would rebase a view which cannot be.

    `indirect`: the write went to the root or to another view of it.
    """
    creation = view._creation
    if creation == DEFAULT:
        return
    what = "its base or another view of its base has been" if indirect else "is being"
    fn = view._grad_fn
    if fn is not None:
        text = f"Output {view.output_nr} of {nodes.short_name(type(fn))} is a view"
        if creation == NO_GRAD:
            text += (
                f" of a view which was created in no_grad mode and {what} modified inplace with "
                "grad mode enabled."
            )
        else:
            text += f" and {what} modified inplace."
    else:
        text = (
            f"A view was created in no_grad mode and {what} modified inplace with grad mode "
            "enabled."
        )
    raise RuntimeError(text + _REBASE_REASONS[creation])


_REBASE_REASONS = {
    MULTI_OUTPUT: (
        " This view is the output of a function that returns multiple views. Such functions do not "
        "allow the output views to be modified inplace. You should replace the inplace operation "
        "by an out-of-place one."
    ),
    NO_GRAD: (
        " Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify "
        "your code by moving both the view and the inplace either both inside the no_grad block "
        "(if you don't want the inplace to be tracked) or both outside (if you want the inplace to "
        "be tracked)."
    ),
    CUSTOM: (
        " This view was created inside a custom Function (or because an input was returned as-is) "
        "and the autograd logic to handle view+inplace would override the custom backward "
        "associated with the custom Function, leading to incorrect gradients. This behavior is "
        "forbidden. You can fix this by cloning the output of the custom Function."
    ),
}


def region_read(base: TensorState, view: TensorState) -> tuple[Kernel, Ints]:
    """Kernel, and its start operands, that read `view` out of the value of `base`."""
    conj = _flips(base, view)
    if _covers(base, view):
        geometry, offset = _region(base, view)
        return read_step(
            geometry, tuple(view._aval.shape), view._strides, offset, view._aval.dtype, conj
        )
    return relate_read(_layout(base), _layout(view), _same_dtype(base, view), conj), ()


def region_write(base: TensorState, view: TensorState) -> tuple[Kernel, Ints]:
    """Kernel, and its start operands, that write `view`'s part into the value of `base`."""
    conj = _flips(base, view)
    if _covers(base, view):
        geometry, offset = _region(base, view)
        return write_step(
            geometry, tuple(view._aval.shape), view._strides, offset, view._aval.dtype, conj
        )
    return relate_write(_layout(base), _layout(view), _same_dtype(base, view), conj), ()


def _flips(base: TensorState, view: TensorState) -> bool:
    """Whether `view` is a lazy flip of what it reads in the value of `base`."""
    if base._conjugated and base._aval.dtype.is_complex and not view._aval.dtype.is_complex:
        return view._conjugated ^ bool(view._offset % 2)  # the conjugate has the same real parts
    return view._conjugated ^ base._conjugated


def _covers(base: TensorState, view: TensorState) -> bool:
    """Whether `base` is dense and holds all of `view`."""
    if base._aval.numel == 0 or not is_dense(tuple(base._aval.shape), tuple(base._strides)):
        return False
    _, offset = _region(base, view)
    ratio = base._aval.dtype.itemsize / view._aval.dtype.itemsize
    reach = dense_span(tuple(view._aval.shape), view._strides)
    return 0 <= offset and offset + reach <= base._aval.numel * ratio


def _layout(tensor: TensorState) -> tuple[Ints, Ints, int]:
    return tuple(tensor._aval.shape), tuple(tensor._strides), tensor._offset


def _region(base: TensorState, view: TensorState) -> tuple[Geometry, int]:
    geometry = Geometry(tuple(base._aval.shape), tuple(base._strides), base._aval.dtype)
    ratio = base._aval.dtype.itemsize / view._aval.dtype.itemsize
    return geometry, view._offset - int(base._offset * ratio)


def _same_dtype(base: TensorState, view: TensorState) -> Any:
    if base._aval.dtype is not view._aval.dtype:
        raise not_supported(
            "history of a view with another dtype on a tensor that is not dense",
            "clone() the tensor first",
        )
    return base._aval.dtype


# --- making tensors ------------------------------------------------------------------------------


def from_value(value: Value, strides: tuple[int, ...] | None = None) -> Any:
    """A fresh tensor of the user's class on a storage of its own."""
    made = object.__new__(process.tensor_class)
    made._aval = value.aval
    if strides is None:
        made._storage = Storage(value)
    else:
        made._storage = storage_for(value, tuple(value.aval.shape), strides)
    if state.inference:
        made._inference = True
    return made


def from_values(values: Sequence[Value], edges: Sequence[Edge | None]) -> list[Any]:
    """Fresh tensors with their histories: None, or a node and which of its outputs each is."""
    made = [from_value(value) for value in values]
    for tensor, edge in zip(made, edges, strict=True):
        if edge is not None:
            tensor._grad_fn, tensor._out_nr = edge
    return made


def alias(
    source: TensorState,
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int,
    *,
    elements: Any = None,
    conj: bool | None = None,
    cls: Any = None,
) -> Any:
    """A tensor on the same storage with another layout; carries no history."""
    made = object.__new__(cls or process.tensor_class)
    aval = aval_of(tuple(shape), elements or source._aval.dtype)
    storage = source._storage
    made._aval = aval
    made._storage = storage
    strides = tuple(strides)
    flipped = source._conjugated if conj is None else conj
    base_strides = storage.strides or storage.aval.strides
    if aval is not storage.aval or strides != base_strides or offset or flipped:
        made._layout = (strides, offset, flipped)
    if source._own_version is not None:
        made._own_version = source._own_version
    if source._inference:
        made._inference = True
    return made


Rule = Callable[[Ints, Ints, int], tuple[Ints, Ints, int]]


def view_of(
    source: TensorState,
    name: str,
    rule: Rule,
    *,
    elements: Any = None,
    flip: bool = False,
    creation: str = DEFAULT,
    in_memory: bool = False,
    part: int = 0,
) -> Any:
    """A differentiable view: alias, plus history under the grad node `name`.

    `rule` maps (shape, strides, offset) to the view's. Applied to the source's own layout it gives
    the alias; applied to a row-major layout of the same shape it gives the view as a function of
    the source's value, whose vjp is the gradient. `in_memory` marks a rule that ignores its input
    and addresses memory directly (`as_strided`); `flip` toggles conjugation.
    """
    layout, storage = source._layout, source._storage
    if layout is None:
        own, at, conj = storage.strides or storage.aval.strides, 0, flip
    else:
        own, at, conj = layout[0], layout[1], layout[2] ^ flip
    shape, strides, offset = rule(tuple(source._aval.shape), own, at)
    made = alias(source, shape, strides, offset, elements=elements, conj=conj)
    made._base = source if source._base is None else source._base
    made._attr_version = (made._own_version or storage.counter or storage).version
    made._creation = source._creation if creation == DEFAULT else creation
    if part:
        made._part = part
    if not state.grad_enabled:
        if creation == DEFAULT:
            made._creation = NO_GRAD
        if state.forward is None:
            _note_cut(source)
            return made
    edge = source._edge()
    if edge is not None:
        dt = elements or source._aval.dtype
        if in_memory:
            kernel, extra = region_read(source, made)
            kernel = renamed(kernel, name)
        else:
            aval = source._aval
            if offset or source._strides != aval.strides:
                shape, strides, offset = rule(tuple(aval.shape), aval.strides, 0)
            kernel, extra = _view_step(name, aval, tuple(shape), tuple(strides), offset, dt, flip)
        steps = nodes.history(kernel, (None, *extra), (edge, *[None] * len(extra)))
        if steps[0] is not None:
            made._grad_fn, made._out_nr = steps[0]
    return made


@functools.lru_cache(maxsize=1024)
def _view_step(
    name: str, aval: Aval, shape: Ints, strides: Ints, offset: int, elements: Any, flip: bool
) -> tuple[Kernel, Ints]:
    """`read_step` of a row-major value, under the name of a view's grad node."""
    geometry = Geometry(tuple(aval.shape), aval.strides, aval.dtype)
    kernel, starts = read_step(geometry, shape, strides, offset, elements, flip)
    return renamed(kernel, name), starts


def _note_cut(source: TensorState) -> None:
    """Tell a region that wants to know of an alias without the history of its source."""
    trace = source._storage._value.trace
    if trace is not None and trace.on_cut is not None:
        trace.on_cut(source)


def detached(source: TensorState, *, share_version: bool = True, cls: Any = None) -> Any:
    """The same memory without history (`detach`, `.data`)."""
    made = alias(source, source._aval.shape, source._strides, source._offset, cls=cls)
    _note_cut(source)
    if not share_version:
        made._own_version = VersionCounter()
    return made


__all__ = [
    "CUSTOM", "DEFAULT", "MULTI_OUTPUT", "NO_GRAD", "TensorBase", "alias",
    "contiguous_strides", "detached", "from_value", "from_values", "region_read",
    "region_write", "view_of",
]  # fmt: skip
