"""Every module class against PyTorch: first weights, printing, results, gradients, state dicts."""

from __future__ import annotations

import copy
import inspect
import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish
from tests.nn.module_cases import CASES, ELSEWHERE, Case, Fixed
from tests.oracle import same

ALL = [
    pytest.param(name, case, id=f"{name}-{k}")
    for name, cases in CASES.items()
    for k, case in enumerate(cases)
]


def convert(value: Any, lib: Any, grads: bool = False) -> Any:
    if isinstance(value, Fixed):
        return lib.tensor(value.array)
    if isinstance(value, np.ndarray):
        tensor = lib.tensor(value)
        return tensor.requires_grad_() if grads and value.dtype.kind == "f" else tensor
    return value


def make(name: str, case: Case, lib: Any) -> Any:
    lib.manual_seed(0)
    args = [convert(a, lib) for a in case.args]
    kwargs = {k: convert(v, lib) for k, v in case.kwargs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(lib.nn, name)(*args, **kwargs)


def flatten(out: Any) -> list[Any]:
    if isinstance(out, (tuple, list)):
        return [leaf for item in out for leaf in flatten(item)]
    return [] if out is None else [out]


def run(module: Any, case: Case, lib: Any, backward: bool) -> tuple[list[Any], list[Any]]:
    """Results and input gradients of one call, the seed fixed."""
    inputs = [convert(a, lib, grads=backward) for a in case.inputs]
    lib.manual_seed(1)
    outs = flatten(module(*inputs, **case.call))
    if not backward:
        return outs, []
    total = 0
    for k, out in enumerate(outs):
        if out.requires_grad:
            weights = np.cos(np.arange(out.numel()) + k).astype(np.float32)
            total = total + (out * lib.tensor(weights).reshape(out.shape)).sum()
    if isinstance(total, int):
        return outs, []
    total.backward()
    return outs, [x.grad for x in inputs if getattr(x, "requires_grad", False)]


def same_state(ours: Any, theirs: Any, tolerance: float) -> None:
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    assert {k: dict(v) for k, v in mine._metadata.items()} == {
        k: dict(v) for k, v in other._metadata.items()
    }
    for key in mine:
        same(mine[key], other[key], tolerance, what=key)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name, case", ALL)
def test_layer(name: str, case: Case) -> None:
    ours, theirs = make(name, case, torchish), make(name, case, oracle)
    assert repr(ours) == repr(theirs)
    if not name.startswith("Lazy"):
        same_state(ours, theirs, 1e-6)
    outs, grads = run(ours, case, torchish, True)
    expected, expected_grads = run(theirs, case, oracle, True)
    assert len(outs) == len(expected)
    for a, b in zip(outs, expected, strict=True):
        same(a, b, case.tolerance, what="result")
    for a, b in zip(grads, expected_grads, strict=True):
        same(a, b, case.tolerance * 5, what="gradient of an input")
    for (key, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), key
        if a.grad is not None:
            same(a.grad, b.grad, case.tolerance * 5, what=key)
    same_state(ours, theirs, case.tolerance)
    outs, _ = run(ours.eval(), case, torchish, False)
    expected, _ = run(theirs.eval(), case, oracle, False)
    for a, b in zip(outs, expected, strict=True):
        same(a, b, case.tolerance, what="result in evaluation mode")


@pytest.mark.parametrize("name, case", [pytest.param(n, cs[0], id=n) for n, cs in CASES.items()])
def test_state_dict_both_ways_and_copies(name: str, case: Case) -> None:
    ours, theirs = make(name, case, torchish), make(name, case, oracle)
    if name.startswith("Lazy"):
        run(ours, case, torchish, False)
        run(theirs, case, oracle, False)
    saved = {k: oracle.tensor(v.numpy() + 1) for k, v in ours.state_dict().items()}
    assert str(theirs.load_state_dict(saved)) == "<All keys matched successfully>"
    back = {k: torchish.tensor(v.numpy()) for k, v in theirs.state_dict().items()}
    assert str(ours.load_state_dict(back)) == "<All keys matched successfully>"
    same_state(ours, theirs, 0)
    twin = copy.deepcopy(ours)
    assert repr(twin) == repr(ours)
    for a, b in zip(twin.parameters(), ours.parameters(), strict=True):
        assert a is not b and a.data_ptr() != b.data_ptr()


def test_torch_attribute_names() -> None:
    """Whole modules saved by torch are loaded by filling these attributes."""
    for name, cases in CASES.items():
        ours, theirs = make(name, cases[0], torchish), make(name, cases[0], oracle)
        known_absent = {"_flat_weights", "_flat_weight_refs", "num_batches_tracked"}
        missing = set(vars(theirs)) - set(vars(ours)) - known_absent
        assert not missing, f"{name}: {missing}"


def test_every_module_has_a_case() -> None:
    classes = {
        name
        for name in dir(oracle.nn)
        if inspect.isclass(getattr(oracle.nn, name))
        and issubclass(getattr(oracle.nn, name), oracle.nn.Module)
    }
    assert classes == set(CASES) | ELSEWHERE


@pytest.mark.parametrize("name", sorted(CASES))
def test_signature(name: str) -> None:
    """The argument names, their order and defaults are torch's."""
    if name in ("RNN", "LSTM", "GRU", "TransformerEncoderLayer", "NLLLoss2d"):
        pytest.skip("takes *args")
    ours = inspect.signature(getattr(torchish.nn, name).__init__).parameters.values()
    theirs = inspect.signature(getattr(oracle.nn, name).__init__).parameters.values()
    mine = [(p.name, p.kind, p.default) for p in ours if p.name != "self"]
    other = [(p.name, p.kind, p.default) for p in theirs if p.name != "self"]
    functions = {"activation"}
    mine = [x for x in mine if x[0] not in functions]
    other = [x for x in other if x[0] not in functions]
    if [x[1] for x in other] == [
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    ]:
        return
    assert mine == other


def test_pickled_module_round_trip() -> None:
    net = torchish.nn.Sequential(torchish.nn.Conv2d(1, 2, 3), torchish.nn.BatchNorm2d(2))
    buffer = io.BytesIO()
    torchish.save(net, buffer)
    buffer.seek(0)
    loaded = torchish.load(buffer, weights_only=False)
    assert repr(loaded) == repr(net)
    for a, b in zip(loaded.parameters(), net.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
