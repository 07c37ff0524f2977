"""Dispatch modes and the counter of operations: names, arguments and counts equal to PyTorch's."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import pytest
import torch as real

import torchish


def seen(torch: Any, call: Any) -> list[str]:
    """What a mode sees while `call()` runs: operators and the shapes of their tensors."""
    modes = importlib.import_module(f"{torch.__name__}.utils._python_dispatch")
    lines: list[str] = []

    def shape(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return f"T{tuple(x.shape)}"
        return [shape(y) for y in x] if isinstance(x, list | tuple) else x

    class Log(modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            lines.append(f"{func} {[shape(a) for a in args]}")
            return func(*args, **(kwargs or {}))

    with Log():
        call()
    return lines


def forward(torch: Any) -> dict[str, Any]:
    nnf, nn = (importlib.import_module(f"{torch.__name__}.nn{m}") for m in (".functional", ""))
    x, w, b, im = torch.ones(2, 3), torch.ones(4, 3), torch.ones(4), torch.ones(2, 3, 8, 8)
    a, c = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    q, target, norm = torch.ones(1, 2, 3, 4), torch.tensor([0, 1]), nn.BatchNorm2d(3, affine=False)
    norm.eval()
    return {
        "linear": lambda: nnf.linear(x, w, b), "no bias": lambda: nnf.linear(x, w),
        "linear 3d": lambda: nnf.linear(a, torch.t(c[0]), None), "mm": lambda: x @ w.t(),
        "mv": lambda: x @ w[0], "bmm": lambda: a @ c, "matmul 4d": lambda: q @ q.transpose(2, 3),
        "add": lambda: x + 1, "add_": lambda: x.add_(1), "mul": lambda: x * x,
        "rsub": lambda: 1 - x, "div": lambda: x / x, "pow": lambda: x**2, "gt": lambda: x > 0,
        "view": lambda: x.view(-1), "reshape": lambda: x.reshape(3, 2),
        "permute": lambda: x.permute(1, 0), "transpose": lambda: x.transpose(0, 1),
        "select": lambda: x[0], "slice": lambda: x[:, 1:], "sum": lambda: x.sum(),
        "sum dim": lambda: x.sum(1), "mean dim": lambda: x.mean(1), "max": lambda: x.max(),
        "max dim": lambda: x.max(1), "relu": lambda: nnf.relu(x), 
        "relu_": lambda: nnf.relu(x, True),
        "gelu": lambda: nnf.gelu(x), "sigmoid": lambda: x.sigmoid(), "exp": lambda: torch.exp(x),
        "softmax": lambda: nnf.softmax(x, 1), "log_softmax": lambda: nnf.log_softmax(x, 1),
        "cross_entropy": lambda: nnf.cross_entropy(x, target), "mse": lambda: nnf.mse_loss(x, x),
        "conv": lambda: nnf.conv2d(im, im[:, :, :3, :3], padding=1),
        "conv_transpose": lambda: nnf.conv_transpose2d(im, im[0][:, None, :2, :2]),
        "batch_norm": lambda: norm(im), "layer_norm": lambda: nnf.layer_norm(x, (3,)),
        "group_norm": lambda: nnf.group_norm(im, 3), "max_pool": lambda: nnf.max_pool2d(im, 2),
        "embedding": lambda: nnf.embedding(target, w), "cat": lambda: torch.cat([x, x]),
        "stack": lambda: torch.stack([x, x]), "split": lambda: x.split(1),
        "chunk": lambda: x.chunk(2, 1), "ones": lambda: torch.ones(2), 
        "rand": lambda: torch.rand(2),
        "zeros_like": lambda: torch.zeros_like(x), "tensor": lambda: torch.tensor([1.0]),
        "clone": lambda: x.clone(), "detach": lambda: x.detach(), "item": lambda: x[0, 0].item(),
        "to": lambda: x.to(torch.float64), "copy_": lambda: x.copy_(x),
        "where": lambda: torch.where(x > 0, x, x), "flatten": lambda: im.flatten(1),
        "attention": lambda: nnf.scaled_dot_product_attention(q, q, q),
        "squeeze": lambda: x.unsqueeze(0).squeeze(0), "expand": lambda: x.expand(5, 2, 3),
        "contiguous": lambda: x.t().contiguous(), "out": lambda: torch.add(x, x, out=w[:2]),
        "topk": lambda: x.topk(1), "argmax": lambda: x.argmax(1), "fill_": lambda: x.fill_(1),
    }  # fmt: skip


NAMES = list(forward(torchish))


@pytest.fixture(scope="module")
def calls() -> list[dict[str, Any]]:
    return [forward(real), forward(torchish)]


@pytest.mark.parametrize("name", NAMES)
def test_forward_operators(name: str, calls: Any) -> None:
    want, got = seen(real, calls[0][name]), seen(torchish, calls[1][name])
    assert got == want
    assert got


def network(torch: Any) -> Any:
    nn = importlib.import_module(f"{torch.__name__}.nn")
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 5),
    )  # fmt: skip


# Views and bookkeeping in backward, which torch's nodes do and ours need not.
UNSEEN = (
    "aten.detach.default", "aten.view.default", "aten.t.default", "aten.ones_like.default",
    "aten.empty.memory_format", "aten.expand.default",
)  # fmt: skip


def test_a_training_step() -> None:
    counts = []
    for torch in (real, torchish):
        nnf = importlib.import_module(f"{torch.__name__}.nn.functional")
        net = network(torch)
        x, t = torch.ones(2, 1, 8, 8), torch.tensor([0, 1])
        lines = seen(
            torch, lambda net=net, x=x, t=t, nnf=nnf: nnf.cross_entropy(net(x), t).backward()
        )
        counts.append(Counter(line.split(" ")[0] for line in lines))
    for name in UNSEEN:
        for count in counts:
            count.pop(name, None)
    assert counts[1] == counts[0]
    assert counts[0]["aten.convolution_backward.default"] == 1


def test_values_gradients_and_draws_are_the_same_under_a_mode() -> None:
    modes = importlib.import_module("torchish.utils._python_dispatch")
    results = []
    for mode in (False, True):
        net = network(torchish)
        torchish.manual_seed(1)
        x = torchish.rand(2, 1, 8, 8)

        def step(net: Any = net, x: Any = x) -> Any:
            out = torchish.nn.functional.dropout(net(x), 0.5)
            out.square().sum().backward()
            return [out.tolist(), *[p.grad.tolist() for p in net.parameters()]]

        if mode:
            with modes.BaseTorchDispatchMode():
                results.append(step())
        else:
            results.append(step())
    real.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)


def test_modes_nest_replace_results_and_end() -> None:
    modes = importlib.import_module("torchish.utils._python_dispatch")
    order: list[str] = []

    class Named(modes.TorchDispatchMode):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            order.append(f"{self.name} {func}")
            return func(*args, **(kwargs or {}))

    class Zero(modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return torchish.zeros(2) if str(func) == "aten.exp.default" else func(*args, **kwargs)

    x = torchish.ones(2)
    with Named("outer"), Named("inner"):
        x.exp()
    assert order == ["inner aten.exp.default", "outer aten.exp.default"]
    with Zero():
        assert x.exp().tolist() == [0.0, 0.0]
    assert x.exp().tolist()[0] > 2.0
    with pytest.raises(ZeroDivisionError), Named("a"):
        raise ZeroDivisionError
    assert not modes.is_in_torch_dispatch_mode()


def test_operators_are_those_of_torch_ops() -> None:
    modes = importlib.import_module("torchish.utils._python_dispatch")
    aten = torchish.ops.aten
    found = []

    class Look(modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found.append(func in {aten.exp.default} and func.overloadpacket in {aten.exp: 1})
            return func(*args, **(kwargs or {}))

    with Look():
        torchish.ones(1).exp()
    assert found == [False, True]


def test_flops() -> None:
    counts = []
    for torch in (real, torchish):
        counter = importlib.import_module(f"{torch.__name__}.utils.flop_counter").FlopCounterMode
        nn = importlib.import_module(f"{torch.__name__}.nn")
        found: list[Any] = []
        with counter(display=False) as mode:
            network(torch)(torch.ones(2, 1, 8, 8)).sum().backward()
        found.append(mode.get_total_flops())
        table = mode.get_flop_counts()
        found.append({str(k): v for k, v in table["Global"].items()})
        found.append({str(k): v for k, v in table["Sequential.0"].items()
                      if "backward" not in str(k)})  # fmt: skip
        with counter(display=False) as mode:
            nn.MultiheadAttention(8, 2, batch_first=True)(*[torch.ones(2, 5, 8)] * 3)
        found.append(mode.get_total_flops())
        with counter(display=False) as mode:
            a = torch.ones(2, 3, 4, requires_grad=True)
            (a @ torch.ones(2, 4, 5)).sum().backward()
            q = torch.ones(1, 2, 3, 4)
            nn.functional.scaled_dot_product_attention(q, q, q)
            nn.ConvTranspose2d(1, 2, 3)(torch.ones(1, 1, 4, 4))
        found.append({str(k): v for k, v in mode.get_flop_counts()["Global"].items()})
        counts.append(found)
    assert counts[1] == counts[0]
