"""Smaller questions about GPUs, and switches of PyTorch's allocator and checks.

XLA owns the memory pool and orders the work, so a switch is kept and read back where that misleads
nobody, and refused by name (`torchish/_layout`) where a program would rely on it.
"""

from __future__ import annotations

import warnings
from typing import Any

from .._ops.call.warning import user_level
from ._which import is_available, jax_of, require

has_half, has_magma = True, False
_SYNC_MODES = {"default": 0, "warn": 1, "error": 2}
_mode = [0]
_NVML = "nvidia-ml-py does not seem to be installed or it can't be imported."


def get_arch_list() -> list[str]:
    """The compute capabilities that code was compiled for; XLA compiles for the GPU at hand."""
    return []


def get_gencode_flags() -> str:
    """Of NVCC: none."""
    return ""


def get_allocator_backend() -> str:
    """Which allocator is used: XLA's."""
    return "xla"


def is_tf32_supported() -> bool:
    """Whether the GPU multiplies in TF32 (compute capability 8)."""
    if not is_available():
        return False
    major = str(getattr(jax_of(None), "compute_capability", "0")).partition(".")[0]
    return int(major) >= 8


def is_current_stream_capturing() -> bool:
    """False: XLA makes whole programs, and no graph is captured."""
    return False


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether a GPU reads another's memory: XLA moves what has to be moved."""
    require()
    return False


def get_sync_debug_mode() -> int:
    """0, 1 or 2: whether synchronising calls warn or raise (they do not, here)."""
    require()
    return _mode[0]


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Keep the mode; reading a value is what ends a program here, and is never an error.

    Raises: RuntimeError for another mode.
    """
    require()
    found = _SYNC_MODES.get(debug_mode, debug_mode) if isinstance(debug_mode, str) else debug_mode
    if found not in (0, 1, 2):
        raise RuntimeError(
            "invalid value of debug_mode, expected one of `default`, `warn`, `error`"
        )
    _mode[0] = int(found)


def host_memory_stats() -> dict[str, Any]:
    """Counters of pinned memory: none."""
    return {}


host_memory_stats_as_nested_dict = host_memory_stats


def reset_accumulated_host_memory_stats() -> None:
    """Nothing to reset."""


reset_peak_host_memory_stats = reset_accumulated_memory_stats = reset_accumulated_host_memory_stats


def deprecated(name: str, instead: str) -> None:
    """Warn of an old name."""
    warnings.warn(
        f"torch.cuda.{name} now calls torch.cuda.{instead}, which resets /all/ peak memory stats.",
        FutureWarning, stacklevel=user_level(),
    )  # fmt: skip


def _of_nvml(name: str) -> Any:
    def ask(device: Any = None) -> int:
        raise ModuleNotFoundError(_NVML)

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = f"Refuse `{name}`.\n\nRaises: ModuleNotFoundError: NVML is not asked."
    return ask


utilization, temperature, power_draw, clock_rate, memory_usage, device_memory_used = map(
    _of_nvml,
    ("utilization", "temperature", "power_draw", "clock_rate", "memory_usage",
     "device_memory_used"),
)  # fmt: skip


def list_gpu_processes(device: Any = None) -> str:
    """Why there is no list: NVML is not asked."""
    return "pynvml module not found, please install nvidia-ml-py"


class CudaError(RuntimeError):
    """An error of the CUDA runtime, by its number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"CUDA error ({code})")


class DeferredCudaCallError(Exception):
    """An error of a call that waited for CUDA to be initialised."""


def check_error(res: int) -> None:
    """Raise for a code that is not 0.

    Raises: CudaError.
    """
    if res != 0:
        raise CudaError(res)


class StreamContext:
    """Work inside is queued as everywhere else: XLA orders it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


def summary_of(stats: dict[str, int], index: int) -> str:
    """XLA's counters as a table."""
    wide = max((len(k) for k in stats), default=10)
    rows = [f"| {k.ljust(wide)} | {v:>18,} |" for k, v in sorted(stats.items())]
    title = f" memory of XLA's pool, device ID {index} "
    return "\n".join([title.center(wide + 25, "="), *rows, "=" * (wide + 25)]) + "\n"
