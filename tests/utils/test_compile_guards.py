"""What changes between the calls of a compiled function shows in the next one, replayed or not.

Each case is run compiled and not, with the same changes before the same calls.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import torchish as torch
from torchish import nn
from torchish._basics.settings import settings
from torchish._basics.stats import stats
from torchish._dynamo.launch import Launch
from torchish.nn.modules.module import register_module_forward_hook
from torchish.optim.optimizer import register_optimizer_step_pre_hook

CALLS = 12
Run = Callable[[bool], tuple[list[Any], Any]]
CASES: dict[str, Run] = {}


@pytest.fixture(autouse=True)
def compiled_at_once(monkeypatch: Any) -> Iterator[None]:
    """Every structure has its program from the start, so that replays launch it."""
    monkeypatch.setattr(settings, "compiled", True)
    yield
    Marked.mode = "a"
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def case(make: Callable[[], Run]) -> Callable[[], Run]:
    """Enter a case under its name."""
    CASES[make.__name__] = lambda compiles: make()(compiles)
    return make


# --- training steps ------------------------------------------------------------------------------


def mlp() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))


class Marked(nn.Module):
    """Reads attributes of its own, of its class, of a parameter and of a container."""

    mode = "a"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(3, 2)
        self.factor = 2.0
        self.options = {"a": [1, 2]}
        self.register_buffer("shift", torch.ones(2))
        self.inner.weight.tag = 1

    def forward(self, x: Any) -> Any:
        y = self.inner(x) * self.factor * self.options["a"][1] + self.shift
        if self.mode == "b":
            y = y * 3
        return y * 5 if self.inner.weight.tag == 2 else y


def clearing(net: Any, rule: Any) -> Any:
    def step(x: Any) -> Any:
        rule.zero_grad()
        loss = net(x).pow(2).mean()
        loss.backward()
        rule.step()
        return loss

    return step


def adding(net: Any, rule: Any) -> Any:
    def step(x: Any) -> Any:
        loss = net(x).pow(2).mean()
        loss.backward()
        rule.step()
        return loss

    return step


def training(change: Any, make: Any = mlp, step_of: Any = clearing) -> Run:
    def run(compiles: bool) -> tuple[list[Any], Any]:
        net = make()
        rule = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)
        step = step_of(net, rule)
        step = torch.compile(step) if compiles else step
        torch.manual_seed(1)
        out: list[Any] = []
        for k in range(CALLS + 2):
            with change(k, net, rule) or contextlib.nullcontext():
                out.append(step(torch.full((5, 3), 0.1 * (k + 1))).item())
        return out + [p.tolist() for p in net.parameters()], step

    return run


def at(moment: int, act: Callable[[Any, Any], Any]) -> Callable[[int, Any, Any], None]:
    """A change before one call."""

    def change(k: int, net: Any, rule: Any) -> None:
        if k == moment:
            act(net, rule)

    return change


def nothing_first(rule: Any, args: Any, kwargs: Any) -> None:
    rule.param_groups[0]["params"][0].grad.zero_()


def clear_first(parameter: Any) -> None:
    parameter.grad = None


TRAINING: dict[str, tuple[Any, Any, Any]] = {
    "parameter replaced": (
        lambda n, o: setattr(n[0], "weight", nn.Parameter(torch.ones(4, 3))), mlp, clearing),
    "data replaced": (
        lambda n, o: setattr(n[0].weight, "data", torch.ones(4, 3)), mlp, clearing),
    "hook of a parameter": (
        lambda n, o: n[0].weight.register_hook(lambda g: g * 0), mlp, clearing),
    "hook after accumulation": (
        lambda n, o: n[0].weight.register_post_accumulate_grad_hook(clear_first), mlp, clearing),
    "hook of a module": (
        lambda n, o: n[0].register_forward_hook(lambda m, i, r: r * 0), mlp, clearing),
    "hooks replaced": (
        lambda n, o: setattr(n[0], "_forward_hooks", OrderedDict({1: lambda m, i, r: r * 0})),
        mlp, clearing),
    "hook of an optimizer": (
        lambda n, o: o.register_step_pre_hook(nothing_first), mlp, clearing),
    "momentum": (lambda n, o: o.param_groups[0].update(momentum=0.1), mlp, clearing),
    "learning rate": (lambda n, o: o.param_groups[0].update(lr=0.1), mlp, clearing),
    "group added": (
        lambda n, o: o.add_param_group({"params": [nn.Parameter(torch.ones(2))]}), mlp, clearing),
    "state cleared": (lambda n, o: o.state.clear(), mlp, clearing),
    "state loaded": (lambda n, o: o.load_state_dict(o.state_dict()), mlp, clearing),
    "gradient dropped": (lambda n, o: clear_first(n[0].weight), mlp, adding),
    "gradient set": (
        lambda n, o: setattr(n[0].weight, "grad", torch.ones(4, 3)), mlp, adding),
    "gradient of other strides": (
        lambda n, o: setattr(n[0].weight, "grad", torch.ones(3, 4).t()), mlp, adding),
    "evaluation": (lambda n, o: n.eval(), mlp, clearing),
    "attribute": (lambda n, o: setattr(n, "factor", 3.0), Marked, clearing),
    "nested attribute": (lambda n, o: n.options["a"].__setitem__(1, 7), Marked, clearing),
    "attribute of the class": (
        lambda n, o: setattr(Marked, "mode", "b"), Marked, clearing),
    "attribute over the class's": (lambda n, o: setattr(n, "mode", "b"), Marked, clearing),
    "attribute of a parameter": (
        lambda n, o: setattr(n.inner.weight, "tag", 2), Marked, clearing),
    "buffer written": (lambda n, o: n.shift.add_(1), Marked, clearing),
    "buffer replaced": (lambda n, o: setattr(n, "shift", torch.zeros(2)), Marked, clearing),
    "buffer given data": (
        lambda n, o: setattr(n.shift, "data", torch.full((2,), 4.0)), Marked, clearing),
    "buffer of other strides": (
        lambda n, o: setattr(n, "shift", torch.arange(4.0)[::2]), Marked, clearing),
    "forward replaced": (
        lambda n, o: setattr(n, "forward", lambda x: n.inner(x) * 0 + 1), Marked, clearing),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINING)
def test_what_changes_between_steps_shows(name: str) -> None:
    act, make, step_of = TRAINING[name]
    run = training(at(9, act), make, step_of)
    plain, _ = run(False)
    Marked.mode = "a"
    got, step = run(True)
    assert got == plain
    assert step._torchish_whole.replayed >= 4, step._torchish_whole.reason


def toggled(k: int, net: Any, rule: Any) -> None:
    if k in (7, 10):
        net[0].weight.requires_grad_(k == 10)


def hooked(register: Callable[[Any], Any], hook: Any) -> Any:
    """A process-wide hook for a few of the calls."""

    def change(k: int, net: Any, rule: Any) -> Any:
        handle = register(hook) if 8 <= k < 10 else None
        return None if handle is None else contextlib.closing(_Handle(handle))

    return change


class _Handle:
    def __init__(self, handle: Any) -> None:
        self.close = handle.remove


SEQUENCES: dict[str, tuple[Any, Any]] = {
    "requires_grad on and off": (toggled, clearing),
    "modes in turn": (lambda k, n, o: n.train(k % 4 < 2) and None, clearing),
    "gradients now and then": (lambda k, n, o: o.zero_grad() if k % 3 == 0 else None, adding),
    "hooks of all modules": (
        hooked(register_module_forward_hook, lambda m, i, r: r * 0), clearing),
    "hooks of all optimizers": (
        hooked(register_optimizer_step_pre_hook, nothing_first), clearing),
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_states_that_come_and_go(name: str) -> None:
    change, step_of = SEQUENCES[name]
    run = training(change, mlp, step_of)
    assert run(True)[0] == run(False)[0]


# --- functions -----------------------------------------------------------------------------------


def calling(function: Any, around: Any = None, make: Any = None) -> Run:
    """Calls of a function; `around(k)` acts before one, or gives a context for it."""

    def run(compiles: bool) -> tuple[list[Any], Any]:
        called = torch.compile(function) if compiles else function
        torch.manual_seed(0)
        out = []
        for k in range(CALLS):
            x = torch.full((3,), float(k + 1), device="cpu") if make is None else make(k)
            with (None if around is None else around(k)) or contextlib.nullcontext():
                got = called(x)
            data = None if got.device.type == "meta" else got.tolist()
            out.append((str(got.dtype), str(got.device), got.requires_grad, data))
        return out, called

    return run


class SeesAll(torch.overrides.TorchFunctionMode):
    """A mode that has to see every call."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@case
def autocast() -> Run:
    w = torch.ones(3, 3)
    return calling(
        lambda x: x @ w, lambda k: torch.autocast("cpu", torch.bfloat16) if k % 4 == 3 else None
    )


@case
def autocast_to_two_dtypes() -> Run:
    w, kinds = torch.ones(3, 3), (torch.bfloat16, torch.float16)
    return calling(lambda x: x @ w, lambda k: torch.autocast("cpu", kinds[k % 2]))


@case
def default_dtype() -> Run:
    kinds = {9: torch.float64}
    return calling(
        lambda x: x * torch.rand(3), lambda k: torch.set_default_dtype(kinds.get(k, torch.float32))
    )


@case
def default_device() -> Run:
    return calling(
        lambda x: x * torch.rand(3), lambda k: torch.set_default_device("cpu" if k == 9 else None)
    )


@case
def grad_mode() -> Run:
    w = torch.ones(3, requires_grad=True)
    return calling(lambda x: x * w, lambda k: torch.no_grad() if k % 3 else None)


@case
def inference_mode() -> Run:
    w = torch.ones(3, requires_grad=True)
    return calling(
        lambda x: x * w, lambda k: torch.inference_mode() if k % 3 == 2 else torch.no_grad()
    )


@case
def questions_about_the_process() -> Run:
    def asks(x: Any) -> Any:
        x = x * 2 if torch.is_grad_enabled() else x
        x = x * 3 if torch.get_float32_matmul_precision() == "medium" else x
        return x * 5 if torch.are_deterministic_algorithms_enabled() else x

    def around(k: int) -> Any:
        torch.set_float32_matmul_precision("medium" if k == 6 else "highest")
        torch.use_deterministic_algorithms(k == 8)
        return torch.no_grad() if k == 10 else None

    return calling(asks, around)


@case
def flags_of_backends() -> Run:
    def around(k: int) -> None:
        torch.backends.cudnn.benchmark = k == 9

    return calling(lambda x: x * 2 if torch.backends.cudnn.benchmark else x, around)


@case
def the_seed() -> Run:
    return calling(
        lambda x: x * torch.initial_seed(), lambda k: torch.manual_seed(max(k, 5)) and None
    )


@case
def draws() -> Run:
    return calling(
        lambda x: x * torch.rand(3), lambda k: torch.manual_seed(5) and None if not k % 3 else None
    )


@case
def memory_resized() -> Run:
    w = torch.ones(3)
    return calling(lambda x: x * w, lambda k: w.resize_(1) and None if k == 9 else None)


@case
def a_history() -> Run:
    w = torch.ones(3)

    def around(k: int) -> None:
        if k == 9:
            w.mul_(torch.ones(3, requires_grad=True) * 2)

    return calling(lambda x: x * w, around)


@case
def memory_shared_with_numpy_from_the_start() -> Run:
    array = np.ones(3, np.float32)
    w = torch.from_numpy(array)
    return calling(lambda x: x * w, lambda k: array.__setitem__(slice(None), k))


@case
def memory_shared_with_numpy_later() -> Run:
    w, kept = torch.ones(3), []

    def around(k: int) -> None:
        if k == 8:
            kept.append(w.numpy())
        if k > 8:
            kept[0][:] += k

    def adds(x: Any) -> Any:
        w.add_(x)
        return w * 2

    return calling(adds, around)


@case
def arrays_kept_outside() -> Run:
    w, kept = torch.zeros(64, 64), []

    def around(k: int) -> None:
        kept.append((w.jax(), w.clone(), w[1:3]))

    def adds(x: Any) -> Any:
        w.add_(x[0])
        return torch.stack([w.sum(), w.mean()])

    run = calling(adds, around)

    def both(compiles: bool) -> tuple[list[Any], Any]:
        out, called = run(compiles)
        return out + [(float(a.sum()), b.sum().item(), c.sum().item()) for a, b, c in kept], called

    return both


@case
def function_modes() -> Run:
    return calling(lambda x: x * 2, lambda k: SeesAll() if k == 9 else None)


@case
def anomaly() -> Run:
    return calling(
        lambda x: x * 2, lambda k: torch.autograd.set_detect_anomaly(True) if k == 9 else None
    )


@case
def defaults_of_the_function() -> Run:
    def scaled(x: Any, by: float = 2.0) -> Any:
        return x * by

    def around(k: int) -> None:
        if k == 9:
            scaled.__defaults__ = (3.0,)

    return calling(scaled, around)


@case
def code_of_the_function() -> Run:
    def double(x: Any) -> Any:
        return x * 2

    def triple(x: Any) -> Any:
        return x * 3

    def around(k: int) -> None:
        if k == 9:
            double.__code__ = triple.__code__

    return calling(double, around)


@case
def an_argument_that_is_also_state() -> Run:
    w = torch.ones(3)

    def adds(x: Any) -> Any:
        w.add_(1)
        return x * w

    return calling(adds, make=lambda k: w if k in (8, 10) else torch.full((3,), 2.0))


@case
def kinds_of_arguments() -> Run:
    kinds = [torch.float32, torch.float64, torch.int64]
    return calling(lambda x: x * 2, make=lambda k: torch.ones(3 + k % 2, dtype=kinds[k % 3]))


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", CASES)
def test_what_changes_between_calls_shows(name: str) -> None:
    try:
        plain, _ = CASES[name](False)
        got, _ = CASES[name](True)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.benchmark = False
    assert got == plain


def test_one_tensor_for_two_arguments() -> None:
    @torch.compile
    def adds(a: Any, b: Any) -> Any:
        a.add_(1)
        return a + b

    for k in range(CALLS):
        x = torch.full((3,), float(k))
        y = x if k in (8, 10) else torch.ones(3)
        assert adds(x, y).tolist() == [2 * (k + 1) if y is x else k + 2] * 3


# --- launches ------------------------------------------------------------------------------------


def launched(compiled: Any) -> list[Launch]:
    sites = compiled._torchish_whole.sites.values()
    return [r.launch for site in sites for r in site.ready if r.launch is not None]


def test_replays_run_their_program_directly_and_count_it() -> None:
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    rule = torch.optim.Adam(net.parameters())
    step = torch.compile(clearing(net, rule))
    version = net[0].weight._version
    for _ in range(8):
        step(torch.ones(2, 8))
    (launch,) = launched(step)
    before, ran = launch.runs, stats.programs_run
    for _ in range(5):
        step(torch.ones(2, 8))
    assert launch.runs == before + 5
    assert stats.programs_run == ran + 5
    assert rule.state[net[0].weight]["step"].item() == 13
    assert net[0].weight._version == version + 13


def test_a_program_that_was_dropped_is_not_run() -> None:
    from torchish._core.trace import forget_programs

    run = torch.compile(lambda x: x * 2 + 1)
    for _ in range(6):
        run(torch.ones(3))
    (launch,) = launched(run)
    forget_programs()
    runs = launch.runs
    assert run(torch.ones(3)).tolist() == [3] * 3
    assert launch.runs == runs
    for _ in range(3):
        assert run(torch.ones(3)).tolist() == [3] * 3
    assert launched(run)[0] is not launch and launched(run)[0].runs


def test_what_a_launch_replaces_is_freed() -> None:
    net = nn.Linear(64, 64)
    rule = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    step = torch.compile(clearing(net, rule))
    for _ in range(8):
        step(torch.ones(2, 64))
    assert launched(step)[0].runs
    gc.collect()
    import jax

    before = sum(a.nbytes for a in jax.live_arrays())
    for _ in range(5):
        step(torch.ones(2, 64))
    gc.collect()
    assert sum(a.nbytes for a in jax.live_arrays()) <= before


def test_readers_in_other_threads_find_whole_values() -> None:
    w = torch.zeros(128, 128)

    @torch.compile
    def adds(x: Any) -> Any:
        w.add_(x)
        return w.sum()

    for _ in range(6):
        adds(torch.ones(()))
    wrong: list[Any] = []
    done = threading.Event()

    def reads() -> None:
        try:
            while not done.is_set():
                low, high = w.min().item(), w.max().item()
                if not 0 <= low <= high:
                    wrong.append((low, high))
        except Exception as error:
            wrong.append(error)

    reader = threading.Thread(target=reads)
    reader.start()
    for _ in range(100):
        adds(torch.ones(()))
    done.set()
    reader.join()
    assert not wrong and w[0, 0].item() == 106


def test_jax_code_may_be_tracing() -> None:
    import jax

    run = torch.compile(lambda x: x * 2)
    for _ in range(6):
        run(torch.ones(3))
    seen = []

    @jax.jit
    def traced(a: Any) -> Any:
        seen.append(run(torch.ones(3)).tolist())
        return a

    traced(1.0)
    assert seen == [[2.0] * 3]


def test_a_steady_replay_is_compiled_by_its_sixteenth_run(monkeypatch: Any) -> None:
    monkeypatch.setattr(settings, "compiled", False)
    net = nn.Sequential(nn.Linear(65, 64), nn.Tanh(), nn.Linear(64, 3))
    rule = torch.optim.Adam(net.parameters())
    step = torch.compile(clearing(net, rule))
    for _ in range(22):
        step(torch.ones(33, 65))
    assert step._torchish_whole.replayed >= 18
    assert launched(step)[0].runs
