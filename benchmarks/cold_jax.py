"""The cold programs by hand in JAX, as its users write them.

Loops over elements are `jnp` operators (each compiled once); training steps are one jitted
function of parameters and data, compiled anew for every shape; updates by optax. Random numbers
are JAX's own, so answers are not compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax, nn, random

KEY = random.PRNGKey(0)


def edit_distance() -> float:
    """Dynamic programming, an element at a time."""
    a, b = (random.randint(k, (20,), 0, 3) for k in random.split(KEY))
    table = jnp.zeros((21, 21)).at[0].set(jnp.arange(21.0)).at[:, 0].set(jnp.arange(21.0))
    for i in range(1, 21):
        for j in range(1, 21):
            swap = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            best = jnp.minimum(jnp.minimum(table[i - 1, j], table[i, j - 1]) + 1, swap)
            table = table.at[i, j].set(best)
    return float(table[-1, -1])


def orthonormal() -> float:
    """Gram-Schmidt by columns."""
    a, q = random.normal(KEY, (24, 24)), jnp.zeros((24, 24))
    for i in range(24):
        v = a[:, i]
        for j in range(i):
            v = v - (q[:, j] @ v) * q[:, j]
        q = q.at[:, i].set(v / jnp.linalg.norm(v))
    return float(jnp.trace(q.T @ q))


def _linear(key: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    bound = inputs**-0.5
    weight = random.uniform(key, (inputs, outputs), minval=-bound, maxval=bound)
    return weight, jnp.zeros(outputs)


def _apply(layer: tuple[Any, Any], x: Any) -> Any:
    return x @ layer[0] + layer[1]


def integrated() -> float:
    """Backward through 60 steps of an ODE."""
    first, last = random.split(KEY)
    params = (_linear(first, 3, 16), _linear(last, 16, 3))

    @jax.jit
    @jax.grad
    def gradients(params: Any) -> Any:
        y = jnp.ones((4, 3))
        for _ in range(60):
            y = y + 0.02 * _apply(params[1], jnp.tanh(_apply(params[0], y)))
        return jnp.square(y).mean()

    return float(sum(jnp.abs(g).sum() for g in jax.tree.leaves(gradients(params))))


def _trained(
    loss: Callable[..., Any], params: Any, rule: optax.GradientTransformation, batches: Any
) -> float:
    """The last loss of a step over each batch."""
    state = rule.init(params)

    @jax.jit
    def step(params: Any, state: Any, *batch: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, *batch)
        updates, state = rule.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    value = 0.0
    for batch in batches:
        params, state, found = step(params, state, *batch)
        value = float(found)
    return value


def lengths() -> float:
    """A recurrent cell over sequences of 20 lengths."""
    keys = random.split(KEY, 3)
    params = {"x": _linear(keys[0], 8, 48), "h": _linear(keys[1], 16, 48),
              "head": _linear(keys[2], 16, 1)}  # fmt: skip

    def loss(params: Any, xs: Any) -> Any:
        h = jnp.zeros((4, 16))
        for x in xs:
            xr, xz, xn = jnp.split(_apply(params["x"], x), 3, -1)
            hr, hz, hn = jnp.split(_apply(params["h"], h), 3, -1)
            z = nn.sigmoid(xz + hz)
            h = (1 - z) * jnp.tanh(xn + nn.sigmoid(xr + hr) * hn) + z * h
        return jnp.square(_apply(params["head"], h)).mean()

    batches = ((random.normal(KEY, (n, 4, 8)),) for n in range(5, 25))
    return _trained(loss, params, optax.sgd(0.01), batches)


def image_sizes() -> float:
    """A convolutional network over 12 image sizes (its batch norm trains; no running averages)."""
    keys = random.split(KEY, 3)
    params = {
        "a": random.normal(keys[0], (8, 3, 3, 3)) * 0.2, "scale": jnp.ones(8),
        "shift": jnp.zeros(8), "b": random.normal(keys[1], (16, 8, 3, 3)) * 0.1,
        "head": _linear(keys[2], 16, 2),
    }  # fmt: skip
    conv = partial(lax.conv, window_strides=(1, 1))

    def loss(params: Any, x: Any) -> Any:
        x = conv(x, params["a"], padding="SAME")
        mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
        x = (x - mean) * lax.rsqrt(var + 1e-5) * params["scale"][:, None, None]
        x = nn.relu(x + params["shift"][:, None, None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        x = nn.relu(conv(x, params["b"], padding="VALID")).mean((2, 3))
        return jnp.square(_apply(params["head"], x)).mean()

    batches = ((random.normal(KEY, (2, 3, s, 51 - s)),) for s in range(20, 32))
    return _trained(loss, params, optax.sgd(0.05, momentum=0.9), batches)


def transformer() -> float:
    """Three training steps of a two-layer encoder, Adam."""

    def layer(key: Any) -> dict[str, Any]:
        qkv, out, up, down = random.split(key, 4)
        norms = {n: (jnp.ones(32), jnp.zeros(32)) for n in ("norm1", "norm2")}
        return {"qkv": _linear(qkv, 32, 96), "out": _linear(out, 32, 32),
                "up": _linear(up, 32, 64), "down": _linear(down, 64, 32), **norms}  # fmt: skip

    def norm(p: Any, x: Any) -> Any:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + 1e-5) * p[0] + p[1]

    def encode(p: Any, x: Any) -> Any:
        q, k, v = (
            z.reshape(4, 12, 4, 8).swapaxes(1, 2) for z in jnp.split(_apply(p["qkv"], x), 3, -1)
        )
        weights = nn.softmax(q @ k.swapaxes(-1, -2) * 8**-0.5, -1)
        mixed = (weights @ v).swapaxes(1, 2).reshape(4, 12, 32)
        x = norm(p["norm1"], x + _apply(p["out"], mixed))
        return norm(p["norm2"], x + _apply(p["down"], nn.relu(_apply(p["up"], x))))

    def loss(params: Any, x: Any) -> Any:
        y = x
        for p in params:
            y = encode(p, y)
        return jnp.square(y - x).mean()

    params = [layer(k) for k in random.split(KEY)]
    x = random.normal(KEY, (4, 12, 32))
    return _trained(loss, params, optax.adam(1e-3), [(x,)] * 3)


PROGRAMS: dict[str, Callable[[], float]] = {
    f.__name__: f
    for f in (edit_distance, orthonormal, integrated, lengths, image_sizes, transformer)
}
