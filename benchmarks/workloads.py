"""Ten kinds of training and inference as torch scripts; `workloads_jax.py` has them by hand in JAX.

Each builder is given PyTorch or torchish as `torch` and returns a step that reads its loss. Weights
and data are formulas, drawn from no random stream, so that all sides start from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], float]


# --- numbers that all sides share -----------------------------------------------------------------


def values(*shape: int) -> np.ndarray:
    """Made-up data between -1 and 1."""
    count = int(np.prod(shape))
    return np.cos(np.arange(count) * 0.7391).astype(np.float32).reshape(shape)


def weight(k: int, *shape: int) -> np.ndarray:
    """The k-th weight of a model that has two dims or more; biases are 0 and scales of norms 1."""
    fan = int(np.prod(shape[1:]))
    waves = np.sin(np.arange(shape[0] * fan) * (0.37 + 0.01 * k) + k)
    return (waves.reshape(shape) * (2 / fan) ** 0.5).astype(np.float32)


def labels(count: int, classes: int) -> np.ndarray:
    """Made-up classes."""
    return np.arange(count) * 7 % classes


def length(step: int) -> int:
    """How many time steps the `dynamic` workload's training step has: forty lengths in turn."""
    return 5 + step * 17 % 40


# (in, out, stride, padding) of the 4x4 convolutions.
GENERATOR = [(100, 512, 1, 0), (512, 256, 2, 1), (256, 128, 2, 1), (128, 64, 2, 1), (64, 3, 2, 1)]
DISCRIMINATOR = [(3, 64, 2, 1), (64, 128, 2, 1), (128, 256, 2, 1), (256, 512, 2, 1), (512, 1, 1, 0)]
# (in, out, stride) of ResNet-18's blocks.
BLOCKS = [
    (64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1),
    (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1),
]  # fmt: skip


def _tensor(torch: Any, array: np.ndarray) -> Any:
    return torch.from_numpy(array).clone()


def filled(torch: Any, model: Any) -> Any:
    """The model with the shared weights."""
    k = 0
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                p.copy_(torch.from_numpy(weight(k, *p.shape)))
                k += 1
            elif "bias" in name.rsplit(".", 1)[-1]:
                p.zero_()
    return model


def _training(torch: Any, model: Any, optimizer: Any, x: np.ndarray, y: np.ndarray) -> Step:
    inputs, target = _tensor(torch, x), _tensor(torch, y)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


# --- the workloads --------------------------------------------------------------------------------


def mlp(torch: Any) -> Step:
    """A perceptron 784-256-256-10, batch 64, Adam."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    filled(torch, model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return _training(torch, model, optimizer, values(64, 784), labels(64, 10))


def convnet(torch: Any, batch: int = 64) -> Step:
    """Two convolutions and two linear layers on 1x28x28, batch 64, Adadelta."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.0), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    filled(torch, model)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    return _training(torch, model, optimizer, values(batch, 1, 28, 28), labels(batch, 10))


def _resnet18(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, i: int, o: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(o)
            self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(o)
            self.short = nn.Sequential()
            if i != o:
                conv = nn.Conv2d(i, o, 1, stride, bias=False)
                self.short = nn.Sequential(conv, nn.BatchNorm2d(o))

        def forward(self, x: Any) -> Any:
            y = F.relu(self.norm1(self.conv1(x)))
            return F.relu(self.norm2(self.conv2(y)) + self.short(x))

    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    return filled(torch, nn.Sequential(*stem, *(Block(*shape) for shape in BLOCKS), *head))


def resnet(torch: Any) -> Step:
    """ResNet-18 on 3x32x32, batch 16, SGD with momentum and weight decay."""
    model = _resnet18(torch)
    rule = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    return _training(torch, model, rule, values(16, 3, 32, 32), labels(16, 10))


def resnet_infer(torch: Any) -> Step:
    """ResNet-18 on 3x32x32, batch 8, no gradients."""
    model, x = _resnet18(torch).eval(), _tensor(torch, values(8, 3, 32, 32))

    def step() -> float:
        with torch.no_grad():
            return model(x).sum().item()

    return step


def _dcgan(torch: Any) -> tuple[Any, Any]:
    nn = torch.nn
    g: list[Any] = []
    for i, o, stride, padding in GENERATOR:
        g += [nn.ConvTranspose2d(i, o, 4, stride, padding, bias=False)]
        g += [nn.Tanh()] if o == 3 else [nn.BatchNorm2d(o), nn.ReLU(True)]
    d: list[Any] = []
    for i, o, stride, padding in DISCRIMINATOR:
        d += [nn.Conv2d(i, o, 4, stride, padding, bias=False)]
        d += [nn.BatchNorm2d(o)] if i != 3 and o != 1 else []
        d += [nn.Sigmoid()] if o == 1 else [nn.LeakyReLU(0.2, inplace=True)]
    return filled(torch, nn.Sequential(*g)), filled(torch, nn.Sequential(*d))


def dcgan(torch: Any, batch: int = 16) -> Step:
    """The classic DCGAN step on 3x64x64, batch 16, Adam; six numbers are read within it."""
    g, d = _dcgan(torch)
    criterion = torch.nn.BCELoss()
    d_rule = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    g_rule = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    real = _tensor(torch, values(batch, 3, 64, 64))
    noise = _tensor(torch, values(batch, 100, 1, 1))

    def judge(images: Any, label: Any) -> Any:
        out = d(images).view(-1)
        loss = criterion(out, label)
        loss.backward()
        out.mean().item()
        return loss

    def step() -> float:
        d.zero_grad()
        label = torch.full((batch,), 1.0)
        on_real = judge(real, label)
        fake = g(noise)
        label.fill_(0)
        on_fake = judge(fake.detach(), label)
        d_rule.step()
        g.zero_grad()
        label.fill_(1)
        fooled = judge(fake, label)
        g_rule.step()
        return (on_real + on_fake).item() + fooled.item()

    return step


def _gpt(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class Attention(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 128)

        def forward(self, x: Any) -> Any:
            b, t, c = x.size()
            parts = self.qkv(x).split(c, dim=2)
            q, k, v = (z.view(b, t, 4, c // 4).transpose(1, 2) for z in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).contiguous().view(b, t, c))

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.attention = nn.LayerNorm(128), Attention()
            self.norm2 = nn.LayerNorm(128)
            self.mlp = nn.Sequential(nn.Linear(128, 512), nn.GELU(), nn.Linear(512, 128))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(65, 128), nn.Embedding(64, 128)
            self.layers = nn.ModuleList([Layer() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.places(torch.arange(tokens.size(1)))
            for layer in self.layers:
                x = layer(x)
            return self.head(self.norm(x))

    return filled(torch, GPT())


def gpt(torch: Any) -> Step:
    """A decoder of four layers of width 128, 12 rows of 64 tokens, clipped gradients, AdamW."""
    model = _gpt(torch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = _tensor(torch, labels(12 * 64, 65)).view(12, 64)
    target = _tensor(torch, labels(12 * 64 + 1, 65)[1:])

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(tokens).view(-1, 65), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def lstm(torch: Any) -> Step:
    """A language model of two LSTM layers of 200, 20 rows of 35 steps, its state carried on."""
    nn = torch.nn

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.rnn = nn.Embedding(1000, 200), nn.LSTM(200, 200, 2)
            self.head = nn.Linear(200, 1000)

        def forward(self, x: Any, state: Any) -> Any:
            out, state = self.rnn(self.words(x), state)
            return self.head(out), state

    model = filled(torch, Model())
    x = _tensor(torch, labels(35 * 20, 1000)).view(35, 20)
    y = _tensor(torch, labels(35 * 20 + 1, 1000)[1:])
    held = [(torch.zeros(2, 20, 200), torch.zeros(2, 20, 200))]

    def step() -> float:
        state = tuple(v.detach() for v in held[0])
        model.zero_grad()
        out, held[0] = model(x, state)
        loss = torch.nn.functional.cross_entropy(out.view(-1, 1000), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-1.0)
        return loss.item()

    return step


def elementwise(torch: Any) -> Step:
    """A dozen operators on a matrix of 2000 x 2000, reduced to one number."""
    x = _tensor(torch, values(2000, 2000))

    def step() -> float:
        y = torch.tanh(x * 1.7 + 0.3) * torch.sigmoid(x) - x**2 * 0.1
        return (y.abs() + 1).log().mean().item()

    return step


def dispatch(torch: Any) -> Step:
    """A chain of 500 multiply-adds of 4 x 4: what calling an operator costs."""
    x, y = _tensor(torch, values(4, 4)), _tensor(torch, values(4, 4))

    def step() -> float:
        z = x
        for _ in range(500):
            z = z * y + x
        return z.sum().item()

    return step


def dynamic(torch: Any) -> Step:
    """A recurrent cell over sequences whose length is another at every step (forty lengths)."""
    cell = filled(torch, torch.nn.RNNCell(32, 32))
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.01)
    xs, steps = _tensor(torch, values(64, 8, 32)), [0]

    def step() -> float:
        steps[0] += 1
        h = torch.zeros(8, 32)
        for t in range(length(steps[0])):
            h = cell(xs[t], h)
        loss = h.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


WORKLOADS: dict[str, Callable[[Any], Step]] = {
    f.__name__: f
    for f in (
        mlp, convnet, resnet, resnet_infer, dcgan, gpt, lstm, elementwise, dispatch, dynamic,
    )
}  # fmt: skip
# Where a ReLU's side or a sign that rounding decides carries the rest away, the first loss is what
# can be compared; five of the others.
CHAOTIC = {"resnet", "dcgan"}


def compared(name: str) -> int:
    """How many of the first losses two libraries must agree in."""
    return 1 if name in CHAOTIC else 5
