"""The non-reentrant checkpoint: what a part saves for backward is computed again when it is needed.

Invariant: backward goes through the graph of the first run. Each tensor that run saved is a holder
without content; the first holder that is unpacked in a backward pass runs the part again, and what
that saves, in the same order, is what the holders held. The inputs, saved as any tensor is, are all
that is kept.
"""

from __future__ import annotations

import contextlib
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._autograd.grad_mode import grad_mode
from .._autograd.saved import Saved
from .._autograd.tensor_base import TensorBase, detached
from .._basics.state import state

_TIP = """
Tip: `debug=True`, or a block inside `set_checkpoint_debug_enabled(True)`, makes the message list
what was saved by both runs, and where.
"""


class CheckpointError(RuntimeError):
    """The recomputation did not do what the first run did."""


class Stop(Exception):
    """Everything that the first run saved has been computed again."""


class GraphExecGroup:
    """Inside, several backward passes share one recomputation of each part that they reach.

    Raises: RuntimeError when contexts are nested.
    """

    __module__ = __name__.rsplit(".", 1)[0] + ".checkpoint"
    _current: GraphExecGroup | None = None

    def __enter__(self) -> GraphExecGroup:
        if GraphExecGroup._current is not None:
            raise RuntimeError(
                "GraphExecGroup contexts cannot be nested. Already inside group "
                f"{GraphExecGroup._current}"
            )
        GraphExecGroup._current = self
        return self

    def __exit__(self, *args: object) -> None:
        GraphExecGroup._current = None


class _Holder:
    """Stands for one tensor that the first run saved."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


class _Outside:
    """The pass of a tensor that is unpacked outside of any backward pass."""


def metadata(x: Any) -> dict[str, Any]:
    """What has to be the same in both runs."""
    return {"shape": x.shape, "dtype": x.dtype, "device": x.device}


CHECKS: dict[str, Callable[[Any], Any]] = {"default": metadata, "none": lambda _: None}


class Frame:
    """One checkpointed call."""

    def __init__(
        self,
        recompute: Callable[..., None],
        args: Sequence[Any],
        check: Callable[[Any], Any],
        early_stop: bool,
        debug: bool,
    ) -> None:
        self.recompute, self.check, self.early_stop = recompute, check, early_stop
        self.args = [Saved(x) if isinstance(x, TensorBase) else x for x in args]
        self.holders: list[Any] = []  # weak: those that backward has passed are gone
        self.metadata: list[Any] = []
        self.completed = False
        self.ignores_mismatch = False
        # The logs of both runs, when errors are to show them.
        self.logs: tuple[list[str], list[str]] | None = ([], []) if debug else None
        # Of each backward pass that has recomputed: the tensors that were not yet taken.
        self.passes: weakref.WeakKeyDictionary[Any, dict[int, Any]] = weakref.WeakKeyDictionary()

    # --- the first run ---------------------------------------------------------------------------

    def pack(self, x: Any) -> _Holder:
        """A holder in place of a tensor."""
        holder = _Holder(len(self.holders))
        self.holders.append(weakref.ref(holder))
        self.metadata.append(self.check(x))
        if self.logs is not None:
            self.logs[0].append(_described(x))
        return holder

    @contextlib.contextmanager
    def first_run(self) -> Iterator[None]:
        """A block in which saved tensors become holders."""
        with _hooks(self.pack, self.unpack):
            yield
        self.completed = True

    # --- backward --------------------------------------------------------------------------------

    def unpack(self, holder: _Holder) -> Any:
        """What a holder stands for; the first one in a pass runs the part again.

        Raises: CheckpointError when the two runs saved other tensors.
        """
        task = GraphExecGroup._current or state.backward_pass or _Outside()
        found = self.passes.get(task)
        if found is None:
            found = self.passes[task] = _Again(self).run()
        tensor = found.pop(holder.number, None)
        if tensor is None:
            extra = ""
            if GraphExecGroup._current is not None:
                extra = (
                    "Performing two backward calls that overlap (i.e. require the same saved "
                    "activation in order to compute gradients) is not allowed while under the "
                    "torch.utils.checkpoint.GraphExecGroup context. "
                )
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already "
                f"unpacked once. {extra}If you are calling ctx.saved_tensors in backward, make "
                "sure to do so only once. Otherwise please open an issue with details on your use "
                "case."
            )
        return tensor

    def error(self, text: str) -> CheckpointError:
        """The error of a recomputation that went another way."""
        if self.logs is None:
            return CheckpointError(f"torch.utils.checkpoint: {text}\n{_TIP}")
        parts = [
            f"{title}\n" + "\n".join(f"{k}. {line}" for k, line in enumerate(log))
            for title, log in zip(
                ("Saved by the first run:", "Saved by the recomputation:"), self.logs, strict=True
            )
        ]
        return CheckpointError("\n\n".join([*parts, f"torch.utils.checkpoint: {text}"]))


class _Again:
    """One recomputation."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.count = 0
        self.found: dict[int, Any] = {}

    def run(self) -> dict[int, Any]:
        """The tensors that the holders stand for, by their numbers."""
        frame = self.frame
        if frame.logs is not None:
            frame.logs[1].clear()
        args = [x.unpack(None) if isinstance(x, Saved) else x for x in frame.args]
        with contextlib.suppress(Stop), _hooks(self.pack, lambda x: x), grad_mode(True):
            frame.recompute(*args)
        if not frame.ignores_mismatch:
            self._compare()
        return self.found

    def pack(self, x: Any) -> Any:
        """Take what the part saves again."""
        frame = self.frame
        x = detached(x) if x.requires_grad else x
        number, self.count = self.count, self.count + 1
        if frame.logs is not None:
            frame.logs[1].append(_described(x))
        if number >= len(frame.holders):
            if not frame.completed:  # a gradient taken inside the part, without early stop
                frame.ignores_mismatch = True
                return x
            raise frame.error(
                "trying to save more tensors during recomputation than during the original forward "
                "pass."
            )
        if frame.holders[number]() is not None:
            self.found[number] = x
        if frame.early_stop and self.count == len(frame.holders):
            raise Stop
        return x

    def _compare(self) -> None:
        frame = self.frame
        if self.count != len(frame.holders):
            raise frame.error(
                "A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(frame.holders)}\n"
                f"Number of tensors saved during recomputation: {self.count}."
            )
        different = ""
        for number, x in self.found.items():
            now, then = frame.check(x), frame.metadata[number]
            if now != then:
                different += (
                    f"tensor at position {number}:\nsaved metadata: {then}\n"
                    f"recomputed metadata: {now}\n"
                )
        if different:
            raise frame.error(
                "Recomputed values for the following tensors have different metadata than during "
                f"the forward pass.\n{different}."
            )


@contextlib.contextmanager
def _hooks(pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> Iterator[None]:
    if state.saved_hooks_refused is not None:
        raise RuntimeError(state.saved_hooks_refused)
    state.saved_hooks.append((pack, unpack))
    try:
        yield
    finally:
        state.saved_hooks.pop()


_OWN = __file__.rsplit("utils", 1)[0]


def _described(x: Any) -> str:
    """A saved tensor and the user's line that saved it."""
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith(_OWN)]
    where = f"   {frames[-1].filename}:{frames[-1].lineno}:{frames[-1].name}" if frames else ""
    return f"{x.dtype}{list(x.shape)}{where}"
