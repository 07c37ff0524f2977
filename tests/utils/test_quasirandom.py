"""Sobol's sequences against PyTorch's, bit for bit."""

import numpy as np
import pytest
import torch

import torchish

ENGINES = [(1, False, None), (3, False, None), (40, False, None), (2, True, 5), (21, True, 0)]


@pytest.mark.parametrize(("dimension", "scramble", "seed"), ENGINES)
def test_points(dimension, scramble, seed):
    ours = torchish.quasirandom.SobolEngine(dimension, scramble, seed)
    theirs = torch.quasirandom.SobolEngine(dimension, scramble, seed)
    for step in (1, 3, 0, 8, 5):
        if step == 0:
            ours.fast_forward(6)
            theirs.fast_forward(6)
            continue
        for dtype in ("float32", "float64"):
            mine = ours.draw(step, dtype=getattr(torchish, dtype))
            other = theirs.draw(step, dtype=getattr(torch, dtype))
            assert mine.numpy().dtype == other.numpy().dtype
            np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert ours.num_generated == theirs.num_generated
    np.testing.assert_array_equal(ours.sobolstate.numpy(), theirs.sobolstate.numpy())
    np.testing.assert_array_equal(ours.quasi.numpy(), theirs.quasi.numpy())
    assert repr(ours) == repr(theirs)
    np.testing.assert_array_equal(ours.reset().draw(4).numpy(), theirs.reset().draw(4).numpy())


def test_the_default_generator_scrambles():
    torchish.manual_seed(7)
    torch.manual_seed(7)
    mine = torchish.quasirandom.SobolEngine(4, scramble=True).draw_base2(3)
    other = torch.quasirandom.SobolEngine(4, scramble=True).draw_base2(3)
    np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert torchish.rand(1).item() == torch.rand(1).item()


def test_into_a_tensor():
    out = torchish.empty(0)
    assert torchish.quasirandom.SobolEngine(2).draw(3, out=out) is out
    assert out.tolist() == [[0.0, 0.0], [0.5, 0.5], [0.75, 0.25]]


def test_errors():
    with pytest.raises(ValueError, match=r"range of dimensionality for SobolEngine is \[1, 21201"):
        torchish.quasirandom.SobolEngine(0)
    engine = torchish.quasirandom.SobolEngine(2)
    engine.draw(3)
    with pytest.raises(ValueError, match=r"n=3\+2\*\*1=5\. If you still want"):
        engine.draw_base2(1)
