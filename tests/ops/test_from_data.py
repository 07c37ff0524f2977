"""Tensors from numpy arrays of every layout, and by the constructors of old torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish


def _read_only() -> Any:
    array = _base().T.copy(order="F")
    array.flags.writeable = False
    return array


def _base(dtype: str = "f4") -> Any:
    return np.arange(24).astype(dtype).reshape(2, 3, 4)


ARRAYS: dict[str, Callable[[], Any]] = {
    "row-major": _base,
    "column-major": lambda: np.asfortranarray(_base()),
    "transposed": lambda: _base().T,
    "permuted": lambda: _base().transpose(1, 0, 2),
    "channels last": lambda: _base().reshape(1, 2, 3, 4).transpose(0, 3, 1, 2),
    "steps": lambda: _base()[:, ::2],
    "steps at the end": lambda: _base()[..., 1::2],
    "rows": lambda: _base()[:, 1:],
    "vector": lambda: _base()[0, 0, ::2],
    "broadcast": lambda: np.broadcast_to(_base()[:1], (5, 3, 4)),
    "one": lambda: _base()[:1].T,
    "empty": lambda: _base()[:0].T,
    "0-dim": lambda: np.array(3.0, "f4"),
    "double": lambda: np.asfortranarray(_base("f8")),
    "bool": lambda: np.asfortranarray(_base("?")[0]),
    "complex": lambda: np.asfortranarray(_base("c16")[0]),
    "read-only": _read_only,
    "backwards": lambda: _base()[::-1],
    "big-endian": lambda: _base(">f4"),
    "big-endian, empty": lambda: _base(">f4")[:0],
    "number": lambda: np.float32(3),
}
WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "tensor": lambda m, a: m.tensor(a),
    "tensor of dtype": lambda m, a: m.tensor(a, dtype=m.double),
    "as_tensor": lambda m, a: m.as_tensor(a),
    "as_tensor of dtype": lambda m, a: m.as_tensor(a, dtype=m.double),
    "from_numpy": lambda m, a: m.from_numpy(a),
    "asarray": lambda m, a: m.asarray(a),
    "asarray, copied": lambda m, a: m.asarray(a, copy=True),
    "new_tensor": lambda m, a: m.ones(1).new_tensor(a),
    "Tensor": lambda m, a: m.Tensor(a),
    "DoubleTensor": lambda m, a: m.DoubleTensor(a),
    "new": lambda m, a: m.ones(1).new(a),
}


def _seen(make: Callable[[], Any]) -> Any:
    """Facts and values, or the error and its text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complex to real; PyTorch warns once a process
        try:
            made = make()
        except (TypeError, ValueError, RuntimeError) as error:
            return type(error), str(error)
    storage = made.untyped_storage().nbytes()
    return (
        made.shape, made.stride(), made.storage_offset(), made.is_contiguous(), storage,
        str(made.dtype), made.tolist(),
    )  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("array", ARRAYS)
def test_strides_of_arrays(array: str, way: str) -> None:
    mine, theirs = (_seen(lambda m=m: WAYS[way](m, ARRAYS[array]())) for m in (torchish, oracle))
    assert mine == theirs


@pytest.mark.parametrize("way", ["tensor", "new_tensor", "asarray, copied", "as_tensor", "Tensor"])
def test_who_shares_memory(way: str) -> None:
    found = []
    for m in (torchish, oracle):
        array = np.asfortranarray(_base()[0])
        made = WAYS[way](m, array)
        array[0, 1] = 70
        made[1, 1] = 80
        found.append([made.tolist(), array.tolist()])
    assert found[0] == found[1]


NEW: dict[str, Callable[[Any, Any], Any]] = {
    "nothing": lambda m, t: t.new().shape,
    "sizes": lambda m, t: t.new(2, 3).shape,
    "data": lambda m, t: t.new([1, 2.0]),
    "tuple": lambda m, t: t.new((2, 3)),
    "a size": lambda m, t: t.new(m.Size([2, 3])).shape,
    "size=": lambda m, t: t.new(size=(2, 3)).shape,
    "data=": lambda m, t: t.new(data=[1, 2]),
    "other=": lambda m, t: t.new(other=m.zeros(2)),
    "storage": lambda m, t: t.new(m.zeros(3).untyped_storage()),
    "storage=": lambda m, t: t.new(storage=m.zeros(3).untyped_storage()),
    "other storage": lambda m, t: t.new(m.zeros(3).double().storage()),
    "device": lambda m, t: t.new(2, 3, device="cpu").shape,
    "size and device": lambda m, t: t.new(size=(2,), device=m.device("cpu")).shape,
    "data and device": lambda m, t: t.new([1, 2], device="cpu"),
    "other device": lambda m, t: t.new(2, device="meta"),
    "integers": lambda m, t: t.int().new([1, 2]),
    "bools": lambda m, t: t.bool().new([1, 0]),
    "on meta": lambda m, t: t.to("meta").new(2, 3).device,
    "other dtype": lambda m, t: t.new(m.ones(2).double()),
    "text": lambda m, t: t.new("a"),
    "float": lambda m, t: t.new(2.5),
    "negative": lambda m, t: t.new(-1),
    "dtype": lambda m, t: t.new(2, dtype=m.int32),
    "unknown": lambda m, t: t.new(foo=2),
    "number as size": lambda m, t: t.new(size=2),
    "too many": lambda m, t: t.new([1], 2),
}


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("name", NEW)
def test_new(name: str) -> None:
    found = []
    for m in (torchish, oracle):
        try:
            found.append(str(NEW[name](m, m.ones(2, 3))))
        except (TypeError, RuntimeError) as error:
            # The signatures that torch lists then are not repeated.
            found.append(f"{type(error).__name__} {str(error).partition(', but expected one')[0]}")
    assert found[0] == found[1]
