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


def is_available() -> bool:
    """Whether JAX finds a GPU (or simulated ones are switched on)."""
    return device_count() > 0


def device_count() -> int:
    """The number of GPUs."""
    return len(devices.jax_devices("cuda"))


def is_initialized() -> bool:
    """Whether a GPU is in use."""
    return is_available()


def init() -> None:
    """Nothing to do: JAX initialises its devices at first use."""
    _require()


def _require() -> None:
    if not is_available():
        raise AssertionError("Torch not compiled with CUDA enabled")


def _index(which: Any = None) -> int:
    """The index that a device argument names."""
    if which is None:
        return devices.current_cuda()
    if isinstance(which, int):
        return devices.current_cuda() if which < 0 else which
    named = which if isinstance(which, Device) else Device(which)
    if named.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {which}")
    return devices.current_cuda() if named.index is None else named.index


def _jax(which: Any) -> Any:
    _require()
    return devices.jax_device(devices.resolve(f"cuda:{_index(which)}"))


def current_device() -> int:
    """The index of the current GPU."""
    _require()
    return devices.current_cuda()


def set_device(device: Any) -> None:
    """Make a GPU the current one."""
    index = _index(device)
    if index >= 0:
        _require()
        devices.resolve(f"cuda:{index}")
        devices.set_current_cuda(index)


class device:
    """Context manager: the current GPU inside a block."""

    def __init__(self, device: Any) -> None:
        self.index = _index(device)

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
    return str(_jax(device).device_kind)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Compute capability (major, minor)."""
    text = str(getattr(_jax(device), "compute_capability", "0.0"))
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
    return _Properties(_jax(device))


def synchronize(device: Any = None) -> None:
    """Run what is pending and wait until the GPU has finished."""
    import jax

    where = _jax(device)
    flush_all("synchronize")
    jax.device_put(0.0, where).block_until_ready()


def _stats(device: Any) -> dict[str, int]:
    return dict(_jax(device).memory_stats() or {}) if is_available() else {}


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

    return CudaStream(_index(device))


default_stream = current_stream


def set_stream(stream: Any) -> None:
    """Nothing to choose: each device has one queue."""


def stream(stream: Any) -> Any:
    """A block whose work goes to `stream`: there is one a device, so nothing changes."""
    import contextlib

    return contextlib.nullcontext(stream)


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


def _generator(device: Any) -> Any:
    from .._random.generator import device_generator

    _require()
    return device_generator(Device("cuda", _index(device)))


def __getattr__(name: str) -> Any:
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
