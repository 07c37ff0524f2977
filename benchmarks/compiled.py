"""Compiled steps against the same steps by hand: what a call costs beside the program itself.

Both run the same kind of program; steps are small, so that what Python does at each call shows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .timing import medians, report

# Calls until every program has taken over: those of an uncompiled step must have cost
# half of its compilation.
WARMUP = {"small": 600, "wide": 60}
SHAPES = {"small": (32, (64, 64, 64, 10)), "wide": (128, (784, 512, 512, 10))}


def data(batch: int, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """One batch of made-up rows and labels."""
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((batch, sizes[0])).astype(np.float32),
        rng.integers(0, sizes[-1], batch),
    )


def compiled(batch: int, sizes: tuple[int, ...], compiles: bool = True) -> Callable[[], None]:
    """A training step of a perceptron under `torch.compile`; the loss is read at every step."""
    import torchish as torch
    from torchish import nn

    torch.manual_seed(0)
    layers: list[Any] = []
    for n, m in pairwise(sizes):
        layers += [nn.Linear(n, m), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run_step = torch.compile(step) if compiles else step
    x, y = (torch.from_jax(jnp.asarray(a)) for a in data(batch, sizes))

    def run() -> None:
        run_step(x, y).item()

    return run


def by_hand(batch: int, sizes: tuple[int, ...]) -> Callable[[], None]:
    """The same step by `value_and_grad` under one `jit` that gives its inputs' memory away."""
    rng = np.random.default_rng(0)
    params = [
        (jnp.asarray(rng.standard_normal((m, n)).astype(np.float32) / np.sqrt(n)),
         jnp.zeros(m, jnp.float32))
        for n, m in pairwise(sizes)
    ]  # fmt: skip
    update = optax.adam(1e-3)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        for k, (w, b) in enumerate(params):
            x = x @ w.T + b
            x = jax.nn.relu(x) if k < len(params) - 1 else x
        return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        changes, state = update.update(grads, state, params)
        return optax.apply_updates(params, changes), state, loss

    jitted = jax.jit(step, donate_argnums=(0, 1))
    held = [params, update.init(params)]
    x, y = map(jnp.asarray, data(batch, sizes))

    def run() -> None:
        held[0], held[1], loss = jitted(held[0], held[1], x, y)
        float(loss)

    return run


def main() -> dict[str, dict[str, float]]:
    """Measure and print."""
    found = {}
    for name, (batch, sizes) in SHAPES.items():
        found[name] = medians(
            {
                "JAX": by_hand(batch, sizes),
                "uncompiled": compiled(batch, sizes, compiles=False),
                "torchish": compiled(batch, sizes),
            },
            warmup=WARMUP[name],
            rounds=60,
        )
        report(f"compiled step, {name}: {'-'.join(map(str, sizes))}, batch {batch}", found[name])
    return found
