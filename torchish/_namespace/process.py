"""Process-wide switches and answers of the torch namespace that have no better home."""

from __future__ import annotations

import importlib
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics import devices
from .._basics.errors import MissingName, absent
from .._basics.memory import OutOfMemoryError
from .._basics.state import process, state
from .._ops.protocol.tags import Tag

_PRECISIONS = ("highest", "high", "medium")
_DETERMINISM = ("default", "warn", "error")


def get_device(input: Any) -> int:
    """The index of the device a tensor is on; -1 on the CPU."""
    if not isinstance(input, TensorBase):
        raise TypeError(
            f"get_device(): argument 'input' (position 1) must be Tensor, not "
            f"{type(input).__name__}"
        )
    return int(input.get_device())  # type: ignore[attr-defined]


def get_device_module(device: Any = None) -> Any:
    """The submodule (`torch.cuda`, `torch.cpu`) of a device type."""
    kind = devices.resolve(device).type
    try:
        return importlib.import_module(f"torchish.{kind}")
    except ModuleNotFoundError:
        raise RuntimeError(f"Invalid device type '{kind}': it has no module here") from None


def get_float32_matmul_precision() -> str:
    """The precision of float32 matrix products: "highest", "high" or "medium"."""
    return process.matmul_precision


def set_float32_matmul_precision(precision: str) -> None:
    """Let float32 matrix products of programs compiled from now on use fewer bits (GPU, TPU)."""
    if precision not in _PRECISIONS:
        raise RuntimeError(
            f"float32_matmul_precision can only be {', '.join(_PRECISIONS)}, got {precision!r}"
        )
    import jax

    process.matmul_precision = precision
    chosen = {"highest": None, "high": "tensorfloat32", "medium": "bfloat16"}[precision]
    jax.config.update("jax_default_matmul_precision", chosen)


def get_deterministic_debug_mode() -> int:
    """0 default, 1 warn, 2 error."""
    if not state.deterministic:
        return 0
    return 1 if state.deterministic_warns_only else 2


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Recorded as `use_deterministic_algorithms` is."""
    if isinstance(debug_mode, str):
        if debug_mode not in _DETERMINISM:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        debug_mode = _DETERMINISM.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    state.deterministic, state.deterministic_warns_only = debug_mode > 0, debug_mode == 1


def is_warn_always_enabled() -> bool:
    """Whether warnings that torch gives once are given each time."""
    return process.warn_always


def set_warn_always(b: bool) -> None:
    """Ask for every warning each time (here Python's warning filters decide)."""
    process.warn_always = bool(b)


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return state.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection looks for NaN."""
    return state.anomaly_check_nan


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Switch anomaly detection."""
    state.anomaly, state.anomaly_check_nan = bool(enabled), bool(check_nan)


def compiled_with_cxx11_abi() -> bool:
    """True, as of every PyTorch since 2.6."""
    return True


def _removed(name: str, instead: str) -> Any:
    """A function that PyTorch removed: calling it says what to call."""

    def function(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"This function was deprecated since version 1.9 and is now removed. Use {instead}."
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Removed from PyTorch; use {instead}."
    return function


REMOVED = {
    name: _removed(name, f"torch.linalg.{instead}")
    for name, instead in {
        "eig": "eig", "lstsq": "lstsq", "matrix_rank": "matrix_rank", "solve": "solve",
        "symeig": "eigh",
    }.items()
}  # fmt: skip


class AcceleratorError(RuntimeError):
    """An accelerator failed."""


NAMES = {
    f.__name__: f
    for f in (
        get_device, get_device_module, get_float32_matmul_precision, set_float32_matmul_precision,
        get_deterministic_debug_mode, set_deterministic_debug_mode,
        is_warn_always_enabled, set_warn_always, is_anomaly_enabled, is_anomaly_check_nan_enabled,
        set_anomaly_enabled, compiled_with_cxx11_abi, OutOfMemoryError, AcceleratorError,
        Tag,
        *REMOVED.values(),
    )
} | {"has_lapack": True, "has_mkl": False, "has_openmp": False, "has_spectral": True}  # fmt: skip


# Names of torch that this package leaves out, by how they begin or end -> the nearest way.
_AREAS = (
    ("sparse_", "dense tensors (sparse ones are not supported)"),
    ("quant", "float tensors (quantisation is not supported)"),
    ("q_", "float tensors (quantisation is not supported)"),
    ("fake_quant", "float tensors (quantisation is not supported)"),
    ("dequant", "float tensors (quantisation is not supported)"),
    ("mkldnn_", "the operator of the same name without its prefix"),
    ("cudnn_", "the operator of the same name without its prefix"),
    ("miopen_", "the operator of the same name without its prefix"),
    ("nested", "torch.nested"),
)


def missing(module: str, name: str) -> AttributeError:
    """The error for a name that a namespace lacks, with the nearest way where there is one."""
    text = f"module '{module}' has no attribute '{name}'"
    for start, nearest in _AREAS:
        if name.startswith(start) and name != "quantization":  # a module
            return MissingName(f"{text}. {absent(f'{module}.{name}', nearest)}")
    return AttributeError(text)
