"""How objects are called in error texts."""

from __future__ import annotations

from typing import Any

from ..._tensor.tensor import Tensor


def typename(obj: Any) -> str:
    """The name of `obj`'s type as torch's messages show it: `torch.FloatTensor`, `int`."""
    if isinstance(obj, Tensor):
        return obj.type()
    owner, qualname = obj, getattr(obj, "__qualname__", None)
    if qualname is None:
        owner = type(obj)
        qualname = owner.__qualname__
    module = getattr(owner, "__module__", "") or ""
    if module in ("", "builtins", "__builtin__"):
        return qualname
    if module == "torchish" or module.startswith("torchish."):
        module = "torch" + module[len("torchish") :]
    return f"{module}.{qualname}"


def camel_name(cls: type) -> str:
    """The class name that `print(module)` shows."""
    return cls.__name__
