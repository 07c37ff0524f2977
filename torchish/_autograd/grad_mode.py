"""`no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`: contexts, decorators, switches.

Invariant: leaving a context by any way restores the mode that was there when it was entered.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar, overload

from .._basics.state import state

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def grad_mode(enabled: bool) -> Iterator[None]:
    """Run a block with gradients on or off."""
    before = state.grad_enabled
    state.grad_enabled = enabled
    try:
        yield
    finally:
        state.grad_enabled = before


class _Mode:
    """A context manager that is also a decorator, for functions and generators alike."""

    def __init__(self) -> None:
        self._stack: list[Any] = []

    def _enter(self) -> None:
        raise NotImplementedError

    def _again(self) -> _Mode:
        return type(self)()

    def __enter__(self) -> Any:
        self._stack.append((state.grad_enabled, state.inference))
        self._enter()
        return None

    def __exit__(self, *exc: object) -> None:
        state.grad_enabled, state.inference = self._stack.pop()

    def __call__(self, function: F) -> F:
        if inspect.isclass(function):
            raise RuntimeError(f"{type(self).__name__} decorates functions, not classes")
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The mode holds while the generator's own code runs, not between its values."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            action: Callable[[], Any] = functools.partial(next, generator)
            while True:
                try:
                    with self._again():
                        got = action()
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield got
                except GeneratorExit:
                    with self._again():
                        generator.close()
                    raise
                except BaseException as error:
                    action = functools.partial(generator.throw, error)
                else:
                    action = functools.partial(generator.send, sent)

        return wrapped


class no_grad(_Mode):
    """Record no history inside; results do not require grad."""

    @overload
    def __new__(cls, function: None = None) -> Self: ...

    @overload
    def __new__(cls, function: F) -> F: ...  # type: ignore[misc]

    def __new__(cls, function: Any = None) -> Any:
        made = object.__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__()

    def _enter(self) -> None:
        state.grad_enabled = False


class enable_grad(no_grad):
    """Record history inside, also within `no_grad`."""

    def _enter(self) -> None:
        state.grad_enabled = True


class set_grad_enabled(_Mode):
    """Switch history on or off: at once as a function, or for a block."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        self._before = (state.grad_enabled, state.inference)
        state.grad_enabled = self.mode

    def _again(self) -> _Mode:
        return set_grad_enabled(self.mode)

    def __enter__(self) -> Any:
        self._stack.append(self._before)
        state.grad_enabled = self.mode
        return None

    def __call__(self, function: F) -> F:
        state.grad_enabled, state.inference = self._before
        return super().__call__(function)

    def _enter(self) -> None:
        state.grad_enabled = self.mode


class inference_mode(_Mode):
    """`no_grad` whose results may never take part in autograd."""

    def __new__(cls, mode: Any = True) -> Any:
        made = object.__new__(cls)
        if isinstance(mode, bool):
            return made
        made.__init__()  # type: ignore[misc]
        return made(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__()
        self.mode = mode if isinstance(mode, bool) else True

    def _again(self) -> _Mode:
        return inference_mode(self.mode)

    def _enter(self) -> None:
        state.inference = self.mode
        if self.mode:
            state.grad_enabled = False


def is_grad_enabled() -> bool:
    """Whether operators record history now."""
    return state.grad_enabled


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on."""
    return state.inference
