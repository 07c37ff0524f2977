"""What hand-written fronts of operators share: in-place forms, old call forms, `out=`."""

import warnings
from typing import Any

from ..._basics.state import state
from .calling import call_inplace, check_out_dtype, resize_output
from .warning import user_level


def in_place(function: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    """The in-place form of an operator's public function: writes the result into `target`."""
    return call_inplace(function.operator, target, args, kwargs)


def to(out: Any) -> dict[str, Any]:
    """The keywords that hand `out=` on; none for None."""
    return {} if out is None else {"out": out}


def into(out: Any, result: Any, rule: str = "cast", warn: bool = True) -> Any:
    """A composite's `result`; with `out` it is written there, by a rule of `check_out_dtype`.

    Where torch casts, its form is a composite too and the write has a history; others have none.
    Creation and drawing resize `out` without the warning.

    Raises: RuntimeError when a gradient would be lost, or the dtypes do not fit.
    """
    if out is None:
        return result
    if rule != "cast" and state.grad_enabled and (result.requires_grad or out.requires_grad):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of "
            "the arguments requires grad."
        )
    check_out_dtype(rule, result.dtype, out.dtype)
    resize_output(out, tuple(result.shape), warn_level=4 if warn else 0)
    return out.copy_(result)


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
