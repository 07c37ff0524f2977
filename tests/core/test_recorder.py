"""The call path in C (`native/src/recorder`): it does what the Python beside it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchish._basics.recorder import recorder

ROOT = Path(__file__).parents[2]
HEADER = Path(sysconfig.get_path("include")) / "Python.h"
PROGRAM = Path(__file__).with_name("recorder_program.py")


def _build(folder: Path) -> str:
    """A package torchish_cpu that holds the recorder alone."""
    package = folder / "torchish_cpu"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    builder = ROOT / "native" / "build_recorder.py"
    subprocess.run([sys.executable, str(builder), str(package)], check=True)
    return str(folder)


@pytest.fixture
def path(
    once: Callable[[str, Callable[[], Any]], Any], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A folder for PYTHONPATH in which the recorder is found; empty where it is installed."""
    if recorder is not None:
        return ""
    if shutil.which(os.environ.get("CC", "gcc")) is None or not HEADER.exists():
        pytest.skip("no C compiler, or no headers of Python")
    return str(once("recorder", lambda: _build(tmp_path_factory.mktemp("recorder"))))


def _run(path: str, program: str, **more: str) -> str:
    """What a program prints; without oneDNN, which the package that is built here does not hold."""
    found = os.pathsep.join(filter(None, (path, str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, *program.split("\0")], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": found, "TORCHISH_ONEDNN": "0", **more}, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


ACTIVE = (
    "from torchish._basics.recorder import recorder, reason; print(recorder is not None, reason)"
)


def test_it_is_found_and_left_out(path: str) -> None:
    assert _run(path, f"-c\0{ACTIVE}") == "True \n"
    off = _run(path, f"-c\0{ACTIVE}", TORCHISH_RECORDER="0")
    assert off == "False switched off by TORCHISH_RECORDER=0\n"
    shown = _run(path, "-c\0import torchish; print(torchish.__config__.show())")
    assert "Calls of operators: in C\n" in shown


def test_another_version_is_left_out(path: str, tmp_path: Path) -> None:
    package = tmp_path / "torchish_cpu"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_recorder.py").write_text("VERSION = 0")
    told = _run(f"{tmp_path}{os.pathsep}{path}", f"-c\0{ACTIVE}")
    assert told.startswith("False the package torchish-cpu is of another version")


def test_records_what_python_records(path: str) -> None:
    with_c, without = (
        _run(path, str(PROGRAM), TORCHISH_RECORDER=on).splitlines() for on in ("1", "0")
    )
    assert len(with_c) > 100
    assert with_c == without


# References that calls take and do not give back show as a count that grows with them.
LEAKS = """
import gc, sys
import torchish as torch
from torchish._basics.recorder import recorder
from torchish._core.trace import flush_all
from torchish._ops.registry import ops

x, w = torch.ones(4), torch.ones(4, requires_grad=True)
view, strided = torch.ones(2, 4)[1], torch.ones(4, 2)[:, 0]
parameter = torch.nn.Parameter(torch.ones(4))
adam = torch.optim.Adam([parameter])

def calls():
    for _ in range(100):
        parameter.grad = x
        adam.step()
    for wrong in (lambda: recorder.assign([x], []), lambda: recorder.assign([1], [2]),
                  lambda: recorder.assign((), ()), lambda: recorder.values(1, 2, 3)):
        try:
            wrong()
        except (TypeError, ValueError):
            continue
        raise AssertionError(wrong)
    for _ in range(100):
        x * x + 1.5 - 2
        torch.sum(w * x, 0, keepdim=True)
        torch.sum(x, dim=0)
        (w * 2).exp().tanh()
        (view + strided).relu()
        x.max(dim=0)
        for y in (x, w, view, strided):
            for z in (y.view(2, 2).t().unbind(0), y.unsqueeze(0).expand(3, -1).split(2)):
                z[0] + z[1].sum()
            torch.cat([y, view, strided], 0)
        for wrong in (lambda: x * torch.ones(3), lambda: torch.add(x), lambda: torch.mul(2, 3),
                      lambda: x.view(5), lambda: torch.cat([x, 2]), lambda: x.transpose(0, 3)):
            try:
                wrong()
            except (RuntimeError, TypeError, IndexError):
                pass
    flush_all()
    gc.collect()

def counts():
    operators = [getattr(ops, name).operator for name in ("mul", "add", "sum", "exp", "cat")]
    kernels = [k for operator in operators for k in operator.kernels.values()]
    kept = [x, w, view, strided, parameter, parameter._storage, view._base, view._storage,
            view._layout, x._aval, x._storage, type(x), type(x._storage), type(x._value()),
            calls.__code__, None, True, (), 0, float, int, ops.mul.operator, *kernels]
    return [sys.getrefcount(k) for k in kept], len(gc.get_objects())

for _ in range(30):  # what is kept of a structure that comes often is there then
    calls()
before, objects = counts()
for _ in range(20):
    calls()
after, more = counts()
grown = [b - a for a, b in zip(before, after)]
assert max(grown) < 300, grown
assert more - objects < 300, (objects, more)
print(max(grown), more - objects)
"""


def test_gives_back_every_reference(path: str) -> None:
    grown, more = map(int, _run(path, f"-c\0{LEAKS}").split())
    assert grown < 300 and more < 300  # of 2,000 rounds


FINALIZERS = """
import gc
import torchish as torch

class Late:
    def __init__(self):
        self.me = self
        self.x = torch.ones(3)
    def __del__(self):  # runs within somebody else's call, when the collector does
        total.append((self.x * 2 + 1).sum())

total = []
gc.set_threshold(3, 2, 2)
z = torch.zeros(3)
for k in range(400):
    Late()
    z = z + torch.ones(3) * k
gc.collect()
assert z.tolist() == [79800.0] * 3, z
assert len(total) == 400 and {t.item() for t in total} == {9.0}
print("right")
"""


def test_finalizers_that_record_within_a_call(path: str) -> None:
    assert _run(path, f"-c\0{FINALIZERS}") == "right\n"


# Families that pass through every branch of it, run with it.
SUITES = (
    "tests/core/test_call_forms.py", "tests/core/test_nodes.py",
    "tests/autograd/test_hook_corners.py", "tests/autograd/test_saved_hooks.py",
    "tests/autograd/test_saved_tensors.py", "tests/autograd/test_undefined_gradients.py",
    "tests/fuzz/test_promotion.py",
)  # fmt: skip


@pytest.mark.skipif(recorder is not None, reason="the whole suite runs with it")
def test_suites_pass_with_it(path: str) -> None:
    suites = "\0".join(("-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITES))
    told = _run(path, suites)
    assert " passed" in told and "failed" not in told
