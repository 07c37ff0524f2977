"""What torch's operations on a TVTensor return: a plain tensor, or the subclass."""

from __future__ import annotations

from typing import Any

_RETURNS_SUBCLASS = {"tensor": False, "tvtensor": True}
_current = {"subclass": False}


class _Restore:
    """Undoes `set_return_type` where it is used with `with`."""

    def __init__(self, previous: bool) -> None:
        self.previous = previous

    def __enter__(self) -> _Restore:
        return self

    def __exit__(self, *error: Any) -> None:
        _current["subclass"] = self.previous


def set_return_type(return_type: str) -> Any:
    """Choose what operations on a TVTensor return, from now on or within a `with` block.

    Args:
        return_type: "Tensor" (the default at the start) or "TVTensor", in any case.
    Raises: ValueError for any other text.
    """
    previous = _current["subclass"]
    try:
        _current["subclass"] = _RETURNS_SUBCLASS[return_type.lower()]
    except KeyError:
        raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', got {return_type}") from None
    return _Restore(previous)


def returns_subclass() -> bool:
    """Whether operations return the subclass."""
    return _current["subclass"]
