"""Modules, state_dicts and optimizers travel between torchish and PyTorch."""

from __future__ import annotations

import copy
import importlib
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import torchish
from tests.oracle import same
from torchish import nn, optim
from torchish._serialization.names import torch_name

CLASSES = sorted(
    {
        cls
        for space in (nn, optim)
        for cls in vars(space).values()
        if isinstance(cls, type) and issubclass(cls, (nn.Module, optim.Optimizer))
    },
    key=lambda cls: cls.__name__,
)


def through(save: Any, load: Any, obj: Any, **options: Any) -> Any:
    buffer = io.BytesIO()
    save(obj, buffer)
    buffer.seek(0)
    return load(buffer, **options)


def to_torch(obj: Any, **options: Any) -> Any:
    return through(torchish.save, torch.load, obj, **options)


def from_torch(obj: Any, **options: Any) -> Any:
    return through(torch.save, torchish.load, obj, **options)


def build(lib: Any) -> Any:
    """One module with most kinds of state, from one seed."""
    lib.manual_seed(0)
    layers = lib.nn
    return layers.Sequential(
        layers.Conv2d(1, 4, 3, stride=2, bias=False),
        layers.BatchNorm2d(4),
        layers.LeakyReLU(0.2),
        layers.ModuleDict({"a": layers.ModuleList([layers.Linear(2, 2)])}),
        layers.Dropout(0.5),
        layers.Embedding(3, 2, padding_idx=0),
    )


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_classes_have_pytorchs_names(cls: type) -> None:
    name = torch_name(cls.__module__, cls.__qualname__)
    assert name is not None
    theirs = getattr(importlib.import_module(name[0]), name[1])
    assert theirs is getattr(torch.nn, cls.__name__, None) or theirs is getattr(
        torch.optim, cls.__name__, None
    )


def test_state_dicts() -> None:
    mine, theirs = build(torchish), build(torch)
    same(mine.state_dict(), theirs.state_dict(), 0.0)
    same(from_torch(theirs.state_dict()), theirs.state_dict(), 0.0)
    same(mine.state_dict(), to_torch(mine.state_dict()), 0.0)
    assert mine.load_state_dict(from_torch(theirs.state_dict())) is not None
    assert from_torch(theirs.state_dict())._metadata == theirs.state_dict()._metadata
    assert to_torch(mine.state_dict())._metadata == theirs.state_dict()._metadata


def test_whole_modules() -> None:
    mine, theirs = build(torchish), build(torch)
    loaded = from_torch(theirs, weights_only=False)
    back = to_torch(mine, weights_only=False)
    assert type(loaded) is nn.Sequential and type(back) is torch.nn.Sequential
    assert repr(loaded) == repr(theirs) == repr(back)
    same(loaded.state_dict(), theirs.state_dict(), 0.0)
    same(mine.state_dict(), back.state_dict(), 0.0)
    for model, lib in ((loaded, torchish), (back, torch)):
        part = model.eval()[:3]
        assert part(lib.ones(2, 1, 5, 5)).shape == (2, 4, 2, 2)
        model.train().zero_grad()
        assert all(m.training for m in model.modules())
    x = np.linspace(-1, 1, 50, dtype=np.float32).reshape(2, 1, 5, 5)
    got = loaded.eval()[:3](torchish.tensor(x)).detach().numpy()
    np.testing.assert_allclose(got, theirs.eval()[:3](torch.tensor(x)).detach().numpy(), 1e-5)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_optimizers(name: str) -> None:
    def stepped(lib: Any) -> Any:
        lib.manual_seed(0)
        model = lib.nn.Linear(3, 2)
        options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        optimizer = getattr(lib.optim, name)(model.parameters(), lr=0.1, **options)
        for _ in range(2):
            optimizer.zero_grad()
            model(lib.ones(4, 3)).sum().backward()
            optimizer.step()
        return model, optimizer

    (model, mine), (_, theirs) = stepped(torchish), stepped(torch)
    loaded, back = from_torch(theirs.state_dict()), to_torch(mine.state_dict())
    for got, expected in ((loaded, theirs.state_dict()), (mine.state_dict(), back)):
        assert got["param_groups"] == expected["param_groups"]
        assert list(got["state"]) == list(expected["state"])
        for key, entry in expected["state"].items():
            assert list(got["state"][key]) == list(entry)
            for part, value in entry.items():
                other = got["state"][key][part]
                if isinstance(value, torch.Tensor):
                    np.testing.assert_allclose(other.numpy(), value.numpy(), 1e-5)
                else:
                    assert other == value
    mine.load_state_dict(loaded)
    theirs.load_state_dict(back)
    whole = to_torch({"model": model, "optimizer": mine}, weights_only=False)
    assert type(whole["optimizer"]) is getattr(torch.optim, name)
    parameter = next(whole["model"].parameters())
    assert whole["optimizer"].param_groups[0]["params"][0] is parameter


def test_scalars_of_a_training_loop() -> None:
    checkpoint = {"epoch": 3, "loss": torchish.tensor(0.25), "best": float("inf"), "lr": [0.1]}
    back = to_torch(checkpoint)
    assert back == {"epoch": 3, "loss": torch.tensor(0.25), "best": float("inf"), "lr": [0.1]}


def test_views_and_pending_results_are_saved() -> None:
    x = torchish.arange(12.0).reshape(3, 4)
    y = (x * 2).t()[1:]
    back = to_torch([x, x[1], y, x.double() + 1])
    assert back[0].data_ptr() + 16 == back[1].data_ptr()
    assert back[2].tolist() == y.tolist() and back[2].stride() == tuple(y.stride())
    assert back[3].tolist() == (x.double() + 1).tolist()


def test_requires_grad_of_leaves_and_results() -> None:
    for lib, move in ((torchish, to_torch), (torch, from_torch)):
        leaf = lib.ones(2, requires_grad=True)
        moved = move([leaf, leaf * 2, leaf.detach()])
        assert [t.requires_grad for t in moved] == [True, True, False]
        assert all(t.is_leaf for t in moved)


def test_loaded_weights_are_not_views() -> None:
    loaded = from_torch(torch.ones(4, 3))
    assert loaded._is_plain


def test_deepcopy_and_pickle_of_modules() -> None:
    mine = build(torchish)
    for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert repr(other) == repr(mine)
        same(other.state_dict(), mine.state_dict(), 0.0)
        with torchish.no_grad():
            next(other.parameters()).zero_()
    assert next(mine.parameters()).abs().sum().item() > 0
    tied = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    copied = copy.deepcopy(tied)
    assert copied[0].weight is copied[1].weight is not tied[0].weight
    assert from_torch(to_torch(tied, weights_only=False), weights_only=False)[0].weight is not None


def test_deepcopy_of_a_result_is_refused_as_in_pytorch() -> None:
    texts = []
    for lib in (torch, torchish):
        with pytest.raises(RuntimeError) as caught:
            copy.deepcopy(lib.ones(2, requires_grad=True) * 2)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_deepcopy_keeps_the_grad_and_runs_nothing() -> None:
    x = torchish.ones(3, requires_grad=True)
    (x * 2).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.grad is not x.grad
    assert y.grad.tolist() == [2.0, 2.0, 2.0]


class Attention(nn.Module):
    """A user's module: its own name, torch's parts."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(2, 2)
        self.register_buffer("mask", torchish.ones(2))
        self.act = nn.functional.relu


def test_user_modules() -> None:
    model = Attention()
    loaded = through(torchish.save, torchish.load, model, weights_only=False)
    assert type(loaded) is Attention and loaded.mask.tolist() == [1.0, 1.0]
    assert loaded.act(torchish.tensor([-1.0])).item() == 0
    with pytest.raises(pickle.UnpicklingError, match=r"GLOBAL \S*Attention was not an allowed"):
        through(torchish.save, torchish.load, model)


def test_functions_in_modules() -> None:
    theirs = [torch.nn.functional.gelu, torch.relu, torch.nn.functional.relu, torch.tanh]
    loaded = from_torch(theirs, weights_only=False)
    back = to_torch(loaded, weights_only=False)
    x = [-1.0, 0.5]
    for mine, again, other in zip(loaded, back, theirs, strict=True):
        assert again is other
        np.testing.assert_allclose(mine(torchish.tensor(x)).numpy(), other(torch.tensor(x)), 1e-6)
