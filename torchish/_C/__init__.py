"""Names of torch's C++ module that Python code reaches for.

Classes and functions that are public elsewhere (`torch._C.Generator`) are found there by the
module table.
"""

from __future__ import annotations

from typing import Any

from .._basics.devices import device as _device, resolve as _resolve
from .._basics.size import Size as Size
from .._basics.state import state
from .._ops.protocol.overriding import (
    DisableTorchFunction as DisableTorchFunction,
    DisableTorchFunctionSubclass as DisableTorchFunctionSubclass,
    EnableTorchFunction as _EnableTorchFunction,  # noqa: F401
    disabled_dispatch as _disabled_torch_dispatch_impl,  # noqa: F401
    disabled_impl as _disabled_torch_function_impl,  # noqa: F401
)
from .._random.generator import Generator as Generator
from .._tensor.tensor import Tensor
from ..overrides import (
    _len_torch_function_stack as _len_torch_function_stack,
    has_torch_function as _has_torch_function,  # noqa: F401
    has_torch_function_unary as _has_torch_function_unary,  # noqa: F401
    has_torch_function_variadic as _has_torch_function_variadic,  # noqa: F401
)

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
    from ..overrides import _push_mode

    _push_mode(mode)


def _pop_torch_function_stack() -> Any:
    return state.function_modes.pop()


def _get_function_stack_at(index: int) -> Any:
    return state.function_modes[index]


def _get_accelerator(check: bool | None = None) -> Any:
    """The device type of the accelerator; the CPU where there is none."""
    from ..accelerator import current_accelerator

    return current_accelerator() or _device("cpu")


def _get_default_device() -> str:
    """The type of the device of new tensors."""
    return str(_resolve(None).type)


def _log_api_usage_once(event: str) -> None:
    """Do nothing: no usage is logged."""


def _get_tracing_state() -> None:
    """None: nothing is traced by TorchScript."""


def _is_tracing() -> bool:
    return False


def _cuda_getCurrentRawStream(device: int = 0) -> int:
    return 0


def _cuda_isInBadFork() -> bool:
    return False


def _cuda_clearCublasWorkspaces() -> None:
    """Do nothing: XLA plans its memory by program."""


def _infer_size(first: Any, second: Any) -> Any:
    """The shape that both broadcast to."""
    from .._namespace.public import broadcast_shapes

    return broadcast_shapes(first, second)


def _get_privateuse1_backend_name() -> str:
    return "privateuseone"


class JITException(RuntimeError):
    """An error of TorchScript: never raised."""


class Graph:
    """A graph of TorchScript: no object is one."""


class Value:
    """A value of such a graph: no object is one."""


class Node:
    """A node of such a graph: no object is one."""


class _Functions:
    """A group of torch's C++ functions (`torch._C._nn`), by the names that they have there."""

    def __init__(self, place: str, prefix: str) -> None:
        self._place, self._prefix = place, prefix

    def __getattr__(self, name: str) -> Any:
        from .._ops.registry import table

        found = table(self._place).get(name.removeprefix(self._prefix))
        if found is None:
            raise AttributeError(f"module 'torch._C' has no attribute {name!r}")
        return found


_linalg = _Functions("linalg", "linalg_")
_fft = _Functions("fft", "fft_")
_special = _Functions("special", "special_")


def _set_grad_enabled(enabled: bool) -> None:
    """Switch grad mode, as graphs do."""
    state.grad_enabled = enabled


def _are_functorch_transforms_active() -> bool:
    """Whether a transformation of `torch.func` runs."""
    return bool(state.transforms)


def _get_cudnn_enabled() -> bool:
    from ..backends import cudnn

    return bool(cudnn.enabled)


# Switches of TorchScript's compilers, which old programs set before they begin: there is none of
# them, so they are remembered and nothing else.
_switches = {
    "_jit_set_texpr_fuser_enabled": True, "_jit_set_profiling_mode": True,
    "_jit_set_profiling_executor": True, "_jit_set_nvfuser_enabled": False,
    "_jit_set_nvfuser_guard_mode": False, "_jit_override_can_fuse_on_cpu": False,
    "_jit_override_can_fuse_on_gpu": False, "_jit_set_inline_everything_mode": False,
    "_jit_set_texpr_reductions_enabled": False, "_jit_set_nvfuser_horizontal_mode": False,
}  # fmt: skip
_TELL = ("_jit_set_profiling_mode", "_jit_set_profiling_executor",
         "_jit_set_texpr_reductions_enabled")  # fmt: skip
_questions = {
    "_jit_can_fuse_on_cpu": "_jit_override_can_fuse_on_cpu",
    "_jit_can_fuse_on_gpu": "_jit_override_can_fuse_on_gpu",
    "_jit_texpr_fuser_enabled": "_jit_set_texpr_fuser_enabled",
    "_jit_nvfuser_enabled": "_jit_set_nvfuser_enabled",
}


def __getattr__(name: str) -> Any:
    if name in _questions:
        return lambda: _switches[_questions[name]]
    if name not in _switches:
        raise AttributeError(f"module 'torch._C' has no attribute {name!r}")

    def switch(to: bool) -> bool | None:
        before, _switches[name] = _switches[name], bool(to)
        return before if name in _TELL else None

    return switch
