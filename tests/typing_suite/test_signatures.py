"""What `inspect`, `help` and completion see of functions that are made at run time."""

import inspect
import pickle
import subprocess
import sys

import pytest
import torch

import torchish
from torchish._ops.call.signatures import LateSignature


@pytest.mark.parametrize(
    "function, text",
    [
        (torchish.add, "(input, other, *, alpha=1, out=None)"),
        (torchish.Tensor.add, "(self, other, *, alpha=1)"),
        (torchish.Tensor.add_, "(self, other, *, alpha=1)"),
        (torchish.ones(1).add, "(other, *, alpha=1)"),
        (
            torchish.nn.functional.conv2d,
            "(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_signatures(function, text):
    assert str(inspect.signature(function)) == text


def test_a_signature_is_an_ordinary_one():
    found = inspect.signature(torchish.add)
    assert isinstance(found, LateSignature)
    bound = found.bind(1, other=2)
    bound.apply_defaults()
    assert bound.arguments == {"input": 1, "other": 2, "alpha": 1, "out": None}
    with pytest.raises(TypeError, match="beta"):
        found.bind(1, 2, beta=3)
    plain = pickle.loads(pickle.dumps(found))
    assert plain == found and hash(plain) == hash(found) and type(plain) is inspect.Signature
    fewer = found.replace(parameters=[found.parameters["input"]])
    assert str(fewer) == "(input)"


def test_every_public_function_has_a_signature():
    spaces = (torchish, torchish.nn.functional, torchish.linalg, torchish.Tensor)
    functions = [
        f
        for s in spaces
        for n in dir(s)
        if n[0] != "_" and inspect.isfunction(f := getattr(s, n, 0))
    ]
    assert len(functions) > 1000
    for function in functions:
        inspect.signature(function)


def test_completion_shows_what_exists():
    public = {name for name in dir(torchish) if not name.startswith("_")}
    assert {"nn", "optim", "compile", "add", "float32", "Generator", "install"} <= public
    assert not {"quantize_per_tensor", "q_scale", "nonsense"} & public
    assert {"relu", "conv2d"} <= set(dir(torchish.nn.functional))
    assert {"add_", "grad", "shape", "backward"} <= set(dir(torchish.ones(1)))
    rpc = dir(torchish.distributed.rpc)  # names of PyTorch's, none of which is here
    assert "rpc_sync" not in rpc and "rpc_sync" in dir(torch.distributed.rpc)


def test_importing_builds_no_signature():
    code = (
        "import inspect\n"
        "inspect.Parameter.__init__ = None\n"
        "import torchish\n"
        "print(torchish.add(torchish.ones(1), 1).item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "2.0\n" or "jax" in done.stderr, done.stderr
