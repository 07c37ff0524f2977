"""What `repr`, `str` and `format` say of torchish's own objects is what PyTorch's say."""

from __future__ import annotations

import pytest
import torch

import torchish

TEXTS = {
    "size": lambda t: t.zeros(2, 3).shape,
    "empty size": lambda t: t.zeros(()).size(),
    "slice of a size": lambda t: t.zeros(2, 3).shape[1:],
    "sum of sizes": lambda t: t.zeros(2, 3).shape + t.Size([1]),
    "device": lambda t: t.device("cpu"),
    "device with index": lambda t: t.device("cuda:1"),
    "device of a tensor": lambda t: t.zeros(1).device,
    "finfo": lambda t: t.finfo(t.float32),
    "iinfo": lambda t: t.iinfo(t.int8),
    "layout": lambda t: t.zeros(1).layout,
    "type": lambda t: t.zeros(1).type(),
    "int type": lambda t: t.zeros(1, dtype=t.int64).type(),
    "class": lambda t: type(t.zeros(1)),
    "parameter": lambda t: t.nn.Parameter(t.arange(3.0)),
    "frozen parameter": lambda t: t.nn.Parameter(t.arange(3.0), requires_grad=False),
    "parameter subclass": lambda t: type("P", (t.nn.Parameter,), {})(t.ones(2)),
    "tensor subclass": lambda t: t.ones(2).as_subclass(type("T", (t.Tensor,), {})),
    "empty": lambda t: t.empty(0, 3, dtype=t.int32),
    "meta": lambda t: t.empty(2, device="meta"),
    "contents": lambda t: t.ones(2).__repr__(tensor_contents="..."),
    "leaf": lambda t: t.ones(2, requires_grad=True),
    "add": lambda t: t.ones(2, requires_grad=True) + 1,
    "mean": lambda t: t.ones(2, requires_grad=True).mean(),
    "matmul": lambda t: t.ones(2, 2, requires_grad=True) @ t.ones(2, 2),
    "view": lambda t: t.ones(2, 2, requires_grad=True).view(4),
    "in place": lambda t: (t.ones(2, requires_grad=True) * 2).add_(1),
    "double": lambda t: t.ones(2).double(),
    "half": lambda t: t.tensor([0.1, 1000]).half(),
    "bfloat16": lambda t: t.tensor([0.1, 3e38]).bfloat16(),
    "bool": lambda t: t.tensor([True, False]),
    "complex": lambda t: t.tensor([1 + 2j, -0.5j]),
    "conjugated": lambda t: t.tensor([1 + 2j, -0.5j]).conj(),
    "strided": lambda t: t.arange(12).view(3, 4).t()[::2],
    "expanded": lambda t: t.arange(3).expand(2, 3),
    "named results": lambda t: t.tensor([[1.0, 3.0], [5.0, 2.0]]).max(1),
    "list of tensors": lambda t: [t.ones(1), t.zeros(())],
    "format number": lambda t: f"{t.tensor(1.23456):.2f} {t.tensor(7):5d} {t.tensor(True)}",
    "format that requires grad": lambda t: f"{t.tensor(1.5, requires_grad=True):.1f}",
    "format array": lambda t: f"{t.arange(3)}",
    "percent": lambda t: "%.3f" % t.tensor(0.5),  # noqa: UP031
    "set_default_dtype": lambda t: (t.set_default_dtype(t.float64), t.ones(2), t.ones(2).float()),
    "precision": lambda t: (t.set_printoptions(precision=2), t.tensor([1.12345])),
    "full": lambda t: (t.set_printoptions(profile="full"), t.arange(1200).view(30, 40)),
    "summary": lambda t: t.arange(3000.0).view(3, 1000),
    "sci_mode": lambda t: (t.set_printoptions(sci_mode=True), t.tensor([1.0, 2.0])),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name):
    said = []
    for library in (torch, torchish):
        try:
            said.append((repr(TEXTS[name](library)), str(TEXTS[name](library))))
        finally:
            library.set_default_dtype(library.float32)
            library.set_printoptions(profile="default")
    assert said[1] == said[0]


@pytest.mark.parametrize(
    "name",
    "float32 float64 float16 bfloat16 int8 uint8 int16 int32 int64 bool complex64 complex128 "
    "float double half long int short".split(),
)
def test_dtypes(name):
    assert repr(getattr(torchish, name)) == repr(getattr(torch, name))


@pytest.mark.parametrize(
    "act",
    [
        lambda t: format(t.ones(2), ".2f"),
        lambda t: format(t.nn.Parameter(t.ones(())), ".2f"),
        lambda t: format(t.tensor(1.5), "d"),
    ],
)
def test_formats_that_fail(act):
    with pytest.raises((TypeError, ValueError)) as theirs:
        act(torch)
    with pytest.raises(theirs.type) as own:
        act(torchish)
    assert str(own.value) == str(theirs.value)


def test_printing_runs_nothing_twice():
    """A printed result is computed once, and printing it again computes nothing."""
    x = torchish.arange(4.0) * 3
    assert repr(x) == repr(x) == "tensor([0., 3., 6., 9.])"
