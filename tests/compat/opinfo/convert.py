"""Between the two libraries: the same values, strides and flags on either side."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import torch

import torchish
from torchish._autograd.interop import host_array, make_storage, tensor_on

_BITS = {torch.bfloat16: (torch.int16, ml_dtypes.bfloat16)}


class Missing(Exception):
    """torchish has no counterpart of a name."""


def numpy_of(tensor: Any) -> np.ndarray[Any, Any]:
    """The contents of a tensor of either library."""
    if not isinstance(tensor, torch.Tensor):
        return host_array(tensor.detach().resolve_conj())
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor._is_zerotensor():
        tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
    if tensor.dtype in _BITS:
        bits, real = _BITS[tensor.dtype]
        return tensor.contiguous().view(bits).numpy().view(real)
    return tensor.numpy(force=True)


def _flat(tensor: Any) -> np.ndarray[Any, Any]:
    """The elements from the tensor's first to its last one in memory order."""
    size, stride = tensor.size(), tensor.stride()
    span = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    return numpy_of(tensor.as_strided((span,), (1,))).copy()


def to_torchish(value: Any) -> Any:
    """A torchish copy of anything that appears among a sample's arguments."""
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided:
            raise Missing(f"layout {value.layout}")
        source = value.detach().resolve_conj().resolve_neg()
        try:
            storage = make_storage(_flat(source))
        except TypeError as error:
            raise Missing(str(error)) from None
        made = tensor_on(storage, 0, source.size(), source.stride())
        return made.requires_grad_() if value.requires_grad else made
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return named(str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return torchish.device(str(value))
    if isinstance(value, torch.Size):
        return torchish.Size(value)
    if isinstance(value, torch.Generator):
        return torchish.Generator().manual_seed(value.initial_seed())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(to_torchish, value))
    if isinstance(value, list | tuple):
        return type(value)(map(to_torchish, value))
    if isinstance(value, dict):
        return {k: to_torchish(v) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*map(to_torchish, (value.start, value.stop, value.step)))
    if isinstance(value, type) and value is torch.Tensor:
        return torchish.Tensor
    return counterpart(value) if callable(value) else value


def to_torch(value: Any) -> Any:
    """A fresh torch copy of a sample's argument (leaf tensors, the same strides)."""
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided:
            return value
        source = value.detach()
        size, stride = source.size(), source.stride()
        span = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        flat = source.as_strided((span,), (1,)).resolve_conj().resolve_neg().clone()
        return flat.as_strided(size, stride).detach().requires_grad_(value.requires_grad)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(to_torch, value))
    if type(value) in (list, tuple):
        return type(value)(map(to_torch, value))
    if type(value) is dict:
        return {k: to_torch(v) for k, v in value.items()}
    return value


# --- the same function in torchish ------------------------------------------------------------

_PLACES = (
    "", "linalg", "fft", "special", "nn.functional", "Tensor", "signal.windows", "nn.init",
)  # fmt: skip


@functools.cache
def _paths() -> dict[int, str]:
    """id of every public function of torch -> its path below `torch`."""
    found: dict[int, str] = {}
    for place in _PLACES:
        home = functools.reduce(getattr, place.split("."), torch) if place else torch
        for name in sorted(dir(home), key=lambda n: n.startswith("_")):  # public spellings first
            value = getattr(home, name, None)
            if callable(value):
                found.setdefault(id(value), f"{place}.{name}".lstrip("."))
    return found


def named(path: str) -> Any:
    """What torchish has under `path`.

    Raises: Missing when there is nothing.
    """
    home: Any = torchish
    for name in path.split("."):
        try:
            home = getattr(home, name)
        except (AttributeError, NotImplementedError, ImportError):
            raise Missing(f"torch.{path}") from None
    return home


_done: dict[int, tuple[Any, Any]] = {}


def counterpart(function: Any) -> Any:
    """What torchish has for a function of torch, or for one written over torch's functions."""
    if id(function) in _done:
        return _done[id(function)][1]
    if isinstance(function, functools.partial):
        return functools.partial(
            counterpart(function.func),
            *map(to_torchish, function.args),
            **to_torchish(function.keywords),
        )
    path = _paths().get(id(function))
    if path is not None:
        made = named(path)
    elif isinstance(function, types.FunctionType):
        made = _rewritten(function)
    elif isinstance(function, torch.nn.Module):
        made = _module_like(function)
    elif isinstance(function, types.ModuleType):
        made = _module(function)
    elif str(getattr(function, "__module__", "")).startswith("torch.testing"):
        made = _instance(function)
    elif getattr(function, "__module__", None) in ("_operator", "operator", "builtins", "math"):
        made = function
    else:
        qualified = getattr(function, "__qualname__", None) or repr(function)
        raise Missing(f"no counterpart of {qualified}")
    _done[id(function)] = (function, made)
    return made


def _module_like(module: torch.nn.Module) -> Any:
    """A torchish module of the same class and settings; it has no parameters."""
    made = named(f"nn.{type(module).__name__}")()
    for name in module.__constants__ or ():
        setattr(made, name, getattr(module, name))
    return made


def _module(module: types.ModuleType) -> Any:
    if module.__name__ == "torch":
        return torchish
    if module.__name__.startswith("torch.") and not module.__name__.startswith("torch.testing"):
        return named(module.__name__.removeprefix("torch."))
    return module


def _instance(thing: Any) -> Any:
    """A callable object of torch's test package (a variant with a function inside)."""
    if isinstance(thing, type) or not hasattr(thing, "__dict__"):
        return thing
    made = object.__new__(type(thing))
    for key, value in thing.__dict__.items():
        made.__dict__[key] = counterpart(value) if callable(value) else value
    return made


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _seeded(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Stands in for the test package's function that seeds before each call."""
    torchish.manual_seed(42)
    return op(*args, **kwargs)


def _rewritten(function: types.FunctionType) -> Any:
    """The same Python function with torchish wherever it says torch."""
    if function.__name__ == "wrapper_set_seed":
        return _seeded
    names = dict(function.__globals__)
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    made = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, cells or None
    )
    made.__kwdefaults__ = function.__kwdefaults__
    _done[id(function)] = (function, made)
    for name in _names(function.__code__) & names.keys():
        names[name] = _soft(names[name])
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _soft(old.cell_contents)
    if function.__defaults__:
        made.__defaults__ = tuple(map(_soft, function.__defaults__))
    return made


def _soft(value: Any) -> Any:
    """The counterpart of what a function refers to; what has none stays."""
    if isinstance(value, type) and value is not torch.Tensor:
        return value
    if isinstance(value, types.ModuleType):
        return _module(value)
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | torch.dtype):
        return to_torchish(value)
    if isinstance(value, functools.partial) or type(value).__name__ == "method_descriptor":
        return counterpart(value)
    return value
