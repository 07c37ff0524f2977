"""What hand-written fronts of operators share: old call forms, numbered grad nodes."""

import warnings
from typing import Any

from .warning import user_level


def warn_old_form(old: str, new: str) -> None:
    """torch's warning for a call form it keeps for old scripts."""
    name = old[: old.index("(")]
    warnings.warn(
        f"This overload of {name} is deprecated:\n\t{old}\nConsider using one of the following "
        f"signatures instead:\n\t{new}",
        stacklevel=user_level(),
    )


def numbered_by(argument: str, name: str, scalar: int = 0, tensor: int = 1) -> Any:
    """The grad node's name where torch numbers the overloads for a number and a tensor apart."""

    def grad_name(**described: Any) -> str:
        return f"{name}Backward{tensor if hasattr(described[argument], 'shape') else scalar}"

    return grad_name


def is_number(value: Any) -> bool:
    """Whether `value` is a Python number."""
    return isinstance(value, (bool, int, float, complex))
