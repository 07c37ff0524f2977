"""`autocast`: run listed operators in half precision, and what else belongs to the mode."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .._basics import devices, dtypes
from .._basics.dtypes import dtype as Dtype
from .._basics.errors import not_supported
from .._basics.state import state
from .._ops.call.autocast import engage
from .._tensor.tensor import Tensor

_DEFAULTS = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16, "xla": dtypes.bfloat16}
_FOREIGN = frozenset(("hpu", "ipu", "maia", "mps", "mtia", "privateuseone", "xpu"))
_KNOWN = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia",
    "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


def _thread() -> dict[str, Any]:
    """This thread's switches: chosen dtypes, cache flag, nesting depth."""
    switches = state.autocast_switches
    if not switches:
        switches.update(dtypes=dict(_DEFAULTS), cache=True, depth=0)
    return switches


def _checked(device_type: Any) -> str:
    """A device type as text.

    Raises: ValueError for another type of object, RuntimeError for an unknown device type.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in _KNOWN:
        raise RuntimeError(
            f"Expected one of {', '.join(_KNOWN)} device type at start of device string: "
            f"{device_type}"
        )
    return device_type


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows the device type."""
    return _checked(device_type) in _DEFAULTS


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for a device type in this thread."""
    return state.autocast is not None and _checked(device_type) in state.autocast


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch autocast for a device type; the old form takes the switch alone, for cuda."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    modes = dict(state.autocast or {})
    modes.pop(_checked(device_type), None)
    if enabled:
        modes[device_type] = get_autocast_dtype(device_type)
        engage()
    state.autocast = modes or None


def get_autocast_dtype(device_type: str) -> Dtype:
    """The dtype that autocast uses on a device type."""
    if _checked(device_type) not in _DEFAULTS:
        raise not_supported(f"autocast on {device_type}", "cpu, cuda or xla")
    return _thread()["dtypes"][device_type]  # type: ignore[no-any-return]


def set_autocast_dtype(device_type: str, dtype: Dtype) -> None:
    """Choose the dtype that autocast uses on a device type."""
    get_autocast_dtype(device_type)
    _thread()["dtypes"][device_type] = dtype
    if is_autocast_enabled(device_type):
        set_autocast_enabled(device_type, True)


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on for the CPU."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switch autocast for the CPU."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> Dtype:
    """The dtype of autocast on the CPU."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: Dtype) -> None:
    """Choose the dtype of autocast on the CPU."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> Dtype:
    """The dtype of autocast on GPUs."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: Dtype) -> None:
    """Choose the dtype of autocast on GPUs."""
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether cast weights may be kept (XLA shares equal casts of a program in any case)."""
    return bool(_thread()["cache"])


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Recorded only: XLA shares equal casts of a program."""
    _thread()["cache"] = bool(enabled)


def clear_autocast_cache() -> None:
    """Nothing to clear: XLA shares equal casts of a program."""


def autocast_increment_nesting() -> int:
    """Count one block more; returns the depth."""
    _thread()["depth"] += 1
    return int(_thread()["depth"])


def autocast_decrement_nesting() -> int:
    """Count one block less; returns the depth."""
    _thread()["depth"] -= 1
    return int(_thread()["depth"])


class autocast:
    """Inside the block (or decorated function) listed operators run in half precision.

    Args:
        device_type: "cpu", "cuda" or "xla"; tensors elsewhere are not cast.
        dtype: bfloat16 (the CPU's default) or float16 (cuda's).
        enabled: False switches it off inside an outer block.
        cache_enabled: recorded only.
    Raises: RuntimeError for an unknown device type.
    Source: https://docs.pytorch.org/docs/stable/amp.html
    """

    def __init__(
        self,
        device_type: str,
        dtype: Dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if _checked(device_type) not in _DEFAULTS:
            if device_type in _FOREIGN:
                raise not_supported(f"autocast on {device_type}", "cpu, cuda or xla")
            raise RuntimeError(
                f"User specified an unsupported autocast device_type '{device_type}'"
            )
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = (
            is_autocast_cache_enabled() if cache_enabled is None else (cache_enabled)
        )
        if device_type == "cuda" and enabled and not devices.jax_devices("cuda"):
            warnings.warn(
                "CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2
            )
            enabled = False
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._outer: list[Any] = []

    def __enter__(self) -> autocast:
        switches = _thread()
        self._outer.append((state.autocast, switches["dtypes"], switches["cache"]))
        modes = dict(state.autocast or {})
        modes.pop(self.device, None)
        if self._enabled:
            modes[self.device] = self.fast_dtype
            engage()
        state.autocast = modes or None
        switches["dtypes"] = {**switches["dtypes"], self.device: self.fast_dtype}
        switches["cache"] = self._cache_enabled
        switches["depth"] += 1
        return self

    def __exit__(self, *exc: object) -> None:
        switches = _thread()
        state.autocast, switches["dtypes"], switches["cache"] = self._outer.pop()
        switches["depth"] -= 1

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        wrapped.__script_unsupported = (  # type: ignore[attr-defined]
            "@autocast() decorator is not supported in script mode"
        )
        return wrapped


def _cast(value: Any, device_type: str, dtype: Dtype) -> Any:
    """Floating tensors of the device type as `dtype`, inside containers too."""
    if isinstance(value, Tensor):
        kind = value._aval.dtype
        fits = kind.is_floating_point and kind is not dtypes.float64
        return value.to(dtype) if fits and value._storage.device.type == device_type else value
    if isinstance(value, dict):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype)
                for k, v in value.items()}  # fmt: skip
    if isinstance(value, list | tuple):
        return type(value)(_cast(v, device_type, dtype) for v in value)
    return value


def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: Dtype | None = None,
) -> Any:
    """Decorate `forward` of an autograd.Function: it runs as autocast is, or cast and without.

    With `cast_inputs`, floating tensors are cast to it and autocast is off inside.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = get_autocast_dtype(device_type)
        if cast_inputs is None:
            args[0]._fwd_used_autocast = is_autocast_enabled(device_type)
            return fwd(*args, **kwargs)
        context = is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = False
        if not context:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(
                *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs)
            )

    return decorated


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorate `backward` of an autograd.Function: it runs under the autocast of its forward."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return decorated
