"""Attention as one call: numpy, JAX's formula and torchish-cpu agree, derivatives too."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from tests.ops.ways import run
from torchish._core.program import rewrites
from torchish._ops.conv import onednn
from torchish._ops.layers import fused_attention
from torchish._ops.rewrites.heads import leave_heads

present = pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")
WAYS = ["formula", "numpy", pytest.param("onednn", marks=present)]

# Leading sizes, L, S, E, F, causal, and the shape of a mask.
CASES = [
    ((2, 3), 7, 9, 4, 6, False, None),
    ((2, 3), 9, 7, 4, 6, True, None),
    ((3,), 70, 130, 8, 5, True, None),  # several blocks of rows, columns that none sees
    ((3,), 130, 70, 8, 5, True, None),
    ((), 5, 5, 3, 3, True, None),
    ((2, 4), 1, 40, 16, 16, False, None),  # a step of a decoder
    ((2,), 40, 1, 16, 16, True, None),
    ((12, 4), 64, 64, 32, 32, True, None),  # enough for several threads
    ((1,), 33, 5000, 8, 8, False, None),  # blocks of fewer rows
    # Widths of whole vectors, whose products are the package's own: odd lengths, several blocks.
    ((2,), 70, 135, 16, 48, True, None),
    ((2,), 135, 70, 48, 16, True, None),
    ((2,), 133, 77, 32, 16, False, None),
    ((2,), 21, 1100, 16, 32, True, None),  # more columns than those take
    ((2, 3), 37, 45, 16, 16, True, (37, 45)),
    ((2, 3), 7, 9, 4, 6, False, (7, 9)),
    ((2, 3), 7, 9, 4, 6, True, (7, 9)),
    ((2, 3), 7, 9, 4, 6, False, (2, 1, 1, 9)),
    ((2, 3), 70, 90, 4, 6, False, (2, 3, 70, 90)),
    ((2, 3), 7, 9, 4, 6, False, (3, 7, 1)),
    ((2, 3), 7, 9, 4, 6, False, (1,)),
]
KINDS = [(c, kind) for c in CASES for kind in ("bool", "float") if c[-1] or kind == "bool"]


def _operands(case: Any, dtype: Any = np.float32) -> list[Any]:
    lead, rows, columns, width, out, _, _ = case
    rng = np.random.default_rng(0)
    shapes = ((*lead, rows, width), (*lead, columns, width), (*lead, columns, out))
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def _mask(case: Any, kind: str) -> Any:
    shape = case[-1]
    if shape is None:
        return None
    looks = np.random.default_rng(1).random(shape) > 0.4
    if len(shape) > 1:
        looks[..., 3 % shape[-2], :] = False  # a row that sees nothing
    return looks if kind == "bool" else np.where(looks, 0.5, -np.inf).astype(np.float32)


def _oracle(case: Any, mask: Any, q: Any, k: Any, v: Any) -> Any:
    """PyTorch's own formula in double; it refuses a mask beside `is_causal`."""
    hidden = oracle.zeros(q.shape[-2], k.shape[-2], dtype=oracle.float64)
    if case[5]:
        hidden = hidden.masked_fill(~oracle.ones_like(hidden).tril().bool(), -oracle.inf)
    if mask is not None:
        given = oracle.from_numpy(mask)
        bias = given.double()
        if given.dtype == oracle.bool:
            bias = oracle.zeros_like(bias).masked_fill(~given, -oracle.inf)
        hidden = hidden + bias
    return oracle.nn.functional.scaled_dot_product_attention(q, k, v, hidden)


def _close(got: Any, want: Any) -> None:
    scale = max(1.0, float(np.abs(want).max()))
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=2e-6 * scale)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("case", "kind"), KINDS, ids=str)
def test_values_and_gradients_are_pytorchs(case: Any, kind: str, way: str) -> None:
    operands, mask = _operands(case), _mask(case, kind)
    if mask is not None:
        mask = jnp.asarray(mask)

    def all_of(*qkv: Any) -> Any:
        def attend(*varied: Any) -> Any:
            return fused_attention.attend(*varied, mask, case[5], case[3] ** -0.5)

        made, pull = jax.vjp(attend, *qkv)
        return made, pull(jnp.cos(made))

    made, grads = run(way, onednn.ATTENTION, all_of, *operands)
    doubles = [oracle.from_numpy(x).double().requires_grad_() for x in operands]
    wanted = _oracle(case, None if mask is None else np.array(mask), *doubles)
    pulled = oracle.autograd.grad(wanted, doubles, wanted.detach().cos())
    for got, want in zip((made, *grads), (wanted, *pulled), strict=True):
        _close(got, want.detach().numpy())


@present
def test_errors_are_no_larger_than_the_formulas() -> None:
    case = ((12, 4), 64, 64, 32, 32, True, None)
    operands = _operands(case)
    doubles = [oracle.from_numpy(x).double() for x in operands]
    want = _oracle(case, None, *doubles).numpy()
    errors = []
    for way in ("onednn", "formula"):
        attend = partial(fused_attention.attend, mask=None, causal=True, scale=32**-0.5)
        errors.append(
            np.abs(np.asarray(run(way, onednn.ATTENTION, attend, *operands)) - want).mean()
        )
    assert errors[0] < 1.2 * errors[1]


@pytest.mark.parametrize("way", WAYS)
def test_nan_and_large_scores_travel_as_in_pytorch(way: str) -> None:
    case = ((1,), 20, 20, 4, 4, False, None)
    q, k, v = _operands(case)
    q[0, 3, 1], q[0, 5], k[0, 7] = np.nan, 1e4, 1e4
    attend = partial(fused_attention.attend, mask=None, causal=False, scale=0.5)
    want = _oracle(case, None, *(oracle.from_numpy(x).double() for x in (q, k, v)))
    got = run(way, onednn.ATTENTION, attend, q, k, v)
    np.testing.assert_allclose(np.asarray(got), want.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_second_derivatives(masked: bool) -> None:
    """Those of float32 calls, by the rules of the three primitives, against PyTorch's doubles."""
    case = ((2,), 4, 5, 3, 3, not masked, (4, 5) if masked else None)
    operands, mask = _operands(case), _mask(case, "bool")

    def slope(*qkv: Any) -> Any:
        def total(*varied: Any) -> Any:
            return jnp.sin(fused_attention.attend(*varied, mask, case[5], 3**-0.5)).sum()

        return sum((g**2).sum() for g in jax.grad(total, (0, 1, 2))(*qkv))

    got = jax.jit(jax.grad(slope, (0, 1, 2)))(*operands)
    doubles = [oracle.from_numpy(x).double().requires_grad_() for x in operands]
    with oracle.nn.attention.sdpa_kernel(oracle.nn.attention.SDPBackend.MATH):
        total = _oracle(case, mask, *doubles).sin().sum()
        first = oracle.autograd.grad(total, doubles, create_graph=True)
        second = oracle.autograd.grad(sum(g.pow(2).sum() for g in first), doubles)
    for mine, theirs in zip(got, second, strict=True):
        _close(mine, theirs.numpy())


def test_the_tangent_is_the_gradients_transpose() -> None:
    case = ((2,), 4, 5, 3, 3, True, None)
    operands = _operands(case)
    attend = partial(fused_attention.attend, mask=None, causal=True, scale=0.5)
    rng = np.random.default_rng(2)
    moves = [rng.standard_normal(x.shape).astype(np.float32) for x in operands]
    made, along = jax.jvp(attend, operands, moves)
    ct = rng.standard_normal(made.shape).astype(np.float32)
    pulled = jax.vjp(attend, *operands)[1](ct)
    one = float((np.asarray(along) * ct).sum())
    two = sum(float((np.asarray(a) * b).sum()) for a, b in zip(pulled, moves, strict=True))
    assert one == pytest.approx(two, rel=1e-4)
    _, by_numpy = run(
        "numpy", onednn.ATTENTION, lambda *x: jax.jvp(attend, x, tuple(moves)), *operands
    )
    _close(by_numpy, np.asarray(along))


@pytest.mark.parametrize("axes", [(0, 0, 0, 0), (1, None, 1, None), (None, 0, None, 1)], ids=str)
def test_samples_are_mapped(axes: tuple[int | None, ...]) -> None:
    case = ((2, 3), 7, 9, 4, 6, False, (3, 7, 9))
    given = [*_operands(case), _mask(case, "bool")]
    many = [
        x if d is None else np.stack([x, x[..., ::-1]], d) for x, d in zip(given, axes, strict=True)
    ]

    def grads(q: Any, k: Any, v: Any, mask: Any) -> Any:
        made, pull = jax.vjp(lambda *x: fused_attention.attend(*x, mask, False, 0.5), q, k, v)
        return (made, *pull(jnp.cos(made)))

    mapped = jax.jit(jax.vmap(grads, axes))(*many)
    for n in range(2):
        own = [x if d is None else np.take(x, n, d) for x, d in zip(many, axes, strict=True)]
        for got, want in zip(mapped, grads(*own), strict=True):
            _close(got[n], np.asarray(want))


def test_a_float_mask_has_a_gradient() -> None:
    case = ((2,), 4, 5, 3, 3, False, (4, 5))
    mask = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    found = []
    for m, dtype in ((torch, torch.float32), (oracle, oracle.float64)):
        given = [m.tensor(x, dtype=dtype) for x in (*_operands(case), mask)]
        given[3].requires_grad_()
        m.nn.functional.scaled_dot_product_attention(*given).sin().sum().backward()
        found.append(given[3].grad.numpy())
    _close(*found)


# --- heads that lie between rows ------------------------------------------------------------------


def _layer(batch_first: bool) -> Any:
    def step(x: Any, w: Any) -> Any:
        """What a multi-head layer does: project, split into heads, attend, join."""
        a, b, _ = x.shape
        parts = jnp.split(x @ w, 3, -1)
        if batch_first:
            q, k, v = (y.reshape(a, b, 3, 4).transpose(0, 2, 1, 3) for y in parts)
        else:
            q, k, v = (y.reshape(a, b * 3, 4).transpose(1, 0, 2) for y in parts)
            q, k, v = (y.reshape(b, 3, a, 4) for y in (q, k, v))
        made = fused_attention.attend(q, k, v, None, True, 0.5)
        return made.transpose(*((0, 2, 1, 3) if batch_first else (2, 0, 1, 3))).reshape(a, b, 12)

    def all_of(x: Any, w: Any) -> Any:
        made, pull = jax.vjp(step, x, w)
        return (made, *pull(jnp.cos(made)))

    return all_of


@present
@pytest.mark.parametrize("batch_first", [True, False])
def test_heads_are_not_moved(batch_first: bool) -> None:
    rng = np.random.default_rng(4)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((5, 6, 12), (12, 36)))
    lowered = jax.jit(_layer(batch_first)).lower(x, w)
    plain = lowered.compile()(x, w)
    assert leave_heads in rewrites
    again = jax.jit(_layer(batch_first)).lower(x, w)
    before = again.as_text().count("stablehlo.transpose")
    leave_heads(again)
    text = again.as_text()
    order = "0, 2, 1, 3" if batch_first else "2, 0, 1, 3"
    assert text.count(onednn.ATTENTION) == 1 and text.count(onednn.ATTENTION_GRADIENT) == 1
    for count in (4, 7):
        assert ", ".join([order] * count) in text
    assert before - text.count("stablehlo.transpose") >= 4  # those of results
    for got, want in zip(again.compile()(x, w), plain, strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


@present
def test_operands_that_are_read_twice_and_other_orders_stay() -> None:
    def step(x: Any) -> Any:
        q = x.transpose(0, 1, 3, 2)  # its rows are not contiguous
        made = fused_attention.attend(q, q, q, None, False, 1.0)
        return made, made.transpose(0, 2, 1, 3)

    x = np.random.default_rng(5).standard_normal((2, 3, 4, 5)).astype(np.float32)
    plain = jax.jit(step).lower(x).compile()(x)
    again = jax.jit(step).lower(x)
    leave_heads(again)
    assert ", ".join(["0, 1, 2, 3"] * 4) in again.as_text()
    for got, want in zip(again.compile()(x), plain, strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


# --- the layers that use it -----------------------------------------------------------------------


def _grads(m: Any, layer: Any, x: Any) -> tuple[Any, list[Any]]:
    x = m.tensor(x, dtype=next(layer.parameters()).dtype).requires_grad_()
    mask = m.nn.Transformer.generate_square_subsequent_mask(x.shape[1]).to(x.dtype)
    if isinstance(layer, m.nn.MultiheadAttention):
        made, _ = layer(x, x, x, need_weights=False, attn_mask=mask)
    else:
        made = layer(x, mask)
    made.sin().sum().backward()
    return made.grad_fn, [made.detach().numpy(), x.grad.numpy()]


def _names(node: Any) -> set[str]:
    found, waiting = set(), [node]
    while waiting:
        node = waiting.pop()
        if node is not None:
            found.add(node.name())
            waiting += [before for before, _ in node.next_functions]
    return found


@pytest.mark.parametrize("name", ["MultiheadAttention", "TransformerEncoderLayer"])
def test_layers_attend_in_one_call(name: str) -> None:
    options: dict[str, Any] = {"batch_first": True, "dropout": 0.0}
    if name == "TransformerEncoderLayer":
        options["dim_feedforward"] = 20
    layers = [getattr(m.nn, name)(12, 3, **options) for m in (torch, oracle)]
    state = {k: oracle.tensor(v.numpy()) for k, v in layers[0].state_dict().items()}
    layers[1].load_state_dict(state)
    x = np.random.default_rng(6).standard_normal((2, 7, 12))
    end, mine = _grads(torch, layers[0], x)
    _, theirs = _grads(oracle, layers[1].double(), x)
    assert "ScaledDotProductFlashAttentionForCpuBackward0" in _names(end)
    for got, want in zip(mine, theirs, strict=True):
        _close(got, want)


def test_exported_programs_leave_it_out() -> None:
    class Attention(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    x = torch.randn(2, 3, 8, 4)
    program = torch.export.export(Attention(), (x,))
    assert "torchish_attention" not in program.stablehlo()
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    got = torch.export.load(file).module()(x)
    _close(got.numpy(), Attention()(x).numpy())
