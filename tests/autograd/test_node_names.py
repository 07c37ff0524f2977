"""`grad_fn.name()` beside PyTorch's: in-place forms, overloads, copies, reductions, lone results.

Where one kernel does what PyTorch writes as several operators the node has the name of the last.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

import torchish


def x(t: Any, value: float = 0.3, *shape: int) -> Any:
    """A tensor with a history, so that it may be written to."""
    return t.full(shape or (2, 2), value, requires_grad=True).clone()


def index(t: Any) -> Any:
    return t.tensor([0])


WRITTEN = {
    **{name: lambda t, name=name: getattr(x(t), name)() for name in (
        "abs_ acos_ asin_ asinh_ arcsinh_ atan_ atanh_ arctanh_ ceil_ cos_ cosh_ deg2rad_ digamma_ "
        "erf_ erfinv_ exp_ exp2_ expm1_ floor_ frac_ i0_ lgamma_ log_ log1p_ nan_to_num_ neg_ "
        "reciprocal_ round_ rsqrt_ sgn_ sigmoid_ sign_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ "
        "trunc_ zero_ tril_ uniform_ normal_ exponential_ t_ squeeze_"
    ).split()},
    **{f"F.{name}": lambda t, name=name: getattr(t.nn.functional, name)(x(t)) for name in (
        "elu_ leaky_relu_ hardtanh_ celu_ selu_ relu_ rrelu_"
    ).split()},
    **{f"F.{name}(inplace)": lambda t, name=name: getattr(t.nn.functional, name)(
        x(t), inplace=True) for name in (
        "elu leaky_relu hardtanh celu selu relu relu6 rrelu hardswish hardsigmoid silu mish"
    ).split()},
    "acosh_": lambda t: x(t, 1.3).acosh_(),
    "arccosh_": lambda t: x(t, 1.3).arccosh_(),
    "polygamma_": lambda t: x(t, 3.0).polygamma_(1),
    "threshold_": lambda t: t.nn.functional.threshold_(x(t), 0.1, 0.2),
    "torch.threshold_": lambda t: t.threshold_(x(t), 0.1, 0.2),
    "rrelu in training": lambda t: t.nn.functional.rrelu(x(t), training=True, inplace=True),
    "conj_physical_": lambda t: t.ones(2, dtype=t.complex64, requires_grad=True).clone()
    .conj_physical_(),
    "copy_": lambda t: x(t).copy_(x(t)),
    "copy_ of another dtype": lambda t: x(t).copy_(x(t).double()),
}  # fmt: skip
OVERLOADS = {
    "fill_": lambda t: x(t).fill_(2.0),
    "fill_ tensor": lambda t: x(t).fill_(t.tensor(2.0)),
    "index_fill_": lambda t: x(t).index_fill_(0, index(t), 2.0),
    "index_fill_ tensor": lambda t: x(t).index_fill_(0, index(t), t.tensor(2.0)),
    "index_fill tensor": lambda t: x(t).index_fill(0, index(t), t.tensor(2.0)),
    "masked_fill tensor": lambda t: x(t).masked_fill(t.eye(2) > 0, t.tensor(2.0)),
    "copysign": lambda t: x(t).copysign(2.0),
    "copysign_": lambda t: x(t).copysign_(2.0),
    "copysign tensor": lambda t: x(t).copysign(x(t)),
    "xlogy": lambda t: t.xlogy(x(t), x(t)),
    "xlogy by a number": lambda t: t.xlogy(x(t), 2),
    "xlogy of a number": lambda t: t.xlogy(2, x(t)),
    "median": lambda t: x(t).median(),
    "median along": lambda t: x(t).median(0),
    "nanmedian": lambda t: x(t).nanmedian(),
    "nanmedian along": lambda t: x(t).nanmedian(0),
    "quantile": lambda t: x(t).quantile(0.5),
    "quantile along": lambda t: x(t).quantile(0.5, 1, keepdim=True),
    "quantiles": lambda t: x(t).quantile(t.tensor([0.2, 0.5]), 0),
    "nanquantile": lambda t: x(t).nanquantile(0.5, 1),
    "nanquantiles": lambda t: x(t).nanquantile(t.tensor([0.2, 0.5])),
    "split": lambda t: x(t).split(1),
    "split into": lambda t: x(t).split([1, 1]),
    "split_with_sizes": lambda t: x(t).split_with_sizes([1, 1]),
    "chunk": lambda t: x(t).chunk(2),
    "eigvals": lambda t: t.linalg.eigvals(x(t)),
    "cholesky": lambda t: t.cholesky(t.eye(2, requires_grad=True)),
    "linalg.cholesky": lambda t: t.linalg.cholesky(t.eye(2, requires_grad=True)),
    "cond": lambda t: t.linalg.cond(t.eye(2, requires_grad=True)),
    "cond fro": lambda t: t.linalg.cond(t.eye(2, requires_grad=True), "fro"),
    "logdet": lambda t: t.logdet(t.eye(2, requires_grad=True)),
    "vander": lambda t: t.linalg.vander(x(t)),
    **{f"fft.{name}": lambda t, name=name: getattr(t.fft, name)(x(t)) for name in (
        "fft ifft rfft ihfft fft2 ifft2 rfft2 ihfft2 fftn ifftn rfftn ihfftn"
    ).split()},
}  # fmt: skip
COPIES = {
    "as_strided": ((2,), (1,)), "expand": ((2, 2),), "permute": ((1, 0),), "select": (0, 0),
    "split": (1,), "transpose": (0, 1), "unfold": (0, 1, 1), "unsqueeze": (0,), "view": ((4,),),
    "alias": (), "squeeze": (), "t": (), "unbind": (), "split_with_sizes": ([1, 1],),
    "slice": (), "diagonal": (), "narrow": (0, 0, 1),
}  # fmt: skip
LONE = {  # some of several results carry a gradient
    "lu": lambda t: t.linalg.lu(x(t)),
    "lu_unpack": lambda t: t.lu_unpack(*t.linalg.lu_factor(x(t) + t.eye(2))),
    "native_batch_norm": lambda t: t.native_batch_norm(
        x(t, 0.3, 2, 2, 2), None, None, None, None, True, 0.1, 1e-5),
    "native_layer_norm": lambda t: t.native_layer_norm(x(t), (2,), None, None, 1e-5),
    "lstsq": lambda t: t.linalg.lstsq(x(t) + t.eye(2), x(t)),
}  # fmt: skip


def names(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [names(item) for item in value]
    return value.grad_fn and value.grad_fn.name()


def alike(call: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert names(call(torchish)) == names(call(torch))


@pytest.mark.parametrize("kind", [WRITTEN, OVERLOADS, LONE])
def test_names(kind: dict[str, Any]) -> None:
    wrong = {}
    for what, call in kind.items():
        try:
            alike(call)
        except AssertionError as error:
            wrong[what] = str(error).splitlines()[0]
    assert wrong == {}


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_views_are_named_after_the_view(name: str) -> None:
    alike(lambda t: getattr(t, f"{name}_copy")(x(t), *COPIES[name]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda t, F, r: F.l1_loss(x(t), x(t), reduction=r),
        lambda t, F, r: F.mse_loss(x(t), x(t), reduction=r),
        lambda t, F, r: F.huber_loss(x(t), x(t), reduction=r),
        lambda t, F, r: F.smooth_l1_loss(x(t), x(t), reduction=r),
        lambda t, F, r: F.kl_div(x(t), x(t), reduction=r),
        lambda t, F, r: F.kl_div(x(t), x(t), reduction=r, log_target=True),
        lambda t, F, r: F.gaussian_nll_loss(x(t), x(t), x(t), reduction=r),
        lambda t, F, r: F.gaussian_nll_loss(x(t), x(t), x(t), True, reduction=r),
        lambda t, F, r: F.poisson_nll_loss(x(t), x(t), reduction=r),
        lambda t, F, r: F.poisson_nll_loss(x(t), x(t), full=True, reduction=r),
        lambda t, F, r: F.cosine_embedding_loss(x(t), x(t), t.ones(2), reduction=r),
        lambda t, F, r: F.nll_loss(x(t), t.tensor([0, 1]), reduction=r),
        lambda t, F, r: F.nll_loss(x(t, 0.3, 1, 2, 2), t.tensor([[0, 1]]), reduction=r),
        lambda t, F, r: F.cross_entropy(x(t), t.tensor([0, 1]), reduction=r),
        lambda t, F, r: F.cross_entropy(
            x(t), t.tensor([0, 1]), reduction=r, label_smoothing=0.1
        ),
        lambda t, F, r: F.cross_entropy(
            x(t, 0.3, 1, 2, 2, 2), t.zeros(1, 2, 2, dtype=t.int64), reduction=r
        ),
        lambda t, F, r: F.cross_entropy(x(t), x(t).detach(), reduction=r),
    ],
)  # fmt: skip
def test_losses_are_named_after_their_reduction(loss: Any, reduction: str) -> None:
    alike(lambda t: loss(t, t.nn.functional, reduction))


@pytest.mark.parametrize("name", ["elu", "leaky_relu", "celu", "selu", "threshold"])
def test_gradients_of_written_ones_pass_hooks(name: str) -> None:
    """PyTorch keeps the result of these, which hooks on saved tensors may see."""

    def run(t: Any) -> list[Any]:
        start = t.linspace(-2, 2, 5, requires_grad=True)
        kept = []
        hooks = t.autograd.graph.saved_tensors_hooks(lambda s: kept.append(s) or s, lambda s: s)
        with hooks:
            args = (0.1, 0.2) if name == "threshold" else ()
            made = getattr(t.nn.functional, name)(start.clone(), *args, inplace=True)
        made.sum().backward()
        return [start.grad.tolist(), len(kept)]

    ours, theirs = run(torchish), run(torch)
    assert ours[0] == pytest.approx(theirs[0]) and ours[1] == theirs[1]
