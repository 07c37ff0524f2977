"""Strides of results for inputs that do not lie in memory row by row: what PyTorch's are.

Nothing is computed here: strides are known when an operator is recorded. The OpInfo samples are
swept in `tests/compat/opinfo/layouts.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch as oracle

import torchish as torch

Call = Callable[[Any, Any], Any]
F = "nn.functional"


def fn(T: Any, name: str) -> Any:
    return getattr(T.nn.functional, name)


CALLS: dict[str, Call] = {
    "group_norm": lambda T, x: fn(T, "group_norm")(x, 2),
    "local_response_norm": lambda T, x: fn(T, "local_response_norm")(x, 2),
    "rms_norm": lambda T, x: fn(T, "rms_norm")(x, (6,)),
    "batch_norm": lambda T, x: fn(T, "batch_norm")(x, None, None, training=True),
    "native_batch_norm": lambda T, x: T.native_batch_norm(
        x, None, None, None, None, True, 0.1, 1e-5
    ),
    "pad": lambda T, x: fn(T, "pad")(x, (1, 1)),
    "pad reflect": lambda T, x: fn(T, "pad")(x, (1, 1, 1, 1), "reflect"),
    "pad replicate": lambda T, x: fn(T, "pad")(x, (1, 1, 1, 1), "replicate"),
    "pad circular": lambda T, x: fn(T, "pad")(x, (1, 1, 1, 1), "circular"),
    **{f"stack {d}": lambda T, x, d=d: T.stack([x, x, x], d) for d in range(5)},
    "cat": lambda T, x: T.cat([x, x], 2),
    "roll": lambda T, x: x.roll(1, 2),
    "roll all": lambda T, x: x.roll(1),
    "flip": lambda T, x: x.flip(1),
    "sort": lambda T, x: x.sort(1),
    "argsort": lambda T, x: x.argsort(1),
    "msort": lambda T, x: x.msort(),
    "topk": lambda T, x: x.topk(2, 1),
    "rot90": lambda T, x: x.rot90(1, (2, 3)),
    "rot90 twice": lambda T, x: x.rot90(2, (2, 3)),
    "index_fill": lambda T, x: x.index_fill(1, T.tensor([0]), 3.0),
    "index_put": lambda T, x: x.index_put((T.tensor([0]),), T.tensor(1.0)),
    "put": lambda T, x: x.put(T.tensor([0]), T.tensor([1.0])),
    "masked_fill": lambda T, x: x.masked_fill(x > 0, 1),
    "select_scatter": lambda T, x: x.select_scatter(T.ones(2, 4, 6), 1, 0),
    "slice_scatter": lambda T, x: x.slice_scatter(T.ones(2, 1, 4, 6), 1, 0, 1),
    "diagonal_scatter": lambda T, x: x.diagonal_scatter(T.ones(4, 6, 2), 0, 0, 1),
    "glu": lambda T, x: fn(T, "glu")(x, 1),
    "prelu": lambda T, x: fn(T, "prelu")(x, T.ones(8)),
    "rsub": lambda T, x: T.rsub(x, x),
    "kron": lambda T, x: T.kron(x, x),
    **{
        f"einsum {equation}": lambda T, x, e=equation: T.einsum(
            e, *[x, x[0, 0]][: e.count(",") + 1]
        )
        for equation in ("abcd->dcba", "abcd->abd", "abcd,cd->abcd", "abcd,ef->abecfd",
                         "abcd,cd->acdb")
    },
    "einsum diagonal": lambda T, x: T.einsum("aacd->cad", x[:2, :2]),
    "einsum batches": lambda T, x: T.einsum("abcd,aecd->acdbe", x, x),
    "mvlgamma": lambda T, x: T.mvlgamma(x.abs() + 3, 2),
    "pixel_shuffle": lambda T, x: fn(T, "pixel_shuffle")(x, 2),
    "pixel_unshuffle": lambda T, x: fn(T, "pixel_unshuffle")(x, 2),
    "channel_shuffle": lambda T, x: fn(T, "channel_shuffle")(x, 2),
    "max_pool2d": lambda T, x: fn(T, "max_pool2d")(x, 2),
    "avg_pool2d": lambda T, x: fn(T, "avg_pool2d")(x, 2),
    "adaptive_avg_pool2d": lambda T, x: fn(T, "adaptive_avg_pool2d")(x, 2),
    "interpolate": lambda T, x: fn(T, "interpolate")(x, scale_factor=2.0, mode="bilinear"),
    "conv2d": lambda T, x: fn(T, "conv2d")(x, T.ones(3, 8, 2, 2)),
    "conv_transpose2d": lambda T, x: fn(T, "conv_transpose2d")(x, T.ones(8, 3, 2, 2)),
    "conv2d weight": lambda T, x: fn(T, "conv2d")(T.ones(1, 8, 9, 9), x),
    "float": lambda T, x: x.float(memory_format=T.contiguous_format),
    "view_copy": lambda T, x: T.view_copy(x, (-1, 6)),
    **{
        name: lambda T, x, name=name: fn(T, name)(x, x.sigmoid(), reduction="none")
        for name in (
            "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss", "kl_div",
            "binary_cross_entropy_with_logits", "poisson_nll_loss", "hinge_embedding_loss",
        )
    },
}  # fmt: skip
VOLUMES: dict[str, Call] = {
    "conv3d": lambda T, x: fn(T, "conv3d")(x, T.ones(2, 4, 2, 2, 2)),
    "conv_transpose3d": lambda T, x: fn(T, "conv_transpose3d")(x, T.ones(4, 2, 2, 2, 2)),
    "max_pool3d": lambda T, x: fn(T, "max_pool3d")(x, 2),
    "avg_pool3d": lambda T, x: fn(T, "avg_pool3d")(x, 2),
    "adaptive_avg_pool3d": lambda T, x: fn(T, "adaptive_avg_pool3d")(x, 2),
    "adaptive_max_pool3d": lambda T, x: fn(T, "adaptive_max_pool3d")(x, 2),
    "batch_norm": lambda T, x: fn(T, "batch_norm")(x, None, None, training=True),
    "group_norm": lambda T, x: fn(T, "group_norm")(x, 2),
    "pad": lambda T, x: fn(T, "pad")(x, (1, 1)),
    "pad replicate": lambda T, x: fn(T, "pad")(x, (1, 1, 1, 1, 1, 1), "replicate"),
    "stack": lambda T, x: T.stack([x, x], 1),
    "flip": lambda T, x: x.flip(1),
    "sort": lambda T, x: x.sort(1),
    "roll": lambda T, x: x.roll(1, 2),
}
LINES: dict[str, Call] = {
    "conv1d": lambda T, x: fn(T, "conv1d")(x, T.ones(2, 4, 2)),
    "conv_transpose1d": lambda T, x: fn(T, "conv_transpose1d")(x, T.ones(4, 2, 2)),
    "max_pool1d": lambda T, x: fn(T, "max_pool1d")(x, 2),
    "avg_pool1d": lambda T, x: fn(T, "avg_pool1d")(x, 2),
    "adaptive_avg_pool1d": lambda T, x: fn(T, "adaptive_avg_pool1d")(x, 2),
    "local_response_norm": lambda T, x: fn(T, "local_response_norm")(x, 2),
}


def permuted(T: Any, shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    """A tensor of a shape whose dims lie in memory in the given order."""
    count = 1
    for n in shape:
        count *= n
    wide = T.arange(float(count)).reshape([shape[d] for d in order]) / count
    back = sorted(range(len(order)), key=lambda d: order[d])
    return wide.permute(back)


def strides(T: Any, call: Call, shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        T.manual_seed(0)
        try:
            found = call(T, permuted(T, shape, order))
        except RuntimeError:
            return "refused"
    return [
        [s for s, n in zip(t.stride(), t.shape, strict=True) if n != 1]
        for t in (found if isinstance(found, tuple) else (found,))
    ]


ORDERS = {"channels_last": (0, 2, 3, 1), "transposed": (0, 1, 3, 2), "reversed": (3, 2, 1, 0)}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CALLS)
def test_images(name: str, order: str) -> None:
    given = CALLS[name], (2, 8, 4, 6), ORDERS[order]
    assert strides(torch, *given) == strides(oracle, *given)


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name: str) -> None:
    given = VOLUMES[name], (2, 4, 4, 4, 6), (0, 2, 3, 4, 1)
    assert strides(torch, *given) == strides(oracle, *given)


@pytest.mark.parametrize("name", LINES)
def test_lines(name: str) -> None:
    given = LINES[name], (2, 4, 6), (0, 2, 1)
    assert strides(torch, *given) == strides(oracle, *given)


MATRIX: dict[str, Call] = {
        "sort": lambda T, x: x.sort(0), "argsort": lambda T, x: x.argsort(0),
        "flip": lambda T, x: x.flip(0), "rot90": lambda T, x: x.rot90(),
        "msort": lambda T, x: x.msort(), "glu": lambda T, x: fn(T, "glu")(x, 0),
        "index_fill": lambda T, x: x.index_fill(0, T.tensor([1]), 2.0),
        "addr": lambda T, x: x.addr(T.ones(4), T.ones(6)),
        "roll": lambda T, x: x.roll(1, 0), "index_put": CALLS["index_put"],
}  # fmt: skip


@pytest.mark.parametrize("name", MATRIX)
def test_transposed_matrix(name: str) -> None:
    given = MATRIX[name], (4, 6), (1, 0)
    assert strides(torch, *given) == strides(oracle, *given)


SCATTERS: dict[str, Call] = {
    "select_scatter": lambda T, x: T.select_scatter(x, x.select(1, 0) * 2, 1, 0),
    "slice_scatter": lambda T, x: T.slice_scatter(x, x[:, :1] * 2, 1, 0, 1),
    "diagonal_scatter": lambda T, x: T.diagonal_scatter(x, x.diagonal() * 2),
    "as_strided_scatter": lambda T, x: T.as_strided_scatter(x, T.zeros(2, 2), (2, 2), (1, 2), 2),
}


@pytest.mark.parametrize("name", SCATTERS)
def test_copies_with_a_part_replaced_keep_gaps_in_memory(name: str) -> None:
    found = []
    for T in (torch, oracle):
        leaf = T.arange(24.0).reshape(2, 12).requires_grad_()
        x = (leaf * 1)[:, 1::3]
        x = x.detach() if name[:2] == "as" else x  # torch has no gradient for that
        made = SCATTERS[name](T, x)
        grad = leaf if name[:2] == "as" else T.autograd.grad((made * made).sum(), leaf)[0]
        facts = made.stride(), made.storage_offset(), made._base is None or name[:2] == "as"
        made.data.add_(1)  # in memory of its own
        found.append((*facts, made.tolist(), grad.tolist(), leaf.tolist()))
    assert found[0] == found[1]


def test_einsum_of_one_operand_is_a_view() -> None:
    for T in (torch, oracle):
        x = T.zeros(2, 3)
        T.einsum("ij->ji", x).fill_(3)
        T.einsum("ii->i", x[:, :2]).zero_()
        assert x.tolist() == [[0, 3, 3], [3, 0, 3]]
        y = T.einsum("a,b->ab", T.ones(2), T.ones(2, dtype=T.int64, requires_grad=False))
        assert str(y.dtype) == "torch.float32"
