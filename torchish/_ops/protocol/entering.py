"""What function modes and dispatch modes share: they are entered, and stand on a stack."""

from __future__ import annotations

from typing import Any


class Mode:
    """A context; a kind of modes says where it goes (`_goes_on`) and how it leaves."""

    def _goes_on(self) -> None:
        raise NotImplementedError

    def _goes_off(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._goes_on()
        return self

    def __exit__(self, *exc: object) -> None:
        self._goes_off()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        """An instance, to be entered (the older way of writing `cls()`)."""
        return cls(*args, **kwargs)
