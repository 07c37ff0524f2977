"""segment_reduce, from_file and old method names, against torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchish

SEGMENTS = [{"lengths": [2, 0, 4]}, {"offsets": [0, 2, 2, 6], "initial": 3.0}]


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("given", SEGMENTS, ids=["lengths", "offsets"])
def test_segment_reduce(reduce: str, given: dict[str, Any]) -> None:
    found = []
    for m in (torchish, torch):
        x = (m.arange(12.0) + 1).reshape(6, 2).requires_grad_(True)
        kwargs = {k: m.tensor(v) if isinstance(v, list) else v for k, v in given.items()}
        y = m.segment_reduce(x, reduce, **kwargs)
        m.where(m.isfinite(y), y, m.zeros_like(y)).sum().backward()
        found.append((y.detach().numpy(), x.grad.numpy()))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_segment_reduce_of_batches() -> None:
    for m in (torchish, torch):
        x = m.arange(12.0).reshape(2, 6)
        got = m.segment_reduce(x, "sum", lengths=m.tensor([[2, 4], [3, 3]]), axis=1)
        assert got.tolist() == [[1.0, 14.0], [21.0, 30.0]]


@pytest.mark.parametrize(
    "kwargs", [{"lengths": [2, 5]}, {"lengths": [2, 4], "reduce": "foo"}, {}], ids=str
)
def test_segment_reduce_refuses(kwargs: dict[str, Any]) -> None:
    texts = []
    for m in (torchish, torch):
        given = {k: m.tensor(v) if isinstance(v, list) else v for k, v in kwargs.items()}
        reduce = given.pop("reduce", "sum")
        with pytest.raises(RuntimeError) as caught:
            m.segment_reduce(m.ones(6), reduce, **given)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_from_file_reads_and_shares(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    np.arange(4, dtype=np.float32).tofile(path)
    assert torchish.from_file(str(path), size=3).tolist() == [0, 1, 2]
    shared = torchish.from_file(str(path), size=4, shared=True)
    shared[0] = 9
    assert shared.tolist() == [9, 1, 2, 3]
    assert np.fromfile(path, np.float32).tolist() == [9, 1, 2, 3]
    with pytest.raises(RuntimeError, match="unable to open file"):
        torchish.from_file(str(tmp_path / "none.bin"), size=1)


def test_convolution_is_the_general_one() -> None:
    x, w = np.ones((1, 2, 5, 5), np.float32), np.ones((2, 2, 3, 3), np.float32)
    for transposed in (False, True):
        got = [
            m.convolution(
                m.from_numpy(x),
                m.from_numpy(w),
                None,
                [2, 2],
                [1, 1],
                [1, 1],
                transposed,
                [0, 0],
                1,
            ).numpy()
            for m in (torchish, torch)
        ]
        np.testing.assert_allclose(got[0], got[1])


@pytest.mark.parametrize("name", ["eig", "symeig", "lstsq", "solve", "reinforce"])
def test_removed_methods_say_so(name: str) -> None:
    with pytest.raises(RuntimeError, match="removed"):
        getattr(torchish.zeros(2, 2), name)(torchish.zeros(2, 2))


def test_the_old_resize_is_a_view_and_warns() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert torchish.zeros(2, 3).resize(6).shape == (6,)
        assert torchish.zeros(2, 3).resize_as(torchish.zeros(3, 2)).shape == (3, 2)
    assert [str(w.message) for w in caught] == [
        "non-inplace resize is deprecated",
        "non-inplace resize_as is deprecated",
    ]


def test_devices_that_are_absent_and_onnx() -> None:
    for name in ("mps", "xpu", "mtia"):
        assert not getattr(torchish, name).is_available()
        with pytest.raises(RuntimeError, match=f"{name.upper()} devices"):
            getattr(torchish, name).synchronize()
    with pytest.raises(NotImplementedError, match=r"torch\.onnx\.export.*torch\.export"):
        torchish.onnx.export(None, ())
