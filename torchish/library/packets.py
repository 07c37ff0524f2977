"""What `torch.ops` holds: namespaces of operators, each with its overloads."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from .._basics.errors import not_supported
from .._ops.protocol.packets import OpOverload as OpOverload, OpOverloadPacket, of_function
from .schema import parse


class OpNamespace:
    """The operators of one namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> OpOverloadPacket:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.name not in ("aten", "prims", "prim"):
            raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{name}'")
        call = _aten(name) or _refusal(self.name, name)
        made = OpOverloadPacket(self.name, name, of_function(call))
        setattr(self, name, made)
        return made

    def __repr__(self) -> str:
        return f"<module 'torch.ops.{self.name}'>"


NAMESPACES: dict[str, OpNamespace] = {}
_PLACES = ("", ".nn.functional", ".special", ".linalg", ".fft")


def namespace(name: str) -> OpNamespace:
    """The namespace of that name, made when it is first asked for."""
    return NAMESPACES.setdefault(name, OpNamespace(name))


def _refusal(space: str, name: str) -> Any:
    """What stands for an operator of PyTorch that is none here: naming it is no use of it."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise not_supported(f"torch.ops.{space}.{name}", "the public function that it is part of")

    return refuse


def _aten(name: str) -> Any:
    """Our function for PyTorch's operator `aten::name`."""
    for place in _PLACES:
        module = importlib.import_module(f"torchish{place}")
        prefix = place.rpartition(".")[2] + "_"
        for one in (name, name.removeprefix(prefix)):
            try:
                found = getattr(module, one)
            except AttributeError:
                continue
            if callable(found) and not isinstance(found, type):
                return found
    from .._tensor.tensor import Tensor

    return getattr(Tensor, name, None)


class Defined:
    """A custom operator: its signature, kernels by device type, and derivative."""

    def __init__(self, name: str, schema: str) -> None:
        _, self.arguments, self.results = parse(schema)
        self.name, self.schema = name, schema
        self.kernels: dict[str, Any] = {}
        self.backward: Any = None
        self.setup_context: Any = None

    def complete(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The arguments with their defaults: positional ones in order, and the others by name."""
        given = dict(
            zip((a.name for a in self.arguments if not a.keyword_only), args, strict=False)
        )
        if len(args) > sum(not a.keyword_only for a in self.arguments):
            raise RuntimeError(f"{self.name}() got {len(args)} positional arguments: {self.schema}")
        for key, value in kwargs.items():
            if key in given or all(a.name != key for a in self.arguments):
                raise RuntimeError(f"{self.name}() got an unexpected argument {key!r}")
            given[key] = value
        for a in self.arguments:
            if a.name not in given:
                if a.default is inspect.Parameter.empty:
                    raise RuntimeError(
                        f"{self.name}() is missing value for argument '{a.name}'. "
                        f"Declaration: {self.name}{self.schema}"
                    )
                given[a.name] = a.default
        ordered = tuple(given[a.name] for a in self.arguments if not a.keyword_only)
        return ordered, {a.name: given[a.name] for a in self.arguments if a.keyword_only}

    def kernel(self, args: Any) -> Any:
        """The function for the device that the arguments are on.

        Raises: NotImplementedError where none is registered.
        """

        from .._tensor.tensor import Tensor
        from ..utils._pytree import tree_iter

        place = next((t.device.type for t in tree_iter(args) if isinstance(t, Tensor)), "cpu")
        for key in (place, "default"):
            if key in self.kernels:
                return self.kernels[key]
        raise NotImplementedError(
            f"Could not run '{self.name}' with arguments from the '{place.upper()}' backend: no "
            "kernel is registered for it."
        )


DEFINED: dict[str, Defined] = {}
