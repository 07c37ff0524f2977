"""Whether values agree, of one library or of both; nothing here imports PyTorch.

Children on devices and ranks of their own compare by these alone, `tests/oracle.py` by these too.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

import torchish


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of either library."""
    torch = sys.modules.get("torch")  # where it was never imported there are none of its tensors
    kinds = torchish.Tensor if torch is None else torchish.Tensor | torch.Tensor
    return isinstance(value, kinds)


def array(tensor: Any) -> np.ndarray[Any, Any]:
    """A tensor's values on the host; bfloat16 in float32."""
    tensor = tensor.detach().cpu().resolve_conj()
    return np.asarray((tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy())


def same(
    ours: Any, theirs: Any, rtol: float = 1e-5, atol: float | None = None, what: str = ""
) -> None:
    """Assert that two values agree: tensors in dtype, shape and values, containers item by item.

    `atol` is `rtol` where it is not given; text must be equal but for the library's name.
    """
    atol = rtol if atol is None else atol
    if is_tensor(theirs):
        assert is_tensor(ours), f"{what}: {ours!r} is no tensor"
        assert str(ours.dtype) == str(theirs.dtype), what
        same(array(ours), array(theirs), rtol, atol, what)
    elif isinstance(theirs, np.ndarray):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), what
        np.testing.assert_allclose(ours, theirs, rtol, atol, err_msg=what)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), what
        for key, value in theirs.items():
            same(ours[key], value, rtol, atol, f"{what}[{key!r}]")
    elif isinstance(theirs, list | tuple):
        assert isinstance(ours, list | tuple) and len(ours) == len(theirs), what
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, rtol, atol, f"{what}[{k}]")
    elif isinstance(theirs, float):
        assert ours == theirs or abs(ours - theirs) <= atol * max(1, abs(theirs)), what
    elif isinstance(theirs, str):
        assert named(ours) == named(theirs), what
    else:
        assert ours == theirs, f"{what}: {ours!r} != {theirs!r}"


def named(text: str) -> str:
    """A text with PyTorch's name for the library."""
    return re.sub(r"\btorchish\b", "torch", text)


def close(ours: Any, theirs: Any, tolerance: float = 1e-6) -> None:
    """Assert that two arrays, of any library, agree."""
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), tolerance, tolerance)
