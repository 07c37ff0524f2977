"""The default generators: `manual_seed`, `seed`, `initial_seed`, `get_rng_state`, `set_rng_state`.

A DataLoader worker that has a generator of its own sees that one as its default.
"""

from __future__ import annotations

from typing import Any

from ..._random.generator import Generator, default_generator, seed_devices, thread_generator
from ..registry import composite, register

register("torch", "default_generator", default_generator)


@composite(into=("torch",))
def manual_seed(seed: Any) -> Generator:
    """Seed the default generators of the CPU and of all devices; returns the CPU's.

    Raises: ValueError for a seed outside 64 bits.
    """
    seed = int(seed)
    generator = thread_generator().manual_seed(seed)
    if generator is default_generator:
        seed_devices(seed % 2**64)
    return generator


@composite(into=("torch",))
def seed() -> int:
    """Seed the default generators with a number from the operating system; returns it."""
    fresh = thread_generator().seed()
    if thread_generator() is default_generator:
        seed_devices(fresh)
    return fresh


@composite(into=("torch",))
def initial_seed() -> int:
    """The seed of the CPU's default generator."""
    return thread_generator().initial_seed()


@composite(into=("torch",))
def get_rng_state() -> Any:
    """The state of the CPU's default generator, a uint8 tensor that PyTorch can read."""
    return thread_generator().get_state()


@composite(into=("torch",))
def set_rng_state(new_state: Any) -> None:
    """Continue the CPU's default generator from a state (PyTorch's too)."""
    thread_generator().set_state(new_state)
