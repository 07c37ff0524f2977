"""`torch.futures`: values that arrive later.

A future of a collective has a source: whoever waits asks it for the value, and callbacks run there,
in the thread that waits.

Source: https://pytorch.org/docs/stable/futures.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")
S = TypeVar("S")


class Future(Generic[T]):
    """A value that is set once, by `set_result` or by what it waits for.

    Args:
        devices: accepted as torch does; streams need no synchronising here.
    """

    __module__ = "torch.futures"

    def __init__(self, *, devices: Any = None) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []
        # Completes this future; called by whoever waits first.
        self._source: Callable[[], None] | None = None

    @classmethod
    def _from(cls, source: Callable[[], T], is_ready: Callable[[], bool] | None = None) -> Any:
        """A future whose value `source` gives when it is waited for."""
        made: Future[T] = cls()

        def complete() -> None:
            try:
                value = source()
            except Exception as error:
                made.set_exception(error)
            else:
                made.set_result(value)

        made._source = complete
        made._is_ready = is_ready  # type: ignore[attr-defined]
        return made

    def done(self) -> bool:
        """Whether the value or an error has arrived."""
        is_ready = getattr(self, "_is_ready", None)
        if not self._is_done and is_ready is not None and is_ready():
            self._pull()
        return self._is_done

    def _pull(self) -> None:
        with self._condition:
            source, self._source = self._source, None
        if source is not None:
            source()

    def wait(self) -> T:
        """The value, when it has arrived. Raises: the error that arrived instead."""
        self._pull()
        with self._condition:
            self._condition.wait_for(lambda: self._is_done)
        return self.value()

    def value(self) -> T:
        """The value of a future that is done. Raises: its error; RuntimeError if it is not done."""
        if not self._is_done:
            raise RuntimeError("Result of a future is not ready: call wait() first")
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """A future of `callback(self)`, which runs when this one is done."""
        made: Future[S] = Future()

        def run(_: Any) -> None:
            try:
                made.set_result(callback(self))
            except Exception as error:
                made.set_exception(error)

        made._source = self._pull
        self.add_done_callback(run)
        return made

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Have `callback(self)` called when this future is done, or now if it is."""
        with self._condition:
            if not self._is_done:
                self._callbacks.append(callback)
                return
        callback(self)

    def set_result(self, result: T) -> None:
        """Give the value. Raises: RuntimeError the second time."""
        self._finish(result, None)

    def set_exception(self, result: Any) -> None:
        """Give an error in place of a value."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._finish(None, result)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._condition:
            if self._is_done:
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future "
                    "can only be marked completed once."
                )
            self._value, self._error, self._is_done = value, error, True
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            callback(self)


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future of the list of `futures`, done when all of them are."""

    def wait() -> list[Future[Any]]:
        for future in futures:
            try:
                future.wait()
            except Exception:
                continue  # each keeps its own error
        return list(futures)

    made: Future[list[Future[Any]]] = Future._from(wait, lambda: all(f.done() for f in futures))
    return made


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The values of all futures. Raises: the first error, when all are done."""
    return [future.wait() for future in collect_all(futures).wait()]
