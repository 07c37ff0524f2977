"""What nodes keep for backward: hooks that pack it, `save_on_cpu`, `grad_fn._saved_...`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.autograd.agreement import agree


def hooks(m, *a):
    return m.autograd.graph.saved_tensors_hooks(*a)


def logged(m, work, same=True):
    log = []

    def pack(t):
        log.append(("pack", tuple(t.shape), str(t.dtype), t.requires_grad, m.is_grad_enabled()))
        return t

    def unpack(t):
        log.append(("unpack", tuple(t.shape), m.is_grad_enabled()))
        return t

    with hooks(m, pack, unpack):
        y = work()
    y.sum().backward()
    return log if same else None


def leafs(m, *shapes):
    return [
        m.arange(1.0, 1 + int(m.tensor(s).prod()) if s else 2.0).reshape(s).requires_grad_()
        for s in shapes
    ]


def unit(m: Any) -> Any:
    def case(name, build):
        def run(m):
            x, y = leafs(m, (3, 4), (4,))
            w = (m.arange(8.0).reshape(2, 4) / 10).requires_grad_()
            same = not name.endswith("engine")
            return logged(m, lambda: build(m, x / 5, y, w), same), x.grad, y.grad, w.grad

        return name, run

    b = [
        ("mul", lambda m, x, y, w: x * y),
        ("div", lambda m, x, y, w: x / y),
        ("number", lambda m, x, y, w: x * 2 / 3),
        ("pow", lambda m, x, y, w: x**2 + x**3),
        ("pow tensor engine", lambda m, x, y, w: (x + 1).pow(y)),
        ("exp", lambda m, x, y, w: x.exp()),
        ("sqrt", lambda m, x, y, w: x.sqrt()),
        ("rsqrt", lambda m, x, y, w: (x + 1).rsqrt()),
        ("reciprocal", lambda m, x, y, w: (x + 1).reciprocal()),
        ("expm1", lambda m, x, y, w: x.expm1()),
        ("tan", lambda m, x, y, w: x.tan()),
        ("tanh", lambda m, x, y, w: x.tanh()),
        ("sigmoid", lambda m, x, y, w: x.sigmoid()),
        ("relu", lambda m, x, y, w: (x - 1).relu()),
        ("relu_", lambda m, x, y, w: (x - 1).relu_()),
        ("sigmoid_", lambda m, x, y, w: (x - 1).sigmoid_()),
        ("mul_", lambda m, x, y, w: (x - 1).mul_(y)),
        ("softmax", lambda m, x, y, w: x.softmax(-1)[0] * y),
        ("log_softmax", lambda m, x, y, w: x.log_softmax(0) * y),
        ("gelu", lambda m, x, y, w: m.nn.functional.gelu(x)),
        ("silu", lambda m, x, y, w: m.nn.functional.silu(x)),
        ("linear", lambda m, x, y, w: m.nn.functional.linear(x, w, y[:2])),
        ("linear no bias", lambda m, x, y, w: m.nn.functional.linear(x, w)),
        ("linear 3d", lambda m, x, y, w: m.nn.functional.linear(x[None], w, y[:2])),
        ("mm", lambda m, x, y, w: x @ w.t()),
        ("mv", lambda m, x, y, w: x @ y),
        ("sum mean", lambda m, x, y, w: x.sum(0) + x.mean()),
        ("layer_norm", lambda m, x, y, w: m.nn.functional.layer_norm(x, (4,), y, y) * x),
        ("layer_norm plain", lambda m, x, y, w: m.nn.functional.layer_norm(x, (4,)) * x),
        (
            "batch_norm",
            lambda m, x, y, w: m.nn.functional.batch_norm(x, m.zeros(4), m.ones(4), y, y, True) * x,
        ),
        (
            "batch_norm eval",
            lambda m, x, y, w: (
                m.nn.functional.batch_norm(x, m.zeros(4), m.ones(4), y, y, False) * x
            ),
        ),
        ("group_norm engine", lambda m, x, y, w: m.nn.functional.group_norm(x, 2, y, y) * x),
        (
            "conv",
            lambda m, x, y, w: m.nn.functional.conv1d(
                x[None], w[:, :3, None].repeat(1, 1, 1) if False else x[None, :, :2]
            ),
        ),
        ("max_pool engine", lambda m, x, y, w: m.nn.functional.max_pool1d(x[None], 2) * 3),
        ("max_pool2", lambda m, x, y, w: m.nn.functional.max_pool2d(x[None], 2) * 3),
        ("where", lambda m, x, y, w: m.where(x > 1, x, y)),
        ("cat", lambda m, x, y, w: m.cat([x, x]).exp()),
        ("index", lambda m, x, y, w: x[m.tensor([0, 1])] * y),
        ("sin cos", lambda m, x, y, w: x.sin() * x.cos()),
        ("views", lambda m, x, y, w: x.t()[1:].reshape(-1)),
        ("log", lambda m, x, y, w: x.log()),
        ("matmul 3d engine", lambda m, x, y, w: x[None].expand(2, 3, 4) @ w.t()),
        ("bmm", lambda m, x, y, w: m.bmm(x[None], w.t()[None])),
        (
            "cross_entropy engine",
            lambda m, x, y, w: m.nn.functional.cross_entropy(x, m.tensor([0, 1, 2])),
        ),
        ("mse", lambda m, x, y, w: m.nn.functional.mse_loss(x, x.detach() * 2)),
        ("embedding", lambda m, x, y, w: m.nn.functional.embedding(m.tensor([0, 1]), x)),
        ("abs clamp", lambda m, x, y, w: x.abs().clamp(0.1, 1)),
        ("addmm", lambda m, x, y, w: m.addmm(y[:2], x, w.t())),
        ("lerp", lambda m, x, y, w: m.lerp(x, x * 2, 0.3)),
        ("addcmul", lambda m, x, y, w: m.addcmul(x, x, y)),
        ("dropout engine", lambda m, x, y, w: m.nn.functional.dropout(x, 0.5)),
        (
            "lstm cell",
            lambda m, x, y, w: m.lstm_cell(
                x[:, :1], (x[:, :1], x[:, :1]), y[:, None], y[:, None], y, y
            )[0],
        ),
        (
            "gru cell",
            lambda m, x, y, w: m.gru_cell(
                x[:, :1], x[:, :1], y[:3, None], y[:3, None], y[:3], y[:3]
            ),
        ),
        (
            "rnn cell",
            lambda m, x, y, w: m.rnn_tanh_cell(
                x[:, :1], x[:, :1], y[:1, None], y[:1, None], y[:1], y[:1]
            ),
        ),
    ]
    return dict(case(n, f) for n, f in b)


OPS = unit(None)


def quantised(m: Any) -> Any:
    m.manual_seed(0)
    net = m.nn.Sequential(
        m.nn.Linear(8, 16),
        m.nn.Tanh(),
        m.nn.BatchNorm1d(16),
        m.nn.Linear(16, 16),
        m.nn.GELU(),
        m.nn.LayerNorm(16),
        m.nn.Linear(16, 4),
        m.nn.GroupNorm(2, 4),
        m.nn.Softmax(1),
    )
    x = m.randn(4, 8)
    with hooks(m, lambda t: (t * 16).round(), lambda t: t / 16):
        loss = net(x).pow(2).mean()
    loss.backward()
    return [p.grad for p in net.parameters()]


def second(m: Any) -> Any:
    x = m.tensor([0.3, 0.7], dtype=m.float64, requires_grad=True)
    with hooks(m, lambda t: t.clone(), lambda t: t):
        y = (
            (x * x).exp() * m.nn.functional.layer_norm(x * m.tensor([1.0, 3.0]), (2,)).double()
        ).tanh() * x.softmax(0)
    (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)


def second_under_hooks(m: Any) -> Any:
    log = []
    x = m.tensor([0.3, 0.7], dtype=m.float64, requires_grad=True)
    with hooks(m, lambda t: log.append(1) or t, lambda t: t):
        y = (x * x).exp()
        (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x), len(log) > 3


def nested(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    log = []
    with hooks(m, lambda t: log.append("outer") or t, lambda t: t):
        x.exp()
        with hooks(m, lambda t: log.append("inner") or t, lambda t: t):
            x.exp()
        x.exp()
    return log


def raising(where):
    def run(m):
        def boom(t):
            raise ValueError("boom " + where)

        def ok(t):
            return t

        x = m.ones(2, requires_grad=True)
        with hooks(m, boom if where == "pack" else ok, boom if where == "unpack" else ok):
            y = x.exp()
        y.sum().backward()

    return run


def returns_none(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    with hooks(m, lambda t: t, lambda t: None):
        y = x.exp()
    y.sum().backward()


def pack_returns_anything(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    kept = []

    def pack(t):
        kept.append(t.clone())
        return len(kept) - 1

    with hooks(m, pack, lambda k: kept[k]):
        y = x.exp() * x
    y.sum().backward()
    return x.grad, len(kept)


def writes(m: Any) -> Any:
    def pack(t):
        t.add_(1)
        return t

    x = m.ones(2, requires_grad=True)
    with hooks(m, pack, lambda t: t):
        (x * 2).exp()


def no_version_check(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    with hooks(m, lambda t: t.clone(), lambda t: t):
        y = x.exp()
    y.add_(1)
    y.sum().backward()
    return x.grad


def other_shape(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    with hooks(m, lambda t: t, lambda t: m.ones(3)):
        y = x.exp()
    y.sum().backward()


def not_functions(m: Any) -> Any:
    with hooks(m, 3, 4):
        pass


def raw(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    y = x.exp()
    r = y.grad_fn._raw_saved_result
    r.register_hooks(lambda t: t.clone(), lambda t: t * 2)
    y.sum().backward()
    return x.grad


def raw_twice(m: Any) -> Any:
    y = m.ones(2, requires_grad=True).exp()
    r = y.grad_fn._raw_saved_result
    r.register_hooks(lambda t: t.clone(), lambda t: t * 2)
    r.register_hooks(lambda t: t.clone(), lambda t: t * 2)


def raw_freed(m: Any) -> Any:
    y = m.ones(2, requires_grad=True).exp()
    r = y.grad_fn._raw_saved_result
    y.sum().backward()
    r.register_hooks(lambda t: t.clone(), lambda t: t * 2)


def raw_of_freed(m: Any) -> Any:
    y = m.ones(2, requires_grad=True).exp()
    y.sum().backward()
    return y.grad_fn._saved_result


def attributes(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y, z, p, s = x.exp(), x * x.detach(), x**3, x.softmax(0)
    lin = m.nn.functional.linear(x[None], m.ones(3, 2, requires_grad=True))
    return [
        y.grad_fn._saved_result,
        z.grad_fn._saved_self,
        z.grad_fn._saved_other,
        p.grad_fn._saved_exponent,
        p.grad_fn._saved_self,
        s.grad_fn._saved_dim,
        s.grad_fn._saved_result,
        p.grad_fn._saved_self is x,
        hasattr(y.grad_fn, "_saved_self"),
        hasattr(p.grad_fn, "_raw_saved_self"),
        lin.grad_fn._saved_self,
        lin.grad_fn._saved_mat2,
    ]


def after_write(m: Any) -> Any:
    y = m.ones(2, requires_grad=True).exp()
    y.add_(1)
    return y.grad_fn._saved_result


def cpu(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    with m.autograd.graph.save_on_cpu():
        y = (x * x).exp()
    y.sum().backward()
    return x.grad


def cpu_pinned(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    with m.autograd.graph.save_on_cpu(pin_memory=True):
        y = (x * x).exp()
    y.sum().backward()
    return x.grad


def disabled(m: Any) -> Any:
    with m.autograd.graph.disable_saved_tensors_hooks("not here"):
        with hooks(m, id, id):
            pass


def disabled_inside(m: Any) -> Any:
    with hooks(m, id, id):
        with m.autograd.graph.disable_saved_tensors_hooks("not here"):
            pass


def custom(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(x, None, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, _n, y = ctx.saved_tensors
            return g * y * x

    x = m.tensor([1.0, 2.0], dtype=m.float64, requires_grad=True)
    log = []
    with hooks(
        m, lambda t: log.append(t.requires_grad) or t.clone(), lambda t: log.append("u") or t * 2
    ):
        y = F.apply(x * 2)
    (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x, retain_graph=True), log, len(y.grad_fn._raw_saved_tensors)


def twice(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    with hooks(m, lambda t: t, lambda t: t):
        y = (x * x).exp()
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    y.sum().backward()


def exception_leaves(m: Any) -> Any:
    x = m.ones(1, requires_grad=True)
    log = []
    try:
        with hooks(m, lambda t: log.append(1) or t, lambda t: t):
            raise KeyError
    except KeyError:
        pass
    x.exp()
    return log


CASES = {
    **OPS,
    **{
        f.__name__: f
        for f in [
            quantised,
            second,
            second_under_hooks,
            nested,
            returns_none,
            pack_returns_anything,
            writes,
            no_version_check,
            other_shape,
            not_functions,
            raw,
            raw_twice,
            raw_freed,
            raw_of_freed,
            attributes,
            after_write,
            cpu,
            cpu_pinned,
            disabled,
            disabled_inside,
            custom,
            twice,
            exception_leaves,
        ]
    },
    "raise pack": raising("pack"),
    "raise unpack": raising("unpack"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_saved(name: str) -> None:
    agree(CASES[name])
