"""What compiled functions do for now (`torch.compiler.set_stance`), and what they remember."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from . import config

NAMES = ("default", "force_eager", "eager_on_recompile", "fail_on_recompile",
         "eager_then_compile", "aot_eager_then_compile")  # fmt: skip
_now: list[tuple[str, Any]] = [("default", None)]
_remembered: weakref.WeakSet[Any] = weakref.WeakSet()


def eager() -> bool:
    """Whether compiled functions are called as they are."""
    return _now[-1][0] == "force_eager" or config.disable


def open_dims(tensor: Any, every: bool) -> frozenset[int]:
    """Dims of a tensor that are marked as changing (`mark_dynamic`), or `every` one."""
    if every:
        return frozenset(range(tensor._aval.ndim))
    marks: set[int] = set()
    for name in ("_dynamo_dynamic_indices", "_dynamo_weak_dynamic_indices",
                 "_dynamo_unbacked_indices"):  # fmt: skip
        marks |= getattr(tensor, name, None) or set()
    return frozenset(marks)


def family(tensor: Any, every: bool) -> Any:
    """A tensor's shape with None for the sizes that may change, and its dtype."""
    dims = open_dims(tensor, every)
    shape = tuple(None if d in dims else n for d, n in enumerate(tensor._aval.shape))
    return shape, tensor._aval.dtype


def may_compile(calls: int) -> bool:
    """Whether a call that has no program yet may be given one; `calls` counts the function's.

    Raises: RuntimeError under "fail_on_recompile".
    """
    stance = _now[-1][0]
    if stance == "fail_on_recompile":
        raise RuntimeError(
            "Detected recompile when torch.compile stance is 'fail_on_recompile'. filename: "
            "'<compiled>', function name: '<compiled>', line number: 0"
        )
    if stance in ("eager_then_compile", "aot_eager_then_compile"):
        return calls > 1
    return stance != "eager_on_recompile"


def backend(chosen: Any) -> Any:
    """The backend that the stance forces, else the one that was chosen."""
    return chosen if _now[-1][1] is None else _now[-1][1]


def remember(graphs: Any) -> None:
    """Graphs that `forget` is to empty."""
    _remembered.add(graphs)


def forget() -> None:
    """Every compiled graph is compiled anew at its next use."""
    for graphs in list(_remembered):
        graphs.clear()


class set_stance:
    """Set what compiled functions do: at once, in a `with` block, or in a decorated function.

    Args:
        stance: `"default"`; `"force_eager"`; `"eager_on_recompile"` (what has no program runs as
            it is); `"fail_on_recompile"` (it raises); `"eager_then_compile"` and
            `"aot_eager_then_compile"` (a function's first call runs as it is).
        force_backend: used instead of every function's own.
    Raises: RuntimeError for an unknown stance, or a backend with another stance than "default".
    """

    def __init__(
        self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False,
        force_backend: Any = None,
    ) -> None:  # fmt: skip
        if stance not in NAMES:
            raise RuntimeError(f"invalid torch.compile stance '{stance}'")
        if force_backend is not None and stance != "default":
            raise RuntimeError("non-default stance cannot have force_backend set")
        self.before = _now[-1]
        self.chosen = (stance, force_backend)
        _now[-1] = self.chosen

    def __enter__(self) -> None:
        _now[-1] = self.chosen

    def __exit__(self, *exc: object) -> None:
        _now[-1] = self.before

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        _now[-1] = self.before
        chosen = self.chosen

        @functools.wraps(fn)
        def under(*args: Any, **kwargs: Any) -> Any:
            before, _now[-1] = _now[-1], chosen
            try:
                return fn(*args, **kwargs)
            finally:
                _now[-1] = before

        return under


class error_on_graph_break:
    """Whether a break is an error, in a `with` block or a decorated function."""

    def __init__(self, error_on_graph_break: bool) -> None:
        self.value = bool(error_on_graph_break)
        self.before: list[bool | None] = []

    def __enter__(self) -> None:
        global _breaks
        self.before.append(_breaks)
        _breaks = self.value

    def __exit__(self, *exc: object) -> None:
        global _breaks
        _breaks = self.before.pop()

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def under(*args: Any, **kwargs: Any) -> Any:
            with error_on_graph_break(self.value):
                return fn(*args, **kwargs)

        return under


_breaks: bool | None = None


def breaks_are_errors(full: bool) -> bool:
    """Whether a break raises, in a region that asks for `full` graphs or does not."""
    return full if _breaks is None else _breaks


_default: list[Any] = ["inductor"]


def default_backend() -> Any:
    """What `torch.compile` takes without `backend=`."""
    return _default[0]


def set_default_backend(backend: Any) -> None:
    """Choose it; None for PyTorch's."""
    _default[0] = "inductor" if backend is None else backend
