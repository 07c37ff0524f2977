"""TorchScript's interface over plain Python; custom operators; futures; data pipes; weak dicts."""

from __future__ import annotations

import gc
import io
from typing import Any

import pytest
import torch
import torch.utils.data.datapipes as their_pipes

import torchish
import torchish.utils.data.datapipes as our_pipes
from torchish.utils.weak import TensorWeakRef, WeakIdKeyDictionary


class Net(torchish.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torchish.nn.Linear(2, 3)

    def forward(self, x: Any) -> Any:
        return self.linear(x).relu()


def test_scripted_modules_run_and_are_saved() -> None:
    net, x = Net(), torchish.ones(1, 2)
    scripted = torchish.jit.script(net)
    assert isinstance(scripted, torchish.jit.ScriptModule) and isinstance(scripted, Net)
    assert scripted.linear is net.linear and torchish.equal(scripted(x), net(x))
    assert str(scripted).startswith("RecursiveScriptModule(\n  original_name=Net")
    file = io.BytesIO()
    torchish.jit.save(scripted, file, {"note": "hello"})
    extra = {"note": ""}
    file.seek(0)
    again = torchish.jit.load(file, _extra_files=extra)
    assert torchish.equal(again(x), net(x)) and extra["note"] == b"hello"
    with pytest.raises(NotImplementedError, match="graph"):
        scripted.graph
    with pytest.raises(RuntimeError, match="eval mode"):
        torchish.jit.freeze(scripted)
    assert torchish.jit.freeze(scripted.eval()) is scripted


class Marked(torchish.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torchish.jit.Attribute(0.5, float)

    def forward(self, x: torchish.Tensor) -> torchish.Tensor:
        return x * self.scale


def test_attributes_have_their_values_once_scripted() -> None:
    outer = torchish.nn.Sequential(Marked(), torchish.nn.ModuleList([Marked()]))
    assert outer[0].scale == (0.5, float) and outer[0].scale.value == 0.5
    scripted = torchish.jit.script(outer)
    assert scripted[0](torchish.ones(2)).tolist() == [0.5, 0.5] and scripted[1][0].scale == 0.5
    assert torchish.jit.script(Marked()).scale == 0.5
    assert outer[0].scale.type is float  # the module itself stays as it was


def test_functions_and_traces() -> None:
    double = torchish.jit.script(lambda x: x * 2)
    assert isinstance(double, torchish.jit.ScriptFunction)
    assert double(torchish.ones(1)).item() == 2
    traced = torchish.jit.trace(Net(), torchish.ones(1, 2))
    assert traced.original_name == "Net" and isinstance(traced, torchish.jit.ScriptModule)
    assert torchish.jit.wait(torchish.jit.fork(double, torchish.ones(1))).item() == 2


def test_torchscript_files_are_refused() -> None:
    file = io.BytesIO()
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file)
    file.seek(0)
    with pytest.raises(NotImplementedError, match="TorchScript files of PyTorch.*state_dict"):
        torchish.jit.load(file)


def test_custom_operators() -> None:
    found = []
    for m in (torchish, torch):

        def scale(x: Any, s: float = 2.0) -> Any:
            return x * s

        scale.__annotations__ = {"x": m.Tensor, "s": float, "return": m.Tensor}
        op = m.library.custom_op("tests_jit::scale", scale, mutates_args=())
        x = m.ones(3, requires_grad=True)
        with pytest.raises(RuntimeError) as caught:
            m.ops.tests_jit.scale(x).sum().backward()
        op.register_autograd(
            lambda ctx, g: (g * ctx.s, None),
            setup_context=lambda ctx, inputs, output: setattr(ctx, "s", inputs[1]),
        )
        op(x, 3.0).sum().backward()
        schema = m.library.infer_schema(scale, mutates_args=())
        found.append([str(caught.value), schema, x.grad.tolist(), str(m.ops.tests_jit.scale)])
    assert found[0] == found[1]


def test_libraries_of_operators() -> None:
    lib = torchish.library.Library("tests_jit2", "DEF")
    lib.define("shift(Tensor x, int k=3) -> Tensor")
    lib.impl("shift", lambda x, k: x + k, "CPU")
    x = torchish.ones(2)
    assert torchish.ops.tests_jit2.shift(x).tolist() == [4, 4]
    assert torchish.ops.tests_jit2.shift.default(x, k=1).tolist() == [2, 2]
    assert torchish.ops.aten.add(x, 1).tolist() == [2, 2]
    with pytest.raises(NotImplementedError, match=r"aten\._to_copy"):
        torchish.ops.aten._to_copy(x)
    with pytest.raises(RuntimeError, match="missing value for argument 'x'"):
        torchish.ops.tests_jit2.shift()


def test_futures() -> None:
    future = torchish.futures.Future()
    after = future.then(lambda f: f.wait() + 1)
    assert not future.done()
    future.set_result(1)
    assert after.wait() == 2 and torchish.futures.wait_all([future, after]) == [1, 2]
    with pytest.raises(RuntimeError, match="only be marked completed once"):
        future.set_result(2)


PIPES = {
    "map": lambda p: p.iter.IterableWrapper(range(5)).map(lambda x: x * 2),
    "shuffle": lambda p: p.iter.IterableWrapper(range(9)).shuffle(buffer_size=4).set_seed(3),
    "batch": lambda p: p.iter.IterableWrapper(range(5)).batch(2).map(list),
    "unbatch": lambda p: p.iter.IterableWrapper([[1, [2]], [3]]).unbatch(-1),
    "filter": lambda p: p.iter.IterableWrapper(range(5)).filter(lambda x: x % 2 == 0),
    "zip": lambda p: p.iter.IterableWrapper([1, 2]).zip(p.iter.IterableWrapper("ab")),
    "concat": lambda p: p.iter.IterableWrapper([1, 2]).concat(p.iter.IterableWrapper("ab")),
    "mux": lambda p: p.iter.IterableWrapper([1, 2]).mux(p.iter.IterableWrapper("abc")),
    "fork": lambda p: p.iter.Zipper(*p.iter.IterableWrapper([1, 2]).fork(2)),
    "demux": lambda p: p.iter.IterableWrapper(range(6)).demux(2, lambda x: x % 2)[1],
    "groupby": lambda p: p.iter.IterableWrapper("aAbB").groupby(str.lower).map(list),
    "columns": lambda p: p.iter.IterableWrapper([(1, 2)]).map(lambda x: -x, input_col=1),
    "indexed": lambda p: p.map.SequenceWrapper(range(5)).map(lambda x: x + 1).batch(2),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PIPES)
def test_data_pipes(name: str) -> None:
    mine, theirs = (PIPES[name](p) for p in (our_pipes, their_pipes))
    if name == "indexed":
        mine, theirs = ([list(p[k]) for k in range(len(p))] for p in (mine, theirs))
    assert list(mine) == list(theirs)


def test_weak_dicts_go_by_identity() -> None:
    a, b = torchish.ones(1), torchish.ones(1)
    found = WeakIdKeyDictionary({a: 1})
    found[b] = 2
    assert found[a] == 1 and found[b] == 2 and len(found) == 2
    ref = TensorWeakRef(a)
    assert ref() is a
    del a
    gc.collect()
    assert ref() is None and list(found.values()) == [2]
