"""What both forms of fully sharded training do around one module's forward.

Invariant: a unit has the parameters of its module that no unit inside of it has. Its forward
computes with them in another dtype where that is asked for; over processes their gradients are
averaged at the end of each backward.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ..._autograd.grad_mode import is_grad_enabled
from ..._basics.errors import not_supported
from ..._tensor.tensor import Tensor
from ...nn.parallel.spmd import map_tensors
from .._averaging import Averager

_MARK = "_fsdp_unit"


def unit_of(module: Any) -> Unit | None:
    """The unit that a module was made, or None."""
    found: Unit | None = module.__dict__.get(_MARK)
    return found


class Unit:
    """One module of fully sharded training.

    Args:
        module: the module.
        group: the processes that average gradients; None for a single process.
        compute: dtype of parameters in the forward pass; None leaves them.
        reduce: dtype that gradients are averaged in; None for that of the forward pass.
        ignored: ids of parameters that are left alone.
        kept: classes of modules whose parameters stay as they are in the forward pass.
    """

    def __init__(
        self, module: Any, group: Any, compute: Any, reduce: Any,
        ignored: Collection[int] = (), kept: tuple[type, ...] = (),
    ) -> None:  # fmt: skip
        self.module, self.compute, self.reduce = module, compute, reduce
        self.ignored, self.kept = frozenset(ignored), kept
        self.averager = None
        if group is not None:
            self.averager = Averager(group, self.parameters, self._travels)

    def owners(self) -> Iterator[Any]:
        """The modules whose tensors are this unit's."""
        stack = [self.module]
        while stack:
            owner = stack.pop()
            yield owner
            stack.extend(c for c in reversed(list(owner.children())) if unit_of(c) is None)

    def parameters(self) -> list[Tensor]:
        """The unit's parameters."""
        found = {id(p): p for o in self.owners() for p in o._parameters.values() if p is not None}
        return [p for k, p in found.items() if k not in self.ignored]

    def _travels(self, param: Tensor) -> Any:
        """The dtype in which a parameter's gradient is averaged."""
        return (self.reduce or self.compute or param.dtype) if param.is_floating_point() else None

    def check_reduction(self) -> None:
        """Over devices of one process XLA adds gradients in the dtype they were computed in.

        Raises: NotSupportedError for another dtype.
        """
        for param in self.parameters():
            if self.reduce not in (None, self.compute or param.dtype):
                raise not_supported(
                    f"reduce_dtype={self.reduce} over the devices of one process",
                    f"gradients are added in {self.compute or param.dtype}, as they are computed",
                )

    def run(
        self, function: Callable[..., Any], args: Any, kwargs: Any, casts: bool, output: Any = None
    ) -> Any:
        """Call the module's forward, or another method of it.

        Args:
            casts: whether tensors among the arguments become the forward pass's dtype.
            output: dtype of the results; None leaves them.
        """
        if casts and self.compute is not None:
            args, kwargs = map_tensors(self._cast, args), map_tensors(self._cast, kwargs)
        if self.averager is not None and is_grad_enabled():
            self.averager.arm()
        with self._in_its_dtype():
            found = function(*args, **kwargs)
        if output is None:
            return found
        return map_tensors(lambda x: x.to(output) if x.is_floating_point() else x, found)

    def _cast(self, x: Any) -> Any:
        return x.to(self.compute) if x.is_floating_point() else x

    @contextmanager
    def _in_its_dtype(self) -> Iterator[None]:
        """A block in which the module holds its parameters in the dtype of the forward pass."""
        before: list[tuple[dict[str, Any], str, Any]] = []
        try:
            if self.compute is not None:
                for owner in self.owners():
                    if not isinstance(owner, self.kept):
                        before.extend(self._replace(owner._parameters))
            yield
        finally:
            for slots, name, param in reversed(before):
                slots[name] = param

    def _replace(self, slots: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Any]]:
        for name, param in list(slots.items()):
            wanted = param is not None and id(param) not in self.ignored
            if wanted and param.dtype is not self.compute and param.is_floating_point():
                slots[name] = self._cast(param)
                yield slots, name, param


def mark(module: Any, unit: Unit) -> None:
    """Note that a module is a unit."""
    module.__dict__[_MARK] = unit
