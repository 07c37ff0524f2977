"""`torch.export`: programs that run without the module, at sizes that were not known."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from tests.oracle import close
from torchish import nn
from torchish._dynamo.exc import UserError
from torchish.export import Dim
from torchish.export._symbolic import Fit, SymbolError

needs_files = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("flatbuffers"),
    reason="an environment made before flatbuffers was a dependency",
)


def net(library: Any) -> Any:
    class Net(library.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l = library.nn.Linear(2, 3)
            self.bn = library.nn.BatchNorm1d(3)

        def forward(self, x: Any, k: float = 2.0) -> Any:
            return {"a": self.bn(self.l(x)) * k, "m": x.mean()}

    library.manual_seed(0)
    return Net()


def test_signature_and_weights_are_pytorch_s() -> None:
    ours, theirs = net(torch), net(oracle)
    mine = torch.export.export(ours, (torch.ones(4, 2),), {"k": 3.0})
    want = oracle.export.export(theirs, (oracle.ones(4, 2),), {"k": 3.0})
    a, b = mine.graph_signature, want.graph_signature
    assert [str(s) for s in a.input_specs] == [str(s) for s in b.input_specs]
    for name in ("parameters", "buffers", "user_inputs", "inputs_to_parameters",
                 "inputs_to_buffers", "non_persistent_buffers"):  # fmt: skip
        assert getattr(a, name) == getattr(b, name), name
    assert str(a).split("# outputs")[0] == str(b).split("# outputs")[0]
    assert list(mine.state_dict) == list(want.state_dict)
    assert [n for n, _ in mine.named_buffers()] == [n for n, _ in want.named_buffers()]
    assert mine.state_dict["l.weight"] is ours.l.weight
    assert list(mine.module().state_dict()) == list(want.module().state_dict())
    assert mine.example_inputs[1] == {"k": 3.0}
    assert "stablehlo" in str(mine) and "stablehlo.dot_general" in mine.stablehlo()
    assert mine.run_decompositions() is mine


def test_training_mode_writes_buffers() -> None:
    module, other = net(torch), net(torch)
    program = torch.export.export(module, (torch.ones(4, 2),))
    assert list(program.graph_signature.buffers_to_mutate.values()) == [
        "bn.running_mean", "bn.running_var", "bn.num_batches_tracked",
    ]  # fmt: skip
    run = program.module()
    x = torch.linspace(-1, 1, 8).reshape(4, 2)
    for _ in range(2):
        close(run(x)["a"].detach(), other(x)["a"].detach())
    close(module.bn.running_var, other.bn.running_var)
    assert int(module.bn.num_batches_tracked) == 2


def test_gradients_reach_the_module_s_parameters() -> None:
    module, other = net(torch).eval(), net(torch).eval()
    run = torch.export.export(module, (torch.ones(4, 2),)).module()
    optimizer = torch.optim.SGD(run.parameters(), 0.1)
    x = torch.linspace(-1, 1, 8).reshape(4, 2)
    (run(x)["a"] ** 2).sum().backward()
    (other(x)["a"] ** 2).sum().backward()
    for p, q in zip(module.parameters(), other.parameters(), strict=True):
        close(p.grad, q.grad, 1e-5)
    optimizer.step()
    assert not torch.equal(module.l.weight, other.l.weight)


# --- sizes ----------------------------------------------------------------------------------------


class Image(nn.Module):
    """Convolution, pooling, a view of the batch size, a mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.f = nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        y = nn.functional.max_pool2d(self.c(x).relu(), 2)
        y = nn.functional.adaptive_avg_pool2d(y, 1).view(x.size(0), -1)
        y = self.f(y)
        return y - y.mean(0) + torch.arange(x.shape[0])[:, None] / x.shape[0] + x.var()


def test_a_symbolic_batch() -> None:
    torch.manual_seed(0)
    module = Image().eval()
    program = torch.export.export(
        module, (torch.ones(3, 1, 8, 8),), dynamic_shapes={"x": {0: Dim("batch", min=2, max=64)}}
    )
    assert program.range_constraints == {"batch": (2, 64)}
    run = program.module()
    for n in (2, 5, 64):
        x = torch.randn(n, 1, 8, 8)
        close(run(x).detach(), module(x).detach(), 1e-5)
    with pytest.raises(RuntimeError, match="batch >= 2"):
        run(torch.ones(1, 1, 8, 8))
    with pytest.raises(RuntimeError, match="not for these shapes"):
        run(torch.ones(3, 1, 9, 8))
    with pytest.raises(RuntimeError, match="Dtype mismatch"):
        run(torch.ones(3, 1, 8, 8).double())


def test_two_symbols_in_a_transformer() -> None:
    torch.manual_seed(0)
    module = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    batch, length = torch.export.dims("batch", "length", min=1)
    program = torch.export.export(
        module, (torch.ones(2, 5, 8),), dynamic_shapes=({0: batch, 1: length},)
    )
    run = program.module()
    for shape in ((1, 3), (4, 9)):
        x = torch.randn(*shape, 8)
        close(run(x).detach(), module(x).detach(), 1e-5)


def test_loops_and_hints() -> None:
    class Recurrent(nn.Module):
        def forward(self, x: Any, n: Any) -> Any:
            return torch.func.from_jax(
                lambda x, n: jax.lax.fori_loop(0, n, lambda _, y: jnp.sin(y), x)
            )(x, n).cumsum(0)

    x, n = torch.ones(3, 2), torch.tensor(2)
    program = torch.export.export(Recurrent(), (x, n), dynamic_shapes=({0: Dim.DYNAMIC}, None))
    close(program.module()(torch.ones(7, 2), n), Recurrent()(torch.ones(7, 2), n))

    class Fixed(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.shape[0] % 2 else x * 2

    module = Fixed()
    kept = torch.export.export(module, (x,), dynamic_shapes=({0: Dim.AUTO},))
    assert kept.range_constraints == {}, "AUTO falls back to the size at hand"
    with pytest.raises(UserError, match="make that dim static"):
        torch.export.export(module, (x,), dynamic_shapes=({0: Dim.DYNAMIC},))


def test_expressions_of_sizes() -> None:
    symbols = jax.export.symbolic_shape("a, b")
    a, b = symbols
    sizes = [{"a": x, "b": y} for x, y in ((5, 7), (6, 10), (8, 8), (11, 15), (13, 11))]
    fit = Fit(sizes, {"a": a, "b": b})

    def read(function: Any) -> Any:
        return fit.integer([function(s["a"], s["b"]) for s in sizes])

    assert read(lambda a, b: 3 * a + 2) == 3 * a + 2
    assert read(lambda a, b: (b + 1) // 2) == (b + 1) // 2
    assert read(lambda a, b: 4 * a * b) == 4 * a * b
    assert read(lambda a, b: a + 2 * b - 1) == a + 2 * b - 1
    with pytest.raises(SymbolError):
        read(lambda a, b: a ^ b)


# --- files ----------------------------------------------------------------------------------------

PLAIN = """
import sys
for name in ("torch", "torchish"):
    sys.modules[name] = None  # importing it fails
import io, zipfile
import jax, numpy as np
import safetensors.numpy
archive = zipfile.ZipFile(sys.argv[1])
program = jax.export.deserialize(bytearray(archive.read("program")))
weights = safetensors.numpy.load(archive.read("weights.safetensors"))
x = np.load(sys.argv[2])
np.save(sys.argv[3], jax.jit(program.call)(weights, x)["a"])
"""


@needs_files
def test_a_process_without_torchish_runs_the_program(tmp_path: Path) -> None:
    module = net(torch).eval()
    program = torch.export.export(
        module, (torch.ones(4, 2),), dynamic_shapes={"x": {0: Dim("batch")}}
    )
    path = tmp_path / "net.pt2"
    torch.export.save(program, path)
    x = np.random.default_rng(0).standard_normal((7, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    paths = [str(path), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    subprocess.run([sys.executable, "-c", PLAIN, *paths], check=True, timeout=300)
    want = module(torch.from_numpy(x))["a"].detach()
    close(np.load(tmp_path / "y.npy"), want)


@needs_files
def test_files_go_round() -> None:
    module = net(torch).eval()
    program = torch.export.export(module, (torch.ones(4, 2),), {"k": 3.0})
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"note": "hello"})
    file.seek(0)
    extra = {"note": ""}
    loaded = torch.export.load(file, extra_files=extra)
    assert extra == {"note": "hello"}
    assert loaded.graph_signature == program.graph_signature
    x = torch.linspace(-1, 1, 8).reshape(4, 2)
    run = loaded.module()
    close(run(x, k=3.0)["a"].detach(), module(x, 3.0)["a"].detach())
    with pytest.raises(AssertionError, match="Guard failed: k == 3.0"):
        run(x, k=4.0)
    with pytest.raises(RuntimeError, match="JAX cannot differentiate"):
        run(x, k=3.0)["a"].sum().backward()
    with pytest.raises(ValueError, match="no exported program"):
        torch.export.load(io.BytesIO(b"text"))


# --- errors ---------------------------------------------------------------------------------------


def said(library: Any, case: str) -> tuple[str, str]:
    module, x = net(library), library.ones(4, 2)
    export = library.export.export
    try:
        if case == "function":
            export(lambda x: x, (x,))
        elif case == "args":
            export(module, x)
        elif case == "names":
            export(module, (x,), dynamic_shapes={"y": None})
        elif case == "call":
            export(module, (x,))(x)
        elif case == "save":
            library.export.save(module, io.BytesIO())
        elif case == "bounds":
            Dims = library.export.Dim
            Dims("b", min=3, max=2)
        elif case == "identifier":
            library.export.Dim("1b")
        elif case == "eval":
            export(module, (x,)).module().eval()
    except (ValueError, RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        return type(error).__name__, str(error).split("\n")[0].split(" For more")[0]
    return "ran", ""


CASES = ["function", "args", "names", "call", "save", "bounds", "identifier", "eval"]


@pytest.mark.parametrize("case", CASES)
def test_errors_are_pytorch_s(case: str) -> None:
    assert said(torch, case) == said(oracle, case)


def test_refusals() -> None:
    with pytest.raises(NotImplementedError, match=r"ExportedProgram.stablehlo\(\)"):
        _ = torch.export.export(nn.Linear(1, 1), (torch.ones(1),)).graph_module
    with pytest.raises(RuntimeError, match=r"call module.eval\(\) first"):
        torch.export.export(nn.Dropout(), (torch.ones(3),))
    with pytest.raises(NotImplementedError, match="a Dim of its own"):
        _ = 2 * Dim("b")
    with pytest.raises(NotImplementedError, match=r"torch.export.export, whose programs"):
        torch.onnx.export(nn.Linear(1, 1), (torch.ones(1),), "net.onnx")
    assert repr(Dim("b", max=4)) == "Dim('b', min=0, max=4)"
    assert [repr(d) for d in (Dim.AUTO, Dim.DYNAMIC(min=2))] == [
        "DimHint(AUTO)", "DimHint(DYNAMIC, min=2)",
    ]  # fmt: skip


def test_functions_and_platforms() -> None:
    program = torch.export(lambda x: x.sin(), (torch.ones(3),), platforms=("cpu", "tpu"))
    assert program.exported.platforms == ("cpu", "tpu")
    close(program.exported.call({}, np.ones(3, np.float32)), np.sin(np.ones(3, np.float32)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, input: Any) -> Any:
        return self.lstm(input)[0]


@pytest.mark.parametrize("sizes", [None, {"input": {0: Dim("batch")}}], ids=["fixed", "open"])
@pytest.mark.parametrize(
    "module, shape",
    [
        (lambda: nn.Conv2d(16, 16, 3), (2, 16, 8, 8)),
        (lambda: nn.ConvTranspose1d(16, 16, 3), (2, 16, 8)),
        (lambda: nn.Conv3d(16, 16, 3, groups=2), (2, 16, 4, 4, 4)),
        (Recurrent, (3, 6, 4)),
    ],
    ids=["conv2d", "conv_transpose1d", "conv3d", "lstm"],
)
def test_programs_go_to_machines_without_torchish_cpu(
    module: Any, shape: tuple[int, ...], sizes: Any
) -> None:
    made, x = module(), torch.randn(*shape)
    program = torch.export.export(made, (x,), dynamic_shapes=sizes)
    assert not any(name in program.stablehlo() for name in ("torchish_conv", "torchish_lstm"))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    with torch.no_grad():
        close(torch.export.load(file).module()(x), made(x), 1e-5)
