"""The module of a kind of device that no machine has here: `torch.mps`, `torch.xpu`, `torch.mtia`.

Questions are answered as PyTorch answers them where that kind is absent; what would need the device
raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def functions(label: str) -> dict[str, Any]:
    """The names of the module of devices called `label`."""

    def absent(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"No {label} devices are available")

    def never() -> bool:
        return False

    def none() -> int:
        return 0

    def nothing(*args: Any, **kwargs: Any) -> None:
        """Do nothing: there is no device."""

    questions: dict[str, Callable[..., Any]] = {
        "is_available": never, "is_initialized": never, "_is_in_bad_fork": never,
        "is_bf16_supported": never, "device_count": none, "empty_cache": nothing,
        "manual_seed": nothing, "manual_seed_all": nothing, "seed": nothing, "seed_all": nothing,
        "get_rng_state_all": list, "memory_allocated": lambda *a: 0,
        "max_memory_allocated": lambda *a: 0, "memory_reserved": lambda *a: 0,
        "max_memory_reserved": lambda *a: 0, "current_allocated_memory": none,
        "driver_allocated_memory": none, "reset_peak_memory_stats": nothing,
        "reset_accumulated_memory_stats": nothing, "memory_stats": lambda *a: {},
        "get_arch_list": list,
    }  # fmt: skip
    needs = (
        "synchronize", "current_device", "set_device", "get_device_name", "get_device_properties",
        "get_device_capability", "get_rng_state", "set_rng_state", "current_stream", "stream",
        "set_stream", "init", "mem_get_info", "set_per_process_memory_fraction",
        "recommended_max_memory", "compile_shader",
    )  # fmt: skip
    return {**questions, **dict.fromkeys(needs, absent), "default_generators": ()}
