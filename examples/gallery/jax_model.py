"""A network written in plain JAX, trained by a PyTorch loop: a SIREN (Sitzmann et al., 2020).

It maps a point of the plane to a brightness, so the digit that it learned can be drawn at any
size. Picture: the digit, the network at eight times its size, and how steep it is.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt
from common import digits, options, progress, save

import torchish as torch

opt = options(__doc__, "jax_model.png", steps=400, width=64)
image = digits()[0][7, 0]


def siren(weights, points):
    """JAX: sin(30 (W x + b)) for each layer; the last is linear."""
    for layer in weights[:-1]:
        points = jnp.sin(30 * (points @ layer["w"] + layer["b"]))
    return (points @ weights[-1]["w"] + weights[-1]["b"])[..., 0]


field = torch.func.from_jax(siren)  # from here on a function of tensors, with gradients


def layer(into, out, bound):
    """Parameters as the paper draws them, as tensors."""
    w = torch.empty(into, out).uniform_(-bound, bound).requires_grad_()
    return {"w": w, "b": torch.empty(out).uniform_(-bound, bound).requires_grad_()}


deep = (6 / opt.width) ** 0.5 / 30
weights = [layer(2, opt.width, 0.5), layer(opt.width, opt.width, deep), layer(opt.width, 1, deep)]
parameters = [tensor for part in weights for tensor in part.values()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)


def grid(size):
    side = torch.linspace(-1, 1, size)
    return torch.cartesian_prod(side, side)


points, wanted = grid(28), image.flatten()
losses = []
for step in (bar := progress(range(opt.steps), opt.steps, "siren in JAX")):
    loss = ((field(weights, points) - wanted) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.detach())
    if step % 20 == 0:
        bar.set_postfix(loss=f"{loss.item():.4f}")
print(f"squared error of the brightness: {losses[0].item():.4f}, then {losses[-1].item():.5f}")

fine = grid(224).requires_grad_()
drawn = field(weights, fine)
(slope,) = torch.autograd.grad(drawn.sum(), fine)
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
pictures = (image, drawn.detach().reshape(224, 224), slope.norm(dim=1).reshape(224, 224))
titles = ("28 x 28 pixels", "the network at 224 x 224", "how steep it is")
for place, picture, title in zip(axes, pictures, titles, strict=True):
    place.imshow(picture.numpy(), cmap="magma" if "steep" in title else "gray")
    place.set_title(title)
    place.axis("off")
save(figure, opt.out)
