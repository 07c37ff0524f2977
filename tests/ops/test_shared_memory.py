"""In-place forms on a target whose elements share memory: refused, or written as torch writes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch as oracle

import torchish as torch

Write = Callable[[Any, Any], Any]


def mask(T: Any) -> Any:
    return T.tensor([True, False, False, True])


def zeros(T: Any) -> Any:
    return T.zeros(3, 1, dtype=T.int64)


EXPANDED: dict[str, Write] = {
    "fill_": lambda T, w: w.fill_(5),
    "fill_ tensor": lambda T, w: w.fill_(T.tensor(5.0)),
    "zero_": lambda T, w: w.zero_(),
    "masked_fill_": lambda T, w: w.masked_fill_(mask(T), 9.0),
    "masked_fill_ tensor": lambda T, w: w.masked_fill_(mask(T), T.tensor(9.0)),
    "index_fill_": lambda T, w: w.index_fill_(1, T.tensor([0]), 7.0),
    "index_put_": lambda T, w: w.index_put_((T.tensor([0]),), T.tensor(3.0)),
    "setitem mask": lambda T, w: w.__setitem__(w > 2, 9.0),
    "setitem list": lambda T, w: w.__setitem__([0], 9.0),
    "tril_": lambda T, w: w.tril_(),
    "fill_diagonal_": lambda T, w: w.fill_diagonal_(3),
    "threshold_": lambda T, w: T.nn.functional.threshold_(w, 1.0, 0.0),
    "setitem": lambda T, w: w.__setitem__(0, 9.0),
    "setitem slice": lambda T, w: w.__setitem__(slice(0, 2), 9.0),
    "setitem tensor": lambda T, w: w.__setitem__(slice(0, 2), T.ones(4)),
    "add_": lambda T, w: w.add_(1),
    "copy_": lambda T, w: w.copy_(T.ones(3, 4)),
    "copy_ itself": lambda T, w: w.copy_(w),
    "masked_scatter_": lambda T, w: w.masked_scatter_(mask(T).expand(3, 4), T.arange(12.0)),
    "index_copy_": lambda T, w: w.index_copy_(1, T.tensor([0]), T.ones(3, 1)),
    "index_add_": lambda T, w: w.index_add_(1, T.tensor([0]), T.ones(3, 1)),
    "scatter_": lambda T, w: w.scatter_(1, zeros(T), 4.0),
    "put_": lambda T, w: w.put_(T.tensor([0]), T.tensor([3.0])),
    "addcmul_": lambda T, w: w.addcmul_(w, w),
    "cumsum_": lambda T, w: w.cumsum_(1),
    "relu_": lambda T, w: w.relu_(),
    "normal_": lambda T, w: w.normal_(),
    "addmm_": lambda T, w: w.addmm_(T.ones(3, 2), T.ones(2, 4)),
    "out=": lambda T, w: T.add(T.ones(3, 4), 1, out=w),
    "mm out=": lambda T, w: T.mm(T.ones(3, 2), T.ones(2, 4), out=w),
}


def outcome(T: Any, write: Write, target: Callable[[Any], Any]) -> Any:
    base, view = target(T)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            write(T, view)
            error = ""
        except RuntimeError as caught:
            error = str(caught).split("\n")[0]
    # PyTorch's texts name the line of C++ that they come from.
    said = [str(w.message).split(" (Triggered")[0] for w in told]
    return base.tolist(), error, view._version, said


@pytest.mark.parametrize("name", EXPANDED)
def test_expanded_target(name: str) -> None:
    def target(T: Any) -> Any:
        base = T.arange(1.0, 4.0).reshape(3, 1)
        return base, base.expand(3, 4)

    ours, theirs = (outcome(T, EXPANDED[name], target) for T in (torch, oracle))
    assert ours[:3] == theirs[:3]
    assert set(ours[3]) == set(theirs[3])


OVERLAPPING: dict[str, Write] = {
    "add_": lambda T, w: w.add_(1),
    "mul_": lambda T, w: w.mul_(2),
    "add_ tensor": lambda T, w: w.add_(T.arange(6.0).reshape(3, 2)),
    "copy_": lambda T, w: w.copy_(T.arange(6.0).reshape(3, 2)),
    "addcmul_": lambda T, w: w.addcmul_(T.arange(6.0).reshape(3, 2), T.ones(3, 2)),
    "masked_fill_": lambda T, w: w.masked_fill_(w > 2, -3.0),
    "masked_scatter_": lambda T, w: w.masked_scatter_(w > 2, T.arange(10.0, 16.0)),
    "index_add_": lambda T, w: w.index_add_(0, T.tensor([0, 1, 0]), T.ones(3, 2)),
    "scatter_add_": lambda T, w: w.scatter_add_(
        0, T.zeros(3, 2, dtype=T.int64), T.arange(6.0).reshape(3, 2)
    ),
    "index_fill_": lambda T, w: w.index_fill_(0, T.tensor([1]), 8.0),
    "setitem list": lambda T, w: w.__setitem__([0, -1], 4.0),
    "zero_": lambda T, w: w.zero_(),
    "sigmoid_": lambda T, w: w.sigmoid_(),
}


@pytest.mark.parametrize("name", OVERLAPPING)
@pytest.mark.parametrize("window", ["unfold", "as_strided"])
def test_overlapping_target(name: str, window: str) -> None:
    def target(T: Any) -> Any:
        base = T.arange(1.0, 5.0)
        return base, base.unfold(0, 2, 1) if window == "unfold" else base.as_strided((3, 2), (1, 1))

    ours, theirs = (outcome(T, OVERLAPPING[name], target) for T in (torch, oracle))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    assert ours[1:] == theirs[1:]


GRADIENTS: dict[str, Write] = {
    "copy_": lambda T, w: w.copy_(T.ones(3, 2, requires_grad=True)),
    "copy_ of itself": lambda T, w: w.copy_(w),
    "add_": lambda T, w: w.add_(1.0),
    "cumsum_": lambda T, w: w.cumsum_(1),
    "cumsum_ by columns": lambda T, w: w.cumsum_(0),
    "lerp_": lambda T, w: w.lerp_(T.ones(3, 2), 0.25),
    "put_": lambda T, w: w.put_(T.tensor([0, 0]), T.ones(2), True),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("strides", [(1, 1), (1, 2)])
def test_gradients_of_overlapping_targets(name: str, strides: tuple[int, int]) -> None:
    found = []
    for T in (torch, oracle):
        x = T.arange(1.0, 7.0, requires_grad=True)
        base = x * 1
        GRADIENTS[name](T, base.as_strided((3, 2), strides))
        (base * T.arange(1.0, 7.0)).sum().backward()
        found.append([base.tolist(), x.grad.tolist()])
    assert found[0] == found[1]


def test_set_past_the_end_grows_the_storage() -> None:
    for T in (torch, oracle):
        source, part = T.arange(4.0), T.zeros(2)
        part.set_(source[1:], 1, (3,), (2,))
        part.fill_(5.0)
        assert source.tolist() == [0.0, 1.0, 5.0, 3.0] and part.storage_offset() == 2
        assert source.untyped_storage().nbytes() == 28
        part.set_(source.untyped_storage(), 6, (2,))
        assert source.untyped_storage().nbytes() == 32
        with pytest.raises(RuntimeError, match="must be contiguous"):
            part.set_(source[::2], 0, (2,))


def test_set_takes_the_bytes_of_another_dtype() -> None:
    for T in (torch, oracle):
        source, part = T.arange(4.0, dtype=T.float64), T.zeros(2)
        part.set_(source, 1, (4,), (2,))
        assert part.tolist() == [0.0, 1.875, 2.0, 2.125]  # the upper halves
        part.set_(source, 6, (4,), (1,))  # without strides PyTorch grows it or not, by chance
        part.fill_(2.0)
        assert source.untyped_storage().nbytes() == 40 and source[3].item() == 2.000000476837158
        with pytest.raises(RuntimeError, match="Could not set tensor of type double to a tensor"):
            part.set_(source)


def test_a_saved_tensor_detached_in_place_is_refused() -> None:
    for T in (torch, oracle):
        t = T.ones(2, requires_grad=True) * 2
        square = t * t
        t.detach_()
        with pytest.raises(RuntimeError, match="saved tensor that has been detached in-place"):
            square.sum().backward()
        u = T.ones(2, requires_grad=True) * 2
        total = u + u  # keeps nothing
        u.detach_()
        total.sum().backward()


def test_gradient_through_expanded_memory_fails_as_in_torch() -> None:
    for T in (torch, oracle):
        x = T.ones(3, 1, requires_grad=True)
        y = x * 2
        y.expand(3, 4).fill_(1.0)
        with pytest.raises(RuntimeError, match="more than one element"):
            y.sum().backward()


def test_growing_an_output_keeps_other_tensors_on_it() -> None:
    for T in (torch, oracle):
        base = T.arange(6.0).reshape(2, 3)
        whole, part = base.detach(), base[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            T.add(T.ones(9), 1, out=base)
        assert base.tolist() == [2.0] * 9
        assert whole.tolist() == [[2.0] * 3] * 2 and part.tolist() == [2.0] * 3
