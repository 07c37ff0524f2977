"""Strides through modules, gradients and in-place writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


@case
def modules(torch: Any) -> Any:
    F = torch.nn.functional
    x = torch.randn(2, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    t = torch.randn(5, 3).t()
    five = torch.randn(2, 3, 4, 4, 4).contiguous(memory_format=torch.channels_last_3d)
    o = [
        F.pad(x, (1, 1, 1, 1), mode="reflect"),
        F.pad(x, (1, 1, 1, 1), mode="circular"),
        F.interpolate(x, 3),
        F.interpolate(x, 12, mode="bilinear"),
        F.grid_sample(x, torch.zeros(2, 3, 3, 2), align_corners=False),
        F.unfold(x, 2),
        F.pixel_unshuffle(x, 2),
        F.instance_norm(x),
        F.batch_norm(x, None, None, training=True),
        F.adaptive_avg_pool2d(x, 2),
        F.adaptive_max_pool2d(x, 2),
        F.fractional_max_pool2d(x, 2, 3),
        F.lp_pool2d(x, 2, 2),
        F.dropout(x),
        F.dropout2d(x),
        F.alpha_dropout(x),
        F.softmax(x, 1),
        F.log_softmax(x, 2),
        F.gelu(x),
        F.hardtanh(x),
        F.rrelu(x),
        F.normalize(x),
        F.embedding(torch.tensor([[0, 1]]), t),
        t.cumsum(0),
        t.cummax(0)[0],
        t.topk(2, 0)[0],
        t.kthvalue(1)[0],
        t.mode(0)[0],
        t.median(0)[0],
        t.unique(dim=0),
        t.tril(),
        torch.tril(t),
        t.repeat(2, 1),
        t.repeat_interleave(2, 0),
        torch.tile(t, (1, 2)),
        t.roll(1),
        t.clone(),
        t + 1,
        t.to(torch.float64),
        torch.empty_like(t),
        t.nan_to_num(),
        t.lerp(t, 0.5),
        t.where(t > 0, 0.0),
        t.gather(0, torch.zeros(1, 5, dtype=torch.long)),
        t.index_select(0, torch.tensor([0])),
        t[[0, 1]],
        t[:, [0, 1]],
        t[t > -100],
        t.masked_fill(t > 0, 0),
        t.fliplr(),
        t.renorm(2, 0, 1),
        t.cov(),
        t.diff(),
        t.bernoulli(0.5),
        torch.normal(t, 1.0),
        five.mean((3, 4)),
        F.max_pool3d(five, 2),
        F.avg_pool3d(five, 2),
        F.conv3d(five, torch.randn(2, 3, 2, 2, 2)),
        five.sum(1, keepdim=True),
        five.amax(1),
        x.mean(1),
        x.argmax(1),
        x.permute(0, 2, 3, 1) * 2,
        torch.add(x, torch.randn(1, 4, 1, 1)),
        x[:1] + x,
        x + torch.randn(2, 4, 6, 6),
        torch.randn(2, 4, 6, 6) + x,
    ]
    return [(k, tuple(v.shape), tuple(v.stride())) for k, v in enumerate(o)]


@case
def grads(torch: Any) -> Any:
    F = torch.nn.functional
    out = []
    weight = torch.randn(3, 4, 3, 3, requires_grad=True)
    for f in (
        lambda x: F.conv2d(x, weight),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.interpolate(x, 3),
        lambda x: x.relu(),
        lambda x: F.pad(x, (1, 1)),
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: x.sum(1),
        lambda x: x.permute(0, 2, 3, 1),
        lambda x: x[:, :2],
    ):
        x = torch.randn(2, 4, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
        f(x).pow(2).sum().backward()
        out.append((x.grad.stride(), weight.grad.stride()))
    return out


@case
def inplace_keeps(torch: Any) -> Any:
    x = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    s = x.stride()
    x.copy_(torch.randn(2, 3, 4, 4))
    x.add_(1)
    x.clamp_(0)
    a = x.stride() == s
    y = torch.empty(0).resize_(2, 3, 4, 4, memory_format=torch.channels_last)
    z = torch.empty(2, 3, 4, 4)
    torch.add(x, 1, out=z)
    e = torch.empty(0)
    torch.add(x, 1, out=e)
    return (
        a,
        y.stride(),
        z.stride(),
        e.stride(),
        x.is_contiguous(memory_format=torch.channels_last),
        x.is_contiguous(),
        x.to(memory_format=torch.contiguous_format).stride(),
        x.double().stride(),
        x.clone(memory_format=torch.contiguous_format).stride(),
        tries(
            lambda: torch.ones(2).contiguous(memory_format=torch.channels_last),
            lambda: torch.ones(1, 1, 1, 1).contiguous(memory_format=torch.preserve_format),
        ),
    )


@case
def models(torch: Any) -> Any:
    nn = torch.nn
    torch.manual_seed(0)
    m = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 4, 2),
        nn.Upsample(scale_factor=2),
        nn.PReLU(4),
        nn.LocalResponseNorm(2),
        nn.PixelShuffle(2),
        nn.AvgPool2d(2),
        nn.ZeroPad2d(1),
        nn.InstanceNorm2d(1),
        nn.Hardswish(),
        nn.ReflectionPad2d(1),
        nn.AdaptiveMaxPool2d(3),
    ).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 9, 9).to(memory_format=torch.channels_last)
    out = [m[0].weight.stride()]
    for k in m:
        x = k(x)
        out.append(tuple(x.stride()))
    return out


@case
def ambiguous(torch: Any) -> Any:
    out = []
    for shape in ((1, 3, 4, 4), (2, 1, 4, 4), (2, 3, 1, 1), (1, 1, 1, 1), (0, 3, 2, 2)):
        x = torch.zeros(shape).to(memory_format=torch.channels_last)
        out.append(
            (
                x.stride(),
                (x * 2).stride(),
                x.relu().stride(),
                torch.nn.functional.pad(x, (1, 1)).stride(),
                torch.cat([x, x]).stride(),
                x.sum(0).stride(),
                torch.zeros_like(x).stride(),
            )
        )
    return out


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
