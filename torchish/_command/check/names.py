"""What torchish makes of a dotted name of torch or torchvision.

The answer is what a program would meet at run time: the objects themselves are asked, as the table
of names (`compat_matrix.md`) does, so the two cannot disagree.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import importlib.util
import inspect
import textwrap
import warnings
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

from ..._alias import PACKAGES
from ..._basics.errors import CHECK_HINT
from ..._layout import table
from ..._layout.areas import nearest
from ..._layout.placeholders import Refused
from ..._ops.call.signatures import result_name
from ..._tensor.tensor import Tensor

Path = tuple[str, ...]
# Attributes of a tensor that are tensors whatever it holds.
_VIEWS = frozenset(("T", "mT", "H", "mH", "data", "real"))


@dataclass(frozen=True)
class Fact:
    """`status` is "present", "refused" (PyTorch has it, a use of it raises) or "absent"."""

    status: str
    value: Any = None  # the object, where present
    text: str = ""  # what is wrong, and the nearest way
    importable: bool = False  # refused, but `from torch import name` succeeds (a placeholder)


@functools.cache
def look(path: Path) -> Fact:
    """What `torch.a.b` is here, for the path ("torch", "a", "b")."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value: Any = importlib.import_module(PACKAGES[path[0]])
        for depth, name in enumerate(path[1:], 2):
            fact = _attribute(value, name, ".".join(path[:depth]))
            if fact.status != "present":
                return fact
            value = fact.value
    return _judged(value, ".".join(path))


@functools.cache
def module(path: Path) -> Fact:
    """What `import torch.a.b` meets."""
    name = ".".join((PACKAGES[path[0]], *path[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Fact("present", importlib.import_module(name))
        except ModuleNotFoundError:
            dotted = ".".join(path)
            return Fact("absent", text=_absent(dotted, "module"))


@functools.cache
def starred(path: Path) -> frozenset[str]:
    """What `from torch.a.b import *` brings: here, or at least in PyTorch."""
    fact = module(path)
    if fact.status != "present":
        return frozenset()
    listed = getattr(fact.value, "__all__", None)
    ours = listed if listed is not None else dir(fact.value)
    theirs = table.entry(".".join(path))
    both = {*ours, *(theirs.names if theirs else ())}
    return frozenset(n for n in both if n[0] != "_" and not hasattr(builtins, n))


def method(name: str) -> Fact:
    """What `x.name` is for a tensor `x`."""
    fact = _attribute(Tensor, name, f"torch.Tensor.{name}")
    return fact if fact.status != "present" else _judged(fact.value, f"torch.Tensor.{name}")


def _attribute(owner: Any, name: str, dotted: str) -> Fact:
    if isinstance(owner, Refused):
        return Fact("refused", text=_plain(str(owner._refuse())))
    try:
        return Fact("present", getattr(owner, name))
    except NotImplementedError as error:
        return Fact("refused", text=_plain(str(error)))
    except AttributeError:
        if isinstance(owner, ModuleType):
            found = _submodule(owner, name)
            if found is not None:
                return Fact("present", found)
        return Fact("absent", text=_absent(dotted, "name"))


def _submodule(owner: ModuleType, name: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"{owner.__name__}.{name}")
    except ModuleNotFoundError:
        return None


def _judged(value: Any, dotted: str) -> Fact:
    """A placeholder, and a function that does nothing but refuse, are not what was asked for."""
    if isinstance(value, Refused):
        return Fact("refused", text=_plain(str(value._refuse())), importable=True)
    if isinstance(value, FunctionType | MethodType) and always_refuses(value):
        way = nearest(dotted)
        text = f"torchish refuses {dotted}." + (f" Nearest: {way}." if way else "")
        return Fact("refused", text=text, importable=True)
    return Fact("present", value)


@functools.cache
def always_refuses(function: Any) -> bool:
    """Whether a function never returns: it says so, or only raises `not_supported(...)`."""
    try:
        if str(inspect.unwrap(function).__annotations__.get("return")).endswith("NoReturn"):
            return True
        code = inspect.unwrap(function).__code__
        if "not_supported" not in code.co_names:
            return False
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, SyntaxError, TypeError, AttributeError):
        return False
    body = tree.body[0].body if isinstance(tree.body[0], ast.FunctionDef) else []
    steps = [s for s in body if not (isinstance(s, ast.Expr) or isinstance(s, ast.ImportFrom))]
    if len(steps) != 1 or not isinstance(steps[0], ast.Raise):
        return False
    return "not_supported(" in ast.unparse(steps[0])


def returns_tensor(value: Any) -> bool:
    """Whether a call of a function or class of torch's surely makes one tensor."""
    if isinstance(value, type):
        return issubclass(value, Tensor)
    return isinstance(value, FunctionType) and result_name(value) == "Tensor"


def is_tensor_view(name: str) -> bool:
    """Whether `x.name` is a tensor for every tensor `x`."""
    return name in _VIEWS


def _plain(text: str) -> str:
    """A refusal without the part that tells of `--check`."""
    text = text.replace(CHECK_HINT, "").strip()
    _, _, rest = text.partition("has no attribute")
    return rest.partition(". ")[2] or text if rest else text


def _absent(dotted: str, kind: str) -> str:
    if not dotted.startswith("torch."):
        return f"torchish has no {kind} {dotted}."
    return f"torchish has no {kind} {dotted}, and PyTorch 2.13 has none either."
