"""`torch.compile`: wrappers, regions, and graphs for backends that are functions."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import pytest

import torchish
from torchish import nn
from torchish._dynamo.exc import (
    BackendCompilerFailed,
    FailOnRecompileLimitHit,
    InvalidBackend,
    Unsupported,
)


def keeping(seen: list[Any]) -> Callable[[Any, Any], Any]:
    """A backend that remembers what it is given and runs it as it is."""

    def backend(module: Any, inputs: Any) -> Any:
        seen.append((module, inputs))
        return module.forward

    return backend


def operations(module: Any) -> list[Any]:
    return [(n.op, n.target) for n in module.graph.nodes if n.op.startswith("call_")]


def broken(x: Any) -> Any:
    y = x + 1
    if y.sum() > 0:
        return y.sin() * 2
    return y


def test_arguments_are_checked() -> None:
    net = nn.Linear(1, 1)
    assert torchish.compile(net, disable=True) is net
    assert torchish.compile()(broken)._torchdynamo_orig_callable is broken
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast"):
        torchish.compile(net, mode="fast")
    with pytest.raises(RuntimeError, match="Either mode or options"):
        torchish.compile(net, mode="default", options={})
    with pytest.raises(InvalidBackend, match="Invalid backend: 'nonsense', see"):
        torchish.compile(net, backend="nonsense")
    for wrong in (3, "x"):
        with pytest.raises(AssertionError, match="A callable function is expected, but <class"):
            torchish.compile(wrong)
    listed = [name for name in torchish._dynamo.list_backends() if name != "tests_own"]
    assert listed == ["cudagraphs", "inductor", "openxla", "tvm"]
    assert {"eager", "aot_eager"} <= set(torchish._dynamo.list_backends(None))


def test_a_module_is_wrapped_and_shares_everything() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    wrapped = torchish.compile(net)
    assert type(wrapped).__name__ == "OptimizedModule" and wrapped._orig_mod is net
    assert list(wrapped.state_dict()) == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    assert [n for n, _ in wrapped.named_parameters()] == list(wrapped.state_dict())
    wrapped.eval()
    assert not net.training and len(wrapped) == 2
    wrapped.note = 3
    assert net.note == 3
    del wrapped.note
    assert not hasattr(net, "note")
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute 'nothere'"):
        wrapped.nothere
    x = torchish.ones(1, 2)
    assert torchish.equal(wrapped(x), net(x))
    twin = copy.deepcopy(wrapped)
    assert torchish.equal(twin(x), net(x)) and twin._orig_mod is not net
    net.compile()
    assert list(net.state_dict()) == ["0.weight", "0.bias"] and net(x).shape == (1, 2)


def test_code_knows_whether_it_is_compiled() -> None:
    def ask() -> tuple[bool, bool]:
        return torchish.compiler.is_compiling(), torchish._dynamo.is_compiling()

    hidden = torchish.compiler.disable(ask)
    compiled = torchish.compile(lambda: (ask(), hidden(), ask()), backend="eager")
    assert compiled() == ((True, True), (False, False), (True, True))
    assert ask() == (False, False)
    with torchish.compiler.set_stance("force_eager"):
        assert compiled() == ((False, False),) * 3
    with pytest.raises(RuntimeError, match="invalid torch.compile stance 'x'"):
        torchish.compiler.set_stance("x")


@pytest.mark.parametrize("backend", ["eager", keeping([])])
def test_fullgraph_refuses_breaks(backend: Any) -> None:
    hidden = torchish.compiler.disable(lambda x: x)

    def asks(x: Any) -> Any:
        torchish._dynamo.graph_break()
        return x

    x = torchish.ones(2)
    for fn, text in (
        (broken, "Data-dependent branching"),
        (asks, r"Call to `torch._dynamo.graph_break\(\)`"),
        (lambda x: hidden(x + 1), r"Skip calling `torch.compiler.disable\(\)`d function"),
    ):
        with pytest.raises(Unsupported, match=text):
            torchish.compile(fn, backend=backend, fullgraph=True)(x)
    assert not torchish.compiler.is_compiling()
    straight = torchish.compile(lambda x: (x * 2).sum(), backend=backend, fullgraph=True)
    assert straight(x).item() == 4


def test_a_backend_is_given_the_graph_and_the_inputs() -> None:
    seen: list[Any] = []

    def fn(x: Any, d: Any) -> Any:
        with torchish.no_grad():
            y = x * 2
        z = 1 - (x @ d["w"]).relu() + torchish.add(y, 1)
        x += 1
        return {"z": z.size(0) + z, "n": 3, "x": x}

    x, w = torchish.ones(2, 2), torchish.ones(2, 2)
    got = torchish.compile(fn, backend=keeping(seen))(x, {"w": w})
    assert got["x"] is x and got["n"] == 3
    assert x.tolist() == [[2, 2], [2, 2]] and got["z"].tolist() == [[4, 4], [4, 4]]
    ((module, inputs),) = seen
    names = [n.target for n in module.graph.nodes if n.op == "placeholder"]
    assert names == ["L_x_", "L_d_w_"] and inputs[0] is x and inputs[1] is w
    targets = [t if isinstance(t, str) else t.__name__ for _, t in operations(module)]
    assert targets == ["_set_grad_enabled", "mul", "_set_grad_enabled", "matmul", "relu", "sub",
                       "add", "add", "iadd", "add"]  # fmt: skip
    assert ("call_function", operator.matmul) in operations(module)
    assert ("call_method", "relu") in operations(module)


def test_what_the_backend_returns_is_what_runs() -> None:
    def doubled(module: Any, inputs: Any) -> Any:
        for node in module.graph.nodes:
            if node.target == "sin":
                node.target = "cos"
        module.recompile()
        return module.forward

    kept = []

    def fn(x: Any) -> Any:
        y = x.sin()
        kept.append(y)
        return y * 2

    x = torchish.zeros(2, requires_grad=True)
    out = torchish.compile(fn, backend=doubled)(x)
    assert out.tolist() == [2, 2] and kept[0].tolist() == [1, 1]
    out.sum().backward()
    assert x.grad.tolist() == [0, 0]
    with pytest.raises(BackendCompilerFailed, match=r"backend='fails' raised:\nValueError: oops"):
        torchish.compile(fn, backend=fails)(x)


def fails(module: Any, inputs: Any) -> Any:
    raise ValueError("oops")


def test_a_break_runs_what_came_before_and_goes_on() -> None:
    seen: list[Any] = []
    compiled = torchish.compile(broken, backend=keeping(seen))
    for _ in range(2):
        x = torchish.ones(2, requires_grad=True)
        out = compiled(x)
        out.sum().backward()
        assert torchish.allclose(out, 2 * torchish.tensor(2.0).sin())
        assert torchish.allclose(x.grad, 2 * torchish.tensor(2.0).cos())
    assert [operations(m)[0][1] for m, _ in seen] == [operator.add, "sin"]
    report = torchish._dynamo.explain(broken)(torchish.ones(2))
    assert (report.graph_count, report.graph_break_count, len(report.break_reasons)) == (2, 1, 1)
    assert str(report).startswith("Graph Count: 2\nGraph Break Count: 1\nOp Count: 3")


def test_a_training_step_equals_the_uncompiled_one() -> None:
    def train(wrap: Callable[[Any], Any]) -> Any:
        torchish.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimizer = torchish.optim.SGD(net.parameters(), 0.1, momentum=0.9)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = net(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            return loss, net[3].weight * 2

        run = wrap(step)
        losses = [run(torchish.randn(5, 3))[0].item() for _ in range(3)]
        return losses, [t.tolist() for t in net.state_dict().values()]

    seen: list[Any] = []
    compiled = train(lambda fn: torchish.compile(fn, backend=keeping(seen)))
    assert compiled == train(lambda fn: fn) and len(seen) == 2


def test_custom_gradients_survive() -> None:
    class Tenfold(torchish.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 10

    x = torchish.ones(2, requires_grad=True)
    compiled = torchish.compile(lambda x: Tenfold.apply(x + 1) + 1, backend=keeping([]))
    compiled(x).sum().backward()
    assert x.grad.tolist() == [10, 10]


def test_graphs_are_compiled_once_and_only_so_many() -> None:
    seen: list[Any] = []
    compiled = torchish.compile(lambda x: x * 2, backend=keeping(seen), recompile_limit=2)
    for n in (1, 1, 2, 3, 4, 1):
        assert compiled(torchish.ones(n)).tolist() == [2.0] * n
    assert len(seen) == 2
    torchish._dynamo.reset()
    compiled(torchish.ones(1))
    assert len(seen) == 3
    strict = torchish.compile(
        lambda x: x * 2, backend=keeping([]), recompile_limit=1, fullgraph=True
    )
    strict(torchish.ones(1))
    with pytest.raises(FailOnRecompileLimitHit, match="recompile_limit reached with 1"):
        strict(torchish.ones(2))


def test_an_exception_leaves_what_was_written() -> None:
    def fn(x: Any) -> Any:
        x.add_(1)
        raise KeyError("mine")

    x = torchish.zeros(2)
    with pytest.raises(KeyError, match="mine"):
        torchish.compile(fn, backend=keeping([]))(x)
    assert x.tolist() == [1, 1] and not torchish.compiler.is_compiling()


def test_backends_have_names_and_options() -> None:
    given: list[Any] = []

    @torchish._dynamo.register_backend(name="tests_own")
    def backend(module: Any, inputs: Any, **options: Any) -> Any:
        given.append(options)
        return module.forward

    assert "tests_own" in torchish._dynamo.list_backends()
    torchish.compile(broken, backend="tests_own", options={"level": 3})(torchish.ones(2))
    assert given == [{"options": {"level": 3}}] * 2


def test_transformations_inside_are_run_as_they_are() -> None:
    x = torchish.ones(2)
    run = keeping([])
    mapped = torchish.compile(lambda v: torchish.func.vmap(lambda r: r * 2)(v + 1) + 1, backend=run)
    assert mapped(x).tolist() == [5, 5]
    slope = torchish.func.grad(lambda r: (r * r).sum())
    assert torchish.compile(lambda v: slope(v + 1) * 2, backend=run)(x).tolist() == [8, 8]


def test_default_backends_and_switches() -> None:
    compiler, config = torchish.compiler, torchish._dynamo.config
    assert compiler.get_default_backend() == "inductor"
    seen: list[Any] = []
    compiler.set_default_backend(keeping(seen))
    try:
        torchish.compile(lambda x: x * 2)(torchish.ones(2))
    finally:
        compiler.set_default_backend(None)
    assert len(seen) == 1 and compiler.get_default_backend() == "inductor"

    def fails(module: Any, inputs: Any) -> Any:
        raise ValueError("no")

    with config.patch(suppress_errors=True):
        assert torchish.compile(lambda x: x * 2, backend=fails)(torchish.ones(1)).item() == 2
    assert not config.suppress_errors
    with config.patch("verbose", True), config.patch({"disable": True}):
        assert config.verbose and config.disable
    with config.patch(cache_size_limit=3):
        assert config.recompile_limit == 3
    with pytest.raises(AttributeError, match="config.nonsense does not exist"):
        config.nonsense = 1
    with pytest.raises(AttributeError):
        config.patch(nonsense=1)
    with torchish._dynamo.error_on_graph_break(True), pytest.raises(Unsupported):
        torchish.compile(broken, backend=keeping([]))(torchish.ones(1))
    with torchish._dynamo.error_on_graph_break(False):
        torchish.compile(broken, backend=keeping([]), fullgraph=True)(torchish.ones(1))


def test_counting_backends() -> None:
    from torchish._dynamo.testing import CompileCounter, CompileCounterWithBackend

    counter, kept = CompileCounter(), CompileCounterWithBackend("eager")
    for backend in (counter, kept):
        run = torchish.compile(lambda x: x * 2 + 1, backend=backend)
        run(torchish.ones(2))
        run(torchish.ones(2))
        assert (backend.frame_count, backend.op_count) == (1, 2)
    assert len(kept.graphs) == 1
    assert torchish._dynamo.is_dynamo_disable_recursive(torchish.compiler.disable(broken))
    assert torchish._dynamo.is_dynamo_disable_recursive(broken) is None
