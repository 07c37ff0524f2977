"""Names of torch's C++ module that Python code reaches for."""

from __future__ import annotations

from typing import Any

from ._core.generator import Generator as Generator
from ._core.size import Size as Size
from ._core.state import state
from ._ops.overriding import (
    DisableTorchFunction as DisableTorchFunction,
    DisableTorchFunctionSubclass as DisableTorchFunctionSubclass,
    EnableTorchFunction as _EnableTorchFunction,  # noqa: F401
    disabled_dispatch as _disabled_torch_dispatch_impl,  # noqa: F401
    disabled_impl as _disabled_torch_function_impl,  # noqa: F401
)
from .overrides import (
    _len_torch_function_stack as _len_torch_function_stack,
    has_torch_function as _has_torch_function,  # noqa: F401
    has_torch_function_unary as _has_torch_function_unary,  # noqa: F401
    has_torch_function_variadic as _has_torch_function_variadic,  # noqa: F401
)
from .tensor import Tensor

TensorBase = Tensor


def _is_torch_function_enabled() -> bool:
    """Whether `__torch_function__` of arguments is called."""
    return state.overriding_off == 0


def _is_torch_function_all_disabled() -> bool:
    """Whether neither arguments nor modes are called."""
    return state.overriding_off == 2


def _is_torch_function_mode_enabled() -> bool:
    """Whether a function mode is on."""
    return bool(state.function_modes) and state.overriding_off < 2


def _push_on_torch_function_stack(mode: Any) -> None:
    from .overrides import _push_mode

    _push_mode(mode)


def _pop_torch_function_stack() -> Any:
    return state.function_modes.pop()


def _get_function_stack_at(index: int) -> Any:
    return state.function_modes[index]


class _Functions:
    """A group of torch's C++ functions (`torch._C._nn`), by the names that they have there."""

    def __init__(self, place: str, prefix: str) -> None:
        self._place, self._prefix = place, prefix

    def __getattr__(self, name: str) -> Any:
        from ._ops.registry import table

        found = table(self._place).get(_OTHER_NAMES.get(name, name.removeprefix(self._prefix)))
        if found is None:
            raise AttributeError(f"module 'torch._C' has no attribute {name!r}")
        return found


_OTHER_NAMES = {"log_sigmoid": "logsigmoid"}
_nn = _Functions("nn.functional", "")
_linalg = _Functions("linalg", "linalg_")
_fft = _Functions("fft", "fft_")
_special = _Functions("special", "special_")
