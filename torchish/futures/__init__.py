"""`torch.futures`: results that arrive later."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")

__all__ = ["Future", "collect_all", "wait_all"]


class Future(Generic[T]):
    """A result that another thread sets.

    Source: https://pytorch.org/docs/stable/futures.html
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._inner: concurrent.futures.Future[T] = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether the result or an error is there."""
        return self._inner.done()

    def wait(self) -> T:
        """The result, when it is there.

        Raises: what was given to `set_exception`.
        """
        return self._inner.result()

    def value(self) -> T:
        """The result of a future that is done.

        Raises: RuntimeError if it is not.
        """
        if not self.done():
            raise RuntimeError("Future has not been completed yet")
        return self._inner.result()

    def set_result(self, result: T) -> None:
        """Give the result; waiting threads go on.

        Raises: RuntimeError the second time.
        """
        try:
            self._inner.set_result(result)
        except concurrent.futures.InvalidStateError:
            raise RuntimeError(
                "Attempting to mark a completed Future as complete again. Note that a Future can "
                "only be marked completed once."
            ) from None

    def set_exception(self, result: BaseException) -> None:
        """Give an error in place of a result."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._inner.set_exception(result)

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """A future of `callback(self)`, called when this one is done."""
        made: Future[S] = Future()

        def go_on(_: Any) -> None:
            try:
                made.set_result(callback(self))
            except Exception as error:
                made.set_exception(error)

        self._inner.add_done_callback(go_on)
        return made

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Call `callback(self)` when this one is done."""
        self._inner.add_done_callback(lambda _: callback(self))


def collect_all(futures: list[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future that is done when all are; its result is the list of them."""
    made: Future[list[Future[Any]]] = Future()
    left = [len(futures)]

    def one_less(_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            made.set_result(futures)

    for future in futures:
        future.add_done_callback(one_less)
    if not futures:
        made.set_result(futures)
    return made


def wait_all(futures: list[Future[Any]]) -> list[Any]:
    """The results of all, when they are there."""
    return [f.wait() for f in collect_all(futures).wait()]
