"""What a compiled function's tensors are called in its graphs: by the way they are reached."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from .._autograd.tensor_base import TensorBase
from ..nn.modules.module import Module


def names_of(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[int, str]:
    """Names of the tensors among arguments, closures and the module, by id."""
    found: dict[int, str] = {}
    owner = getattr(fn, "__self__", None)
    inner = owner.forward if isinstance(owner, Module) else fn
    if isinstance(owner, Module):
        ours = type(owner).__module__.startswith(("torch.nn.", "torchish.nn."))
        _visit(found, owner, "fn" if ours else "self")
        if ours:
            _visit(found, args, "args")
    try:
        bound = inspect.signature(inner).bind(*args, **kwargs)
    except (TypeError, ValueError):  # the call itself will say what is wrong
        return found
    for name, value in bound.arguments.items():
        _visit(found, value, name)
    plain = inspect.unwrap(inner)
    code, cells = getattr(plain, "__code__", None), getattr(plain, "__closure__", None)
    for name, cell in zip(code.co_freevars if code else (), cells or (), strict=False):
        try:
            _visit(found, cell.cell_contents, name)
        except ValueError:  # an empty cell
            continue
    space = getattr(plain, "__globals__", {})
    for name in code.co_names if code else ():
        _visit(found, space.get(name), f"G_{name}")
    return found


def note_locals(found: dict[int, str], frame: Any) -> None:
    """Add the tensors among a frame's variables."""
    for name, value in frame.f_locals.items() if frame is not None else ():
        if isinstance(value, TensorBase):
            found[id(value)] = f"{name}_"


def _visit(found: dict[int, str], value: Any, path: str) -> None:
    if isinstance(value, TensorBase):
        found.setdefault(id(value), re.sub(r"\W", "_", path) + "_")
    elif isinstance(value, Module):
        _visit_module(found, value, path)
    elif isinstance(value, list | tuple):
        for k, v in enumerate(value):
            _visit(found, v, f"{path}_{k}")
    elif isinstance(value, dict):
        for k, v in value.items():
            _visit(found, v, f"{path}_{k}")


def _visit_module(found: dict[int, str], module: Module, path: str) -> None:
    for kind in ("parameters", "buffers"):
        for name, tensor in getattr(module, f"_{kind}").items():
            _visit(found, tensor, f"{path}_{kind}_{name}")
    for name, child in module._modules.items():
        if child is not None:
            _visit_module(found, child, f"{path}_modules_{name}")
