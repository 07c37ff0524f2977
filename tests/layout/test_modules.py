"""Every module path of PyTorch's package can be imported; what is lacking is refused by name."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import sys

import pytest
import torch

import torchish
from tests.e2e.programs import run
from torchish._basics.errors import NotSupportedError
from torchish._layout import table
from torchish._layout.placeholders import Refused
from torchish._layout.resolve import status

# Paths that cannot be imported, with the reason.
LEFT_OUT: dict[str, str] = {}


def test_a_module_in_a_functions_place_is_called_as_the_function() -> None:
    for path in ("nn.utils.weight_norm", "nn.utils.spectral_norm", "nn.parallel.replicate"):
        importlib.import_module(f"torchish.{path}")
    with pytest.warns(FutureWarning, match="weight_norm"):
        layer = torchish.nn.utils.weight_norm(torchish.nn.Linear(2, 2))
    assert layer.weight_g.shape == (2, 1)
    assert callable(torchish.nn.utils.spectral_norm) and callable(torchish.nn.parallel.replicate)
    linalg = importlib.import_module("torchish._C._linalg")
    assert linalg.linalg_norm(torchish.tensor([3.0, 4.0])).item() == 5.0
    with pytest.raises(TypeError, match="'module' object is not callable"):
        importlib.import_module("torchish.distributed.pipelining")()


def pytorch_modules() -> set[str]:
    """The module paths of the installed PyTorch."""
    found = {"torch"}
    folders = [(torch.__path__[0], "torch.")]
    while folders:
        folder, prefix = folders.pop()
        for _, name, is_package in pkgutil.iter_modules([folder], prefix):
            last = name.rpartition(".")[2]
            if last != "__main__":
                found.add(name)
            if is_package:
                folders.append((f"{folder}/{last}", f"{name}."))
    return found


def test_the_table_lists_pytorchs_modules() -> None:
    # Extension modules and folders without __init__ aside.
    listed = table.lines().keys()
    missing = {m for m in pytorch_modules() - listed if m.replace(".", "").isidentifier()}
    assert not missing
    for module in ("torch.optim.adam", "torch.nn.modules.conv", "torch.distributions.normal"):
        entry = table.entry(module)
        assert entry is not None
        own = {n for n, home in entry.names.items() if home == (module, n)}
        assert own <= set(dir(importlib.import_module(module)))


def test_every_module_can_be_imported() -> None:
    failed = {}
    for module in table.lines():
        try:
            importlib.import_module(table.ours(module))
        except Exception as error:
            failed[module] = repr(error)
    assert failed.keys() == LEFT_OUT.keys(), failed


def test_names_resolve_to_what_they_are_elsewhere() -> None:
    for module, name, here in (
        ("distributions.categorical", "Categorical", "distributions.Categorical"),
        ("distributions.normal", "Normal", "distributions.Normal"),
        ("functional", "einsum", "einsum"),
        ("autograd.grad_mode", "no_grad", "no_grad"),
        ("nn.modules.rnn", "LSTM", "nn.LSTM"),
        ("utils.data.sampler", "Sampler", "utils.data.Sampler"),
        ("_tensor", "Tensor", "Tensor"),
    ):
        found = getattr(importlib.import_module(f"torchish.{module}"), name)
        expected = torchish
        for part in here.split("."):
            expected = getattr(expected, part)
        assert found is expected
        assert status(f"torch.{module}", name) == "present"


def test_classes_resolve_to_classes_and_functions_to_functions() -> None:
    wrong = []
    for module in ("torch.nn.modules", "torch.optim", "torch.utils.data"):
        names = table.entry(module)
        assert names is not None
        for name in names.names:
            theirs = getattr(sys.modules[module], name, None)
            ours = getattr(importlib.import_module(table.ours(module)), name, None)
            if isinstance(theirs, type) and not isinstance(ours, type):
                wrong.append(f"{module}.{name}")
    assert not wrong


def test_a_placeholder_is_refused_when_used() -> None:
    from torchish.ao.quantization import QuantStub

    assert isinstance(QuantStub, Refused)
    assert status("torch.ao.quantization", "QuantStub") == "refused"

    class Mine(QuantStub):
        pass

    for use in (
        QuantStub, Mine, lambda: QuantStub.attribute, lambda: bool(QuantStub),
        lambda: list(QuantStub), lambda: len(QuantStub), lambda: 1 in QuantStub,
    ):  # fmt: skip
        with pytest.raises(NotSupportedError, match="quantization.QuantStub.*Nearest: modules"):
            use()
    assert not isinstance(3, QuantStub)
    assert QuantStub[int] is QuantStub


def test_modules_know_torch_as_pytorchs_do() -> None:
    assert torchish.torch is torchish.nn.functional.torch is torchish.optim.adam.torch is torchish
    assert torch.torch is torch.nn.functional.torch is torch


def test_compiled_names_of_a_module_are_refused() -> None:
    for module, name in (("monitor", "log_event"), ("ao.quantization", "prepare")):
        with pytest.raises(NotSupportedError, match=f"{module}.{name}"):
            getattr(importlib.import_module(f"torchish.{module}"), name)(1)
    assert torchish.quantization.quantize_dynamic is torchish.ao.quantization.quantize_dynamic


def test_what_pytorch_lacks_is_absent() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("torchish.ao.nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        importlib.import_module("torchish.ao.quantization").nonsense
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        torchish.optim.nonsense


def test_importing_torchish_reads_no_table() -> None:
    code = "import torchish\nfrom torchish._layout import table\n"
    code += "print(table.lines.cache_info().currsize)"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


CLASSES = (
    "nn.Linear", "nn.ModuleList", "nn.Parameter", "Tensor", "Size", "optim.Adam",
    "optim.lr_scheduler.StepLR", "distributions.Normal", "distributions.Gamma", "no_grad",
    "utils.data.DataLoader", "utils.data.TensorDataset", "nn.MultiheadAttention",
    "nn.CrossEntropyLoss", "nn.utils.rnn.PackedSequence", "amp.GradScaler", "device", "dtype",
    "distributions.constraints.Constraint", "distributions.AffineTransform",
)  # fmt: skip


def test_classes_have_pytorchs_module_names_under_the_launcher() -> None:
    expected = []
    for path in CLASSES:
        found = torch
        for part in path.split("."):
            found = getattr(found, part)
        expected.append(str(found))
    code = "import torch, pickle\n" + "".join(f"print(torch.{path})\n" for path in CLASSES)
    code += "import sys\nm = torch.nn.Linear(2, 2)\np = pickle.dumps(torch.nn.ReLU())\n"
    code += "print(b'torch.nn.modules.activation' in p, b'torchish' in p, pickle.loads(p))\n"
    printed = run("-c", code).stdout.splitlines()
    assert printed == [*expected, "True False ReLU()"]


def test_pickles_of_modules_load_in_pytorch() -> None:
    code = "import torch, pickle, sys\n"
    code += "print(pickle.dumps(torch.nn.Sequential(torch.nn.Tanh()), 2).hex())"
    assert str(pickle.loads(bytes.fromhex(run("-c", code).stdout))) == str(
        torch.nn.Sequential(torch.nn.Tanh())
    )


def test_second_paths_of_modules_can_be_imported() -> None:
    for path in table.SECOND_NAMES:
        assert importlib.import_module(path).__name__ == table.SECOND_NAMES[path]
        assert importlib.import_module(table.ours(path))
    with pytest.raises(NotSupportedError, match="implicit_replication"):
        importlib.import_module("torchish.distributed._tensor.experimental").implicit_replication()
