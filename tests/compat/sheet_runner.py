"""Runs a piece of a torch script through PyTorch and through torchish and compares what they say.

A script is text. Its statements are run one after the other, as an interactive interpreter would:
the value of an expression is printed, an exception is noted and the next statement goes on. What
comes out is a transcript: one `Step` a statement. Inside a script `import torch` and
`import torchvision` mean the library under test.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import dataclasses
import importlib
import io
import os
import random
import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# TORCHISH_SUBJECT=torch compares PyTorch with itself: a check of the tests, not of torchish.
SUBJECT = os.environ.get("TORCHISH_SUBJECT", "torchish")
NAMES = {
    "torch": {"torch": "torch", "torchvision": "torchvision"},
    "torchish": {"torch": "torchish", "torchvision": "torchish.vision"},
}
ADDRESS = re.compile(r"0x[0-9a-f]+")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)")


@dataclasses.dataclass
class Step:
    """What one statement printed and what it raised."""

    source: str
    printed: str
    error: str = ""

    @property
    def error_class(self) -> str:
        return self.error.split(":", 1)[0]


@dataclasses.dataclass
class Transcript:
    steps: list[Step]
    names: dict[str, Any]
    warned: set[type[Warning]]

    @property
    def printed(self) -> str:
        return "".join(step.printed for step in self.steps)

    @property
    def errors(self) -> list[str]:
        return [step.error for step in self.steps if step.error]


def importer(library: str) -> Callable[..., Any]:
    """An `__import__` to which `torch` and `torchvision` mean the modules of `library`."""

    def import_(name, globals=None, locals=None, fromlist=(), level=0):
        head, _, rest = name.partition(".")
        if level or head not in NAMES[library]:
            return builtins.__import__(name, globals, locals, fromlist, level)
        top = NAMES[library][head]
        module = importlib.import_module(f"{top}.{rest}" if rest else top)
        return module if fromlist else importlib.import_module(top)

    return import_


def library_module(library: str, name: str) -> Any:
    return importer(library)(name, fromlist=("",))


def seed_everything(library: str, seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    library_module(library, "torch").manual_seed(seed)


def text_of_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("torchish.", "torch.")


def run_script(library: str, source: str, *, seed: int = 0, **names: Any) -> Transcript:
    """Runs `source` with `torch`, `nn`, `F`, `np` and `names` at hand."""
    source = textwrap.dedent(source)
    load = importer(library)
    namespace = {
        "__name__": "script",
        "__builtins__": {**vars(builtins), "__import__": load},
        "torch": load("torch"),
        "nn": load("torch.nn", fromlist=("",)),
        "F": load("torch.nn.functional", fromlist=("",)),
        "np": np,
        **names,
    }
    seed_everything(library, seed)
    steps = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for node in ast.parse(source).body:
            steps.append(_run_statement(node, source, namespace))
    return Transcript(steps, namespace, {entry.category for entry in warned})


def _run_statement(node: ast.stmt, source: str, namespace: dict[str, Any]) -> Step:
    out, error = io.StringIO(), ""
    with contextlib.redirect_stdout(out):
        try:
            if isinstance(node, ast.Expr):
                value = eval(compile(ast.Expression(node.value), "<script>", "eval"), namespace)
                if value is not None:
                    print(repr(value))
            else:
                exec(compile(ast.Module([node], []), "<script>", "exec"), namespace)
        except Exception as raised:
            error = text_of_error(raised)
    printed = ADDRESS.sub("0x", out.getvalue()).replace("torchish.", "torch.")
    return Step(ast.get_source_segment(source, node) or "", printed, error)


def assert_same_text(own: str, theirs: str, *, rtol: float | None, where: str) -> None:
    """Equal, or (with `rtol`) equal but for the last digits of the numbers and their padding."""
    if own == theirs:
        return
    if rtol is None:
        raise AssertionError(f"{where}\n--- torch\n{theirs}\n--- torchish\n{own}")
    skeletons = [" ".join(NUMBER.sub("#", text).split()) for text in (own, theirs)]
    assert skeletons[0] == skeletons[1], where
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (own, theirs)]
    np.testing.assert_allclose(*numbers, rtol=rtol, atol=rtol, err_msg=where)


def compare(own: Transcript, theirs: Transcript, *, rtol: float | None, errors: str) -> None:
    assert len(own.steps) == len(theirs.steps)
    for mine, other in zip(own.steps, theirs.steps, strict=True):
        assert_same_text(mine.printed, other.printed, rtol=rtol, where=mine.source)
        if errors == "class":
            assert mine.error_class == other.error_class, f"{mine.source}\n{mine.error}"
        else:
            assert mine.error == other.error, mine.source


def run_with_gpus(source: str, count: int, visible: str | None = None) -> list[str]:
    """Lines that a torchish script prints in a process of its own with simulated GPUs."""
    environment = dict(os.environ)
    environment["TORCHISH_FAKE_CUDA"] = "1"
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count}"
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    code = "import torchish as torch\nfrom torchish import nn\n" + textwrap.dedent(source)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
