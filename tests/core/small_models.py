"""Small models of several kinds, trained a few steps: run twice by `test_second_process.py`.

Prints a line of JSON: of each model its losses, and the programs that XLA compiled for it. All but
`wide` are compiled at their first step.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import torchish as torch
from benchmarks.contestant import count_compilations
from torchish import nn
from torchish._basics.settings import settings
from torchish.nn import functional as F

STEPS = 6
Step = Callable[[], float]


def classifier(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> Step:
    y = torch.arange(x.shape[0]) % 3

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def perceptron() -> Step:
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 3))
    return classifier(model, torch.optim.Adam(model.parameters()), torch.randn(8, 12))


def convnet() -> Step:
    """Batch norm and dropout too: running averages and a random stream are part of the step."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1),
        nn.Flatten(), nn.Linear(36, 3),
    )  # fmt: skip
    return classifier(model, torch.optim.Adadelta(model.parameters()), torch.randn(4, 1, 8, 8))


class Decoder(nn.Module):
    """One layer of causal attention."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(9, 16), nn.Embedding(6, 16)
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 9)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.places(torch.arange(6))
        q, k, v = self.qkv(self.norm(x)).view(3, 6, 3, 2, 8).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(F.gelu(x + y.transpose(1, 2).reshape(3, 6, 16)))


def decoder() -> Step:
    model, tokens = Decoder(), torch.arange(18).view(3, 6) % 9
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens).view(-1, 9), tokens.roll(-1, 1).reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def lstm() -> Step:
    """The state is carried from step to step."""
    rnn, head = nn.LSTM(6, 8, 2), nn.Linear(8, 6)
    optimizer = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    x, held = torch.randn(5, 3, 6), [(torch.zeros(2, 3, 8), torch.zeros(2, 3, 8))]

    def step() -> float:
        out, (h, c) = rnn(x, held[0])
        held[0] = h.detach(), c.detach()
        optimizer.zero_grad()
        loss = (head(out) - x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def gan() -> Step:
    g = nn.Sequential(nn.ConvTranspose2d(5, 4, 4), nn.ReLU(True), nn.Conv2d(4, 1, 1), nn.Tanh())
    d = nn.Sequential(
        nn.Conv2d(1, 4, 4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4, 1), nn.Sigmoid()
    )
    g_rule = torch.optim.Adam(g.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_rule = torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.5, 0.999))
    real, criterion = torch.rand(4, 1, 4, 4), nn.BCELoss()

    def step() -> float:
        fake = g(torch.randn(4, 5, 1, 1))
        d.zero_grad()
        criterion(d(real), torch.ones(4, 1)).backward()
        criterion(d(fake.detach()), torch.zeros(4, 1)).backward()
        d_rule.step()
        g.zero_grad()
        loss = criterion(d(fake), torch.ones(4, 1))
        loss.backward()
        g_rule.step()
        return loss.item()

    return step


def wide() -> Step:
    """Large enough for its program to take over from the interpreter while the script runs."""
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU())
    return classifier(model, torch.optim.Adam(model.parameters()), torch.randn(128, 256))


MODELS = (perceptron, convnet, decoder, lstm, gan)

if __name__ == "__main__":
    compiled, report = count_compilations(), {}
    torch.manual_seed(0)
    for make in (*MODELS, wide):
        settings.compiled = make is not wide
        before, step = len(compiled), make()
        losses = [step().hex() for _ in range(STEPS)]
        report[make.__name__] = {"losses": losses, "compiled": len(compiled) - before}
    print(json.dumps(report))
