"""`torch.random`: seeding, and `fork_rng`, which puts the generators back afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ._basics.devices import device, jax_devices
from ._basics.state import state
from ._ops import registry
from ._random.generator import Generator, default_generator, device_generator

# The public forms, which see `__torch_function__` modes as every function of torch does.
_public = registry.table("torch")
get_rng_state, set_rng_state = _public["get_rng_state"], _public["set_rng_state"]
initial_seed, manual_seed, seed = _public["initial_seed"], _public["manual_seed"], _public["seed"]

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """Draws inside leave the generators of the CPU and of `devices` (default: all) as they were.

    Example:
        >>> with fork_rng():
        ...     manual_seed(0)
    """
    if not enabled or device_type == "meta":
        yield
        return
    kind = device_type or "cuda"
    numbers = range(len(jax_devices(kind))) if devices is None else devices
    forked = [device_generator(_device(kind, n)) for n in numbers]
    cpu = get_rng_state()
    saved = [(g.initial_seed(), g.state_array()) for g in forked]
    try:
        yield
    finally:
        set_rng_state(cpu)
        for generator, (first, array) in zip(forked, saved, strict=True):
            generator.manual_seed(first)
            generator.load_state_array(array)


def _device(kind: str, which: Any) -> device:
    if isinstance(which, int):
        return device(kind, which)
    named = device(which)
    return named if named.index is not None else device(named.type, 0)


def thread_safe_generator() -> Generator | None:
    """The generator of this thread's DataLoader worker; None outside one."""
    found: Generator | None = state.generator
    return found
