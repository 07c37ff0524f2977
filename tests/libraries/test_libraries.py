"""Unmodified wheels, run on torchish and on PyTorch by the same program."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FOLDER = os.environ["TORCHISH_LIBRARIES"]
PROGRAMS = {
    "torch_geometric": """
        import torch
        from torch_geometric.nn import GATConv, GCNConv, SAGEConv
        torch.manual_seed(0)
        x, edges = torch.randn(20, 8), torch.randint(0, 20, (2, 60))
        y = torch.randint(0, 3, (20,))
        for layer in (GCNConv, GATConv, SAGEConv):
            torch.manual_seed(1)
            a, b = layer(8, 16), layer(16, 3)
            optimizer = torch.optim.Adam([*a.parameters(), *b.parameters()], 0.01)
            for _ in range(5):
                optimizer.zero_grad()
                out = b(a(x, edges).relu(), edges)
                loss = torch.nn.functional.cross_entropy(out, y)
                loss.backward()
                optimizer.step()
            print(loss.item())
        """,
    "einops": """
        import torch
        from einops import rearrange, reduce, repeat
        x = torch.arange(24.0).view(2, 3, 4)
        for y in (rearrange(x, "a b c -> (a c) b"), reduce(x, "a b c -> b", "mean"),
                  repeat(x, "a b c -> a (b k) c", k=2)):
            print(*y.flatten().tolist())
        """,
}


def printed(program: str, *launcher: str) -> list[float]:
    """The numbers that a program prints."""
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([root, FOLDER])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *launcher, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [float(x) for x in done.stdout.split()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_numbers_are_pytorchs(name: str) -> None:
    mine, theirs = printed(PROGRAMS[name], "-m", "torchish"), printed(PROGRAMS[name])
    assert mine == pytest.approx(theirs, rel=1e-4)
