"""`torch.jit`: there is no TorchScript; annotations for it do nothing, compiling by it is refused.

Functions are compiled by XLA as they are: leave `@torch.jit.script` out, or guard it by
`torch.jit.is_scripting`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._core.errors import not_supported
from ._process import MissingName

_REFUSED = {
    "script": "calling the function or module itself (XLA compiles it)",
    "trace": "calling the function or module itself (XLA compiles it)",
    "trace_module": "calling the module itself (XLA compiles it)",
    "freeze": "module.eval()",
    "optimize_for_inference": "module.eval() under torch.inference_mode()",
    "load": "torch.load of a state_dict",
    "save": "torch.save of a state_dict",
    "fork": "threads",
    "wait": "threads",
    "CompilationUnit": "plain Python functions",
}


def is_scripting() -> bool:
    """False: nothing is TorchScript."""
    return False


def is_tracing() -> bool:
    """False: nothing is traced by TorchScript."""
    return False


def export(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: a mark for TorchScript."""
    return fn


def unused(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: a mark for TorchScript."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function: a mark for TorchScript, with or without arguments."""
    return drop if callable(drop) else lambda fn: fn


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: nothing is ever traced."""
    return fn


def interface(obj: Any) -> Any:
    """`obj`: a mark for TorchScript."""
    return obj


def annotate(the_type: Any, the_value: Any) -> Any:
    """`the_value`."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's `isinstance`, by the class of a generic type."""
    import builtins
    import typing

    kinds = target_type if builtins.isinstance(target_type, tuple) else (target_type,)
    plain: Any = tuple(typing.get_origin(k) or k for k in kinds)
    return builtins.isinstance(obj, plain)


class ScriptModule:
    """No object is one: `isinstance(x, torch.jit.ScriptModule)` is False."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise not_supported("torch.jit.ScriptModule", "nn.Module")


class ScriptFunction:
    """No object is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise not_supported("torch.jit.ScriptFunction", "a Python function")


class Final:
    """A mark for attributes: `Final[int]`."""

    def __class_getitem__(cls, item: Any) -> Any:
        return item


def Attribute(value: Any, type: Any) -> Any:
    """`value`: a mark for TorchScript."""
    return value


def __getattr__(name: str) -> Any:
    if name in _REFUSED:
        raise MissingName(
            f"module 'torch.jit' has no attribute '{name}'. "
            f"{not_supported(f'torch.jit.{name}', _REFUSED[name])}"
        )
    raise AttributeError(f"module 'torch.jit' has no attribute '{name}'")
