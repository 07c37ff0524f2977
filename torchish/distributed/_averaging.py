"""Gradients averaged over processes at the end of each backward pass.

Invariant: all averagers that a pass has reached exchange together, in the order in which they were
made, so that ranks whose graphs are alike run the same exchanges.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .._autograd.backward import queue_callback
from .._autograd.grad_mode import no_grad
from .._basics.state import state
from .._tensor.tensor import Tensor
from ._packing import by_dtype, pack, unpack

_numbers = itertools.count()
# Of each backward pass that runs: the averagers whose gradients have arrived.
_reached: weakref.WeakKeyDictionary[Any, dict[int, Averager]] = weakref.WeakKeyDictionary()


class Averager:
    """Averages the gradients of some parameters over a group of processes.

    Args:
        group: the processes.
        parameters: gives the parameters; asked before each forward, for they may be replaced.
        dtype: gives the dtype that a parameter's gradient travels in.
    """

    def __init__(
        self, group: Any, parameters: Callable[[], Iterable[Tensor]],
        dtype: Callable[[Tensor], Any],
    ) -> None:  # fmt: skip
        self.group, self.parameters, self.dtype = group, parameters, dtype
        self.number = next(_numbers)
        self.averages = True
        self._fresh: set[int] = set()  # ids of parameters whose gradients were not yet averaged
        self._hooked: dict[int, weakref.ref[Tensor]] = {}

    def arm(self) -> None:
        """Before a forward: hear of the gradients of all parameters."""
        hook = functools.partial(_tell, weakref.ref(self))
        for param in self.parameters():
            known = self._hooked.get(id(param))
            if param.requires_grad and (known is None or known() is not param):
                param.register_post_accumulate_grad_hook(hook)
                self._hooked[id(param)] = weakref.ref(param)

    def arrived(self, param: Tensor) -> None:
        """A gradient has been accumulated."""
        self._fresh.add(id(param))
        task = state.backward_pass
        if not self.averages or task is None:
            return
        if task not in _reached:
            _reached[task] = {}
            queue_callback(functools.partial(_finish, _reached[task]))
        _reached[task][self.number] = self

    def forget(self) -> None:
        """No gradient waits to be averaged."""
        self._fresh.clear()

    def take(self) -> list[tuple[Tensor, Any]]:
        """The parameters whose gradients are to be averaged, and the dtypes these travel in."""
        found = [p for p in self.parameters() if id(p) in self._fresh and p.grad is not None]
        self._fresh.clear()
        return [(p, self.dtype(p)) for p in found]


def _tell(ref: Any, param: Tensor) -> None:
    """A hook that does not keep the averager alive."""
    averager = ref()
    if averager is not None:
        averager.arrived(param)


def _finish(reached: dict[int, Averager]) -> None:
    """A backward pass has ended."""
    groups: dict[int, list[Averager]] = {}
    for number in sorted(reached):
        groups.setdefault(id(reached[number].group), []).append(reached[number])
    for averagers in groups.values():
        _average(averagers)


def _average(averagers: list[Averager]) -> None:
    wire = averagers[0].group.wire
    wire.check()
    pairs: list[tuple[Any, Any]] = []  # gradients, and the same in the dtypes they travel in
    for averager in averagers:
        for param, dtype in averager.take():
            grad: Any = param.grad
            pairs.append((grad, grad if grad.dtype is dtype else grad.detach().to(dtype)))
    if not pairs:
        return
    groups = by_dtype([sent for _, sent in pairs])
    arrays = [pack(group) for group in groups]
    job = wire.submit(lambda: wire.reduce("AVG", arrays))
    for group, flat in zip(groups, wire.wait(job, "gradient all_reduce"), strict=True):
        unpack(flat, group)
    with no_grad():
        for grad, sent in pairs:
            if sent is not grad:
                grad.copy_(sent)
