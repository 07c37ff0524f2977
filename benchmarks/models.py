"""Eleven further kinds of models, one step each: `python -m benchmarks models` prints the ratios.

Each builder is given PyTorch or torchish as `torch` and returns a step that reads its loss. Each
library runs in processes of its own, turn by turn: in one process PyTorch's threads, which stay
awake for a while after each operator, would stand in the way of the other library.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any

Step = Callable[[], Any]


def _training(torch: Any, model: Any, lr: float, loss_of: Callable[[], Any]) -> Step:
    optimizer = torch.optim.Adam(model.parameters(), lr)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _classifier(torch: Any, model: Any, x: Any, classes: int = 10) -> Step:
    y = torch.arange(x.shape[0]) % classes
    return _training(torch, model, 1e-3, lambda: torch.nn.functional.cross_entropy(model(x), y))


def depthwise(torch: Any) -> Step:
    """A MobileNet-like stack of depthwise and pointwise convolutions, batch 16 of 3x32x32."""
    nn = torch.nn
    layers: list[Any] = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    width = 32
    for out, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        layers += [
            nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width),
            nn.ReLU6(), nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU6(),
        ]  # fmt: skip
        width = out
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    return _classifier(torch, model, torch.randn(16, 3, 32, 32))


def unet(torch: Any) -> Step:
    """A U-Net of two levels on 4 images of 3x64x64, one logit a pixel."""
    nn = torch.nn

    def block(i: int, o: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(i, o, 3, 1, 1), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1), nn.ReLU()
        )

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = block(3, 32), block(32, 64), block(64, 128)
            self.up_b, self.up_a = (
                nn.ConvTranspose2d(128, 64, 2, 2),
                nn.ConvTranspose2d(64, 32, 2, 2),
            )
            self.dec_b, self.dec_a = block(128, 64), block(64, 32)
            self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(32, 1, 1)

        def forward(self, x: Any) -> Any:
            a = self.a(x)
            b = self.b(self.pool(a))
            c = self.c(self.pool(b))
            b = self.dec_b(torch.cat([self.up_b(c), b], 1))
            return self.head(self.dec_a(torch.cat([self.up_a(b), a], 1)))

    model, x = UNet(), torch.randn(4, 3, 64, 64)
    mask = (torch.randn(4, 1, 64, 64) > 0).float()
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return _training(torch, model, 1e-3, lambda: loss(model(x), mask))


def conv1d(torch: Any) -> Step:
    """Strided 1-d convolutions over 16 signals of 4000 samples."""
    nn = torch.nn
    layers: list[Any] = []
    for i, o in ((1, 32), (32, 64), (64, 128), (128, 128)):
        layers += [nn.Conv1d(i, o, 9, 4, 4), nn.BatchNorm1d(o), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 10))
    return _classifier(torch, model, torch.randn(16, 1, 4000))


def conv3d(torch: Any) -> Step:
    """3-d convolutions over 4 clips of 16 frames of 32x32."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv3d(1, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(16, 32, 3, 1, 1),
        nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(32, 64, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return _classifier(torch, model, torch.randn(4, 1, 16, 32, 32))


def vit(torch: Any) -> Step:
    """A vision transformer of four layers of width 128 on 16 images in 64 patches."""
    nn = torch.nn

    class ViT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 128, 4, 4)
            self.place = nn.Parameter(torch.zeros(1, 64, 128))
            layer = nn.TransformerEncoderLayer(128, 4, 256, 0.0, "gelu", batch_first=True)
            self.body = nn.TransformerEncoder(layer, 4)
            self.head = nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            x = self.patch(x).flatten(2).transpose(1, 2) + self.place
            return self.head(self.body(x).mean(1))

    return _classifier(torch, ViT(), torch.randn(16, 3, 32, 32))


def vae(torch: Any) -> Step:
    """A variational autoencoder 784-400-20, batch 128."""
    nn, F = torch.nn, torch.nn.functional

    class VAE(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.enc, self.mu, self.var = (
                nn.Linear(784, 400),
                nn.Linear(400, 20),
                nn.Linear(400, 20),
            )
            self.dec, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

        def forward(self, x: Any) -> Any:
            h = F.relu(self.enc(x))
            mu, logvar = self.mu(h), self.var(h)
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
            return self.out(F.relu(self.dec(z))), mu, logvar

    model, x = VAE(), torch.rand(128, 784)

    def loss() -> Any:
        y, mu, logvar = model(x)
        match = F.binary_cross_entropy_with_logits(y, x, reduction="sum")
        return match - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    return _training(torch, model, 1e-4, loss)


def wavenet(torch: Any) -> Step:
    """Gated dilated causal convolutions, 8 layers of 32 channels, 4 sequences of 1024 samples."""
    nn, F = torch.nn, torch.nn.functional

    class WaveNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv1d(1, 32, 1), nn.Conv1d(32, 64, 1)
            self.gates = nn.ModuleList([nn.Conv1d(32, 64, 2, dilation=2**k) for k in range(8)])
            self.mix = nn.ModuleList([nn.Conv1d(32, 32, 1) for _ in range(8)])

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            total: Any = 0
            for k, (gate, mix) in enumerate(zip(self.gates, self.mix, strict=True)):
                a, b = gate(F.pad(x, (2**k, 0))).chunk(2, 1)
                y = mix(torch.tanh(a) * torch.sigmoid(b))
                x, total = x + y, total + y
            return self.last(F.relu(total))

    model, x = WaveNet(), torch.randn(4, 1, 1024)
    y = torch.arange(4 * 1024).view(4, 1024) % 64
    return _training(torch, model, 1e-3, lambda: F.cross_entropy(model(x), y))


def gnn(torch: Any) -> Step:
    """Two layers of mean message passing on a graph of 1000 nodes and 8000 edges."""
    nn, F = torch.nn, torch.nn.functional
    nodes, edges = 1000, 8000
    source = torch.arange(edges) * 7919 % nodes
    target = torch.arange(edges) * 104729 % nodes
    degree = torch.zeros(nodes).index_add(0, target, torch.ones(edges)).clamp(min=1).unsqueeze(1)

    class GNN(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.own = nn.ModuleList([nn.Linear(64, 64), nn.Linear(64, 16)])
            self.near = nn.ModuleList([nn.Linear(64, 64), nn.Linear(64, 16)])

        def forward(self, x: Any) -> Any:
            for k in range(2):
                around = torch.zeros_like(x).index_add(0, target, x[source]) / degree
                x = self.own[k](x) + self.near[k](around)
                x = F.relu(x) if k == 0 else x
            return x

    return _classifier(torch, GNN(), torch.randn(nodes, 64), 16)


def char_rnn(torch: Any) -> Step:
    """A GRU of 128 units over 32 sequences of 64 characters."""
    nn, F = torch.nn, torch.nn.functional

    class CharRNN(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rnn = nn.Embedding(65, 64), nn.GRU(64, 128, batch_first=True)
            self.head = nn.Linear(128, 65)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(self.embed(x))[0])

    model, x = CharRNN(), torch.arange(32 * 64).view(32, 64) * 7 % 65
    y = (x + 1) % 65
    return _training(torch, model, 1e-3, lambda: F.cross_entropy(model(x).view(-1, 65), y.view(-1)))


def _decoder(torch: Any, width: int, count: int, heads: int, words: int) -> Step:
    """Layers that write 24 tokens, one row at a time, with a cache of keys and values."""
    nn, F = torch.nn, torch.nn.functional

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any, cache: Any) -> tuple[Any, Any]:
            rows = self.qkv(self.norm1(x)).view(1, 1, 3, heads, width // heads)
            q, k, v = rows.permute(2, 0, 3, 1, 4)
            if cache is not None:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 1, width)
            x = x + self.out(y)
            return x + self.mlp(self.norm2(x)), (k, v)

    layers = nn.ModuleList([Layer() for _ in range(count)])
    embed, head = nn.Embedding(words, width), nn.Linear(width, words)

    def step() -> Any:
        with torch.no_grad():
            token, caches = torch.zeros(1, 1, dtype=torch.int64), [None] * count
            for _ in range(24):
                x = embed(token)
                for k, layer in enumerate(layers):
                    x, caches[k] = layer(x, caches[k])
                token = head(x).argmax(-1)
            return token.item()

    return step


def decoder(torch: Any) -> Step:
    """A decoder of two layers of 128: 859 operators, which take longer to call than to compute."""
    return _decoder(torch, 128, 2, 4, 65)


def wide_decoder(torch: Any) -> Step:
    """A decoder of four layers of 512."""
    return _decoder(torch, 512, 4, 8, 1000)


def tiny_mlp(torch: Any) -> Step:
    """A two-layer perceptron, one sample a step."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))
    return _classifier(torch, model, torch.randn(1, 32), 4)


MODELS = (
    depthwise, unet, conv1d, conv3d, vit, vae, wavenet, gnn, char_rnn, decoder,
    wide_decoder, tiny_mlp,
)  # fmt: skip


BY_NAME = {build.__name__: build for build in MODELS}
ROUNDS, SECONDS, WARM = 2, 3.0, 150
PAYS_LATE = {"decoder": 400}  # steps before its program takes over


def _in_turns(name: str) -> dict[str, float]:
    """Median milliseconds a step of each library."""
    from .contestant import run

    found: dict[str, list[float]] = {"torch": [], "torchish": []}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(ROUNDS):
            for library, seen in found.items():
                seen.append(
                    run(library, name, cache, steps=PAYS_LATE.get(name, WARM), seconds=SECONDS)[
                        "ms"
                    ]
                )
    return {library: statistics.median(seen) for library, seen in found.items()}


def main() -> dict[str, float]:
    """Measure every model, or those named after `models` on the command line."""
    named = [name for name in sys.argv[1:] if name in BY_NAME] or list(BY_NAME)
    print(f"\nsteady milliseconds a step, {ROUNDS} processes a library in turns")
    print(f"  {'model':<14}{'PyTorch':>10}{'torchish':>10}{'ratio':>8}")
    ratios = {}
    for name in named:
        times = _in_turns(name)
        ratios[name] = times["torch"] / times["torchish"]
        print(
            f"  {name:<14}{times['torch']:10.3f}{times['torchish']:10.3f}{ratios[name]:8.2f}",
            flush=True,
        )
    return ratios


if __name__ == "__main__":
    main()
