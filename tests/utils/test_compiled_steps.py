"""`torch.compile` of whole steps: replayed without their Python, equal to the uncompiled ones."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import torchish as torch
from torchish import nn

STEPS = 7
counted: list[int] = []
scale = 1.0


class Conv(nn.Module):
    """Convolution, batch norm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(4 * 16, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x).flatten(1))


class GPT(nn.Module):
    """A block of attention over tokens, its head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(8, 24)
        self.out, self.drop = nn.Linear(8, 8), nn.Dropout(0.1)
        self.register_buffer("steps", torch.arange(6))

    def forward(self, idx: Any) -> Any:
        x = self.drop(self.token(idx) + self.place(self.steps[: idx.shape[1]]))
        q, k, v = (
            t.unflatten(-1, (2, 4)).transpose(1, 2) for t in self.mix(self.norm(x)).chunk(3, -1)
        )
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.out(y.transpose(1, 2).flatten(2)))
        return x @ self.token.weight.T


def mlp() -> Any:
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))


def batches(kind: str) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    if kind == "gpt":
        made = [rng.integers(0, 11, (3, 7)) for _ in range(STEPS)]
        return [(torch.from_numpy(t[:, :-1].copy()), torch.from_numpy(t[:, 1:].copy()))
                for t in made]  # fmt: skip
    shape = (4, 8) if kind == "mlp" else (4, 1, 6, 6)
    return [
        (
            torch.from_numpy(rng.standard_normal(shape).astype(np.float32)),
            torch.from_numpy(rng.integers(0, 3, 4)),
        )
        for _ in range(STEPS)
    ]


MODELS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "mlp": (mlp, lambda p: torch.optim.Adam(p, 1e-2)),
    "conv": (Conv, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
    "gpt": (GPT, lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1)),
}


def step_of(net: Any, optimizer: Any) -> Any:
    loss_of = nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        out = net(x)
        loss = loss_of(out.flatten(0, -2), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def train(kind: str, compiles: bool, each: Any = None) -> tuple[Any, Any, list[Any], Any]:
    torch.manual_seed(0)
    make, optimize = MODELS[kind]
    net = make()
    optimizer = optimize(net.parameters())
    step = step_of(net, optimizer)
    if compiles:
        step = torch.compile(step)
    torch.manual_seed(1)
    losses = []
    for k, (x, y) in enumerate(batches(kind)):
        losses.append(step(x, y))
        if each is not None:
            each(k, net, optimizer, losses[-1])
    return net, optimizer, losses, step


@pytest.mark.parametrize("kind", MODELS)
def test_compiled_training_is_the_uncompiled_one(kind: str) -> None:
    net, optimizer, losses, _ = train(kind, False)
    mine, rule, got, step = train(kind, True)
    assert step._torchish_whole.replayed >= STEPS - 4, step._torchish_whole.reason
    assert [x.item() for x in got] == [x.item() for x in losses]
    for (name, p), q in zip(net.state_dict().items(), mine.state_dict().values(), strict=True):
        assert torch.equal(p, q), name
    for p, q in zip(net.parameters(), mine.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
    a, b = optimizer.state_dict()["state"], rule.state_dict()["state"]
    for k in a:
        assert all(torch.equal(torch.as_tensor(a[k][n]), torch.as_tensor(b[k][n])) for n in a[k])
    assert str(got[-1]).split("grad_fn")[1] == str(losses[-1]).split("grad_fn")[1]
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        got[-1].backward()


def test_a_gradient_that_somebody_keeps_is_not_overwritten() -> None:
    kept: list[Any] = []

    def keep(k: int, net: Any, optimizer: Any, loss: Any) -> None:
        kept.append((net[0].weight.grad, net[0].weight.grad.clone()))

    train("mlp", True, keep)
    assert all(torch.equal(a, b) for a, b in kept)
    assert not torch.equal(kept[-1][0], kept[-2][0])


def test_guards_see_what_changes() -> None:
    def change(k: int, net: Any, optimizer: Any, loss: Any) -> None:
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        if k == 3:
            net[0].bias.requires_grad_(False)
            net[0].bias.grad = None
        if k == 4:
            net[1] = nn.ReLU()
        if k == 5:
            with torch.no_grad():
                net[2].bias.fill_(0.5)

    _, _, losses, _ = train("mlp", False, change)
    _, _, got, _ = train("mlp", True, change)
    assert [x.item() for x in got] == [x.item() for x in losses]


def test_a_learning_rate_is_read_at_every_replay() -> None:
    def decay(k: int, net: Any, optimizer: Any, loss: Any) -> None:
        optimizer.param_groups[0]["lr"] *= 0.5

    _, _, losses, _ = train("mlp", False, decay)
    _, _, got, step = train("mlp", True, decay)
    assert step._torchish_whole.replayed >= 2
    assert [x.item() for x in got] == [x.item() for x in losses]


def test_modes_and_shapes_are_kinds_of_their_own() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    run = torch.compile(lambda x: net(x))
    with torch.no_grad():
        for _ in range(4):
            run(torch.ones(2, 3))
        replayed = run._torchish_whole.replayed
        assert replayed >= 1
        net.eval()
        assert torch.equal(run(torch.ones(2, 3)), net(torch.ones(2, 3)))
        assert torch.equal(run(torch.ones(5, 3)), net(torch.ones(5, 3)))
    assert run(torch.ones(2, 3)).requires_grad


def with_print(x: Any) -> Any:
    print("called")
    return x * 2


def with_random(x: Any) -> Any:
    return x * random.random()


def with_global(x: Any) -> Any:
    return x * scale


def with_list(x: Any) -> Any:
    counted.append(1)
    return x * 2


def with_branch(x: Any) -> Any:
    return x * 2 if x.sum() > 0 else x * 3


def with_number(x: Any, n: Any) -> Any:
    return x * float(n)


class Counts(nn.Module):
    """Counts its calls in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.last: Any = None

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x + self.calls


def test_python_that_does_something_runs_every_time(capsys: Any) -> None:
    x = torch.ones(3)
    run = torch.compile(with_print)
    for _ in range(5):
        run(x)
    assert capsys.readouterr().out == "called\n" * 5
    assert "print() has effects" in run._torchish_whole.reason
    values = {torch.compile(with_random)(x)[0].item() for _ in range(3)}
    run = torch.compile(with_random)
    assert len(values | {run(x)[0].item() for _ in range(6)}) == 9
    counted.clear()
    run = torch.compile(with_list)
    for _ in range(9):
        run(x)
    assert len(counted) == 9
    module = Counts()
    run = torch.compile(module)
    assert [run(x)[0].item() for _ in range(9)] == list(range(2, 11)) and module.calls == 9
    run = torch.compile(with_branch)
    assert [run(x * s)[0].item() for s in (1, 1, 1, 1, -1, 1)] == [2, 2, 2, 2, -3, 2]
    run = torch.compile(with_number)
    assert [run(x, torch.tensor(float(n)))[0].item() for n in range(6)] == list(range(6))


def test_globals_and_closures_are_guarded() -> None:
    global scale
    scale = 1.0
    run = torch.compile(with_global)
    for _ in range(5):
        assert run(torch.ones(1)).item() == 1
    assert run._torchish_whole.replayed
    scale = 3.0
    assert run(torch.ones(1)).item() == 3
    factor = torch.ones(1)

    def closed(x: Any) -> Any:
        return x * factor

    run = torch.compile(closed)
    for _ in range(5):
        run(torch.ones(1))
    factor = torch.full((1,), 5.0)
    assert run(torch.ones(1)).item() == 5
    factor.fill_(6.0)
    assert run(torch.ones(1)).item() == 6
    scale = 1.0


def test_memory_shared_with_numpy_is_read_at_every_replay() -> None:
    array = np.zeros(3, np.float32)
    x = torch.from_numpy(array)
    run = torch.compile(lambda x: x + 1)
    for k in range(6):
        array[:] = k
        assert run(x).tolist() == [k + 1] * 3
    assert run._torchish_whole.replayed


def test_checks_of_values_are_made_again() -> None:
    table = nn.Embedding(4, 2)
    run = torch.compile(lambda idx: table(idx).detach())
    with torch.no_grad():
        for _ in range(5):
            run(torch.tensor([1, 2]))
        assert run._torchish_whole.replayed
        with pytest.raises(IndexError, match="index out of range in self"):
            run(torch.tensor([1, 9]))
        assert run(torch.tensor([0, 3])).shape == (2, 2)


def test_arguments_written_in_place_and_results_that_are_arguments() -> None:
    def update(x: Any, y: Any) -> Any:
        x.add_(y)
        return x, y * 2, 3

    run = torch.compile(update)
    x = torch.zeros(2)
    for k in range(6):
        got, double, three = run(x, torch.ones(2))
        assert got is x and x.tolist() == [k + 1] * 2
        assert double.tolist() == [2, 2] and three == 3
    assert run._torchish_whole.replayed and x._version == 6


def test_stances() -> None:
    def fresh() -> Any:
        return torch.compile(lambda x: x * 2)

    x, set_stance = torch.ones(2), torch.compiler.set_stance
    run = fresh()
    with set_stance("fail_on_recompile"), pytest.raises(RuntimeError, match="Detected recompile"):
        run(x)
    for _ in range(4):
        run(x)
    before = run._torchish_whole.replayed
    with set_stance("fail_on_recompile"):
        assert run(x).tolist() == [2, 2]
        with pytest.raises(RuntimeError, match="Detected recompile"):
            run(torch.ones(3))
    with set_stance("eager_on_recompile"):
        run(torch.ones(3))
        run(x)
    assert len(run._torchish_whole.sites) == 1 and run._torchish_whole.replayed == before + 2
    run = fresh()
    with set_stance("eager_then_compile"):
        run(x)
        assert not run._torchish_whole.sites
        run(x)
        assert run._torchish_whole.sites
    torch._dynamo.reset()
    assert not run._torchish_whole.sites


def test_dynamic_lifts_the_limit() -> None:
    sizes = range(1, 12)
    fixed, free = torch.compile(lambda x: x * 2), torch.compile(lambda x: x * 2, dynamic=True)
    for n in sizes:
        fixed(torch.ones(n))
        free(torch.ones(n))
    assert len(fixed._torchish_whole.sites) == torch._dynamo.config.recompile_limit
    assert len(free._torchish_whole.sites) == len(sizes)


def test_errors_leave_everything_as_it_is() -> None:
    def fails(x: Any) -> Any:
        x.add_(1)
        raise ValueError("mine")

    run, x = torch.compile(fails), torch.zeros(1)
    for k in range(4):
        with pytest.raises(ValueError, match="mine"):
            run(x)
        assert x.item() == k + 1
    assert torch.ones(2).sum().item() == 2


def test_stances_and_dynamic_sizes_for_backends() -> None:
    graphs: list[Any] = []

    def backend(module: Any, inputs: Any) -> Any:
        graphs.append(module)
        return module.forward

    run = torch.compile(lambda x: x * 2, backend=backend)
    with torch.compiler.set_stance("eager_on_recompile"):
        assert run(torch.ones(2)).tolist() == [2, 2] and not graphs
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError, match="Dete"):
        run(torch.ones(2))
    for n in range(1, 12):
        x = torch.ones(n)
        torch._dynamo.mark_dynamic(x, 0)
        run(x)
    assert len(graphs) == 11
    with pytest.raises(AssertionError, match="Expected index to be int, list, or tuple"):
        torch._dynamo.mark_dynamic(torch.ones(1), "a")


def test_a_function_that_changes_its_own_number_runs_every_time() -> None:
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    @torch.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = net(x).sum()
        loss.backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.5
        return loss

    for _ in range(6):
        step(torch.ones(1, 2))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**6)
    assert not step._torchish_whole.replayed


def adversarial(compiles: bool) -> tuple[list[Any], Any]:
    """Two optimizers, draws inside, a detached result and a schedule outside."""
    torch.manual_seed(0)
    make = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6))
    judge = nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    first = torch.optim.Adam(make.parameters(), 1e-3, betas=(0.5, 0.999))
    second = torch.optim.RMSprop(judge.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(first, 10)
    loss_of = nn.BCEWithLogitsLoss()

    def step(real: Any) -> Any:
        fake = make(torch.randn(5, 4))
        judge.zero_grad()
        found = loss_of(judge(real), torch.ones(5, 1))
        found = found + loss_of(judge(fake.detach()), torch.zeros(5, 1))
        found.backward()
        second.step()
        make.zero_grad()
        fooled = loss_of(judge(fake), torch.ones(5, 1))
        fooled.backward()
        first.step()
        return found.detach(), fooled.detach()

    run = torch.compile(step) if compiles else step
    torch.manual_seed(1)
    seen = []
    for _ in range(STEPS):
        seen.append([x.item() for x in run(torch.randn(5, 6))])
        schedule.step()
    return seen, run


def test_two_optimizers_in_one_step() -> None:
    seen, run = adversarial(True)
    assert seen == adversarial(False)[0]
    assert run._torchish_whole.replayed >= STEPS - 3


def accumulating(compiles: bool) -> tuple[list[float], Any]:
    """Gradients of two batches to a step, under autocast."""
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def part(x: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = net(x).float().pow(2).mean()
        (loss / 2).backward()
        return loss.detach()

    run = torch.compile(part) if compiles else part
    losses = []
    for k in range(12):
        losses.append(run(torch.randn(5, 3)).item())
        if k % 2:
            optimizer.step()
            optimizer.zero_grad()
    return losses, run


def test_states_in_turn_have_a_program_each() -> None:
    losses, run = accumulating(True)
    assert losses == accumulating(False)[0]
    assert run._torchish_whole.replayed >= 4


class Holder:
    """An object of the program's with a class attribute, a function and a partial."""

    factor = 2.0

    def __init__(self, function: Any) -> None:
        self.function = function

    def apply(self, x: Any) -> Any:
        return self.function(x) * self.factor


def test_functions_and_class_attributes_that_objects_hold(capsys: Any) -> None:
    def noisy(x: Any) -> Any:
        print("noisy")
        return x

    x = torch.ones(1)
    for function in (noisy, functools.partial(noisy)):
        holder = Holder(function)
        run = torch.compile(holder.apply)
        for _ in range(5):
            run(x)
        assert capsys.readouterr().out == "noisy\n" * 5
    quiet = Holder(functools.partial(torch.add, other=1))
    run = torch.compile(quiet.apply)
    for _ in range(5):
        assert run(x).item() == 4
    assert run._torchish_whole.replayed
    Holder.factor = 3.0
    try:
        assert run(x).item() == 6
    finally:
        Holder.factor = 2.0
    original = Holder.apply
    run = torch.compile(lambda x: quiet.apply(x))
    for _ in range(5):
        run(x)
    Holder.apply = lambda self, x: x * 0  # type: ignore[method-assign]
    try:
        assert run(x).item() == 0
    finally:
        Holder.apply = original  # type: ignore[method-assign]


def test_jax_functions_are_operators() -> None:
    import jax

    silu = torch.func.from_jax(jax.nn.silu)
    run = torch.compile(lambda x: silu(x) * 2)
    for _ in range(5):
        assert run(torch.zeros(2)).tolist() == [0, 0]
    assert run._torchish_whole.replayed, run._torchish_whole.reason
