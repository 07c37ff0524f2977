"""`torch.nn.functional`: the functions that the operator registry keeps under that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._ops.registry import table
from .._tensor.tensor import Tensor as Tensor
from . import _missing

if TYPE_CHECKING:
    from .._generated.functional import *  # noqa: F403

_functions = table("nn.functional")
GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> Any:
        found = _functions.get(name)
        if found is not None:
            globals()[name] = found
            return found
        if name in _missing.FUNCTIONS:
            raise _missing.error(f"torch.nn.functional.{name}", _missing.FUNCTIONS[name])
        raise AttributeError(f"module 'torch.nn.functional' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(name for name in _functions if not name.startswith("_"))
