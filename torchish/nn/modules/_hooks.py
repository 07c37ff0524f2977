"""Hooks of modules: registration, and the call that runs them around `forward`."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import OrderedDict
from typing import Any

from ..._tensor.tensor import Tensor
from ...utils.hooks import BackwardHook, Hook, RemovableHandle, add_hook

# Process-wide hooks, run for every module before its own.
global_forward_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
global_forward_hooks: OrderedDict[int, Hook] = OrderedDict()
global_forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
global_forward_hooks_always_called: OrderedDict[int, bool] = OrderedDict()
global_backward_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
global_backward_hooks: OrderedDict[int, Hook] = OrderedDict()
global_buffer_registration_hooks: OrderedDict[int, Hook] = OrderedDict()
global_module_registration_hooks: OrderedDict[int, Hook] = OrderedDict()
global_parameter_registration_hooks: OrderedDict[int, Hook] = OrderedDict()
# None until one kind of global backward hook is used; the two kinds do not mix.
_global_is_full: list[bool | None] = [None]

_MIXED_GLOBAL = (
    "Cannot use both regular backward hooks and full backward hooks as a "
    "global Module hook. Please use only one of them."
)
_MIXED = (
    "Cannot use both regular backward hooks and full backward hooks on a "
    "single Module. Please use only one of them."
)


def register_module_buffer_registration_hook(hook: Hook) -> RemovableHandle:
    """Runs `hook(module, name, buffer)` whenever any module registers a buffer."""
    return add_hook(global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Hook) -> RemovableHandle:
    """Runs `hook(module, name, submodule)` whenever any module registers a submodule."""
    return add_hook(global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Hook) -> RemovableHandle:
    """Runs `hook(module, name, param)` whenever any module registers a parameter."""
    return add_hook(global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Runs `hook(module, args)` before every module's `forward`."""
    return add_hook(global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Runs `hook(module, args, output)` after every module's `forward`."""
    notes = [
        (global_forward_hooks_with_kwargs, with_kwargs),
        (global_forward_hooks_always_called, always_call),
    ]
    return add_hook(global_forward_hooks, hook, notes)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """Old form of `register_module_full_backward_hook`."""
    if _global_is_full[0] is True:
        raise RuntimeError(_MIXED_GLOBAL)
    _global_is_full[0] = False
    return add_hook(global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Runs `hook(module, grad_output)` before every module's gradients are computed."""
    return add_hook(global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Runs `hook(module, grad_input, grad_output)` after every module's gradients."""
    if _global_is_full[0] is False:
        raise RuntimeError(_MIXED_GLOBAL)
    _global_is_full[0] = True
    return add_hook(global_backward_hooks, hook)


def has_global_hooks() -> bool:
    """Whether any global hook stands between a call and `forward`."""
    return bool(
        global_backward_pre_hooks
        or global_backward_hooks
        or global_forward_hooks
        or global_forward_pre_hooks
    )


class WrappedHook:
    """A hook that is handed its module, held weakly so that the module can be freed."""

    def __init__(self, hook: Hook, module: Any = None) -> None:
        self.hook = hook
        functools.update_wrapper(self, hook)
        self.with_module = module is not None
        if module is not None:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


def one_kind(found: bool | None, full: bool) -> bool:
    """The kind of a module's backward hooks after one more; raises where they would mix."""
    if found is not None and found is not full:
        raise RuntimeError(_MIXED)
    return full


def backward_hooks(module: Any) -> tuple[list[Hook], list[Hook]]:
    """The full backward hooks around a call of the module, and the old ones."""
    full: list[Hook] = []
    old: list[Hook] = []
    if _global_is_full[0] is not None:
        (full if _global_is_full[0] else old).extend(global_backward_hooks.values())
    if module._is_full_backward_hook is not None:
        (full if module._is_full_backward_hook else old).extend(module._backward_hooks.values())
    return full, old


class HookedCall:
    """One call of a module that has hooks."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.result: Any = None
        self.ran: set[int] = set()

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return self._run(args, kwargs)
        except Exception:
            self._run_always_called(args, kwargs)
            raise

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.module
        full, old = module._get_backward_hooks()
        pre = module._get_backward_pre_hooks()
        args, kwargs = self._before(args, kwargs)
        around = None
        if full or pre:
            around = BackwardHook(module, full, pre)
            args = around.setup_input_hook(args)
        self.result = module.forward(*args, **kwargs)
        self._after(args, kwargs)
        if around is not None:
            if not isinstance(self.result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a "
                    f"tuple of Tensors but received {type(self.result)}",
                    stacklevel=5,
                )
            self.result = around.setup_output_hook(self.result)
        if old:
            _attach_old_hooks(module, old, args, self.result)
        return self.result

    def _before(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        module = self.module
        hooks = [*global_forward_pre_hooks.items(), *module._forward_pre_hooks.items()]
        for key, hook in hooks:
            if key in module._forward_pre_hooks_with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, "
                        f"new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs

    def _after(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        module = self.module
        for key, hook in [*global_forward_hooks.items(), *module._forward_hooks.items()]:
            if (
                key in module._forward_hooks_always_called
                or key in global_forward_hooks_always_called
            ):
                self.ran.add(key)
            self._call_forward_hook(key, hook, args, kwargs)

    def _call_forward_hook(
        self, key: int, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        module = self.module
        if key in module._forward_hooks_with_kwargs or key in global_forward_hooks_with_kwargs:
            changed = hook(module, args, kwargs, self.result)
        else:
            changed = hook(module, args, self.result)
        if changed is not None:
            self.result = changed

    def _run_always_called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """After an exception: the hooks that asked to run in any case and have not."""
        kinds = (
            ("global module", global_forward_hooks, global_forward_hooks_always_called),
            ("module", self.module._forward_hooks, self.module._forward_hooks_always_called),
        )
        for kind, hooks, always in kinds:
            for key, hook in hooks.items():
                if key not in always or key in self.ran:
                    continue
                try:
                    self._call_forward_hook(key, hook, args, kwargs)
                except Exception as error:
                    warnings.warn(
                        f"{kind} forward hook with ``always_call=True`` raised an exception "
                        f"that was silenced as another error was raised in forward: {error!s}",
                        stacklevel=5,
                    )


def _attach_old_hooks(module: Any, hooks: list[Hook], args: Any, result: Any) -> None:
    """The deprecated backward hooks: they see the last operator of the module only."""
    found = result
    while not isinstance(found, Tensor):
        if isinstance(found, dict):
            found = next(v for v in found.values() if isinstance(v, Tensor))
        else:
            found = found[0]
    grad_fn = found.grad_fn
    if grad_fn is None:
        return
    for hook in hooks:
        grad_fn.register_hook(WrappedHook(hook, module))
    _warn_old_hooks(args, result, grad_fn)


def _warn_old_hooks(inputs: Any, result: Any, grad_fn: Any) -> None:
    deprecated = "is deprecated and will be removed in future versions. This hook will be missing"
    advice = "Please use register_full_backward_hook to get the documented behavior."
    message = None
    results = result if isinstance(result, tuple) else (result,)
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    if not all(isinstance(r, Tensor) for r in results):
        message = (
            "Using non-full backward hooks on a Module that does not return a single Tensor or "
            f"a tuple of Tensors {deprecated} some of the grad_output. {advice}"
        )
    elif not all(isinstance(a, Tensor) for a in args):
        message = (
            "Using non-full backward hooks on a Module that does not take as input a single "
            f"Tensor or a tuple of Tensors {deprecated} some of the grad_input. {advice}"
        )
    elif len({id(r.grad_fn) for r in results if r.grad_fn is not None}) > 1:
        message = (
            "Using a non-full backward hook when outputs are generated by different autograd "
            f"Nodes {deprecated} some grad_output. {advice}"
        )
    else:
        ends = {a.grad_fn for a in args if a.grad_fn is not None}
        if ends != {edge[0] for edge in grad_fn.next_functions}:
            message = (
                "Using a non-full backward hook when the forward contains multiple autograd "
                f"Nodes {deprecated} some grad_input. {advice}"
            )
    if message is not None:
        warnings.warn(message, FutureWarning, stacklevel=7)
