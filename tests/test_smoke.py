"""What pre-commit runs: a network trains, and its losses are PyTorch's."""

import numpy as np
import pytest
import torch

import torchish


def train(library) -> list[float]:
    library.manual_seed(0)
    nn = library.nn
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = library.optim.Adam(net.parameters(), lr=0.05)
    x = library.randn(16, 4)
    y = library.randint(0, 3, (16,))
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.smoke
def test_training_equals_pytorch():
    losses = train(torchish)
    np.testing.assert_allclose(losses, train(torch), rtol=1e-4)
    assert losses[-1] < losses[0]


@pytest.mark.smoke
def test_views_share_memory_as_in_pytorch():
    for library in (torch, torchish):
        x = library.zeros(2, 3)
        x.t()[1] += 2
        x.view(-1)[0] = 5
        assert x.tolist() == [[5.0, 2.0, 0.0], [0.0, 2.0, 0.0]]


@pytest.mark.smoke
def test_errors_are_pytorchs():
    texts = []
    for library in (torch, torchish):
        with pytest.raises(RuntimeError) as caught:
            library.ones(2, 3) @ library.ones(4, 5)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
