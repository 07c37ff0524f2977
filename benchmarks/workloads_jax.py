"""The workloads by hand in plain JAX, as its users write them; `workloads.py` has torch scripts.

A training step is one jitted function by `value_and_grad` that gives the memory of parameters,
optimizer state and running averages away; updates are optax's; convolutions are
`lax.conv_general_dilated` in NCHW, what somebody who ports a torch script arrives at. The loss is
read at every step, as the torch scripts do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn

from .dcgan import conv, conv_transpose
from .workloads import BLOCKS, DISCRIMINATOR, GENERATOR, Step, labels, length, values, weight

Tree = Any


class Weights:
    """Gives out the shared weights in the order of the torch modules."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, *shape: int) -> jax.Array:
        """The next weight."""
        self.given += 1
        return jnp.asarray(weight(self.given - 1, *shape))

    def linear(self, inputs: int, outputs: int) -> Tree:
        """A linear layer's weight (out, in) and bias."""
        return self(outputs, inputs), jnp.zeros(outputs)


def _linear(p: Tree, x: Any) -> Any:
    return x @ p[0].T + p[1]


def _cross_entropy(logits: Any, y: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def _update(loss_of: Callable[..., Any], rule: optax.GradientTransformation) -> Any:
    """The jitted step of `loss_of(params, state, *batch)`, which gives the loss and next state."""

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(params: Tree, moments: Tree, state: Tree, *batch: Any) -> Any:
        (loss, state), grads = jax.value_and_grad(loss_of, has_aux=True)(params, state, *batch)
        changes, moments = rule.update(grads, moments, params)
        return optax.apply_updates(params, changes), moments, state, loss

    return update


def _training(
    loss_of: Callable[..., Any],
    rule: optax.GradientTransformation,
    params: Tree,
    *batch: np.ndarray,
    state: Tree = (),
) -> Step:
    """A step on the same batch again and again, its loss read."""
    update, held = _update(loss_of, rule), [params, rule.init(params), state]
    arrays = [jnp.asarray(a) for a in batch]

    def step() -> float:
        *held[:], loss = update(*held, *arrays)
        return float(loss)

    return step


def mlp() -> Step:
    """The perceptron."""
    w = Weights()
    params = [w.linear(784, 256), w.linear(256, 256), w.linear(256, 10)]

    def loss_of(params: Tree, state: Tree, x: Any, y: Any) -> Any:
        for p in params[:-1]:
            x = nn.relu(_linear(p, x))
        return _cross_entropy(_linear(params[-1], x), y), state

    return _training(loss_of, optax.adam(1e-3), params, values(64, 784), labels(64, 10))


def convnet(batch: int = 64) -> Step:
    """The convolutional network; a dropout of nothing is left out."""
    w = Weights()
    params = {
        "a": (w(32, 1, 3, 3), jnp.zeros(32)), "b": (w(64, 32, 3, 3), jnp.zeros(64)),
        "c": w.linear(9216, 128), "d": w.linear(128, 10),
    }  # fmt: skip

    def layer(p: Tree, x: Any) -> Any:
        return nn.relu(conv(x, p[0], 1, 0) + p[1][:, None, None])

    def loss_of(params: Tree, state: Tree, x: Any, y: Any) -> Any:
        x = layer(params["b"], layer(params["a"], x))
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        x = nn.relu(_linear(params["c"], x.reshape(x.shape[0], -1)))
        return _cross_entropy(_linear(params["d"], x), y), state

    x, y = values(batch, 1, 28, 28), labels(batch, 10)
    return _training(loss_of, optax.adadelta(1.0, rho=0.9, eps=1e-6), params, x, y)


# --- convolutions with batch norms: running averages are a state beside the parameters ------------


def _norm(width: int) -> Tree:
    return jnp.ones(width), jnp.zeros(width)


def _averages(width: int) -> Tree:
    return jnp.zeros(width), jnp.ones(width)


def _normalised(x: Any, p: Tree, mean: Any, var: Any) -> Any:
    scale, shift = (v[:, None, None] for v in p)
    return (x - mean[:, None, None]) * lax.rsqrt(var + 1e-5)[:, None, None] * scale + shift


def _batch_norm(x: Any, p: Tree, running: Tree) -> Any:
    """The batch, normalised by itself, and the running averages after it."""
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    count = x.size // x.shape[1]
    seen = mean, var * (count / (count - 1))
    after = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * lax.stop_gradient(new), running, seen)
    return _normalised(x, p, mean, var), after


def _resnet_values() -> tuple[Tree, Tree]:
    """Parameters and running averages, in the order of the torch modules."""
    w = Weights()
    params: Tree = {"conv": w(64, 3, 3, 3), "norm": _norm(64)}
    running: Tree = {"norm": _averages(64)}
    for k, (i, o, _) in enumerate(BLOCKS):
        block = {"conv1": w(o, i, 3, 3), "norm1": _norm(o), "conv2": w(o, o, 3, 3),
                 "norm2": _norm(o)}  # fmt: skip
        if i != o:
            block |= {"conv3": w(o, i, 1, 1), "norm3": _norm(o)}
        params[k] = block
        running[k] = {name: _averages(o) for name in block if name.startswith("norm")}
    return {str(k): v for k, v in params.items()} | {"head": w.linear(512, 10)}, {
        str(k): v for k, v in running.items()
    }


def _resnet(params: Tree, running: Tree, x: Any, train: bool) -> Any:
    """Logits, and the running averages after the batch."""
    after = jax.tree.map(lambda v: v, running)  # a copy of the dictionaries

    def norm(name: str, p: Tree, old: Tree, new: Tree, x: Any) -> Any:
        if not train:
            return _normalised(x, p[name], *old[name])
        x, new[name] = _batch_norm(x, p[name], old[name])
        return x

    x = nn.relu(norm("norm", params, running, after, conv(x, params["conv"], 1, 1)))
    for k, (i, o, stride) in enumerate(BLOCKS):
        p = params[str(k)]
        apply = partial(norm, p=p, old=running[str(k)], new=after[str(k)])
        y = nn.relu(apply("norm1", x=conv(x, p["conv1"], stride, 1)))
        y = apply("norm2", x=conv(y, p["conv2"], 1, 1))
        x = nn.relu(y + (apply("norm3", x=conv(x, p["conv3"], stride, 0)) if i != o else x))
    return _linear(params["head"], x.mean((2, 3))), after


def resnet() -> Step:
    """ResNet-18 in training."""

    def loss_of(params: Tree, running: Tree, x: Any, y: Any) -> Any:
        logits, running = _resnet(params, running, x, train=True)
        return _cross_entropy(logits, y), running

    params, running = _resnet_values()
    rule = optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.01, momentum=0.9))
    x, y = values(16, 3, 32, 32), labels(16, 10)
    return _training(loss_of, rule, params, x, y, state=running)


def resnet_infer() -> Step:
    """ResNet-18, no gradients."""
    held = _resnet_values()
    run = jax.jit(lambda params, running, x: _resnet(params, running, x, train=False)[0].sum())
    x = jnp.asarray(values(8, 3, 32, 32))
    return lambda: float(run(*held, x))


def _generate(params: Tree, running: Tree, z: Any) -> Any:
    """Pictures, and the running averages after them."""
    *inner, (_, _, stride, padding) = GENERATOR
    after = []
    for k, (_, _, inner_stride, inner_padding) in enumerate(inner):
        z = conv_transpose(z, params["conv"][k], inner_stride, inner_padding)
        z, seen = _batch_norm(z, params["norm"][k], running[k])
        z, after = nn.relu(z), [*after, seen]
    return jnp.tanh(conv_transpose(z, params["conv"][-1], stride, padding)), after


def _judge(params: Tree, running: Tree, x: Any) -> Any:
    """Probabilities of being real, and the running averages after the batch."""
    (_, _, stride, padding), *inner, (_, _, last_stride, last_padding) = DISCRIMINATOR
    x = nn.leaky_relu(conv(x, params["conv"][0], stride, padding), 0.2)
    after = []
    for k, (_, _, stride, padding) in enumerate(inner):
        x = conv(x, params["conv"][k + 1], stride, padding)
        x, seen = _batch_norm(x, params["norm"][k], running[k])
        x, after = nn.leaky_relu(x, 0.2), [*after, seen]
    return nn.sigmoid(conv(x, params["conv"][-1], last_stride, last_padding)).reshape(-1), after


def _dcgan_values() -> tuple[Tree, Tree]:
    """Parameters of both networks, and their running averages."""
    w = Weights()
    g = {"conv": [w(i, o, 4, 4) for i, o, _, _ in GENERATOR]}
    g["norm"] = [_norm(o) for _, o, _, _ in GENERATOR[:-1]]
    w = Weights()
    d = {"conv": [w(o, i, 4, 4) for i, o, _, _ in DISCRIMINATOR]}
    d["norm"] = [_norm(o) for _, o, _, _ in DISCRIMINATOR[1:-1]]
    g_running = [_averages(o) for _, o, _, _ in GENERATOR[:-1]]
    return (g, d), (g_running, [_averages(o) for _, o, _, _ in DISCRIMINATOR[1:-1]])


def _cross_entropy_of(out: Any, label: int) -> Any:
    """Torch's BCELoss for one label, its logarithms bounded alike."""
    return -jnp.maximum(jnp.log(out if label else 1 - out), -100).mean()


def dcgan(batch: int = 16) -> Step:
    """The DCGAN step: pictures are made once and kept for the generator's gradient, as in torch."""
    rule = optax.adam(2e-4, b1=0.5)

    def d_loss(d: Tree, running: Tree, real: Any, fake: Any) -> Any:
        on_real, running = _judge(d, running, real)
        on_fake, running = _judge(d, running, fake)
        losses = _cross_entropy_of(on_real, 1), _cross_entropy_of(on_fake, 0)
        return sum(losses), (running, [*losses, on_real.mean(), on_fake.mean()])

    def g_loss(fake: Any, d: Tree, running: Tree) -> Any:
        out, running = _judge(d, running, fake)
        loss = _cross_entropy_of(out, 1)
        return loss, (running, [loss, out.mean()])

    def applied(grads: Tree, params: Tree, moments: Tree) -> Any:
        changes, moments = rule.update(grads, moments, params)
        return optax.apply_updates(params, changes), moments

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(params: Tree, moments: Tree, running: Tree, real: Any, z: Any) -> Any:
        (g, d), (g_moments, d_moments), (g_running, d_running) = params, moments, running
        fake, pull, g_running = jax.vjp(lambda g: _generate(g, g_running, z), g, has_aux=True)
        grads, (d_running, read) = jax.grad(d_loss, has_aux=True)(d, d_running, real, fake)
        d, d_moments = applied(grads, d, d_moments)
        pixels, (d_running, more) = jax.grad(g_loss, has_aux=True)(fake, d, d_running)
        g, g_moments = applied(*pull(pixels), g, g_moments)
        return (g, d), (g_moments, d_moments), (g_running, d_running), jnp.stack(read + more)

    params, running = _dcgan_values()
    held = [params, tuple(rule.init(p) for p in params), running]
    real, z = jnp.asarray(values(batch, 3, 64, 64)), jnp.asarray(values(batch, 100, 1, 1))

    def step() -> float:
        *held[:], read = update(*held, real, z)
        on_real, on_fake, _, _, fooled, _ = np.asarray(read)
        return float(on_real + on_fake) + float(fooled)

    return step


# --- sequences ------------------------------------------------------------------------------------


def _layer_norm(p: Tree, x: Any) -> Any:
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[0] + p[1]


def gpt() -> Step:
    """The decoder."""
    w = Weights()
    params: Tree = {"tokens": w(65, 128), "places": w(64, 128)}
    params["layers"] = [
        {"norm1": _norm(128), "qkv": w.linear(128, 384), "out": w.linear(128, 128),
         "norm2": _norm(128), "up": w.linear(128, 512), "down": w.linear(512, 128)}
        for _ in range(4)
    ]  # fmt: skip
    params |= {"norm": _norm(128), "head": w(65, 128)}

    def attention(p: Tree, x: Any) -> Any:
        q, k, v = (
            z.reshape(*x.shape[:2], 4, 32) for z in jnp.split(_linear(p["qkv"], x), 3, axis=-1)
        )
        y = nn.dot_product_attention(q, k, v, is_causal=True)
        return _linear(p["out"], y.reshape(x.shape))

    def loss_of(params: Tree, state: Tree, tokens: Any, target: Any) -> Any:
        x = params["tokens"][tokens] + params["places"]
        for p in params["layers"]:
            x = x + attention(p, _layer_norm(p["norm1"], x))
            up = nn.gelu(_linear(p["up"], _layer_norm(p["norm2"], x)), approximate=False)
            x = x + _linear(p["down"], up)
        return _cross_entropy(_layer_norm(params["norm"], x) @ params["head"].T, target), state

    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=1e-2))
    tokens = labels(12 * 64, 65).reshape(12, 64)
    target = labels(12 * 64 + 1, 65)[1:].reshape(12, 64)
    return _training(loss_of, rule, params, tokens, target)


def lstm() -> Step:
    """The language model: one scan a layer, the inputs' product made for all steps at once."""
    w = Weights()
    params: Tree = {"words": w(1000, 200)}
    params["layers"] = [
        {"x": w.linear(200, 800), "h": w.linear(200, 800)} for _ in range(2)
    ]  # fmt: skip
    params["head"] = w.linear(200, 1000)

    def layer(p: Tree, xs: Any, state: Tree) -> Any:
        def cell(state: Tree, x: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(x + _linear(p["h"], h), 4, axis=-1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            h = nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        return lax.scan(cell, state, _linear(p["x"], xs))

    def loss_of(params: Tree, state: Tree, x: Any, y: Any) -> Any:
        xs, after = params["words"][x], []
        for p, before in zip(params["layers"], state, strict=True):
            last, xs = layer(p, xs, before)
            after.append(last)
        return _cross_entropy(_linear(params["head"], xs), y), after

    rule = optax.chain(optax.clip_by_global_norm(0.25), optax.sgd(1.0))
    x, y = labels(35 * 20, 1000).reshape(35, 20), labels(35 * 20 + 1, 1000)[1:].reshape(35, 20)
    state = [(jnp.zeros((20, 200)), jnp.zeros((20, 200))) for _ in range(2)]
    return _training(loss_of, rule, params, x, y, state=state)


def dynamic() -> Step:
    """The recurrent cell: a jitted step that is compiled once for each length.

    A scan, which beats the loop written out: compiled in half of the time and quicker in each call.
    """
    w = Weights()
    params = {"x": w.linear(32, 32), "h": w.linear(32, 32)}

    def loss_of(params: Tree, state: Tree, xs: Any) -> Any:
        def cell(h: Any, x: Any) -> Any:
            return jnp.tanh(x + _linear(params["h"], h)), None

        h, _ = lax.scan(cell, jnp.zeros((8, 32)), _linear(params["x"], xs))
        return jnp.square(h).mean(), state

    update = _update(loss_of, optax.sgd(0.01))
    held, steps, xs = [params, optax.sgd(0.01).init(params), ()], [0], values(64, 8, 32)

    def step() -> float:
        steps[0] += 1
        *held[:], loss = update(*held, xs[: length(steps[0])])
        return float(loss)

    return step


# --- without gradients ----------------------------------------------------------------------------


def elementwise() -> Step:
    """The expression under one jit."""

    @jax.jit
    def run(x: Any) -> Any:
        y = jnp.tanh(x * 1.7 + 0.3) * nn.sigmoid(x) - x**2 * 0.1
        return jnp.log(jnp.abs(y) + 1).mean()

    x = jnp.asarray(values(2000, 2000))
    return lambda: float(run(x))


def dispatch() -> Step:
    """The chain: the multiply-add jitted, and called 500 times.

    A `fori_loop` around it would be one call; but who writes such a chain in Python does so because
    Python decides what comes next, and the workload asks what one call costs.
    """
    multiply_add = jax.jit(lambda z, y, x: z * y + x)
    x, y = jnp.asarray(values(4, 4)), jnp.asarray(values(4, 4))

    def step() -> float:
        z = x
        for _ in range(500):
            z = multiply_add(z, y, x)
        return float(z.sum())

    return step


WORKLOADS: dict[str, Callable[[], Step]] = {
    f.__name__: f
    for f in (
        mlp, convnet, resnet, resnet_infer, dcgan, gpt, lstm, elementwise, dispatch, dynamic,
    )
}  # fmt: skip
