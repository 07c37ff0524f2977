"""A training step of a perceptron: 784-512-512-10, batch 128, cross entropy, Adam."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .timing import medians, report

BATCH, SIZES = 128, (784, 512, 512, 10)


def data() -> tuple[np.ndarray, np.ndarray]:
    """One batch of made-up images and labels."""
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((BATCH, SIZES[0])).astype(np.float32),
        rng.integers(0, SIZES[-1], BATCH),
    )


def torch_like(torch: Any) -> Any:
    """The step, as a torch user writes it; the loss is read at every step."""
    nn = torch.nn
    layers: list[Any] = []
    for n, m in pairwise(SIZES):
        layers += [nn.Linear(n, m), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    x, y = (torch.from_numpy(a.copy()).clone() for a in data())

    def run() -> None:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return run


def hand_written() -> Any:
    """The same step by `value_and_grad` under one `jit`."""
    rng = np.random.default_rng(0)
    params = [
        (
            jnp.asarray(rng.standard_normal((m, n)).astype(np.float32) / np.sqrt(n)),
            jnp.zeros(m, jnp.float32),
        )
        for n, m in pairwise(SIZES)
    ]
    update = optax.adam(1e-3)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        for k, (w, b) in enumerate(params):
            x = x @ w.T + b
            x = jax.nn.relu(x) if k < len(params) - 1 else x
        return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

    @jax.jit
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        changes, state = update.update(grads, state, params)
        return optax.apply_updates(params, changes), state, loss

    held = [params, update.init(params)]
    x, y = map(jnp.asarray, data())

    def run() -> None:
        held[0], held[1], loss = step(held[0], held[1], x, y)
        float(loss)

    return run


def main() -> dict[str, float]:
    """Measure and print."""
    import torch

    import torchish

    times = medians(
        {"PyTorch": torch_like(torch), "JAX": hand_written(), "torchish": torch_like(torchish)},
        warmup=5,
        rounds=25,
    )
    report(f"MLP step, batch {BATCH}", times)
    return times
