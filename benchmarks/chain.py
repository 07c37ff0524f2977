"""The cost of one small operator: a chain of 1000 multiplications, read at its end."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .timing import medians, report

LENGTH = 1000


def torch_like(torch: Any) -> Any:
    """The chain, as a torch user writes it."""
    x, y = torch.ones(16), torch.full((16,), 1.0001)

    def run() -> None:
        z = x
        for _ in range(LENGTH):
            z = z * y
        z[0].item()

    return run


def eager_jax() -> Any:
    """The chain with one jitted multiplication a step: what dispatch costs in JAX itself."""
    x, y = jnp.ones(16), jnp.full((16,), 1.0001)
    multiply = jax.jit(lambda a, b: a * b)

    def run() -> None:
        z = x
        for _ in range(LENGTH):
            z = multiply(z, y)
        float(z[0])

    return run


def main() -> dict[str, float]:
    """Measure and print; microseconds an operator."""
    import torch

    import torchish

    times = medians(
        {"PyTorch": torch_like(torch), "JAX (jit)": eager_jax(), "torchish": torch_like(torchish)},
        warmup=300,  # until the program has taken over
    )
    report(f"one operator in a chain of {LENGTH} (flush counted)", times, 1e6 / LENGTH, "us")
    return times
