"""The non-reentrant checkpoint: which graph is differentiated, and when the runs differ."""

from __future__ import annotations

from typing import Any

import pytest

from tests.autograd.agreement import agree


def ck(m, *a, **k):
    return m.utils.checkpoint.checkpoint(*a, use_reentrant=False, **k)


def changing(m, first, later, **k):
    calls = []

    def part(x):
        calls.append(1)
        return first(m, x) if len(calls) == 1 else later(m, x)

    a = m.tensor([0.5, 1.0], requires_grad=True)
    ck(m, part, a, **k).sum().backward()
    return a.grad, len(calls)


def fewer(m: Any) -> Any:
    return changing(m, lambda m, x: x.sin().cos().exp(), lambda m, x: x.sin().cos())


def more(m: Any) -> Any:
    return changing(m, lambda m, x: x.sin().cos(), lambda m, x: x.sin().cos().exp())


def more_no_stop(m: Any) -> Any:
    with m.utils.checkpoint.set_checkpoint_early_stop(False):
        return changing(m, lambda m, x: x.sin().cos(), lambda m, x: x.sin().cos().exp())


def more_no_stop_arg(m: Any) -> Any:
    return changing(
        m, lambda m, x: x.sin().cos(), lambda m, x: x.sin().cos().exp(), early_stop=False
    )


def shape(m: Any) -> Any:
    return changing(m, lambda m, x: x.sin(), lambda m, x: x[:1].sin())


def dtype(m: Any) -> Any:
    return changing(m, lambda m, x: x.sin(), lambda m, x: x.double().sin())


def shape_none(m: Any) -> Any:
    return changing(
        m,
        lambda m, x: x.sin(),
        lambda m, x: x.reshape(1, 2).sin().reshape(2),
        determinism_check="none",
    )


def bad_check(m: Any) -> Any:
    return changing(m, lambda m, x: x.sin(), lambda m, x: x.sin(), determinism_check="some")


def debug_context(m: Any) -> Any:
    return changing(
        m,
        lambda m, x: x.sin(),
        lambda m, x: x.sin(),
        debug=True,
        context_fn=lambda: (m.no_grad(), m.no_grad()),
    )


def original_graph(m: Any) -> Any:
    # other values at the same shapes: the first run's operators are differentiated
    return changing(m, lambda m, x: x.sin(), lambda m, x: x.cos())


def original_graph_scale(m: Any) -> Any:
    k = [2.0]

    def part(x):
        y = x * x * k[0]
        k[0] = 10.0
        return y

    a = m.tensor([0.5, 1.0], requires_grad=True)
    ck(m, part, a).sum().backward()
    return a.grad


def early_stop_effects(m: Any) -> Any:
    log = []

    def part(x):
        log.append("start")
        y = x.sin()
        log.append("middle")
        z = y + 1
        log.append("end")
        return z

    a = m.ones(2, requires_grad=True)
    ck(m, part, a).sum().backward()
    with m.utils.checkpoint.set_checkpoint_early_stop(False):
        ck(m, part, a).sum().backward()
    return log


def nothing_saved(m: Any) -> Any:
    log = []

    def part(x):
        log.append(1)
        return x + 1

    a = m.ones(2, requires_grad=True)
    ck(m, part, a).sum().backward()
    return log, a.grad


def counts(m: Any) -> Any:
    log = []

    def part(x):
        log.append(1)
        return (x * 2).sin().exp()

    a = m.ones(2, requires_grad=True)
    y = ck(m, part, a)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return log, a.grad


def grad_names(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    y = ck(m, lambda x: (x * 2).sin(), a)
    return y.grad_fn.name(), y.grad_fn.next_functions[0][0].name()


def hooks_run(m: Any) -> Any:
    log = []

    def part(x):
        y = x.sin()
        y.register_hook(lambda g: log.append([round(x, 4) for x in g.tolist()]) or g * 2)
        return y.exp()

    a = m.ones(2, requires_grad=True)
    ck(m, part, a).sum().backward()
    return log, a.grad


def input_written_after(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    b = a * 2
    y = ck(m, lambda x: x.sin(), b)
    b.add_(1)
    y.sum().backward()


def input_written_inside(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    b = a * 2
    y = ck(m, lambda x: x.mul_(2).sin(), b)
    y.sum().backward()
    return a.grad


def captured_written(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    w = m.ones(2)
    y = ck(m, lambda x: x.sin() * w, a)
    w.add_(1)
    y.sum().backward()
    return a.grad


def random(m: Any) -> Any:
    a = m.ones(20, requires_grad=True)
    y = ck(m, lambda x: m.nn.functional.dropout(x * x, 0.5), a)
    m.rand(3)
    y.sum().backward()
    return y, a.grad, m.rand(2)


def random_not_kept(m: Any) -> Any:
    a = m.ones(20, requires_grad=True)
    y = ck(m, lambda x: m.nn.functional.dropout(x * x, 0.5), a, preserve_rng_state=False)
    y.sum().backward()
    return y, m.rand(2)


def contexts(m: Any) -> Any:
    log = []

    class C:
        def __init__(self, n):
            self.n = n

        def __enter__(self):
            log.append(("in", self.n))

        def __exit__(self, *a):
            log.append(("out", self.n, a[0] and a[0].__name__.strip("_")))

    a = m.ones(2, requires_grad=True)
    y = ck(m, lambda x: log.append("run") or x.sin(), a, context_fn=lambda: (C(1), C(2)))
    y.sum().backward()
    return [x[:2] if isinstance(x, tuple) else x for x in log]


def suppressing(m: Any) -> Any:
    import contextlib

    def part(x):
        raise ValueError("boom")

    return ck(
        m,
        part,
        m.ones(2, requires_grad=True),
        context_fn=lambda: (contextlib.suppress(ValueError), contextlib.nullcontext()),
    )


def second_order(m: Any) -> Any:
    a = m.tensor([0.3, 0.6], dtype=m.float64, requires_grad=True)
    y = ck(m, lambda x: (x * x).sin().exp(), a)
    (g,) = m.autograd.grad(y.sum(), a, create_graph=True)
    return g, m.autograd.grad(g.sum(), a)


def no_grad(m: Any) -> Any:
    log = []
    with m.no_grad():
        y = ck(m, lambda x: log.append(1) or x.sin(), m.ones(2, requires_grad=True))
    return y, log


def no_requires(m: Any) -> Any:
    log = []
    w = m.ones(2, requires_grad=True)
    y = ck(m, lambda x: log.append(1) or x.sin() * w, m.ones(2))
    y.sum().backward()
    return y, log, w.grad


def nested_counts(m: Any) -> Any:
    log = []

    def inner(x):
        log.append("inner")
        return x.sin().exp()

    def outer(x):
        log.append("outer")
        return ck(m, inner, x * 2).cos()

    a = m.ones(2, requires_grad=True)
    ck(m, outer, a).sum().backward()
    return log, a.grad


def partial(m: Any) -> Any:
    log = []

    def part(x):
        log.append(1)
        return x.sin(), x.cos()

    a = m.ones(2, requires_grad=True)
    y, z = ck(m, part, a)
    y.sum().backward(retain_graph=True)
    z.sum().backward()
    return log, a.grad


def module(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.BatchNorm1d(4), m.nn.GELU(), m.nn.Linear(4, 2))
    x = m.randn(5, 3, requires_grad=True)
    ck(m, net, x).pow(2).sum().backward()
    return (
        [p.grad for p in net.parameters()],
        x.grad,
        net[1].running_mean,
        net[1].num_batches_tracked,
    )


def user_hooks_outside(m: Any) -> Any:
    log = []
    a = m.ones(2, requires_grad=True)
    with m.autograd.graph.saved_tensors_hooks(
        lambda t: log.append(tuple(t.shape)) or t, lambda t: t
    ):
        y = ck(m, lambda x: (x * x).sin(), a)
    y.sum().backward()
    return log, a.grad


def ctx_saved_twice(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            ctx.saved_tensors
            ctx.saved_tensors
            return g

    a = m.ones(2, requires_grad=True)
    ck(m, lambda x: F.apply(x), a).sum().backward()


def recompute_raises(m: Any) -> Any:
    n = []

    def part(x):
        n.append(1)
        if len(n) > 1:
            raise ValueError("boom")
        return x.sin()

    a = m.ones(2, requires_grad=True)
    ck(m, part, a).sum().backward()


def group(m: Any) -> Any:
    log = []
    a = m.ones(2, requires_grad=True)
    y, z = ck(m, lambda x: log.append(1) or (x.sin(), x.cos()), a)
    with m.utils.checkpoint.GraphExecGroup():
        y.sum().backward(retain_graph=True)
        z.sum().backward()
    return log, a.grad


def group_overlap(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    y = ck(m, lambda x: x.sin(), a)
    with m.utils.checkpoint.GraphExecGroup():
        y.sum().backward(retain_graph=True)
        y.sum().backward()


def group_nested(m: Any) -> Any:
    try:
        with m.utils.checkpoint.GraphExecGroup():
            with m.utils.checkpoint.GraphExecGroup():
                pass
    except RuntimeError as e:
        return str(e)[:60]


def disabled(m: Any) -> Any:
    with m.autograd.graph.disable_saved_tensors_hooks("not here"):
        ck(m, lambda x: x.sin(), m.ones(2, requires_grad=True))


def kwargs_tensor(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    ck(m, lambda x, k: x.sin() * k["w"], a, k={"w": a * 2}).sum().backward()
    return a.grad


def backward_inside(m: Any) -> Any:
    a = m.ones(2, requires_grad=True)

    def part(x):
        y = x.sin()
        (g,) = m.autograd.grad(y.exp().sum(), x, create_graph=True)
        return y * g

    ck(m, part, a * 1).sum().backward()
    return a.grad


def sequential(m: Any) -> Any:
    net = m.nn.Sequential(
        m.nn.Linear(3, 4), m.nn.ReLU(inplace=True), m.nn.Linear(4, 2), m.nn.ReLU(inplace=True)
    )
    x = m.randn(5, 3, requires_grad=True)
    m.utils.checkpoint.checkpoint_sequential(net, 2, x, use_reentrant=False).sum().backward()
    return x.grad, [p.grad for p in net.parameters()]


def debug_error(m: Any) -> Any:
    try:
        changing(m, lambda m, x: x.sin().cos().exp(), lambda m, x: x.sin().cos(), debug=True)
    except m.utils.checkpoint.CheckpointError as e:
        return len(str(e)) > 400


CASES = {
    work.__name__: work
    for work in (
        fewer,
        more,
        more_no_stop,
        more_no_stop_arg,
        shape,
        dtype,
        shape_none,
        bad_check,
        debug_context,
        original_graph,
        original_graph_scale,
        early_stop_effects,
        nothing_saved,
        counts,
        grad_names,
        hooks_run,
        input_written_after,
        input_written_inside,
        captured_written,
        random,
        random_not_kept,
        contexts,
        suppressing,
        second_order,
        no_grad,
        no_requires,
        nested_counts,
        partial,
        module,
        user_hooks_outside,
        ctx_saved_twice,
        recompute_raises,
        group,
        group_overlap,
        group_nested,
        disabled,
        kwargs_tensor,
        backward_inside,
        sequential,
        debug_error,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_a_recomputed_part(name: str) -> None:
    agree(CASES[name], lines=2)
