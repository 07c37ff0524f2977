"""Every optimizer against PyTorch's: trajectories, state dicts both ways, errors, programs."""

from __future__ import annotations

import copy
import importlib
import inspect
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish
from tests.oracle import agree, close, same
from torchish._basics.stats import stats

# Options that together reach every branch of each rule.
CASES: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
        {"lr": 0.01, "momentum": 0.8, "dampening": 0.3, "maximize": True},
    ],
    "Adam": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.99), "eps": 1e-6, "weight_decay": 0.1},
        {"lr": 0.01, "amsgrad": True, "maximize": True},
        {"lr": 0.01, "decoupled_weight_decay": True, "weight_decay": 0.1},
    ],
    "AdamW": [{"lr": 0.01}, {"lr": 0.01, "amsgrad": True, "weight_decay": 0.2}],
    "RMSprop": [
        {"lr": 0.01},
        {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1},
        {"lr": 0.003, "centered": True, "alpha": 0.9, "maximize": True},
    ],
    "Adagrad": [
        {"lr": 0.05},
        {"lr": 0.05, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.01},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.8, "weight_decay": 0.01, "maximize": True}],
    "Adamax": [{}, {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.01}],
    "NAdam": [{"lr": 0.01}, {"weight_decay": 0.01, "decoupled_weight_decay": True}],
    "RAdam": [{"lr": 0.01}, {"betas": (0.8, 0.9), "weight_decay": 0.1}],
    "ASGD": [{"lr": 0.05}, {"lr": 0.05, "t0": 5, "lambd": 0.01, "weight_decay": 0.1}],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-3, 1.0)}],
    "Adafactor": [{}, {"lr": 0.1, "weight_decay": 0.1, "d": 2.0, "maximize": True}],
    "Muon": [{"lr": 0.01}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}],
    "LBFGS": [
        {"max_iter": 2, "lr": 0.5},
        {"max_iter": 3, "line_search_fn": "strong_wolfe", "history_size": 4},
    ],
}
# Wider where the rule itself is worse conditioned: bfloat16, curvature from differences.
TOLERANCE = {"Muon": 1e-2, "LBFGS": 5e-3}
ALL = [
    pytest.param(name, options, id=f"{name}-{k}")
    for name, cases in CASES.items()
    for k, options in enumerate(cases)
]


class Problem:
    """A small network with a fixed batch, in one of the two libraries."""

    def __init__(self, lib: Any, name: str, options: dict[str, Any]) -> None:
        lib.manual_seed(0)
        nn = lib.nn
        self.lib = lib
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        draw = np.random.RandomState(0)
        self.x = lib.tensor(draw.randn(5, 3).astype(np.float32))
        self.y = lib.tensor(draw.randn(5, 2).astype(np.float32))
        params = [p for p in self.net.parameters() if name != "Muon" or p.ndim == 2]
        self.optimizer = getattr(lib.optim, name)(params, **options)

    def closure(self) -> Any:
        self.optimizer.zero_grad()
        loss = ((self.net(self.x) - self.y) ** 2).mean()
        loss.backward()
        return loss

    def run(self, steps: int) -> list[float]:
        return [float(self.optimizer.step(self.closure).detach()) for _ in range(steps)]

    def weights(self) -> list[np.ndarray]:
        return [p.detach().numpy() for p in self.net.parameters()]


def close_weights(a: Problem, b: Problem, tolerance: float) -> None:
    for x, y in zip(a.weights(), b.weights(), strict=True):
        close(x, y, tolerance)


@pytest.mark.parametrize("name, options", ALL)
def test_trajectory(name: str, options: dict[str, Any]) -> None:
    tolerance = TOLERANCE.get(name, 1e-5)
    ours, theirs = Problem(torchish, name, options), Problem(oracle, name, options)
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    np.testing.assert_allclose(ours.run(20), theirs.run(20), tolerance * 10, tolerance)
    close_weights(ours, theirs, tolerance)
    mine, other = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    assert list(mine["state"]) == list(other["state"])
    for key, state in other["state"].items():
        assert list(mine["state"][key]) == list(state)
        for field, value in state.items():
            if isinstance(value, oracle.Tensor) and name != "LBFGS":
                same(mine["state"][key][field], value, tolerance * 10)


@pytest.mark.parametrize("name", CASES)
def test_state_dict_goes_both_ways(name: str) -> None:
    """Half of the steps in one library, the other half in the other."""
    options = CASES[name][-1]
    tolerance = TOLERANCE.get(name, 1e-5)
    for first, second in ((torchish, oracle), (oracle, torchish)):
        whole, half = Problem(first, name, options), Problem(first, name, options)
        whole.run(6)
        half.run(3)
        rest = Problem(second, name, options)
        rest.net.load_state_dict({k: into(second, v) for k, v in half.net.state_dict().items()})
        rest.optimizer.load_state_dict(into(second, half.optimizer.state_dict()))
        rest.run(3)
        close_weights(whole, rest, tolerance)


def into(lib: Any, value: Any) -> Any:
    if isinstance(value, (torchish.Tensor, oracle.Tensor)):
        return lib.tensor(value.detach().numpy())
    if isinstance(value, dict):
        return {k: into(lib, v) for k, v in value.items()}
    if isinstance(value, list):
        return [into(lib, v) for v in value]
    return value


def test_every_optimizer_has_cases() -> None:
    classes = {
        name
        for name in dir(oracle.optim)
        if inspect.isclass(getattr(oracle.optim, name))
        and issubclass(getattr(oracle.optim, name), oracle.optim.Optimizer)
    }
    assert classes == set(CASES) | {"Optimizer", "SparseAdam"}


@pytest.mark.parametrize("name", CASES)
def test_signature(name: str) -> None:
    ours = inspect.signature(getattr(torchish.optim, name).__init__).parameters.values()
    theirs = inspect.signature(getattr(oracle.optim, name).__init__).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]


@pytest.mark.parametrize("name", [n for n in CASES if n != "LBFGS"])
def test_a_changing_rate_compiles_nothing(name: str) -> None:
    problem = Problem(torchish, name, CASES[name][-1])
    problem.run(3)
    before = stats.programs_compiled, stats.kernels_compiled
    for k in range(3):
        group = problem.optimizer.param_groups[0]
        group["lr"] = 0.01 / (k + 1)
        if "betas" in group:
            group["betas"] = (0.5 + k / 10, 0.9)
        problem.run(1)
    assert (stats.programs_compiled, stats.kernels_compiled) == before


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adadelta"])
def test_other_dtypes(name: str, dtype: str) -> None:
    def run(lib: Any) -> Any:
        kind = getattr(lib, dtype)
        param = lib.nn.Parameter(lib.tensor([0.5, -1.0, 2.0]).to(kind))
        optimizer = getattr(lib.optim, name)([param], lr=0.1)
        for _ in range(3):
            param.grad = (param * 0.5).detach()
            optimizer.step()
        state = optimizer.state_dict()["state"]
        dtypes = [str(v.dtype) for s in state.values() for v in s.values() if v is not None]
        wide = lib.complex64 if dtype == "complex64" else lib.float64
        return [param.detach().to(wide), dtypes]

    agree(run, {"float16": 2e-3, "bfloat16": 1e-2}.get(dtype, 1e-5))


ERRORS = {
    "no parameters": lambda o, p, lib: o.SGD([]),
    "a tensor": lambda o, p, lib: o.SGD(p, lr=1),
    "not a tensor": lambda o, p, lib: o.SGD([3]),
    "non-leaf": lambda o, p, lib: o.SGD([p * 2]),
    "a set": lambda o, p, lib: o.SGD([{"params": {p}}]),
    "twice": lambda o, p, lib: o.SGD([{"params": [p]}, {"params": [p]}]),
    "duplicate": lambda o, p, lib: o.SGD([p, p]),
    "lr": lambda o, p, lib: o.SGD([p], lr=-1),
    "momentum": lambda o, p, lib: o.SGD([p], momentum=-1),
    "nesterov": lambda o, p, lib: o.SGD([p], nesterov=True),
    "betas": lambda o, p, lib: o.Adam([p], betas=(1.0, 0.9)),
    "betas kinds": lambda o, p, lib: o.Adam([p], betas=(0, 0.9)),
    "eps": lambda o, p, lib: o.Adam([p], eps=-1),
    "weight decay": lambda o, p, lib: o.AdamW([p], weight_decay=-1),
    "alpha": lambda o, p, lib: o.RMSprop([p], alpha=-1),
    "rho": lambda o, p, lib: o.Adadelta([p], rho=2),
    "etas": lambda o, p, lib: o.Rprop([p], etas=(2, 3)),
    "fused and foreach": lambda o, p, lib: o.Adam([p], fused=True, foreach=True),
    "tensor lr of two": lambda o, p, lib: o.SGD([p], lr=lib.tensor([1.0, 2.0])),
    "muon on vectors": lambda o, p, lib: o.Muon([p]),
    "lbfgs groups": lambda o, p, lib: o.LBFGS([{"params": [p]}, {"params": []}]),
    "group not a dict": lambda o, p, lib: o.SGD([p]).add_param_group(3),
    "groups differ": lambda o, p, lib: o.SGD([p]).load_state_dict(
        {"state": {}, "param_groups": []}
    ),
    "group sizes differ": lambda o, p, lib: o.SGD([p]).load_state_dict(
        {"state": {}, "param_groups": [{"params": [0, 1]}]}
    ),
    "some names": lambda o, p, lib: o.SGD([("a", p), lib.nn.Parameter(lib.zeros(1))]),
    "names": lambda o, p, lib: o.SGD([("a", p)]).state_dict()["param_groups"],
    "unnamed group": lambda o, p, lib: o.SGD([("a", p)]).add_param_group(
        {"params": [lib.nn.Parameter(lib.zeros(1))]}
    ),
    "abstract": lambda o, p, lib: o.Optimizer([p], {}).step(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    agree(lambda lib: plain_result(ERRORS[name](lib.optim, lib.nn.Parameter(lib.zeros(2)), lib)))


def plain_result(value: Any) -> Any:
    return repr(value) if hasattr(value, "param_groups") else value


def test_groups_have_their_own_options() -> None:
    def run(lib: Any) -> Any:
        a, b = lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(3))
        optimizer = lib.optim.Adam([{"params": [a], "lr": 0.5}], lr=0.1)
        optimizer.add_param_group({"params": b, "weight_decay": 0.5})
        for _ in range(2):
            a.grad, b.grad = lib.ones(2), lib.full((3,), 0.25)
            optimizer.step()
        return [a, b, repr(optimizer)]

    agree(run)


def test_parameters_without_gradient_and_late_ones() -> None:
    def run(lib: Any) -> Any:
        a, b = lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(3))
        optimizer = lib.optim.Adam([a, b])
        a.grad = lib.ones(2)
        optimizer.step()
        b.grad = lib.ones(3)
        optimizer.step()
        return [a, b, {k: dict(v) for k, v in optimizer.state_dict()["state"].items()}]

    agree(run)


def test_hooks() -> None:
    def run(lib: Any) -> Any:
        param, log = lib.nn.Parameter(lib.ones(2)), []
        optimizer = lib.optim.SGD([param], lr=0.1)
        optimizer.register_step_pre_hook(lambda o, a, k: log.append("pre"))
        handle = optimizer.register_step_post_hook(lambda o, a, k: log.append("post"))
        optimizer.register_state_dict_post_hook(lambda o, s: {**s, "extra": 1})
        param.grad = lib.ones(2)
        optimizer.step()
        handle.remove()
        optimizer.step()
        return [log, sorted(optimizer.state_dict()), param]

    agree(run)


def test_tensor_rate() -> None:
    def run(lib: Any) -> Any:
        param, lr = lib.nn.Parameter(lib.ones(2)), lib.tensor(0.1)
        optimizer = lib.optim.SGD([param], lr=lr)
        schedule = lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            param.grad = lib.ones(2)
            optimizer.step()
            schedule.step()
        return [param, lr, schedule.get_last_lr()]

    agree(run)


def test_step_writes_in_place() -> None:
    """Views and other references to a parameter see the update."""

    def run(lib: Any) -> Any:
        param = lib.nn.Parameter(lib.ones(4))
        view, version = param.data[1:3], param._version
        param.grad = lib.ones(4)
        optimizer = lib.optim.Adam([param], lr=0.5)
        optimizer.step()
        momentum = optimizer.state[param]["exp_avg"]
        optimizer.step()
        return [view, param._version > version, momentum, optimizer.state[param]["step"]]

    agree(run)


def test_deepcopy_keeps_state() -> None:
    def run(lib: Any) -> Any:
        param = lib.nn.Parameter(lib.ones(4))
        param.grad = lib.ones(4)
        optimizer = lib.optim.Adam([param], lr=0.5)
        optimizer.step()
        twin = copy.deepcopy(optimizer)
        inner = twin.param_groups[0]["params"][0]
        inner.grad = lib.ones(4)
        twin.step()
        return [param, inner, repr(twin)]

    agree(run)


@pytest.mark.parametrize("torch", [oracle, torchish], ids=["torch", "torchish"])
def test_an_optimizer_that_wraps_another_has_no_hooks_of_its_own(torch: Any) -> None:
    class Wrapped(torch.optim.Optimizer):
        def __init__(self, inner):
            self.inner = inner

        def step(self, closure=None):
            return self.inner.step(closure)

    x = torch.ones(2, requires_grad=True)
    inner = torch.optim.SGD([x], 0.5)
    calls = []
    inner.register_step_post_hook(lambda *_: calls.append(1))
    x.sum().backward()
    Wrapped(inner).step()
    assert x.tolist() == [0.5, 0.5] and calls == [1]


def test_own_optimizer() -> None:
    def run(lib: Any) -> Any:
        class Own(lib.optim.Optimizer):
            def __init__(self, params: Any, lr: float) -> None:
                super().__init__(params, {"lr": lr})

            @lib.no_grad()
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        p.add_(p.grad, alpha=-group["lr"])
                        self.state[p]["n"] = self.state[p].get("n", 0) + 1

        param = lib.nn.Parameter(lib.ones(2))
        own = Own([param], 0.5)
        param.grad = lib.ones(2)
        own.step()
        return [param, own.state_dict(), repr(own)]

    agree(run)


def test_unsupported() -> None:
    param = torchish.nn.Parameter(torchish.zeros(2))
    param.grad = torchish.ones(2)
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        torchish.optim.SparseAdam([param]).step()
    with pytest.raises(NotImplementedError, match="differentiable"):
        torchish.optim.Adam([param], differentiable=True)


@pytest.mark.parametrize("values", [(1.0, 1.0), (1.0, 2.0)])
def test_a_line_search_whose_ends_have_met(values):
    """The cubic through one point divides by zero, as torch's tensors do."""
    low, high = ((0.5, f, -1.0) for f in values)
    theirs = importlib.import_module("torch.optim.lbfgs")._cubic_interpolate(
        *(oracle.tensor(v, dtype=oracle.float64) for v in (*low, *high))
    )
    mine = importlib.import_module("torchish.optim.lbfgs")._cubic_minimum(low, high)
    np.testing.assert_equal(mine, float(theirs))
