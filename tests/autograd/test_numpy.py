"""Reading tensors that require grad into numpy: refused only where gradients are recorded."""

import numpy as np
import pytest
import torch

import torchish


@pytest.mark.parametrize("m", [torchish, torch], ids=["torchish", "torch"])
def test_numpy_of_a_leaf(m):
    leaf = m.tensor([1.0, 2.0], requires_grad=True)
    with m.no_grad():
        array = leaf.view(-1).numpy()
        assert np.asarray(leaf).tolist() == [1.0, 2.0]
        array[0] = 5.0  # the same memory
    assert leaf.tolist() == [5.0, 2.0]
    with m.inference_mode():
        assert leaf.numpy().tolist() == [5.0, 2.0]
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        leaf.numpy()
