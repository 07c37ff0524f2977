"""`torch.cuda`: GPUs, answered from JAX's devices.

Work is queued and memory pooled by XLA; what PyTorch manages by hand (streams, caches) is XLA's
here.
"""

from __future__ import annotations

from typing import Any

from .._basics import devices
from .._basics.devices import device as Device
from .._basics.errors import not_supported
from .._basics.memory import OutOfMemoryError as OutOfMemoryError
from .._core.trace import flush_all
from . import _queries
from ._queries import (
    CudaError as CudaError,
    DeferredCudaCallError as DeferredCudaCallError,
    StreamContext as StreamContext,
    can_device_access_peer as can_device_access_peer,
    check_error as check_error,
    clock_rate as clock_rate,
    device_memory_used as device_memory_used,
    get_allocator_backend as get_allocator_backend,
    get_arch_list as get_arch_list,
    get_gencode_flags as get_gencode_flags,
    get_sync_debug_mode as get_sync_debug_mode,
    has_half as has_half,
    has_magma as has_magma,
    host_memory_stats as host_memory_stats,
    host_memory_stats_as_nested_dict as host_memory_stats_as_nested_dict,
    is_current_stream_capturing as is_current_stream_capturing,
    is_tf32_supported as is_tf32_supported,
    list_gpu_processes as list_gpu_processes,
    memory_usage as memory_usage,
    power_draw as power_draw,
    reset_accumulated_host_memory_stats as reset_accumulated_host_memory_stats,
    reset_accumulated_memory_stats as reset_accumulated_memory_stats,
    reset_peak_host_memory_stats as reset_peak_host_memory_stats,
    set_sync_debug_mode as set_sync_debug_mode,
    temperature as temperature,
    utilization as utilization,
)
from ._which import (
    device_count as device_count,
    index_of,
    is_available as is_available,
    jax_of,
    require,
)


def is_initialized() -> bool:
    """Whether a GPU is in use."""
    return is_available()


def init() -> None:
    """Nothing to do: JAX initialises its devices at first use."""
    require()


def current_device() -> int:
    """The index of the current GPU."""
    require()
    return devices.current_cuda()


def set_device(device: Any) -> None:
    """Make a GPU the current one."""
    index = index_of(device)
    if index >= 0:
        require()
        devices.resolve(f"cuda:{index}")
        devices.set_current_cuda(index)


class device:
    """Context manager: the current GPU inside a block."""

    def __init__(self, device: Any) -> None:
        self.index = index_of(device)

    def __enter__(self) -> None:
        self.before = devices.current_cuda()
        if is_available():
            set_device(self.index)

    def __exit__(self, *exc: object) -> None:
        devices.set_current_cuda(self.before)


class device_of(device):
    """Context manager: the GPU of a tensor inside a block."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else -1)


def get_device_name(device: Any = None) -> str:
    """The name of a GPU."""
    return str(jax_of(device).device_kind)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Compute capability (major, minor)."""
    text = str(getattr(jax_of(device), "compute_capability", "0.0"))
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


class _Properties:
    """What `get_device_properties` returns."""

    def __init__(self, jax_device: Any) -> None:
        self.name = str(jax_device.device_kind)
        text = str(getattr(jax_device, "compute_capability", "0.0"))
        major, _, minor = text.partition(".")
        self.major, self.minor = int(major), int(minor or 0)
        self.total_memory = int((jax_device.memory_stats() or {}).get("bytes_limit", 0))
        self.multi_processor_count = int(getattr(jax_device, "core_count", 0) or 0)

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, "
            f"multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device: Any = None) -> Any:
    """Name, capability and memory of a GPU."""
    return _Properties(jax_of(device))


def synchronize(device: Any = None) -> None:
    """Run what is pending and wait until the GPU has finished."""
    import jax

    where = jax_of(device)
    flush_all("synchronize")
    jax.device_put(0.0, where).block_until_ready()


def _stats(device: Any) -> dict[str, int]:
    return dict(jax_of(device).memory_stats() or {}) if is_available() else {}


def memory_allocated(device: Any = None) -> int:
    """Bytes in use by arrays on a GPU."""
    return int(_stats(device).get("bytes_in_use", 0))


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use."""
    return int(_stats(device).get("peak_bytes_in_use", 0))


def memory_reserved(device: Any = None) -> int:
    """Bytes that XLA's pool holds."""
    stats = _stats(device)
    return int(stats.get("pool_bytes", stats.get("bytes_in_use", 0)))


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that XLA's pool held."""
    stats = _stats(device)
    return int(stats.get("peak_pool_bytes", stats.get("peak_bytes_in_use", 0)))


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of a GPU, as far as XLA's pool knows."""
    stats = _stats(device)
    total = int(stats.get("bytes_limit", 0))
    return total - int(stats.get("bytes_in_use", 0)), total


def memory_stats(device: Any = None) -> dict[str, int]:
    """XLA's own counters."""
    return _stats(device)


def empty_cache() -> None:
    """Nothing to give back: XLA keeps one pool for the life of the process."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Refused: XLA's peak counter cannot be reset."""
    if is_available():
        raise not_supported("torch.cuda.reset_peak_memory_stats", "torch.cuda.max_memory_allocated")


def manual_seed(seed: int) -> None:
    """Seed the current GPU's generator (ignored without a GPU, as in torch)."""
    manual_seed_all(seed)


def manual_seed_all(seed: int) -> None:
    """Seed every GPU's generator (ignored without a GPU, as in torch)."""
    from .._random.generator import seed_devices

    if is_available():
        seed_devices(int(seed))


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 works on the GPU."""
    return is_available()


def ipc_collect() -> None:
    """Nothing to collect: processes share no GPU memory here."""


def current_stream(device: Any = None) -> Any:
    """The one queue of a GPU."""
    from .._devices.streams import CudaStream

    return CudaStream(index_of(device))


default_stream = current_stream


def set_stream(stream: Any) -> None:
    """Nothing to choose: each device has one queue."""


def stream(stream: Any) -> StreamContext:
    """A block whose work goes to `stream`: there is one a device, so nothing changes."""
    return StreamContext(stream)


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a GPU's generator: seed and counter, as a byte tensor."""
    return _generator(device).get_state()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Restore the state of a GPU's generator."""
    _generator(device).set_state(new_state)


def get_rng_state_all() -> list[Any]:
    """The states of all GPUs' generators."""
    return [get_rng_state(k) for k in range(device_count())]


def set_rng_state_all(new_states: Any) -> None:
    """Restore the states of all GPUs' generators."""
    for k, found in enumerate(new_states):
        set_rng_state(found, k)


def initial_seed() -> int:
    """The seed of the current GPU's generator."""
    return int(_generator("cuda").initial_seed())


def seed() -> None:
    """Seed the current GPU's generator with a number that nobody chose."""
    if is_available():
        _generator("cuda").seed()


def seed_all() -> None:
    """Seed all GPUs' generators with one such number."""
    if is_available():
        number = _generator("cuda").seed()
        manual_seed_all(number)


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """XLA's counters as a table."""
    require()
    return _queries.summary_of(_stats(device), index_of(device))


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """XLA's counters."""
    return _stats(device)


def reset_max_memory_allocated(device: Any = None) -> None:
    """The old name of `reset_peak_memory_stats`; warns."""
    _queries.deprecated("reset_max_memory_allocated", "reset_peak_memory_stats")
    reset_peak_memory_stats(device)


def reset_max_memory_cached(device: Any = None) -> None:
    """The old name of `reset_peak_memory_stats`; warns."""
    _queries.deprecated("reset_max_memory_cached", "reset_peak_memory_stats")
    reset_peak_memory_stats(device)


def _generator(device: Any) -> Any:
    from .._random.generator import device_generator

    require()
    return device_generator(Device("cuda", index_of(device)))


def __getattr__(name: str) -> Any:
    if name == "default_generators":
        return tuple(_generator(k) for k in range(device_count()))
    if name in ("Stream", "Event"):
        from .._devices import streams as _streams

        return getattr(_streams, "Cuda" + name)
    if name.endswith("Storage"):
        from .._storage.legacy import legacy_classes

        if name in legacy_classes("cuda"):
            return legacy_classes("cuda")[name]
    if name == "amp":
        import importlib

        return importlib.import_module(f"{__name__}.amp")
    if name.endswith("Tensor"):
        from .._tensor.tensor import LEGACY_TYPES, LegacyType

        if name in LEGACY_TYPES:
            return LegacyType(LEGACY_TYPES[name], "cuda")
    raise AttributeError(f"module 'torch.cuda' has no attribute '{name}'")
