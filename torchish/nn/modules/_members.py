"""What stands under a module's names: which names may be given, and what is found there."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..._autograd.gradients import clear
from ..._tensor.tensor import Tensor
from ..parameter import Buffer, Parameter
from ._hooks import global_module_registration_hooks
from ._names import typename


def check_name(module: Any, kind: str, name: Any, taken: Any) -> None:
    """Raise torch's error for a name that a parameter, buffer or submodule cannot have."""
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
    if kind == "module":
        if hasattr(module, name) and name not in taken:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
    elif "." in name:
        raise KeyError(f'{kind} name can\'t contain "."')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')
    if kind != "module" and hasattr(module, name) and name not in taken:
        raise KeyError(f"attribute '{name}' already exists")


def refuse(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise Python's error for arguments that `Module.__init__` does not take."""
    name = f"{type(module).__name__}.__init__()"
    if kwargs:
        raise TypeError(f"{name} got an unexpected keyword argument '{next(iter(kwargs))}'")
    if args:
        raise TypeError(f"{name} takes 1 positional argument but {len(args) + 1} were given")


def check_leaf(name: str, param: Parameter) -> None:
    """Raise torch's error for a parameter that was computed."""
    if param.grad_fn is not None:
        raise ValueError(
            f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
            f"created explicitly. To express '{name}' as a function of another Tensor, "
            "compute the value in the forward() method."
        )


def check_kind(kind: str, name: str, value: Any, wanted: type, words: str) -> None:
    """Raise torch's error for a value that is not of a kind; None reserves the name."""
    if value is not None and not isinstance(value, wanted):
        raise TypeError(
            f"cannot assign '{typename(value)}' object to {kind} '{name}' "
            f"({words} or None required)"
        )


def registered(hooks: Any, module: Any, name: str, value: Any) -> Any:
    """What the hooks of registration make of a value."""
    for hook in hooks.values():
        changed = hook(module, name, value)
        if changed is not None:
            value = changed
    return value


def member(module: Any, name: str, kind: type, what: str) -> Any:
    """What a module has under a name.

    Raises: AttributeError where there is nothing, or something else.
    """
    if not hasattr(module, name):
        raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
    found = getattr(module, name)
    if not isinstance(found, kind):
        raise AttributeError(f"`{name}` is not {what}")
    return found


def members(
    modules: Iterable[tuple[str, Any]], of: Callable[[Any], Any], once: bool
) -> Iterator[tuple[str, Any]]:
    """Pairs (dotted name, member) of what `of` finds in each module, each member once."""
    seen: set[Any] = set()
    for below, module in modules:
        dotted = below + "." if below else ""
        for name, found in of(module):
            if found is None or found in seen:
                continue
            if once:
                seen.add(found)
            yield dotted + name, found


# --- assignment ----------------------------------------------------------------------------------


def assigned(module: Any, name: str, value: Any, is_module: bool) -> bool:
    """Whether an attribute is a parameter, buffer or submodule, which is then registered."""
    state = module.__dict__
    params = state.get("_parameters")
    if isinstance(value, Parameter):
        if params is None:
            raise AttributeError("cannot assign parameters before Module.__init__() call")
        _forget(state, name, "_buffers", "_modules")
        module.register_parameter(name, value)
        return True
    if params is not None and name in params:
        if value is not None:
            raise TypeError(
                f"cannot assign '{typename(value)}' as parameter '{name}' "
                "(torch.nn.Parameter or None expected)"
            )
        module.register_parameter(name, value)
        return True
    modules = state.get("_modules")
    if is_module or (modules is not None and name in modules):
        _assign_module(module, name, value, is_module)
        return True
    buffers = state.get("_buffers")
    if isinstance(value, Buffer) or (buffers is not None and name in buffers):
        module._set_buffer(name, value)
        return True
    return False


def _assign_module(module: Any, name: str, value: Any, is_module: bool) -> None:
    state = module.__dict__
    if is_module:
        if "_modules" not in state:
            raise AttributeError("cannot assign module before Module.__init__() call")
        _forget(state, name, "_parameters", "_buffers")
    elif value is not None:
        raise TypeError(
            f"cannot assign '{typename(value)}' as child module '{name}' "
            "(torch.nn.Module or None expected)"
        )
    state["_modules"][name] = registered(global_module_registration_hooks, module, name, value)


def _forget(state: dict[str, Any], name: str, *kinds: str) -> None:
    """Take a name out of the places where it stops being."""
    state.pop(name, None)
    for kind in kinds:
        state[kind].pop(name, None)
    state["_non_persistent_buffers_set"].discard(name)


def _takes_persistent(register: Callable[..., None]) -> bool:
    """Whether a subclass's `register_buffer` knows the argument."""
    return "persistent" in inspect.signature(register).parameters


def set_buffer(module: Any, name: str, value: Any, own: bool) -> None:
    """Assign a buffer; `own`: `register_buffer` is that of `Module`."""
    if value is not None and not isinstance(value, Tensor):
        raise TypeError(
            f"cannot assign '{typename(value)}' as buffer '{name}' "
            "(torch.nn.Buffer, torch.Tensor or None expected)"
        )
    if isinstance(value, Buffer):
        persistent = value.persistent
    else:
        persistent = name not in module._non_persistent_buffers_set
    if own or _takes_persistent(module.register_buffer):
        module.register_buffer(name, value, persistent)
    elif persistent:  # a subclass from before the argument existed
        module.register_buffer(name, value)
    else:
        raise RuntimeError(
            "Registering a non-persistent buffer on a Module subclass that implements "
            "register_buffer() without the persistent argument is not allowed."
        )


# --- gradients and text --------------------------------------------------------------------------


def clear_gradients(module: Any, set_to_none: bool) -> None:
    """Drop or zero the gradients of all parameters."""
    if getattr(module, "_is_replica", False):
        warnings.warn(
            "Calling .zero_grad() from a module created with nn.DataParallel() has no effect. "
            "The parameters are copied (in a differentiable manner) from the original module. "
            "This means they are not leaf nodes in autograd and so don't accumulate "
            "gradients. If you need gradients in your forward method, consider using "
            "autograd.grad instead.",
            stacklevel=3,
        )
    clear(module.parameters(), set_to_none)


def text_of(module: Any) -> str:
    """A module as `print` shows it: its own words, and its children further right."""
    extra = module.extra_repr()
    extra_lines = extra.split("\n") if extra else []
    child_lines = [
        f"({name}): {addindent(repr(child), 2)}" for name, child in module._modules.items()
    ]
    name = module._get_name()
    if not extra_lines and not child_lines:
        return f"{name}()"
    if len(extra_lines) == 1 and not child_lines:
        return f"{name}({extra_lines[0]})"
    body = "\n  ".join(extra_lines + child_lines)
    return f"{name}(\n  {body}\n)"


def addindent(text: str, spaces: int) -> str:
    """A text with every line but the first moved right."""
    return text.replace("\n", "\n" + " " * spaces)
