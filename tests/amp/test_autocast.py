"""autocast: which operators run in which dtype, nesting, and training, against torch."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish

RANDOM = np.random.default_rng(0)
SQUARE = RANDOM.random((3, 3), np.float32)
IMAGE = RANDOM.random((1, 2, 5, 5), np.float32)
KERNEL = RANDOM.random((2, 2, 3, 3), np.float32)

# Each gets (module, functional, float32 matrix, the same in bfloat16).
CALLS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "mm": lambda m, F, a, b: m.mm(a, a),
    "@": lambda m, F, a, b: a @ b,
    "method": lambda m, F, a, b: a.matmul(a),
    "addmm": lambda m, F, a, b: m.addmm(a, a, a),
    "mv": lambda m, F, a, b: m.mv(a, a[0]),
    "einsum": lambda m, F, a, b: m.einsum("ij,jk->ik", a, a),
    "einsum that contracts nothing": lambda m, F, a, b: m.einsum("ij,ij->ji", a, a),
    "linear": lambda m, F, a, b: F.linear(a, a),
    "multi_dot": lambda m, F, a, b: m.linalg.multi_dot([a, a, a]),
    "softmax": lambda m, F, a, b: b.softmax(0),
    "sum": lambda m, F, a, b: b.sum(),
    "prod": lambda m, F, a, b: b.prod(0),
    "exp": lambda m, F, a, b: b.exp(),
    "add": lambda m, F, a, b: a + b,
    "index_copy": lambda m, F, a, b: m.index_copy(a, 0, m.tensor([0]), b[:1]),
    "index_copy method": lambda m, F, a, b: b.index_copy(0, m.tensor([0]), a[:1]),
    "cat": lambda m, F, a, b: m.cat([a, b]),
    "cat of low": lambda m, F, a, b: m.cat([b, b]),
    "stack": lambda m, F, a, b: m.stack([a, b]),
    "mse_loss": lambda m, F, a, b: F.mse_loss(b, b),
    "cross_entropy": lambda m, F, a, b: F.cross_entropy(b, m.tensor([0, 1, 2])),
    "bce": lambda m, F, a, b: F.binary_cross_entropy(b, b),
    "attention": lambda m, F, a, b: F.scaled_dot_product_attention(a[None], a[None], a[None]),
    "conv2d": lambda m, F, a, b: F.conv2d(m.from_numpy(IMAGE), m.from_numpy(KERNEL)),
    "conv_transpose2d": lambda m, F, a, b: F.conv_transpose2d(
        m.from_numpy(IMAGE), m.from_numpy(KERNEL)
    ),
    "float64": lambda m, F, a, b: a.double() @ a.double(),
    "float64 with low": lambda m, F, a, b: m.cat([a.double(), b]),
    "integers": lambda m, F, a, b: m.ones(2, 2, dtype=m.int64) @ m.ones(2, 2, dtype=m.int64),
    "prelu": lambda m, F, a, b: F.prelu(b, m.ones(1)),
    "svd": lambda m, F, a, b: m.linalg.svd(b)[1],
    "cdist": lambda m, F, a, b: m.cdist(b, b),
    "fft": lambda m, F, a, b: m.fft.fft(b[0]),
    "reflect": lambda m, F, a, b: F.pad(b[None], (1, 1), mode="reflect"),
    "in place": lambda m, F, a, b: a.clone().addmm_(a, a),
    "out": lambda m, F, a, b: m.mm(a, a, out=m.empty(3, 3)),
    "half": lambda m, F, a, b: a.half() @ a.half(),
    "layer_norm": lambda m, F, a, b: F.layer_norm(b, (3,)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_cpus_lists(name: str) -> None:
    import torchish.nn.functional

    found = []
    for m in (torchish, torch):
        a = m.from_numpy(SQUARE)
        with m.autocast("cpu"):
            y = CALLS[name](m, m.nn.functional, a, a.bfloat16())
        found.append((str(y.dtype), y.to(m.complex64).numpy()))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0.02, atol=0.02)


def _listed() -> list[str]:
    from torchish._ops import registry
    from torchish._ops.call import autocast

    found = []
    for place in registry.PLACES:
        for name in registry.table(place):
            label = name if place in autocast._PLAIN_PLACES else f"{place}.{name}"
            if any(label in policy for policy in autocast.POLICIES.values()):
                found.append(f"{place}/{name}")
    return found


def test_every_listed_name_passes_through_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchish._ops import registry
    from torchish._ops.call import autocast

    class Reached(Exception):
        pass

    def run(label: str, *rest: Any) -> Any:
        raise Reached(label)

    monkeypatch.setattr(autocast, "run", run)
    missed = []
    with torchish.autocast("cpu"):
        for entry in _listed():
            place, name = entry.split("/")
            try:
                registry.table(place)[name](torchish.ones(2))
                missed.append(entry)
            except Reached:
                pass
            except Exception as error:
                missed.append(f"{entry}: {error!r}")
        for way in (lambda a: a @ a, lambda a: a**a, lambda a: a.__rmatmul__(a), lambda a: 2**a):
            with pytest.raises(Reached):
                way(torchish.ones(2))
    assert missed == []


CUDA_SCRIPT = """
import warnings
import torchish as torch
import torchish.nn.functional as F
a = torch.rand(3, 3, device="cuda"); h = a.half(); c = torch.rand(3, 3)
with torch.autocast("cuda"):
    found = [(a @ a), a.mv(a[0]), h.exp(), h.softmax(0), h.sum(), h.log(), h.cumsum(0), h + a,
             torch.cat([a, h]), F.mse_loss(h, h), torch.addcmul(a, h, h), F.layer_norm(h, (3,)),
             h.norm(), c @ c, F.gelu(h), h ** 2, h.sum(dtype=torch.float16), torch.dot(h[0], a[0])]
    try:
        F.binary_cross_entropy(h, h)
    except RuntimeError as error:
        print("unsafe to autocast" in str(error))
print(*[str(t.dtype)[6:] for t in found])
"""


def test_cudas_lists_on_simulated_devices() -> None:
    env = {**os.environ, "TORCHISH_FAKE_CUDA": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", CUDA_SCRIPT], env=env, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    expected = (
        "float16 float16 float32 float32 float32 float32 float32 float32 float32 float32 float32 "
        "float32 float32 float32 float16 float32 float16 float32"
    )
    assert run.stdout.split("\n")[:2] == ["True", expected]


def test_nesting_switches_off_and_on() -> None:
    for m in (torchish, torch):
        a = m.ones(2, 2)
        assert not m.is_autocast_enabled("cpu")
        with m.autocast("cpu", dtype=m.bfloat16):
            assert m.is_autocast_enabled("cpu")
            assert (a @ a).dtype is m.bfloat16
            with m.autocast("cpu", enabled=False):
                assert not m.is_autocast_enabled("cpu")
                assert (a @ a).dtype is m.float32
                with m.autocast("cpu", dtype=m.float16):
                    assert (a @ a).dtype is m.float16
                    assert m.get_autocast_dtype("cpu") is m.float16
            assert (a @ a).dtype is m.bfloat16
        assert not m.is_autocast_enabled("cpu")
        assert (a @ a).dtype is m.float32


def test_an_error_leaves_it_as_it_was() -> None:
    with pytest.raises(ZeroDivisionError), torchish.autocast("cpu"):
        _ = 1 / 0
    assert not torchish.is_autocast_enabled("cpu")
    with torchish.autocast("cpu"):
        with pytest.raises(RuntimeError):
            torchish.mm(torchish.ones(2, 3), torchish.ones(2, 3))
        assert torchish.is_autocast_enabled("cpu")


def test_the_decorator_and_the_switches() -> None:
    for m in (torchish, torch):

        @m.autocast("cpu")
        def product(a: Any) -> Any:
            return a @ a

        assert product(torch.ones(2, 2) if m is torch else m.ones(2, 2)).dtype is m.bfloat16
        m.set_autocast_enabled("cpu", True)
        try:
            assert (m.ones(2, 2) @ m.ones(2, 2)).dtype is m.bfloat16
        finally:
            m.set_autocast_enabled("cpu", False)
        assert m.autocast_increment_nesting() == 1
        assert m.autocast_decrement_nesting() == 0
        assert m.amp.is_autocast_available("cuda")


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(("foo",), {}), ((1,), {}), (("cuda",), {}), (("cpu",), {"dtype": "float64"})],
    ids=str,
)
def test_wrong_arguments(args: Any, kwargs: Any) -> None:
    found = []
    for m in (torchish, torch):
        given = {k: getattr(m, v) for k, v in kwargs.items()}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result: Any = m.autocast(*args, **given)._enabled
            except Exception as error:
                result = (type(error).__name__, str(error))
        found.append((result, [str(w.message) for w in caught]))
    assert found[0] == found[1]


def test_training_follows_torch() -> None:
    from tests.amp.training import losses

    mine, theirs = losses(torchish), losses(torch)
    np.testing.assert_allclose(mine, theirs, rtol=0.02)
    assert mine[-1] < mine[0]


def custom(m: Any) -> Any:
    """Dtypes seen inside custom functions."""
    seen: list[str] = []

    class Product(m.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        @m.amp.custom_fwd(device_type="cpu")
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            return a.mm(b)

        @staticmethod
        @m.amp.custom_bwd(device_type="cpu")
        def backward(ctx: Any, grad: Any) -> Any:
            a, b = ctx.saved_tensors
            seen.append(str(grad.mm(b.t()).dtype))
            return grad.mm(b.t()).float(), a.t().mm(grad).float()

    class Cast(m.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        @m.amp.custom_fwd(device_type="cpu", cast_inputs=m.float32)
        def forward(ctx: Any, a: Any) -> Any:
            seen.append(str(a.dtype))
            return a @ a

        @staticmethod
        @m.amp.custom_bwd(device_type="cpu")
        def backward(ctx: Any, grad: Any) -> Any:
            return grad

    a = m.ones(2, 2, requires_grad=True)
    with m.autocast("cpu"):
        y = Product.apply(a, a)
        z = Cast.apply(a.detach().bfloat16())
    y.sum().backward()
    return str(y.dtype), str(z.dtype), seen, a.grad.tolist()


def test_custom_functions_under_autocast() -> None:
    assert custom(torchish) == custom(torch)
