"""A DCGAN step: batch 16, 64x64, ngf = ndf = 64, Adam; no value is read inside the step."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .timing import medians, report

BATCH, NZ, WIDTH = 16, 100, 64
# (in, out, stride, padding) of the 4x4 convolutions.
GENERATOR = [(NZ, 512, 1, 0), (512, 256, 2, 1), (256, 128, 2, 1), (128, 64, 2, 1), (64, 3, 2, 1)]
DISCRIMINATOR = [(3, 64, 2, 1), (64, 128, 2, 1), (128, 256, 2, 1), (256, 512, 2, 1), (512, 1, 1, 0)]


def nets(torch: Any) -> tuple[Any, Any]:
    """The generator and the discriminator."""
    nn = torch.nn
    g_layers: list[Any] = []
    for k, (n, m, s, p) in enumerate(GENERATOR):
        g_layers.append(nn.ConvTranspose2d(n, m, 4, s, p, bias=False))
        last = k == len(GENERATOR) - 1
        g_layers += [nn.Tanh()] if last else [nn.BatchNorm2d(m), nn.ReLU(True)]
    d_layers: list[Any] = []
    for k, (n, m, s, p) in enumerate(DISCRIMINATOR):
        d_layers.append(nn.Conv2d(n, m, 4, s, p, bias=False))
        if k == len(DISCRIMINATOR) - 1:
            d_layers.append(nn.Sigmoid())
        else:
            d_layers += ([nn.BatchNorm2d(m)] if k else []) + [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*g_layers), nn.Sequential(*d_layers)


def torch_like(torch: Any) -> Any:
    """The classic step, as a torch user writes it."""
    torch.manual_seed(0)
    g, d = nets(torch)
    opt_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = torch.nn.BCELoss()
    real = torch.rand(BATCH, 3, 64, 64) * 2 - 1

    def run() -> None:
        d.zero_grad()
        label = torch.full((BATCH,), 1.0)
        criterion(d(real).view(-1), label).backward()
        fake = g(torch.randn(BATCH, NZ, 1, 1))
        label.fill_(0.0)
        criterion(d(fake.detach()).view(-1), label).backward()
        opt_d.step()
        g.zero_grad()
        label.fill_(1.0)
        loss = criterion(d(fake).view(-1), label)
        loss.backward()
        opt_g.step()
        loss.item()

    return run


def conv(x: Any, w: Any, stride: int, padding: int) -> Any:
    """A convolution, as JAX users write it."""
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )


def conv_transpose(x: Any, w: Any, stride: int, padding: int) -> Any:
    """A transposed convolution (w: in, out, 4, 4), as JAX users write it."""
    return jax.lax.conv_general_dilated(
        x,
        jnp.flip(w, (2, 3)).swapaxes(0, 1),
        (1, 1),
        [(3 - padding, 3 - padding)] * 2,
        lhs_dilation=(stride, stride),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def conv_transpose_as_gradient(x: Any, w: Any, stride: int, padding: int) -> Any:
    """The same as the input gradient of a convolution: what XLA's CPU backend runs fast."""
    from torchish._ops.conv.convolutions import conv_transpose2d

    return conv_transpose2d.operator.body(x, w, None, stride, padding)  # type: ignore[attr-defined]


def batch_norm(x: Any, scale: Any, shift: Any) -> Any:
    """Training-mode batch normalisation of NCHW."""
    mean = x.mean((0, 2, 3), keepdims=True)
    var = x.var((0, 2, 3), keepdims=True)
    y = (x - mean) * jax.lax.rsqrt(var + 1e-5)
    return y * scale[None, :, None, None] + shift[None, :, None, None]


def hand_written(fast: bool) -> Any:
    """The same step by `value_and_grad` under one `jit`.

    `fast` uses torchish's own convolution bodies, so that what remains to compare is the engine;
    otherwise the convolutions are `lax.conv_general_dilated`, as JAX users write them.
    """
    if fast:
        from torchish._ops.conv.convolutions import conv2d

        forward: Any = lambda x, w, s, p: conv2d.operator.body(x, w, None, s, p)  # noqa: E731
        backward: Any = conv_transpose_as_gradient
    else:
        forward, backward = conv, conv_transpose
    rng = np.random.default_rng(0)

    def weights(shape: tuple[int, ...]) -> Any:
        return jnp.asarray(rng.standard_normal(shape).astype(np.float32) * 0.02)

    def norms(m: int) -> Any:
        return jnp.ones(m, jnp.float32), jnp.zeros(m, jnp.float32)

    g_params = [(weights((n, m, 4, 4)), norms(m)) for n, m, _, _ in GENERATOR]
    d_params = [(weights((m, n, 4, 4)), norms(m)) for n, m, _, _ in DISCRIMINATOR]

    def generate(params: Any, z: Any) -> Any:
        for k, ((w, norm), (_, _, s, p)) in enumerate(zip(params, GENERATOR, strict=True)):
            z = backward(z, w, s, p)
            z = jnp.tanh(z) if k == len(GENERATOR) - 1 else jax.nn.relu(batch_norm(z, *norm))
        return z

    def judge(params: Any, x: Any) -> Any:
        for k, ((w, norm), (_, _, s, p)) in enumerate(zip(params, DISCRIMINATOR, strict=True)):
            x = forward(x, w, s, p)
            if k == len(DISCRIMINATOR) - 1:
                return jax.nn.sigmoid(x).reshape(-1)
            x = jax.nn.leaky_relu(batch_norm(x, *norm) if k else x, 0.2)
        return x

    def bce(out: Any, label: float) -> Any:
        log = jnp.log(out if label else 1 - out)
        return -jnp.maximum(log, -100).mean()

    update = optax.adam(2e-4, b1=0.5)

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2, 3))
    def step(g: Any, d: Any, g_state: Any, d_state: Any, real: Any, z: Any) -> Any:
        fake = generate(g, z)

        def d_loss(d: Any) -> Any:
            return bce(judge(d, real), 1.0) + bce(judge(d, fake), 0.0)

        change, d_state = update.update(jax.grad(d_loss)(d), d_state, d)
        d = optax.apply_updates(d, change)
        loss, grads = jax.value_and_grad(lambda g: bce(judge(d, generate(g, z)), 1.0))(g)
        change, g_state = update.update(grads, g_state, g)
        return optax.apply_updates(g, change), d, g_state, d_state, loss

    held = [g_params, d_params, update.init(g_params), update.init(d_params)]
    real = jnp.asarray(rng.uniform(-1, 1, (BATCH, 3, 64, 64)).astype(np.float32))

    def run() -> None:
        z = rng.standard_normal((BATCH, NZ, 1, 1)).astype(np.float32)
        *held[:], loss = step(*held, real, z)
        float(loss)

    return run


def main() -> dict[str, float]:
    """Measure and print."""
    import torch

    import torchish

    contestants = {
        "PyTorch": torch_like(torch),
        "JAX (lax)": hand_written(fast=False),
        "JAX (fast)": hand_written(fast=True),
        "torchish": torch_like(torchish),
    }
    times = medians(contestants, warmup=3, rounds=7)
    report(f"DCGAN step, batch {BATCH}, 64x64", times)
    return times
