"""What hand-written fronts of operators share: in-place forms, old call forms, `out=`."""

import warnings
from typing import Any

from .calling import call_inplace


def in_place(function: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    """The in-place form of an operator's public function: writes the result into `target`."""
    return call_inplace(function.operator, target, args, kwargs)


def to(out: Any) -> dict[str, Any]:
    """The keywords that hand `out=` on; none for None."""
    return {} if out is None else {"out": out}


def into(out: Any, result: Any) -> Any:
    """Write a composite's `result` into `out=`, resizing it."""
    if tuple(out.shape) != tuple(result.shape):
        out.resize_(tuple(result.shape))
    return out.copy_(result.detach())


def warn_old_form(old: str, new: str) -> None:
    """torch's warning for a call form it keeps for old scripts."""
    name = old[: old.index("(")]
    warnings.warn(
        f"This overload of {name} is deprecated:\n\t{old}\nConsider using one of the following "
        f"signatures instead:\n\t{new}",
        stacklevel=6,
    )


def numbered_by(argument: str, name: str, scalar: int = 0, tensor: int = 1) -> Any:
    """The grad node's name where torch numbers the overloads for a number and a tensor apart."""

    def grad_name(**described: Any) -> str:
        return f"{name}Backward{tensor if hasattr(described[argument], 'shape') else scalar}"

    return grad_name


def is_number(value: Any) -> bool:
    """Whether `value` is a Python number."""
    return isinstance(value, (bool, int, float, complex))
