"""Names of `torch.nn`, `nn.functional`, `nn.utils` and `optim`: there, or refused by name."""

from __future__ import annotations

import pytest
import torch as oracle

import torchish
from torchish.nn import _missing


def test_every_name_of_nn() -> None:
    names = [n for n in dir(oracle.nn) if not n.startswith("_")]
    absent = {n for n in names if not hasattr(torchish.nn, n)}
    assert absent == set(_missing.NAMES)


def test_every_function() -> None:
    module = oracle.nn.functional
    names = [
        n
        for n in dir(module)
        if not n.startswith("_") and getattr(getattr(module, n), "__module__", None) != "typing"
    ]
    helpers = {n for n in names if "torch_function" in n} | {
        "assert_int_or_pair", "boolean_dispatch", "native_channel_shuffle",
    }  # fmt: skip
    functions = {
        n
        for n in names
        if callable(getattr(module, n)) and not isinstance(getattr(module, n), type)
    }
    absent = {n for n in functions - helpers if not hasattr(torchish.nn.functional, n)}
    assert absent == set(_missing.FUNCTIONS)


@pytest.mark.parametrize("module", ["optim", "nn.utils", "optim.lr_scheduler", "nn.init"])
def test_other_namespaces(module: str) -> None:
    ours, theirs = torchish, oracle
    for part in module.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    names = {n for n in theirs.__all__ if not n.startswith("_")}
    refused = {"swap_in_optimizer_params_and_state"} if module == "optim" else set()
    assert {n for n in names if not hasattr(ours, n)} == refused


def test_a_missing_name_says_what_to_do() -> None:
    with pytest.raises(NotImplementedError, match="quantized.Linear.*quantize_dynamic takes"):
        torchish.nn.quantized.Linear(2, 2)
    with pytest.raises(NotImplementedError, match="scaled_mm. Nearest: .*--check"):
        torchish.nn.functional.scaled_mm
    with pytest.raises(NotImplementedError, match="load_state_dict"):
        torchish.optim.swap_in_optimizer_params_and_state
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        torchish.nn.nonsense
    assert not hasattr(torchish.nn, "LinearCrossEntropyOptions")
