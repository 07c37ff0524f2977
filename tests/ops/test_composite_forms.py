"""In-place forms and `out=` of composites, which are derived: PyTorch's results, errors, warnings.

`LAST` holds calls whose forms are those of an operator that the composite ends in; `MADE` those
whose result is written to its target.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import torchish
from tests.oracle import agree
from torchish._ops.registry import ops, table

F4 = np.array([[0.5, -1.5], [2.5, 3.5]], np.float32)
I2 = np.array([[0, 1], [1, 0]])
SPD = np.array([[4.0, 1.0], [1.0, 3.0]], np.float32)

# name -> call(library, a, i, s, **out)
LAST: dict[str, Any] = {
    "div": lambda t, a, i, s, **o: t.div(a, s, **o),
    "div_floor": lambda t, a, i, s, **o: t.div(a, 2, rounding_mode="floor", **o),
    "floor_divide": lambda t, a, i, s, **o: t.floor_divide(a, s, **o),
    "remainder": lambda t, a, i, s, **o: t.remainder(a, s, **o),
    "fmod": lambda t, a, i, s, **o: t.fmod(a, 2, **o),
    "pow": lambda t, a, i, s, **o: t.pow(a, 2, **o),
    "float_power": lambda t, a, i, s, **o: t.float_power(a, 2, **o),
    "clamp": lambda t, a, i, s, **o: t.clamp(a, 0, 1, **o),
    "clip_low": lambda t, a, i, s, **o: t.clip(a, min=0, **o),
    "where": lambda t, a, i, s, **o: t.where(a > 0, a, s, **o),
    "polygamma": lambda t, a, i, s, **o: t.polygamma(1, a, **o),
    "igamma": lambda t, a, i, s, **o: t.igamma(s, s, **o),
    "max": lambda t, a, i, s, **o: t.max(a, s, **o),
    "std": lambda t, a, i, s, **o: t.std(a, 0, **o),
    "norm": lambda t, a, i, s, **o: t.norm(a, 2, 0, **o),
    "matmul": lambda t, a, i, s, **o: t.matmul(a, s, **o),
    "hstack": lambda t, a, i, s, **o: t.hstack([a, s], **o),
    "column_stack": lambda t, a, i, s, **o: t.column_stack([a, s], **o),
    "cross": lambda t, a, i, s, **o: t.cross(a.repeat(2, 2)[:3, :3], t.eye(3), dim=1, **o),
    "scatter": lambda t, a, i, s, **o: t.scatter(a, 0, i, s, **o),
    "take_along_dim": lambda t, a, i, s, **o: t.take_along_dim(a, i, 0, **o),
    "masked_select": lambda t, a, i, s, **o: t.masked_select(a, a > 0, **o),
    "searchsorted": lambda t, a, i, s, **o: t.searchsorted(s.sort().values, a, **o),
    "isin": lambda t, a, i, s, **o: t.isin(i, t.tensor([1]), **o),
    "softmax": lambda t, a, i, s, **o: t.softmax(a, 0, **o),
    "inv": lambda t, a, i, s, **o: t.linalg.inv(s, **o),
    "inverse": lambda t, a, i, s, **o: t.inverse(s, **o),
    "solve": lambda t, a, i, s, **o: t.linalg.solve(s, a, **o),
    "cholesky": lambda t, a, i, s, **o: t.linalg.cholesky(s, **o),
    "vector_norm": lambda t, a, i, s, **o: t.linalg.vector_norm(a, **o),
    "linalg_norm": lambda t, a, i, s, **o: t.linalg.norm(a, "fro", **o),
    "cond": lambda t, a, i, s, **o: t.linalg.cond(s, **o),
    "matrix_power": lambda t, a, i, s, **o: t.linalg.matrix_power(s, 3, **o),
    "chain_matmul": lambda t, a, i, s, **o: t.linalg.multi_dot([a, s], **o),
    "rfft": lambda t, a, i, s, **o: t.fft.rfft(a, **o),
    "ifft2": lambda t, a, i, s, **o: t.fft.ifft2(a, **o),
    "normalize": lambda t, a, i, s, **o: t.nn.functional.normalize(a, **o),
    "softshrink": lambda t, a, i, s, **o: t.nn.functional.softshrink(a, 0.1, **o),
    "avg_pool2d": lambda t, a, i, s, **o: t._C._nn.avg_pool2d(a[None], 2, **o),
}
MADE: dict[str, Any] = {
    "diff": lambda t, a, i, s, **o: t.diff(a, **o),
    "diff_none": lambda t, a, i, s, **o: t.diff(a, 0, **o),
    "quantile": lambda t, a, i, s, **o: t.quantile(a, 0.3, 1, **o),
    "diag": lambda t, a, i, s, **o: t.diag(a, **o),
    "tensordot": lambda t, a, i, s, **o: t.tensordot(a, s, 1, **o),
    "tensorinv": lambda t, a, i, s, **o: t.linalg.tensorinv(s, 1, **o),
    "ldl_solve": lambda t, a, i, s, **o: t.linalg.ldl_solve(*t.linalg.ldl_factor(s), a, **o),
    "slice_scatter": lambda t, a, i, s, **o: t.slice_scatter(a, s[:1], 0, 0, 1, **o),
    "narrow_copy": lambda t, a, i, s, **o: t.narrow_copy(a, 0, 0, 1, **o),
    "slice_copy": lambda t, a, i, s, **o: t.slice_copy(a, 0, 0, 1, **o),
    "t_copy": lambda t, a, i, s, **o: t.t_copy(a, **o),
    "nonzero": lambda t, a, i, s, **o: t.nonzero(i, **o),
    "conj_physical": lambda t, a, i, s, **o: t.conj_physical(a, **o),
    "zeros": lambda t, a, i, s, **o: t.zeros(2, 2, **o),
    "full": lambda t, a, i, s, **o: t.full((2, 2), 3, **o),
    "arange": lambda t, a, i, s, **o: t.arange(4, **o),
    "range": lambda t, a, i, s, **o: t.range(0, 3, **o),
    "linspace": lambda t, a, i, s, **o: t.linspace(0, 3, 4, **o),
    "logspace": lambda t, a, i, s, **o: t.logspace(0, 3, 4, **o),
    "eye": lambda t, a, i, s, **o: t.eye(2, **o),
    "fftfreq": lambda t, a, i, s, **o: t.fft.fftfreq(4, **o),
    "multinomial": lambda t, a, i, s, **o: t.multinomial(s, 1, **o),
    "bernoulli": lambda t, a, i, s, **o: t.bernoulli(s / 10, **o),
    "normal": lambda t, a, i, s, **o: t.normal(a, s, **o),
    "normal_sized": lambda t, a, i, s, **o: t.normal(0.0, 1.0, (2, 2), **o),
}
CALLS = {**LAST, **MADE}
# Cases in which it is the operator, or the check of an argument, that differs.
OTHER = {("diff", "float64"), ("normal", "int64"), ("float_power", "float32")}


def given(t: Any, **options: Any) -> tuple[Any, Any, Any]:
    a, i, s = (t.from_numpy(x.copy()) for x in (F4, I2, SPD))
    return a.requires_grad_(options.get("grad", False)), i, s


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_results_go_to_targets_of_another_dtype_as_in_torch(name: str, dtype: str) -> None:
    if (name, dtype) in OTHER:
        return

    def work(t: Any) -> Any:
        out = t.empty(0, dtype=getattr(t, dtype))
        made = CALLS[name](t, *given(t), out=out)
        return made is out, out

    agree(work, 1e-4, lines=0)  # the texts: test_out_dtype.py


@pytest.mark.parametrize("name", CALLS)
def test_targets_are_resized_with_torchs_warning(name: str) -> None:
    def work(t: Any) -> Any:
        kind = CALLS[name](t, *given(t)).dtype
        out = t.zeros(3, 1, 2, dtype=kind)
        same = t.zeros_like(CALLS[name](t, *given(t)))
        t.manual_seed(1)
        CALLS[name](t, *given(t), out=same)
        return CALLS[name](t, *given(t), out=out), same

    agree(work, 1e-4, lines=1)


OWN = {"diff_none", "ldl_solve", "nonzero"}  # torch computes these in other steps


@pytest.mark.parametrize("name", [n for n in MADE if n not in OWN])
def test_history_reaches_a_target_where_torchs_does(name: str) -> None:
    def by_input(t: Any) -> Any:
        a, i, s = given(t, grad=True)
        out = t.empty(0, dtype=CALLS[name](t, *given(t)).dtype)
        t.manual_seed(0)
        CALLS[name](t, a, i, s, out=out)
        return out.requires_grad, out

    def by_target(t: Any) -> Any:
        CALLS[name](t, *given(t), out=t.empty(0).requires_grad_())

    agree(by_input, 1e-4, lines=0)
    agree(by_target, 1e-4, lines=0)


@pytest.mark.parametrize(
    "name", ["max", "median", "lu_factor", "inv_ex", "ldl_factor_ex", "unbind_copy",
             "lu", "histogram", "lstsq"],
)  # fmt: skip
def test_several_results_go_to_several_targets(name: str) -> None:
    def work(t: Any) -> Any:
        a, _, s = given(t)
        e = lambda dtype="float32": t.empty(0, dtype=getattr(t, dtype))  # noqa: E731
        call = {
            "max": lambda: t.max(a, 0, out=(e(), e("int64"))),
            "median": lambda: t.median(a, 0, out=(e(), e("int64"))),
            "lu_factor": lambda: t.linalg.lu_factor(s, out=(e(), e("int32"))),
            "inv_ex": lambda: t.linalg.inv_ex(s, out=(e(), e("int32"))),
            "ldl_factor_ex": lambda: t.linalg.ldl_factor_ex(s, out=(e(), e("int32"), e("int32"))),
            "unbind_copy": lambda: t.unbind_copy(a, out=[e(), e()]),
            "lu": lambda: t.lu(s, out=(e(), e("int32"))),
            "histogram": lambda: t.histogram(a, t.tensor([-2.0, 0, 4]), out=(e(), e())),
            "lstsq": lambda: t.linalg.lstsq(s, a, out=(e(), e(), e("int64"), e())),
        }[name]
        return call()

    agree(work, 1e-4, lines=1, warned=False)


def test_out_comes_by_position_where_torch_takes_it_there() -> None:
    def work(t: Any) -> Any:
        a, _, s = given(t)
        outs = [t.empty(0) for _ in range(3)]
        return [
            t.norm(a, 2, 1, False, outs[0]), t.tensordot(a, s, 1, outs[1]),
            t.nn.functional.normalize(a, 2.0, 1, 1e-12, outs[2]), *outs,
        ]  # fmt: skip

    agree(work)


# --- in place ------------------------------------------------------------------------------------

WRITES: dict[str, Any] = {
    "div_": lambda t, x, s: x.div_(s),
    "divide_": lambda t, x, s: x.divide_(2, rounding_mode="trunc"),
    "floor_divide_": lambda t, x, s: x.floor_divide_(s),
    "remainder_": lambda t, x, s: x.remainder_(2),
    "fmod_": lambda t, x, s: x.fmod_(s),
    "pow_": lambda t, x, s: x.pow_(2),
    "pow_tensor_": lambda t, x, s: x.pow_(s),
    "float_power_": lambda t, x, s: x.float_power_(2),
    "clamp_": lambda t, x, s: x.clamp_(0, 1),
    "clip_": lambda t, x, s: t.clip_(x, max=1),
    "clamp_min_": lambda t, x, s: t.clamp_min_(x, 1),
    "conj_physical_": lambda t, x, s: t.conj_physical_(x),
    "polygamma_": lambda t, x, s: x.polygamma_(1),
    "igamma_": lambda t, x, s: x.igamma_(s),
    "scatter_": lambda t, x, s: x.scatter_(0, t.tensor([[0, 1]]), 5),
    "scatter_add": lambda t, x, s: x.scatter_(1, t.tensor([[0], [1]]), 2, reduce="add"),
    "index_put_": lambda t, x, s: t.index_put_(x, (t.tensor([0]),), t.ones(2, dtype=x.dtype)),
    "threshold_": lambda t, x, s: t.threshold_(x, 1, 7),
    "xlogy_": lambda t, x, s: t.xlogy_(x, s),
    "relu_": lambda t, x, s: t.nn.functional.relu_(x),
    "relu6": lambda t, x, s: t.nn.functional.relu6(x, True),
    "elu_": lambda t, x, s: t.nn.functional.elu_(x, 0.5),
    "selu": lambda t, x, s: t.nn.functional.selu(x, inplace=True),
    "celu_": lambda t, x, s: t.nn.functional.celu_(x, alpha=0.5),
    "leaky_relu_": lambda t, x, s: t.nn.functional.leaky_relu_(x),
    "hardtanh_": lambda t, x, s: t.nn.functional.hardtanh_(x, -0.5, 0.5),
    "hardswish": lambda t, x, s: t.nn.functional.hardswish(x, inplace=True),
    "silu": lambda t, x, s: t.nn.functional.silu(x, True),
    "mish": lambda t, x, s: t.nn.functional.mish(x, inplace=True),
    "rrelu_": lambda t, x, s: t.rrelu_(x),
    "rrelu": lambda t, x, s: t.nn.functional.rrelu(x, 0.1, 0.2, True, True),
    "dropout_": lambda t, x, s: t.dropout_(x, 0.5, True),
    "dropout_all": lambda t, x, s: t.nn.functional.dropout(x, 1.0, True, True),
    "dropout_none": lambda t, x, s: t.nn.functional.dropout(x, 0.0, True, True),
    "dropout1d": lambda t, x, s: t.nn.functional.dropout1d(x, 0.5, True, True),
    "alpha_dropout": lambda t, x, s: t.nn.functional.alpha_dropout(x, 0.5, True, True),
}  # fmt: skip
# torch numbers nodes of in-place forms apart, or writes its target twice.
OTHER_GRAPH = {"dropout1d", "alpha_dropout", "polygamma_", "threshold_", "elu_", "selu", "celu_",
               "leaky_relu_", "rrelu_", "rrelu"}  # fmt: skip
# What differs is the operator: its derivative, or a real tensor's conjugate.
OTHER_WRITE = {"floor_divide_", "igamma_", "scatter_add", "conj_physical_"}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_writes_give_torchs_results_and_errors(name: str, dtype: str) -> None:
    def work(t: Any) -> Any:
        x = t.from_numpy(F4.copy()).to(getattr(t, dtype))
        whole = t.cat([x, x])
        view = whole[1:3]
        made = WRITES[name](t, view, t.from_numpy(SPD.copy()))
        return made is view, whole

    agree(work, 1e-4, lines=1)


@pytest.mark.parametrize("name", [n for n in WRITES if n not in OTHER_WRITE])
def test_writes_have_torchs_history(name: str) -> None:
    def work(t: Any) -> Any:
        leaf = t.from_numpy(F4.copy()).double().requires_grad_()
        x = leaf * 1
        made = WRITES[name](t, x, t.from_numpy(SPD.copy()).double())
        made.sum().backward()
        graph = (made._version, type(made.grad_fn).__name__)
        return None if name in OTHER_GRAPH else graph, leaf.grad

    agree(work, 1e-4, lines=1)


@pytest.mark.parametrize("name", [n for n in WRITES if n != "conj_physical_"])
def test_a_leaf_that_requires_grad_is_not_written(name: str) -> None:
    def work(t: Any) -> Any:
        leaf = t.from_numpy(F4.copy()).double().requires_grad_()
        return WRITES[name](t, leaf, t.from_numpy(SPD.copy()).double())

    agree(work, 1e-4, lines=1)


# --- what they say of themselves -----------------------------------------------------------------


def test_signatures_say_what_each_form_takes() -> None:
    def said(function: Any) -> str:
        return str(inspect.Signature([
            p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values()
        ]))  # fmt: skip

    F = torchish.nn.functional
    assert said(torchish.div) == "(input, other, *, rounding_mode=None, out=None)"
    assert said(torchish.Tensor.div_) == "(input, other, *, rounding_mode=None)"
    assert said(torchish.norm).startswith("(input, p='fro', dim=None, keepdim=False, out=None")
    assert said(F.elu) == "(input, alpha=1.0, inplace=False)"
    assert said(F.elu_) == "(input, alpha=1.0)"
    assert said(torchish.full) == "(size, fill_value, *, out=None, **kwargs)"
    assert "In-place `div`" in torchish.Tensor.div_.__doc__
    assert "rounding_mode" in torchish.div.__doc__


def test_errors_of_pythons_own_name_the_form() -> None:
    with pytest.raises(TypeError, match=r"div_\(\) missing 1 required positional argument"):
        torchish.ones(2).div_()
    with pytest.raises(TypeError, match=r"div\(\) missing 1 required positional argument"):
        torchish.div(torchish.ones(2))


def test_no_composite_spells_a_form() -> None:
    """`out` in the body of a composite, or a body for `name_` beside one for `name`."""
    spelled = []
    for place in ("torch", "method", "nn.functional", "linalg", "fft", "special"):
        names = table(place)
        for name, function in names.items():
            body = inspect.unwrap(function)
            if getattr(body, "operator", None) is None and hasattr(body, "__code__"):
                code = body.__code__
                if "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
                    spelled.append(f"{place}.{name}")
    assert spelled == []
    assert ops.div is not None
