"""Learning-rate schedules and averaged models against PyTorch's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch as oracle

from tests.oracle import agree

CASES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.95**e),
    "LambdaLR list": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (e + 1)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.9),
    "StepLR": lambda s, o: s.StepLR(o, 3),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9]),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.2, 0.9, 6),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 7, 2),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, 4),
    "CyclicLR triangular2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="triangular2"),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, 20),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, [0.1, 0.2], 20, three_phase=True, anneal_strategy="linear"
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)], [4]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)]
    ),
}


def optimizer(lib: Any, kind: str = "SGD") -> Any:
    groups = [
        {"params": [lib.nn.Parameter(lib.zeros(2))], "lr": 0.5},
        {"params": [lib.nn.Parameter(lib.zeros(3))]},
    ]
    extra = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(lib.optim, kind)(groups, lr=0.1, **extra)


def options(opt: Any) -> list[Any]:
    return [{k: v for k, v in g.items() if k != "params"} for g in opt.param_groups]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", CASES)
def test_sequence(name: str, kind: str) -> None:
    def run(lib: Any) -> Any:
        opt = optimizer(lib, kind)
        schedule = CASES[name](lib.optim.lr_scheduler, opt)
        found = []
        for _ in range(15):
            found.append([list(schedule.get_last_lr()), options(opt)])
            opt.step()
            schedule.step()
        return found

    agree(run, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_state_dict_resumes(name: str) -> None:
    def run(lib: Any) -> Any:
        opt = optimizer(lib)
        schedule = CASES[name](lib.optim.lr_scheduler, opt)
        for _ in range(4):
            opt.step()
            schedule.step()
        other_opt = optimizer(lib)
        other = CASES[name](lib.optim.lr_scheduler, other_opt)
        other.load_state_dict(schedule.state_dict())
        other_opt.load_state_dict(opt.state_dict())
        other_opt.step()
        other.step()
        return [list(other.get_last_lr()), sorted(schedule.state_dict())]

    agree(run, rtol=0)


def test_every_schedule_has_a_case() -> None:
    module = oracle.optim.lr_scheduler
    classes = {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, module.LRScheduler)
    }
    covered = {name.split()[0] for name in CASES} | {"ReduceLROnPlateau"}
    assert classes - {"LRScheduler", "_LRScheduler"} == covered


@pytest.mark.parametrize("mode, threshold_mode", [("min", "rel"), ("max", "abs")])
def test_plateau(mode: str, threshold_mode: str) -> None:
    def run(lib: Any) -> Any:
        opt = optimizer(lib)
        schedule = lib.optim.lr_scheduler.ReduceLROnPlateau(
            opt, mode, patience=1, cooldown=1, threshold_mode=threshold_mode, min_lr=[0.01, 0.02]
        )
        found = []
        for value in (1, 2, 3, 2, 0.5, 0.6, lib.tensor(0.7), 0.8, 0.9, 1.0):
            schedule.step(value)
            found.append(list(schedule.get_last_lr()))
        return [found, schedule.state_dict()]

    agree(run)


WARNINGS = {
    "order": lambda s, o: s.StepLR(o, 1).step(),
    "epoch": lambda s, o: (o.step(), s.StepLR(o, 1).step(3)),
    "get_lr": lambda s, o: s.ExponentialLR(o, 0.5).get_lr(),
    "not an optimizer": lambda s, o: s.StepLR(3, 1),
    "resume": lambda s, o: s.StepLR(o, 1, last_epoch=3),
    "lambdas": lambda s, o: s.LambdaLR(o, [abs]),
    "factor": lambda s, o: s.ConstantLR(o, 2.0),
    "start": lambda s, o: s.LinearLR(o, 0.0),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.1),
    "one cycle share": lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=3),
    "cyclic mode": lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="x"),
    "plateau factor": lambda s, o: s.ReduceLROnPlateau(o, factor=2.0),
    "plateau mode": lambda s, o: s.ReduceLROnPlateau(o, mode="x"),
    "sequential count": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]),
    "sequential plateau": lambda s, o: s.SequentialLR(
        o, [s.StepLR(o, 1), s.ReduceLROnPlateau(o)], [1]
    ),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_and_errors(name: str) -> None:
    def run(lib: Any) -> Any:
        WARNINGS[name](lib.optim.lr_scheduler, optimizer(lib))

    agree(run)


def test_averaged_models_and_swalr() -> None:
    def run(lib: Any) -> Any:
        utils, nn = lib.optim.swa_utils, lib.nn
        net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        models = [
            utils.AveragedModel(net),
            utils.AveragedModel(net, multi_avg_fn=utils.get_ema_multi_avg_fn(0.9)),
            utils.AveragedModel(net, avg_fn=utils.get_ema_avg_fn(0.5), use_buffers=True),
        ]
        opt = lib.optim.SGD(net.parameters(), lr=0.1)
        schedule = utils.SWALR(opt, 0.05, anneal_epochs=3)
        x = lib.tensor(np.random.RandomState(0).randn(6, 2).astype(np.float32))
        rates = []
        for _ in range(4):
            opt.zero_grad()
            (net(x) ** 2).sum().backward()
            opt.step()
            schedule.step()
            rates.append(list(schedule.get_last_lr()))
            for model in models:
                model.update_parameters(net)
        utils.update_bn([x, x], models[0])
        return [rates, [dict(model.state_dict()) for model in models], models[0](x)]

    agree(run, rtol=1e-4)
