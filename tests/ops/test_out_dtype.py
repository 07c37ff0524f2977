"""`out=` of another dtype, or of none of the result's elements: PyTorch's outcome and text."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import torchish

F4 = np.arange(1, 5, dtype=np.float32).reshape(2, 2)
I2 = np.array([[0, 1], [1, 0]])
SPD = np.array([[4.0, 1.0], [1.0, 3.0]], np.float32)

# name -> call of the library with `out=`
CALLS: dict[str, Any] = {
    "add": lambda t, a, i, s, o: t.add(a, 1, out=o),
    "exp": lambda t, a, i, s, o: t.exp(a, out=o),
    "sum": lambda t, a, i, s, o: t.sum(a, 0, out=o),
    "mean": lambda t, a, i, s, o: t.mean(a, 0, out=o),
    "std": lambda t, a, i, s, o: t.std(a, 0, out=o),
    "cumsum": lambda t, a, i, s, o: t.cumsum(a, 0, out=o),
    "cat": lambda t, a, i, s, o: t.cat([a, a], out=o),
    "stack": lambda t, a, i, s, o: t.stack([a, a], out=o),
    "max": lambda t, a, i, s, o: t.max(a, out=o),
    "square": lambda t, a, i, s, o: t.square(a, out=o),
    "logical_not": lambda t, a, i, s, o: t.logical_not(a, out=o),
    "fft": lambda t, a, i, s, o: t.fft.irfft2(a, out=o),
    "tensorinv": lambda t, a, i, s, o: t.linalg.tensorinv(s, 1, out=o),
    "tensorsolve": lambda t, a, i, s, o: t.linalg.tensorsolve(s, a[0], out=o),
    "matrix_power": lambda t, a, i, s, o: t.linalg.matrix_power(s, 2, out=o),
    "abs": lambda t, a, i, s, o: t.abs(a, out=o),
    "neg": lambda t, a, i, s, o: t.neg(a, out=o),
    "round": lambda t, a, i, s, o: t.round(a, out=o),
    "mm": lambda t, a, i, s, o: t.mm(a, s, out=o),
    "addmm": lambda t, a, i, s, o: t.addmm(a, a, s, out=o),
    "gather": lambda t, a, i, s, o: t.gather(a, 0, i, out=o),
    "where": lambda t, a, i, s, o: t.where(a > 2, a, s, out=o)[0, 0],
    "softmax": lambda t, a, i, s, o: t.softmax(a, 0, out=o),
    "tril": lambda t, a, i, s, o: t.tril(a, out=o),
    "diag": lambda t, a, i, s, o: t.diag(a, out=o),
    "argmax": lambda t, a, i, s, o: t.argmax(a, 0, out=o),
    "logcumsumexp": lambda t, a, i, s, o: t.logcumsumexp(a, 0, out=o),
    "cholesky": lambda t, a, i, s, o: t.linalg.cholesky(s, out=o),
    "inv": lambda t, a, i, s, o: t.linalg.inv(s, out=o),
    "ldl_solve": lambda t, a, i, s, o: t.linalg.ldl_solve(*t.linalg.ldl_factor(s), a, out=o),
    "tensordot": lambda t, a, i, s, o: t.tensordot(a, s, 1, out=o),
    "arange": lambda t, a, i, s, o: t.arange(3, dtype=t.float32, out=o),
    "linspace": lambda t, a, i, s, o: t.linspace(0, 1, 3, out=o),
    "zeros": lambda t, a, i, s, o: t.zeros(2, dtype=t.float32, out=o),
    "unsqueeze_copy": lambda t, a, i, s, o: t.unsqueeze_copy(a, 0, out=o),
}
# Operators whose own text for a dtype that does not fit is not kept, only the class of the error.
OTHER_TEXT = {"where", "logcumsumexp"}


def outcome(library: Any, call: Any, dtype: str) -> Any:
    """("ok", dtype, shape, values), or the class and text of the error."""
    out = library.empty(0, dtype=getattr(library, dtype))
    a, i, s = (library.from_numpy(x.copy()) for x in (F4, I2, SPD))
    try:
        call(library, a, i, s, out)
    except Exception as error:
        return type(error).__name__, str(error)
    return "ok", str(out.dtype), tuple(out.shape), out


def cases() -> list[tuple[str, str]]:
    """Every call with the dtype of most results and a wider one; some with all kinds."""
    narrow = ("add", "exp", "mean", "cat", "stack", "square", "logical_not", "abs", "neg", "round",
              "mm", "addmm", "gather", "softmax", "tril", "diag", "argmax", "cholesky", "inv",
              "tensordot", "unsqueeze_copy", "zeros", "arange")  # fmt: skip
    wide = [(name, dtype) for name in CALLS for dtype in ("float32", "float64")]
    return wide + [(name, dtype) for name in narrow for dtype in ("int32", "complex64", "bool")]


@pytest.mark.parametrize("name,dtype", cases())
def test_out_of_another_dtype(name: str, dtype: str) -> None:
    own, theirs = (outcome(library, CALLS[name], dtype) for library in (torchish, torch))
    if theirs[0] == "ok":
        assert own[:3] == theirs[:3]
        np.testing.assert_allclose(own[3].numpy(), theirs[3].numpy(), rtol=1e-5, atol=1e-6)
    elif name in OTHER_TEXT:
        assert own[0] == theirs[0]
    else:
        assert own == theirs


@pytest.mark.parametrize("library", [torch, torchish])
def test_out_of_a_composite_does_not_lose_a_gradient(library: Any) -> None:
    a = library.ones(2, 2, requires_grad=True)
    out = library.empty(2, 2)
    library.linalg.tensorinv(a + library.eye(2), 1, out=out)
    out.sum().backward()
    assert a.grad is not None
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        library.mm(a, a, out=library.empty(2, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("lambd", [-1, -0.5, 1e39, float("nan"), float("inf"), 0, True])
def test_range_of_softshrink(dtype: str, lambd: Any) -> None:
    def said(library: Any) -> Any:
        x = library.tensor([-1.0, 0.25, 2.0], dtype=getattr(library, dtype))
        try:
            return library.nn.functional.softshrink(x, lambd).tolist()
        except RuntimeError as error:
            return str(error)

    assert said(torchish) == said(torch)


BOUNDS: list[tuple[str, Any]] = [
    ("clamp_max", (True,)), ("clamp_max", (1,)), ("clamp_max", ("mask",)), ("clamp_min", (True,)),
    ("clamp_min", (1.5,)), ("clamp_min", ("mask",)), ("clamp", (True, True)),
    ("clamp", ("mask", "mask")), ("clamp", (None, "mask")), ("clamp", (None, False)),
    ("clamp", (0, 1.5)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", "complex64", "int64"])
@pytest.mark.parametrize("name,bounds", BOUNDS)
def test_bounds_of_bools_and_complex_numbers(dtype: str, name: str, bounds: Any) -> None:
    def said(library: Any) -> Any:
        x = library.tensor([1, 0, 1]).to(getattr(library, dtype))
        given = [library.tensor([False, False, True]) if b == "mask" else b for b in bounds]
        try:
            result = getattr(library, name)(x, *given)
        except (RuntimeError, NotImplementedError) as error:
            return type(error).__name__, str(error)
        return str(result.dtype), result.tolist()

    assert said(torchish) == said(torch)


@pytest.mark.parametrize("name", ["add", "arange", "diag", "masked_select"])
def test_a_view_as_out_is_resized_within_its_base(name: str) -> None:
    def memory(library: Any) -> Any:
        base = library.zeros(6)
        view = base[1:3]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            {
                "add": lambda: library.add(library.ones(3), 1, out=view),
                "arange": lambda: library.arange(1.0, 4.0, out=view),
                "diag": lambda: library.diag(library.eye(3), out=view),
                "masked_select": lambda: library.masked_select(
                    library.ones(3), library.ones(3) > 0, out=view
                ),
            }[name]()
        return base.tolist(), view.tolist(), view.storage_offset()

    assert memory(torchish) == memory(torch)


SHAPED: dict[str, Any] = {
    "arange, other count": lambda t, o: t.arange(5, out=o),
    "arange, same count": lambda t, o: t.arange(6.0, out=o),
    "zeros": lambda t, o: t.zeros(4, out=o),
    "eye": lambda t, o: t.eye(2, out=o),
    "linspace": lambda t, o: t.linspace(0, 1, 4, out=o),
    "randn": lambda t, o: t.randn(4, out=o),
    "bernoulli": lambda t, o: t.bernoulli(t.ones(4), out=o),
    "masked_select": lambda t, o: t.masked_select(t.ones(2), t.tensor([True, False]), out=o),
    "diag": lambda t, o: t.diag(t.ones(3), out=o),
    "tensorinv": lambda t, o: t.linalg.tensorinv(t.eye(2), 1, out=o),
    "add": lambda t, o: t.add(t.ones(4), 1, out=o),
}


@pytest.mark.parametrize("name", SHAPED)
def test_out_of_another_shape(name: str) -> None:
    """It is resized, with PyTorch's warning where there is one."""

    def said(library: Any) -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = SHAPED[name](library, library.ones(2, 3))
        return tuple(result.shape), [str(w.message).split(" (Triggered")[0] for w in caught]

    assert said(torchish) == said(torch)
