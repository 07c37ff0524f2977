"""torch.testing, types, accelerator, jit, hub, profiler, compile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import torchish

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "equal": lambda m, c: c(m.ones(3), m.ones(3)),
    "close": lambda m, c: c(m.ones(3), m.ones(3) + 1e-7),
    "far": lambda m, c: c(m.ones(3), m.tensor([1, 2, 1.0])),
    "shape": lambda m, c: c(m.ones(3), m.ones(2)),
    "dtype": lambda m, c: c(m.ones(3), m.ones(3).double()),
    "dtype allowed": lambda m, c: c(m.ones(3), m.ones(3).double(), check_dtype=False),
    "list": lambda m, c: c([1.0, m.ones(1)], [1.0, m.zeros(1)]),
    "numbers": lambda m, c: c(1.0, 1.1),
    "integers": lambda m, c: c(1, 2),
    "keys": lambda m, c: c({"a": 1.0}, {"b": 1.0}),
    "length": lambda m, c: c([1], [1, 2]),
    "0-dim": lambda m, c: c(m.tensor(1.0), m.tensor(2.0)),
    "int tensors": lambda m, c: c(m.tensor([1, 2]), m.tensor([1, 3])),
    "nan": lambda m, c: c(m.tensor([float("nan")]), m.tensor([float("nan")])),
    "equal nan": lambda m, c: c(m.tensor([float("nan")]), m.tensor([float("nan")]), equal_nan=True),
    "texts": lambda m, c: c("a", "a"),
    "one tolerance": lambda m, c: c(m.ones(1), m.ones(1), rtol=1.0),
    "message": lambda m, c: c(m.ones(2), m.zeros(2), msg="hello"),
    "made message": lambda m, c: c(m.ones(2), m.zeros(2), msg=lambda t: t + "!"),
    "bools": lambda m, c: c(m.tensor([True]), m.tensor([False])),
    "booleans": lambda m, c: c(True, False),
    "none": lambda m, c: c(None, 1),
    "nested": lambda m, c: c({"a": m.ones(2)}, {"a": m.zeros(2)}),
    "tolerances": lambda m, c: c(m.full((2, 2), 2.0), m.ones(2, 2), atol=0.5, rtol=0),
    "stride": lambda m, c: c(m.ones(2, 3).t(), m.ones(3, 2), check_stride=True),
    "bfloat16": lambda m, c: c(m.ones(2).bfloat16(), m.full((2,), 1.01).bfloat16()),
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_assert_close(name: str) -> None:
    found = []
    for m in (torchish, torch):
        try:
            COMPARISONS[name](m, m.testing.assert_close)
            found.append(("fine", ""))
        except Exception as error:
            found.append((type(error).__name__, str(error)))
    kinds = [(k, t.replace("torchish", "torch")) for k, t in found]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"dtype": "float32"}, {"dtype": "int64", "low": 0, "high": 5}, {"dtype": "bool"},
        {"dtype": "complex64"}, {"dtype": "float32", "noncontiguous": True},
        {"dtype": "float32", "low": -1, "requires_grad": True}, {"dtype": "uint8"},
        {"dtype": "float32", "low": 2, "high": 1}, {"dtype": "int64", "requires_grad": True},
        {"dtype": "int32", "exclude_zero": True},
    ],
    ids=str,
)  # fmt: skip
def test_make_tensor(kwargs: dict[str, Any]) -> None:
    found: list[Any] = []
    for m in (torchish, torch):
        m.manual_seed(0)
        try:
            given = {**kwargs, "dtype": getattr(m, kwargs["dtype"])}
            x = m.testing.make_tensor((3, 4), device="cpu", **given)
            found.append((x.detach().tolist(), x.stride(), x.requires_grad))
        except ValueError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_marks_for_torchscript() -> None:
    assert not torchish.jit.is_scripting()
    assert not torchish.jit.is_tracing()
    assert torchish.jit.ignore(len) is len
    assert torchish.jit.unused(len) is len
    assert torchish.jit.ignore(drop=True)(len) is len
    assert not isinstance(torchish.nn.Linear(1, 1), torchish.jit.ScriptModule)


def test_the_hub_names_what_it_cannot_reach(tmp_path: Path) -> None:
    torchish.save({"w": torchish.ones(2)}, tmp_path / "m.pth")
    url = (tmp_path / "m.pth").as_uri()
    folder = str(tmp_path / "cache")
    load = torchish.hub.load_state_dict_from_url
    assert load(url, model_dir=folder)["w"].tolist() == [1, 1]
    (tmp_path / "m.pth").unlink()
    assert load(url, model_dir=folder)["w"].tolist() == [1, 1]
    gone = (tmp_path / "other.pth").as_uri()
    with pytest.raises(RuntimeError, match="cannot download .*other.pth"):
        load(gone, model_dir=folder)
    assert sorted(p.name for p in Path(folder).iterdir()) == ["m.pth"]
    with pytest.raises(NotImplementedError, match=r"torch\.hub\.load"):
        torchish.hub.load("x", "y")


def test_schedules_of_the_profiler() -> None:
    for kwargs in ({"wait": 1, "warmup": 1, "active": 2}, {"wait": 0, "warmup": 1, "active": 1,
                   "repeat": 2, "skip_first": 1}):  # fmt: skip
        mine = torchish.profiler.schedule(**kwargs)
        theirs = torch.profiler.schedule(**kwargs)
        assert [mine(k).name for k in range(9)] == [theirs(k).name for k in range(9)]


def test_a_profile_is_written(tmp_path: Path) -> None:
    handler = torchish.profiler.tensorboard_trace_handler(str(tmp_path))
    with torchish.profiler.profile(on_trace_ready=handler) as prof:
        with torchish.profiler.record_function("block"):
            torchish.ones(2).sum().item()
        prof.step()
    assert list(tmp_path.rglob("*.xplane.pb"))
    with pytest.raises(NotImplementedError, match="key_averages"):
        prof.key_averages()


def test_the_accelerator_answers_truthfully() -> None:
    assert torchish.accelerator.is_available() == torchish.cuda.is_available()
    if not torchish.cuda.is_available():
        assert torchish.accelerator.current_accelerator() is None
        with pytest.raises(RuntimeError, match="none is available"):
            torchish.accelerator.synchronize()


def test_types_are_names_for_annotations() -> None:
    assert torchish.types.Size is torchish.Size
    assert isinstance(1.0, torchish.types.Number)
