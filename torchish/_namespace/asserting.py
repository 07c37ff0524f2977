"""`torch._check` and its relatives: conditions that raise, as libraries state them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._ops.registry import ops

Message = Callable[[], Any] | None

_EXPECTED = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please "
    "report an enhancement request to PyTorch.)"
)


def _check_with(error_type: type[Exception], cond: Any, message: Message) -> None:
    """Raise `error_type` with what `message()` says, unless `cond` is true.

    Raises: TypeError for a condition that is no truth value.
    """
    if isinstance(cond, TensorBase):
        raise TypeError(
            "cond must be a bool, but got a Tensor. For tensor conditions, use "
            "torch._check_tensor_all() to assert that all elements are true."
        )
    if not isinstance(cond, bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if cond:
        return
    if message is not None and not callable(message):
        raise TypeError("message must be a callable")
    raise error_type(_EXPECTED if message is None else str(message()))


def _kind(name: str, error_type: type[Exception]) -> Callable[..., None]:
    def check(cond: Any, message: Message = None) -> None:
        _check_with(error_type, cond, message)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"Raise {error_type.__name__} unless `cond` is true."
    return check


_check = _kind("_check", RuntimeError)
_check_index = _kind("_check_index", IndexError)
_check_value = _kind("_check_value", ValueError)
_check_type = _kind("_check_type", TypeError)
_check_not_implemented = _kind("_check_not_implemented", NotImplementedError)


def _check_is_size(i: Any, message: Message = None, *, max: Any = None) -> None:
    """Raise RuntimeError unless `i` is at least 0, and at most `max`."""
    _check_with(RuntimeError, bool(i >= 0 and (max is None or i <= max)), message)


def _check_tensor_all_with(error_type: type[Exception], cond: Any, message: Message = None) -> None:
    """Raise `error_type` unless all elements are true.

    Raises: TypeError for anything but a tensor of truth values.
    """
    if not isinstance(cond, TensorBase):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond._aval.dtype is not dtypes.bool_:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond._aval.dtype}")
    _check_with(error_type, bool(ops.all(cond).item()), message)


def _check_tensor_all(cond: Any, message: Message = None) -> None:
    """Raise RuntimeError unless all elements are true."""
    _check_tensor_all_with(RuntimeError, cond, message)


def _assert_async(
    input: Any, assert_msg: str = "Expected Tensor with single nonzero value, but got zero"
) -> None:
    """Raise RuntimeError where a tensor of one element is zero; its value is read at once."""
    if not bool(input):
        raise RuntimeError(assert_msg)


def _shape_as_tensor(self: Any) -> Any:
    """The shape, as a tensor of int64."""
    return ops.tensor(list(self.shape), dtype=dtypes.int64)


NAMES = {
    f.__name__: f
    for f in (
        _assert_async, _check, _check_index, _check_is_size, _check_not_implemented,
        _check_tensor_all, _check_tensor_all_with, _check_type, _check_value, _check_with,
        _shape_as_tensor,
    )
}  # fmt: skip
