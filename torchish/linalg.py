"""`torch.linalg`: what the operator registry keeps under that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._ops.registry import table

if TYPE_CHECKING:
    from ._generated.linalg import *  # noqa: F403

_functions = table("linalg")
globals().update(_functions)


if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module 'torch.linalg' has no attribute {name!r}")
        try:
            return _functions[name]
        except KeyError:
            raise AttributeError(f"module 'torch.linalg' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(_functions)
