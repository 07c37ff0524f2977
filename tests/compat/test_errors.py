"""Bad input: PyTorch's exception class and message, raised by the call, and nothing is changed.

A case is a function of the library and of tensors made from arrays; it must raise in both. After
it the tensors hold what they held, with the version they had, and gradients are recorded as before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.compat.sheet_runner import SUBJECT, library_module, text_of_error

RNG = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32) + 0.1


def d(*shape: int) -> np.ndarray:
    return f(*shape).astype(np.float64)


def i(*shape: int) -> np.ndarray:
    return RNG.integers(0, 2, shape)


def b(*shape: int) -> np.ndarray:
    return RNG.random(shape) < 0.5


def nnf(library: Any) -> Any:
    return library.nn.functional


@dataclasses.dataclass
class Case:
    """`act(library, *tensors)` must raise; `needs_grad` are positions of leaves that require it."""

    act: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    needs_grad: tuple[int, ...] = ()
    text: bool = True
    hint: bool = False  # torch's text, and then how to get what is missing


CASES: dict[str, Case] = {}


def bad(name: str, act: Callable[..., Any], *arrays: np.ndarray, **options: Any) -> None:
    assert name not in CASES
    CASES[name] = Case(act, arrays, **options)


# Shapes that do not fit.
bad("add", lambda t, x, y: x + y, f(2, 3), f(4))
bad("add function", lambda t, x, y: t.add(x, y), f(2, 3), f(2, 4))
bad("mul", lambda t, x, y: x * y, f(3), f(4))
bad("compare", lambda t, x, y: x < y, f(3), f(4))
bad("where", lambda t, c, x, y: t.where(c, x, y), b(3), f(3), f(4))
bad("mm", lambda t, x, y: t.mm(x, y), f(2, 3), f(4, 5))
bad("mm of a vector", lambda t, x, y: t.mm(x, y), f(2, 3), f(3))
bad("matmul", lambda t, x, y: x @ y, f(2, 3), f(2, 3))
bad("matmul of a scalar", lambda t, x, y: t.matmul(x, y), f(2, 3), f())
bad("matmul vector", lambda t, x, y: x @ y, f(2, 3), f(4))
bad("matmul batches", lambda t, x, y: x @ y, f(2, 3, 4), f(3, 4, 5))
bad("bmm", lambda t, x, y: t.bmm(x, y), f(2, 3, 4), f(2, 3, 4))
bad("bmm of matrices", lambda t, x, y: t.bmm(x, y), f(3, 4), f(4, 5))
bad("mv", lambda t, x, y: t.mv(x, y), f(2, 3), f(2))
bad("dot", lambda t, x, y: t.dot(x, y), f(3), f(4))
bad("dot of matrices", lambda t, x, y: t.dot(x, y), f(3, 2), f(3, 2))
bad("addmm", lambda t, x, y: t.addmm(t.zeros(3, 3), x, y), f(2, 3), f(3, 4))
bad("addr", lambda t, x, y: t.addr(t.zeros(4, 3), x, y), f(1, 4), f(1, 3))
bad("outer", lambda t, x, y: t.outer(x, y), f(1, 4), f(3))
bad("cat", lambda t, x, y: t.cat([x, y]), f(2, 3), f(2, 4))
bad("cat dims", lambda t, x, y: t.cat([x, y]), f(2, 3), f(3))
bad("cat of nothing", lambda t: t.cat([]))
bad("cat of a number", lambda t, x: t.cat([x, x]), f())
bad("stack", lambda t, x, y: t.stack([x, y]), f(2, 3), f(2, 4))
bad("stack of nothing", lambda t: t.stack([]))
bad("hstack of nothing", lambda t: t.hstack([]))
bad("view", lambda t, x: x.view(4, 2), f(2, 3))
bad("view two unknowns", lambda t, x: x.view(-1, -1), f(2, 3))
bad("view unknown", lambda t, x: x.view(-1, 4), f(2, 3))
bad("view negative", lambda t, x: x.view(-2, 3), f(2, 3))
bad("view of a transposed", lambda t, x: x.t().view(6), f(2, 3))
bad("view of an expanded", lambda t, x: x.expand(2, 3, 4).view(3, -1), f(3, 1))
bad("reshape", lambda t, x: x.reshape(5), f(2, 3))
bad("reshape unknown of nothing", lambda t, x: x.reshape(-1, 0), f(0, 3))
bad("expand", lambda t, x: x.expand(2, 4), f(2, 3))
bad("expand fewer", lambda t, x: x.expand(3), f(2, 3))
bad("expand new unknown", lambda t, x: x.expand(-1, 2, 3), f(2, 3))
bad("broadcast_to", lambda t, x: t.broadcast_to(x, (2, 4)), f(3))
bad("permute", lambda t, x: x.permute(0, 1), f(2, 3, 4))
bad("permute twice", lambda t, x: x.permute(0, 0), f(2, 3))
bad("t of three", lambda t, x: x.t(), f(2, 3, 4))
bad("split sizes", lambda t, x: x.split([1, 1]), f(3, 2))
bad("split zero", lambda t, x: x.split(-1), f(3, 2))
bad("chunk zero", lambda t, x: x.chunk(0), f(3, 2))
bad("unflatten", lambda t, x: x.unflatten(0, (2, 2)), f(3, 2))
bad("flatten", lambda t, x: x.flatten(1, 0), f(3, 2))
bad("repeat", lambda t, x: x.repeat(2), f(2, 3))
bad("as_strided", lambda t, x: x.as_strided((4, 4), (4, 1)), f(2, 3))
bad("diagonal", lambda t, x: x.diagonal(), f(3))
bad("tril", lambda t, x: x.tril(), f(3))
bad("copy_", lambda t, x, y: x.copy_(y), f(2, 3), f(4))
bad("add_ that would grow", lambda t, x, y: x.add_(y), f(3), f(2, 3))
bad("masked_fill_", lambda t, x, m: x.masked_fill_(m, 0), f(2, 3), b(4), text=False)
bad("dist", lambda t, x, y: t.dist(x, y), f(3), f(4))
bad("cross", lambda t, x, y: t.linalg.cross(x, y), f(4), f(4))
bad("einsum", lambda t, x, y: t.einsum("ij,jk->ik", x, y), f(2, 3), f(4, 5))
bad("lerp", lambda t, x, y: t.lerp(x, y, 0.5), f(3), f(4))
bad("empty max", lambda t, x: x.max(), f(0))
bad("empty argmax", lambda t, x: x.argmax(), f(0, 2))
bad("empty argmax dim", lambda t, x: x.argmax(0), f(0, 2))
bad("empty max dim", lambda t, x: x.max(0), f(0, 2))
bad("negative size", lambda t: t.zeros(-1, 2))

# Dimensions and indices out of range.
bad("sum dim", lambda t, x: x.sum(2), f(2, 3))
bad("sum negative dim", lambda t, x: x.sum(-3), f(2, 3))
bad("sum dim twice", lambda t, x: x.sum((0, 0)), f(2, 3))
bad("sum dim twice in disguise", lambda t, x: x.sum((1, -1)), f(2, 3))
bad("softmax dim", lambda t, x: x.softmax(2), f(2, 3))
bad("squeeze dim", lambda t, x: x.squeeze(2), f(2, 3))
bad("unsqueeze dim", lambda t, x: x.unsqueeze(4), f(2, 3))
bad("transpose dim", lambda t, x: x.transpose(0, 2), f(2, 3))
bad("size dim", lambda t, x: x.size(2), f(2, 3))
bad("dim of a number", lambda t, x: x.sum(1), f())
bad("cat dim", lambda t, x: t.cat([x, x], 2), f(2, 3))
bad("stack dim", lambda t, x: t.stack([x, x], 4), f(2, 3))
bad("cumsum dim", lambda t, x: x.cumsum(2), f(2, 3))
bad("argmax dim", lambda t, x: x.argmax(2), f(2, 3))
bad("select", lambda t, x: x.select(0, 2), f(2, 3))
bad("narrow", lambda t, x: x.narrow(0, 1, 5), f(2, 3))
bad("narrow start", lambda t, x: x.narrow(0, 5, 1), f(2, 3))
bad("narrow length", lambda t, x: x.narrow(0, 0, -1), f(2, 3))
bad("index", lambda t, x: x[2], f(2, 3))
bad("negative index", lambda t, x: x[-3], f(2, 3))
bad("index second", lambda t, x: x[0, 3], f(2, 3))
bad("index list", lambda t, x: x[[0, 5]], f(2, 3))
bad("index list negative", lambda t, x: x[[-4]], f(2, 3))
bad("index second list", lambda t, x: x[:, [3]], f(2, 3))
bad("index tensor", lambda t, x: x[t.tensor([0, 7])], f(2, 3))
bad("index lists that differ", lambda t, x: x[[0, 1], [0, 1, 2]], f(2, 3))
bad("too many indices", lambda t, x: x[0, 0, 0], f(2, 3))
bad("index of a number", lambda t, x: x[0], f())
bad("index by float", lambda t, x: x[1.5], f(2, 3), text=False)
bad("index by text", lambda t, x: x["a"], f(2, 3), text=False)
bad("index by float tensor", lambda t, x, y: x[y], f(2, 3), f(2))
bad("negative step", lambda t, x: x[::-1], f(3))
bad("zero step", lambda t, x: x[::0], f(3))
bad("mask of other shape", lambda t, x, m: x[m], f(2, 3), b(2, 4))
bad("mask too long", lambda t, x, m: x[m], f(2, 3), b(3))
bad("assign index", lambda t, x: x.__setitem__(5, 1.0), f(2, 3))
bad("assign shape", lambda t, x, y: x.__setitem__(0, y), f(2, 3), f(4))
bad("assign mask shape", lambda t, x, m, y: x.__setitem__(m, y), f(3), np.array([True] * 3), f(2))
bad("assign list out of range", lambda t, x: x.__setitem__([0, 9], 1.0), f(3))
bad("index_select", lambda t, x: x.index_select(0, t.tensor([2])), f(2, 3))
bad("index_select matrix", lambda t, x: x.index_select(0, t.tensor([[0]])), f(2, 3))
bad("index_select floats", lambda t, x: x.index_select(0, t.tensor([0.0])), f(2, 3))
bad("gather", lambda t, x: x.gather(0, t.tensor([[2, 0, 0]])), f(2, 3))
bad("gather dims", lambda t, x: x.gather(0, t.tensor([0])), f(2, 3))
bad("gather floats", lambda t, x: x.gather(0, t.tensor([[0.0]])), f(2, 3))
bad("gather shape", lambda t, x: x.gather(0, t.zeros(1, 5, dtype=t.int64)), f(2, 3))
bad("scatter", lambda t, x: x.scatter(1, t.tensor([[3]]), 1.0), f(2, 3))
bad("scatter_ leaves things", lambda t, x: x.scatter_(1, t.tensor([[0, 3]]), 1.0), f(2, 3))
bad("take", lambda t, x: x.take(t.tensor([6])), f(2, 3))
bad("embedding", lambda t, x: nnf(t).embedding(t.tensor([4]), x), f(4, 2))
bad("embedding floats", lambda t, x: nnf(t).embedding(t.tensor([1.0]), x), f(4, 2))
bad("topk", lambda t, x: x.topk(5), f(2, 3))
bad("kthvalue", lambda t, x: x.kthvalue(5), f(2, 3))
bad("unbind", lambda t, x: x.unbind(2), f(2, 3))
bad("one_hot", lambda t, x: nnf(t).one_hot(t.tensor([3]), 2), f(1))
bad("masked_select", lambda t, x, m: x.masked_select(m), f(2, 3), i(2, 3))

# Indices that are themselves being computed: noticed when the result is read, at the latest.
bad("computed index", lambda t, x, j: x[j + 4], f(2, 3), i(2))
bad("computed negative index", lambda t, x, j: x[j - 9], f(2, 3), i(2))
bad("computed gather", lambda t, x, j: x.gather(0, j + 4), f(2, 3), i(2, 3))
bad("computed index_select", lambda t, x, j: x.index_select(0, j + 4), f(2, 3), i(2))
bad("computed take", lambda t, x, j: x.take(j + 6), f(2, 3), i(2))
bad("computed classes", lambda t, x, j: nnf(t).cross_entropy(x, j + 3), f(2, 3), i(2))
bad("computed words", lambda t, x, j: nnf(t).embedding(j + 4, x), f(4, 2), i(2))

# Dtypes that do not fit.
bad("mm dtypes", lambda t, x, y: t.mm(x, y), f(2, 2), d(2, 2))
bad("matmul dtypes", lambda t, x, y: x @ y, f(2, 2), i(2, 2))
bad("dot dtypes", lambda t, x, y: t.dot(x, y), f(2), d(2))
bad("linear dtypes", lambda t, x, y: nnf(t).linear(x, y), d(2, 3), f(2, 3))
bad("conv dtypes", lambda t, x, w: nnf(t).conv2d(x, w), d(1, 1, 4, 4), f(1, 1, 2, 2))
bad(
    "conv bias dtypes",
    lambda t, x, w, v: nnf(t).conv2d(x, w, v),
    d(1, 1, 4, 4),
    f(1, 1, 2, 2),
    f(1),
)
bad("mean of ints", lambda t, x: x.mean(), i(3))
bad("mean of bools", lambda t, x: x.mean(), b(3))
bad("std of ints", lambda t, x: x.std(), i(3))
bad("norm of ints", lambda t, x: x.norm(), i(3))
bad("subtract bools", lambda t, x, y: x - y, b(3), b(3))
bad("negate bools", lambda t, x: -x, b(3))
bad("invert floats", lambda t, x: ~x, f(3))
bad("and of floats", lambda t, x, y: x & y, f(3), f(3))
bad("add floats into ints", lambda t, x, y: x.add_(y), i(3), f(3))
bad("halves into ints", lambda t, x: x.mul_(0.5), i(3))
bad("division into ints", lambda t, x: x.div_(2), i(3))
bad("ints into bools", lambda t, x, y: x.add_(y), b(3), i(3))
bad("exp into ints", lambda t, x: x.exp_(), i(3))
bad("integer powers", lambda t, x: x**-1, i(3))
bad("alpha for bools", lambda t, x, y: t.add(x, y, alpha=2.5), i(3), i(3))
bad("lerp of ints", lambda t, x, y: t.lerp(x, y, 0.5), i(3), i(3))
bad("softmax of ints", lambda t, x: x.softmax(0), i(3))
bad("clamp without bounds", lambda t, x: x.clamp(), f(3))
bad("ints require grad", lambda t, x: x.requires_grad_(), i(3))
bad("int tensor requires grad", lambda t: t.tensor([1, 2], requires_grad=True))
bad("int zeros require grad", lambda t: t.zeros(2, dtype=t.int64, requires_grad=True))
bad("int parameter", lambda t, x: t.nn.Parameter(x), i(3))
bad("setting requires_grad of ints", lambda t, x: setattr(x, "requires_grad", True), i(3))
bad("where condition", lambda t, x, y: t.where(x, x, y), f(3), f(3))
bad("masked_fill mask", lambda t, x, m: x.masked_fill(m, 0), f(3), i(3))
bad("integer division by zero", lambda t, x: x // 0, i(3))
bad("integer remainder by zero", lambda t, x: x % 0, i(3))
bad("randint empty", lambda t: t.randint(3, 3, (2,)))
bad("bernoulli range", lambda t, x: t.bernoulli(x + 1), f(3))
bad("normal std", lambda t, x: x.normal_(0, -1), f(3))
bad("uniform_ range", lambda t, x: x.uniform_(2, 1), f(3))
bad("default dtype", lambda t: t.set_default_dtype(t.int64))

# Values read, conversions, construction.
bad("item of many", lambda t, x: x.item(), f(3))
bad("item of none", lambda t, x: x.item(), f(0))
bad("float of many", lambda t, x: float(x), f(3))
bad("int of many", lambda t, x: int(x), f(3))
bad("truth of many", lambda t, x: bool(x), f(3))
bad("truth of none", lambda t, x: bool(x), f(0))
bad("if of many", lambda t, x, y: 1 if x == y else 0, f(3), f(3))
bad("index by many", lambda t, x: [1, 2, 3][x], i(3))
bad("index by a float", lambda t, x: [1, 2, 3][x], f())
bad("range of floats", lambda t, x: range(x), f())
bad("len of a number", lambda t, x: len(x), f())
bad("iterate a number", lambda t, x: list(x), f())
bad("contains", lambda t, x: "a" in x, f(3))
bad("numpy of a leaf", lambda t, x: x.numpy(), f(3), needs_grad=(0,))
bad("numpy of a result", lambda t, x: (x * 2).numpy(), f(3), needs_grad=(0,))
bad("ragged list", lambda t: t.tensor([[1, 2], [3]]))
bad("ragged depth", lambda t: t.tensor([1, [2]]), text=False)
bad("list of text", lambda t: t.tensor(["a"]))
bad("text", lambda t: t.tensor("a"))
bad("None", lambda t: t.tensor(None))
bad("object", lambda t: t.tensor(object()))
bad("list of None", lambda t: t.tensor([None]))
bad("array of objects", lambda t: t.from_numpy(np.array([object()])))
bad("array of text", lambda t: t.from_numpy(np.array(["a"])))
bad("no array", lambda t: t.from_numpy([1, 2]))
bad("negative strides", lambda t: t.from_numpy(np.arange(3)[::-1]))
bad("new_ones without size", lambda t, x: x.new_ones(), f(3))
bad("arange step zero", lambda t: t.arange(0, 3, 0))
bad("arange wrong way", lambda t: t.arange(3, 0, 1))
bad("linspace steps", lambda t: t.linspace(0, 1, -1))
bad("eye", lambda t: t.eye(-1))
bad("zeros of text", lambda t: t.zeros("a"), text=False)
bad("zeros of floats", lambda t: t.zeros(2.5), text=False)
bad("unknown keyword", lambda t, x: t.sum(x, axes=1), f(3), text=False)
bad("too few arguments", lambda t, x: t.mm(x), f(2, 2), text=False)
bad("no tensor", lambda t: t.exp(1.0), text=False)
bad("no list", lambda t, x: t.cat(x), f(3), text=False)
bad("out of the wrong dtype", lambda t, x: t.exp(x, out=t.zeros(3, dtype=t.int64)), f(3))
bad("attribute", lambda t, x: x.no_such_thing, f(3))
bad("set attribute of shape", lambda t, x: setattr(x, "shape", (3,)), f(3), text=False)

# Devices.
bad("no such device", lambda t: t.device("foo"))
bad("device number", lambda t: t.device("cpu:x"))
bad("cuda", lambda t: t.zeros(2, device="cuda"), hint=True)
bad("cuda tensor", lambda t, x: x.cuda(), f(3), hint=True)
bad("to cuda", lambda t, x: x.to("cuda:0"), f(3), hint=True)
bad("module to cuda", lambda t: t.nn.Linear(2, 2).cuda(), hint=True)
bad("meta with cpu", lambda t, x: t.zeros(3, device="meta").item(), f(3))

# Gradients.
bad("backward of many", lambda t, x: (x * 2).backward(), f(3), needs_grad=(0,))
bad("backward without graph", lambda t, x: x.sum().backward(), f(3))
bad("backward shape", lambda t, x: (x * 2).backward(t.ones(4)), f(3), needs_grad=(0,))
bad("grad of nothing", lambda t, x, y: t.autograd.grad(x.sum(), y), f(3), f(3), needs_grad=(0, 1))
bad(
    "grad of a plain input",
    lambda t, x, y: t.autograd.grad(x.sum(), y),
    f(3),
    f(3),
    needs_grad=(0,),
)
bad("in-place on a leaf", lambda t, x: x.add_(1), f(3), needs_grad=(0,))
bad("in-place mul on a leaf", lambda t, x: x.mul_(2), f(3), needs_grad=(0,))
bad("zero_ on a leaf", lambda t, x: x.zero_(), f(3), needs_grad=(0,))
bad("operator on a leaf", lambda t, x: x.__iadd__(1), f(3), needs_grad=(0,))
bad("assignment into a leaf", lambda t, x: x.__setitem__(0, 1.0), f(3), needs_grad=(0,))
bad("in-place on a view of a leaf", lambda t, x: x[0].add_(1), f(3), needs_grad=(0,))
bad("in-place on an expanded", lambda t, x: x.expand(2, 3).add_(1), f(3))
bad("out= that requires grad", lambda t, x, y: t.exp(x, out=y), f(3), f(3), needs_grad=(0, 1))
bad("requires_grad of a result", lambda t, x: (x * 2).requires_grad_(False), f(3), needs_grad=(0,))
bad("grad of other shape", lambda t, x: setattr(x, "grad", t.ones(4)), f(3), needs_grad=(0,))
bad(
    "grad of other dtype",
    lambda t, x: setattr(x, "grad", t.ones(3).double()),
    f(3),
    needs_grad=(0,),
)
bad("grad that is no tensor", lambda t, x: setattr(x, "grad", 1.0), f(3), needs_grad=(0,))
bad("retain_grad", lambda t, x: x.retain_grad(), f(3))
bad("hook without grad", lambda t, x: x.register_hook(lambda g: g), f(3))
bad("deepcopy of a result", lambda t, x: __import__("copy").deepcopy(x * 2), f(3), needs_grad=(0,))
bad("detach_ of a view", lambda t, x: (x * 2)[0].detach_(), f(3), needs_grad=(0,))

# Layers and losses.
bad("linear", lambda t, x: t.nn.Linear(4, 2)(x), f(2, 3))
bad("conv2d channels", lambda t, x: t.nn.Conv2d(3, 5, 3)(x), f(1, 4, 8, 8))
bad("conv2d dims", lambda t, x: t.nn.Conv2d(3, 5, 3)(x), f(8, 8))
bad("conv2d too small", lambda t, x: t.nn.Conv2d(3, 5, 4)(x), f(1, 3, 2, 2))
bad("conv1d channels", lambda t, x: t.nn.Conv1d(3, 5, 3)(x), f(1, 4, 8))
bad("conv1d dims", lambda t, x: t.nn.Conv1d(3, 5, 3)(x), f(1, 1, 3, 8))
bad("conv3d dims", lambda t, x: t.nn.Conv3d(3, 5, 3)(x), f(3, 8))
bad("conv2d stride", lambda t, x, w: nnf(t).conv2d(x, w, stride=0), f(1, 1, 4, 4), f(1, 1, 2, 2))
bad("conv2d padding", lambda t, x, w: nnf(t).conv2d(x, w, padding=-1), f(1, 1, 4, 4), f(1, 1, 2, 2))
bad("conv2d groups", lambda t, x, w: nnf(t).conv2d(x, w, groups=2), f(1, 4, 4, 4), f(3, 2, 2, 2))
bad("conv2d bias", lambda t, x, w, v: nnf(t).conv2d(x, w, v), f(1, 1, 4, 4), f(2, 1, 2, 2), f(3))
bad("conv layer groups", lambda t: t.nn.Conv2d(3, 4, 3, groups=2))
bad("conv layer outputs", lambda t: t.nn.Conv2d(4, 3, 3, groups=2))
bad("conv layer padding mode", lambda t: t.nn.Conv2d(1, 1, 3, padding_mode="x"), text=False)
bad("conv layer padding word", lambda t: t.nn.Conv2d(1, 1, 3, padding="all"))
bad("conv same with stride", lambda t: t.nn.Conv2d(1, 1, 3, padding="same", stride=2))
bad("conv transpose channels", lambda t, x: t.nn.ConvTranspose2d(3, 5, 3)(x), f(1, 4, 8, 8))
bad(
    "conv transpose output size",
    lambda t, x: t.nn.ConvTranspose2d(1, 1, 3)(x, output_size=[20, 20]),
    f(1, 1, 4, 4),
)
bad(
    "conv transpose output padding",
    lambda t, x: t.nn.ConvTranspose2d(1, 1, 3, output_padding=1)(x),
    f(1, 1, 4, 4),
)
bad("batch norm channels", lambda t, x: t.nn.BatchNorm2d(3)(x), f(2, 4, 2, 2))
bad("batch norm dims", lambda t, x: t.nn.BatchNorm2d(3)(x), f(2, 3))
bad("batch norm 1d dims", lambda t, x: t.nn.BatchNorm1d(3)(x), f(2, 3, 4, 4))
bad("batch norm of one value", lambda t, x: t.nn.BatchNorm1d(3)(x), f(1, 3))
bad("layer norm", lambda t, x: t.nn.LayerNorm(4)(x), f(2, 3))
bad("group norm", lambda t: t.nn.GroupNorm(2, 3))
bad("dropout", lambda t: t.nn.Dropout(1.5))
bad("dropout function", lambda t, x: nnf(t).dropout(x, -0.1), f(3))
bad("max pool kernel", lambda t, x: nnf(t).max_pool2d(x, 5), f(1, 1, 3, 3))
bad("max pool padding", lambda t, x: nnf(t).max_pool2d(x, 2, padding=2), f(1, 1, 4, 4))
bad("max pool dims", lambda t, x: nnf(t).max_pool2d(x, 2), f(4, 4))
bad("avg pool padding", lambda t, x: nnf(t).avg_pool2d(x, 2, padding=2), f(1, 1, 4, 4))
bad("pad", lambda t, x: nnf(t).pad(x, (1, 1, 1)), f(2, 3))
bad("pad too many", lambda t, x: nnf(t).pad(x, (1, 1, 1, 1)), f(3))
bad("pad reflect", lambda t, x: nnf(t).pad(x, (3, 3), mode="reflect"), f(1, 1, 3))
bad("interpolate mode", lambda t, x: nnf(t).interpolate(x, 4, mode="cubic"), f(1, 1, 2, 2))
bad("interpolate neither", lambda t, x: nnf(t).interpolate(x), f(1, 1, 2, 2))
bad("interpolate both", lambda t, x: nnf(t).interpolate(x, 4, 2), f(1, 1, 2, 2))
bad("pixel shuffle", lambda t, x: nnf(t).pixel_shuffle(x, 2), f(1, 3, 2, 2))
bad("cross entropy batch", lambda t, x: nnf(t).cross_entropy(x, t.tensor([0])), f(2, 3))
bad("cross entropy class", lambda t, x: nnf(t).cross_entropy(x, t.tensor([0, 3])), f(2, 3))
bad("cross entropy negative", lambda t, x: nnf(t).cross_entropy(x, t.tensor([0, -1])), f(2, 3))
bad("cross entropy floats", lambda t, x: nnf(t).cross_entropy(x, t.tensor([0.0, 1.0])), f(2, 3))
bad(
    "cross entropy weight",
    lambda t, x, w: nnf(t).cross_entropy(x, t.tensor([0, 1]), w),
    f(2, 3),
    f(2),
)
bad(
    "cross entropy smoothing",
    lambda t, x: nnf(t).cross_entropy(x, t.tensor([0, 1]), label_smoothing=2.0),
    f(2, 3),
)
bad("nll dtype", lambda t, x: nnf(t).nll_loss(x, t.tensor([0.0, 1.0])), f(2, 3))
bad("bce shape", lambda t, x, y: nnf(t).binary_cross_entropy(x, y), f(2, 1) / 2, f(2) / 2)
bad("bce range", lambda t, x, y: nnf(t).binary_cross_entropy(x, y), f(2) + 1, f(2) / 2)
bad("bce ints", lambda t, x, y: nnf(t).binary_cross_entropy(x, y), f(2) / 2, i(2))
bad(
    "bce logits shape", lambda t, x, y: nnf(t).binary_cross_entropy_with_logits(x, y), f(2, 1), f(2)
)
bad("mse reduction", lambda t, x, y: nnf(t).mse_loss(x, y, reduction="average"), f(2), f(2))
bad("mse shape", lambda t, x, y: nnf(t).mse_loss(x, y), f(2), f(3))
bad("module without forward", lambda t, x: t.nn.Module()(x), f(2))
bad("module attribute", lambda t: t.nn.Linear(2, 2).no_such_thing)
bad(
    "parameter that is no parameter",
    lambda t, x: t.nn.Linear(2, 3).register_parameter("p", x),
    f(2),
)
bad("plain tensor for a parameter", lambda t, x: setattr(t.nn.Linear(2, 3), "weight", x), f(2))
bad("load_state_dict missing", lambda t: t.nn.Linear(2, 3).load_state_dict({}))
bad(
    "load_state_dict shape",
    lambda t, x, y: t.nn.Linear(2, 3).load_state_dict({"weight": x, "bias": y}),
    f(3, 3),
    f(3),
)
bad(
    "load_state_dict extra",
    lambda t, x, y: t.nn.Linear(2, 3).load_state_dict({"weight": x, "bias": y, "z": y}),
    f(3, 2),
    f(3),
)
bad("rnn input", lambda t, x: t.nn.LSTM(3, 4)(x), f(5, 2, 2))

# Optimizers and data.
bad("optimizer of nothing", lambda t: t.optim.SGD([], lr=0.1))
bad("optimizer of a tensor", lambda t, x: t.optim.SGD(x, lr=0.1), f(2), needs_grad=(0,))
bad("optimizer of a result", lambda t, x: t.optim.SGD([x * 2], lr=0.1), f(2), needs_grad=(0,))
bad("negative lr", lambda t, x: t.optim.SGD([x], lr=-1), f(2), needs_grad=(0,))
bad("adam betas", lambda t, x: t.optim.Adam([x], betas=(1.0, 0.9)), f(2), needs_grad=(0,))
bad("nesterov", lambda t, x: t.optim.SGD([x], lr=0.1, nesterov=True), f(2), needs_grad=(0,))
bad(
    "parameter in two groups",
    lambda t, x: t.optim.SGD([{"params": [x]}, {"params": [x]}], lr=0.1),
    f(2),
    needs_grad=(0,),
)
bad("tensor dataset sizes", lambda t, x, y: t.utils.data.TensorDataset(x, y), f(2), f(3))
bad("batch size", lambda t, x: t.utils.data.DataLoader(x, batch_size=0), f(2))
bad("workers", lambda t, x: t.utils.data.DataLoader(x, num_workers=-1), f(2))
bad(
    "shuffle with sampler", lambda t, x: t.utils.data.DataLoader(x, sampler=[0], shuffle=True), f(2)
)
bad(
    "unequal items",
    lambda t, x: next(iter(t.utils.data.DataLoader([x, x[:1]], batch_size=2))),
    f(2),
)


def outcome(library: str, case: Case) -> tuple[str, str, list[np.ndarray]]:
    """Class and text of what the case raises, and what its tensors hold afterwards."""
    lib = library_module(library, "torch")
    tensors = [lib.tensor(array) for array in case.arrays]
    for position in case.needs_grad:
        tensors[position].requires_grad_()
    versions = [tensor._version for tensor in tensors]
    with pytest.raises(Exception) as raised:
        result = case.act(lib, *tensors)
        # What depends on numbers still being computed shows when they are read.
        getattr(result, "tolist", lambda: None)()
    assert lib.is_grad_enabled()
    assert [tensor._version for tensor in tensors] == versions
    assert all(tensor.grad is None for tensor in tensors)
    return raised.type.__name__, text_of_error(raised.value), [t.detach().numpy() for t in tensors]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_bad_input(name):
    case = CASES[name]
    kind, text, _ = outcome("torch", case)
    own_kind, own_text, after = outcome(SUBJECT, case)
    assert own_kind == kind, own_text
    if case.hint:
        assert own_text.startswith(f"{text}\n") and "torchish[cuda]" in own_text
    elif case.text:
        assert own_text == text
    for array, left in zip(case.arrays, after, strict=True):
        np.testing.assert_array_equal(left, array)


SEQUENCES = {
    "backward twice": """
        x = torch.ones(2, requires_grad=True)
        y = (x * x).sum()
        y.backward()
        y.backward()
        x.grad
    """,
    "backward after a change of a saved result": """
        x = torch.ones(2, requires_grad=True)
        y = x.exp()
        z = y * 2
        y.add_(1)
        z.sum().backward()
        x.grad
    """,
    "backward after a change of a saved input": """
        x = torch.ones(2, 3, requires_grad=True)
        w = torch.ones(3)
        y = (x * w).sum()
        w[1] = 5
        y.backward()
        x.grad
    """,
    "a change through a view": """
        x = torch.ones(2, 2, requires_grad=True)
        y = x.sigmoid()
        y[0].zero_()
        y.sum().backward()
        x.grad
    """,
    "a change that backward does not need": """
        x = torch.ones(2, requires_grad=True)
        y = x + 1
        y.mul_(3)
        y.sum().backward()
        x.grad
    """,
    "a change under no_grad counts too": """
        x = torch.ones(2, requires_grad=True)
        y = x ** 2
        with torch.no_grad():
            x.add_(1)
        y.sum().backward()
        x.grad
    """,
    "grad twice": """
        x = torch.ones(2, requires_grad=True)
        y = (x * x).sum()
        torch.autograd.grad(y, x)
        torch.autograd.grad(y, x)
    """,
    "inference tensors": """
        with torch.inference_mode():
            x = torch.ones(2)
        x.requires_grad_()
        w = torch.ones(2, requires_grad=True)
        (x * w).sum().backward()
        x.add_(1)
    """,
    "grad mode after an exception": """
        def fails():
            with torch.no_grad():
                torch.ones(2) + torch.ones(3)
        fails()
        torch.is_grad_enabled()
        @torch.no_grad()
        def fails_too():
            raise KeyError(1)
        fails_too()
        torch.is_grad_enabled()
    """,
    "an unused input": """
        x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        torch.autograd.grad((x * 2).sum(), [x, y])
        torch.autograd.grad((x * 2).sum(), [x, y], allow_unused=True)
    """,
}
FAILURES = {
    "a change that backward does not need": 0,
    "grad mode after an exception": 2,
    "inference tensors": 3,
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_bad_sequences(both, name):
    """What goes wrong only some statements later, and what still works after it."""
    both(SEQUENCES[name], raises=FAILURES.get(name, 1))


def test_every_case_is_an_error_in_torch():
    """The table is about PyTorch: a case it accepts would prove nothing."""
    assert torch.__version__.startswith("2.13")
    assert len(CASES) > 200
