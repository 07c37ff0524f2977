"""The names that checkpoints use: PyTorch's qualified names on one side, our objects on the other.

Invariant: a checkpoint never names torchish, and a name under `torch` never resolves to an
installed PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .._basics.errors import NotSupportedError

# Where PyTorch keeps what we keep elsewhere.  # keys: our qualified name
TORCH_NAMES = {
    "torchish._basics.size.Size": ("torch", "Size"),
    "torchish._basics.devices.device": ("torch", "device"),
    "torchish._random.generator.Generator": ("torch._C", "Generator"),
    "torchish._utils._rebuild_from_type_v2": ("torch._tensor", "_rebuild_from_type_v2"),
    "torchish._ops.shared.layout_type._get_layout": ("torch.serialization", "_get_layout"),
}
# Where PyTorch's private modules publish their contents.
_PUBLIC_PLACES = {
    "torch._C": ("", "storage"),
    "torch._C._nn": ("nn.functional", "special", ""),
    "torch._C._VariableFunctions": ("", "nn.functional"),
    "torch._tensor": ("_utils", ""),
    "torch.tensor": ("_utils", ""),
    "torch.cuda": ("storage", "cuda"),
    "torch.serialization": ("_serialization.locations", "serialization"),
}
_ROOTS = {"torch": "torchish", "torchvision": "torchish.vision"}


def torch_name(module: str, qualname: str) -> tuple[str, str] | None:
    """The name that PyTorch knows our object by; None for an object that is not ours."""
    exact = TORCH_NAMES.get(f"{module}.{qualname}")
    if exact is not None:
        return exact
    for root, ours in reversed(_ROOTS.items()):
        for name in (ours, root):
            if module == name or module.startswith(name + "."):
                return root + module[len(name) :], qualname
    return None


def public_name(function: Any) -> tuple[str, str] | None:
    """Where an operator's function is public: `("torch.nn.functional", "gelu")`."""
    name = function.__name__
    for place in ("", ".nn.functional", ".linalg", ".fft", ".special"):
        for module in _import(f"torchish{place}"):
            if getattr(module, name, None) is function:
                return f"torch{place}", name
    return None


def is_torch(module: str) -> bool:
    """Whether a module name is PyTorch's."""
    return module.split(".", 1)[0] in _ROOTS


def resolve(module: str, qualname: str) -> Any:
    """Our object for PyTorch's name `module.qualname`.

    Raises: NotSupportedError when PyTorch's object has no counterpart here.
    """
    if (module, qualname) == ("torch._C", "_VariableFunctionsClass"):
        return importlib.import_module("torchish")  # built-in functions are attributes of it
    for place in _places(module):
        found: Any = place
        for part in qualname.split("."):
            found = getattr(found, part, None)
            if found is None:
                break
        else:
            if not isinstance(found, ModuleType):
                return found
    raise NotSupportedError(
        f"the checkpoint refers to {module}.{qualname}, which torchish does not have. Nearest: "
        "save the state_dict in PyTorch and load that."
    )


def _places(module: str) -> Iterator[ModuleType]:
    """Modules of ours to look in, the nearest first: the same path, then each package above."""
    root, _, rest = module.partition(".")
    for special in _PUBLIC_PLACES.get(module, ()):
        yield from _import(f"torchish.{special}" if special else "torchish")
    parts = rest.split(".") if rest else []
    for count in range(len(parts), -1, -1):
        yield from _import(".".join([_ROOTS[root], *parts[:count]]))


def _import(name: str) -> Iterator[ModuleType]:
    try:
        yield importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
