"""`torch.autograd.forward_ad`: derivatives along a direction, computed with the values.

A dual tensor x + x' e holds a tangent x'; a function f makes of it f(x) + (J x') e. Tangents are
there while their level is, and are ordinary tensors: they may be differentiated backward.

Source: https://pytorch.org/docs/stable/autograd.html#forward-mode-automatic-differentiation
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .._autograd import forward
from .._autograd.grad_mode import _Mode
from .._basics.state import state

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns: the value and the tangent, None for a tensor without one."""

    primal: Any
    tangent: Any


def enter_dual_level() -> int:
    """Begin a level; returns its number.

    Raises: RuntimeError inside another level (`torch.func.jvp` nests).
    """
    if _level() is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    state.dual_level = forward.enter_level()
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: its tensors have no tangents any more.

    Raises: RuntimeError for a level that is not the last one.
    """
    current = _level()
    if level is not None and level != (-1 if current is None else 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    if current is None:
        raise RuntimeError("Dual level must be a positive number.")
    state.dual_level = None
    forward.leave_level(current)


def _level() -> Any:
    return state.dual_level


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A view of `tensor` that carries `tangent`.

    Raises: RuntimeError outside of a level or for another size, ValueError for integers.

    Example:
        >>> with dual_level():
        ...     x = make_dual(torch.tensor(3.0), torch.tensor(1.0))
        ...     unpack_dual(x * x).tangent
        tensor(6.)
    """
    current = _level()
    if current is None or (level is not None and level < 0):
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    return current.make(tensor, tangent)


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a tensor, as a view of it, and its tangent (None if it has none)."""
    current = _level()
    if current is None or (level is not None and level < 0):
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*current.unpack(tensor))


class dual_level(_Mode):
    """A block in which tensors may carry tangents.

    Raises: RuntimeError inside another such block.
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()
