"""Handles that remove hooks, and the pair of autograd nodes behind module backward hooks."""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from .._ops.call.warning import user_level

__all__ = ["BackwardHook", "RemovableHandle", "unserializable_hook", "warn_if_has_hooks"]

Hook = Callable[..., Any]


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook out again.

    Args:
        hooks_dict: the dictionary that holds the hook under the handle's `id`.
        extra_dict: further dictionaries (one or a list) to clear of that `id`.
    """

    id: int
    next_id: int = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extras = [extra_dict] if isinstance(extra_dict, dict) else extra_dict or []
        self.extra_dict_ref = tuple(weakref.ref(extra) for extra in extras)

    def remove(self) -> None:
        """Takes the hook out; calling it again does nothing."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        hooks = OrderedDict() if state[0] is None else state[0]
        self.hooks_dict_ref = weakref.ref(hooks)
        self.id = state[1]
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)
        extras = state[2] if len(state) > 2 and state[2] is not None else ()
        self.extra_dict_ref = tuple(weakref.ref(extra) for extra in extras)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.remove()


def add_hook(
    hooks: OrderedDict[int, Hook], hook: Hook, notes: Sequence[tuple[Any, bool]] = (),
    prepend: bool = False,
) -> RemovableHandle:  # fmt: skip
    """Register a hook, with notes on it in other dictionaries, of which those that hold are set."""
    handle = RemovableHandle(hooks, extra_dict=[where for where, _ in notes])
    hooks[handle.id] = hook
    for where, holds in notes:
        if holds:
            where[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def unserializable_hook(f: Any) -> Any:
    """Marks a tensor hook whose loss on saving deserves a warning."""
    f.__torch_unserializable__ = True
    return f


def warn_if_has_hooks(tensor: Any) -> None:
    """Warns when saving `tensor` drops hooks marked by `unserializable_hook`."""
    for hook in (tensor._backward_hooks or {}).values():
        if hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, "
                "you can decorate the function with @torch.utils.hooks.unserializable_hook to "
                "suppress this warning",
                stacklevel=2,
            )


def _scatter(indices: list[int], values: Any, size: int) -> tuple[Any, ...]:
    """`values` at `indices` of a tuple of `size`, None elsewhere."""
    packed: list[Any] = [None] * size
    for index, value in zip(indices, values, strict=True):
        packed[index] = value
    return tuple(packed)


class BackwardHook:
    """Runs a module's backward hooks between two identity nodes around its `forward`.

    The node on the outputs sees `grad_output`, the node on the inputs `grad_input`; the user's
    hooks are called when both are known.
    """

    def __init__(self, module: Any, user_hooks: list[Any], user_pre_hooks: list[Any]) -> None:
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs: Any = None
        self.n_outputs = -1
        self.output_tensors_index: list[int] | None = None
        self.n_inputs = -1
        self.input_tensors_index: list[int] | None = None

    def setup_input_hook(self, args: Any) -> Any:
        """Puts the identity node on the inputs and returns the new ones."""
        args, self.input_tensors_index = _identity(args, self._on_input_gradients)
        self.n_inputs = len(args)
        return args

    def setup_output_hook(self, result: Any) -> Any:
        """Puts the identity node on the outputs and returns the new ones."""
        outputs = result if isinstance(result, tuple) else (result,)
        outputs, self.output_tensors_index = _identity(outputs, self._on_output_gradients)
        self.n_outputs = len(outputs)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _on_input_gradients(self, grad_input: Any, _: Any) -> Any:
        if self.grad_outputs is None:
            # the gradient reached the input without passing the output: double backward
            return None
        indices = self.input_tensors_index or []
        found = _scatter(indices, grad_input, self.n_inputs)
        for hook in self.user_hooks:
            changed = hook(self.module, found, self.grad_outputs)
            if changed is None:
                continue
            if len(changed) != len(found):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(changed)}, but expected {len(found)}"
                )
            found = changed
        self.grad_outputs = None
        return tuple(found[i] for i in indices)

    def _on_output_gradients(self, _: Any, grad_output: Any) -> Any:
        indices = self.output_tensors_index or []
        grads = _scatter(indices, grad_output, self.n_outputs)
        for hook in self.user_pre_hooks:
            changed = hook(self.module, grads)
            if changed is None:
                continue
            if len(changed) != len(grads):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(changed)}, but expected {len(grads)}"
                )
            grads = changed
        self.grad_outputs = grads
        if self.input_tensors_index is None:
            self._call_without_input_gradients(grads)
        return tuple(grads[i] for i in indices)

    def _call_without_input_gradients(self, grads: Any) -> None:
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients. See "
            "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
            "#torch.nn.Module.register_full_backward_hook for more details.",
            stacklevel=user_level(),
        )
        nothing = (None,) * self.n_inputs
        for hook in self.user_hooks:
            changed = hook(self.module, nothing, grads)
            if changed is None or (isinstance(changed, tuple) and all(g is None for g in changed)):
                continue
            raise RuntimeError(
                "Backward hook for Modules where no input requires gradient should always return "
                "None or None for all gradients."
            )
        self.grad_outputs = None


def _identity(args: Any, hook: Callable[..., Any]) -> tuple[Any, list[int] | None]:
    """`args` with their tensors passed through one node that carries `hook`."""
    from .._autograd.grad_mode import is_grad_enabled
    from .._tensor.tensor import Tensor
    from ..nn.modules._functions import BackwardHookFunction

    indices = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
    tensors = [args[i] for i in indices]
    if not (is_grad_enabled() and any(t.requires_grad for t in tensors)):
        return args, None
    passed = BackwardHookFunction.apply(*tensors)
    grad_fn = next(
        t.grad_fn
        for t in passed
        if t.grad_fn is not None and t.grad_fn.name() == "BackwardHookFunctionBackward"
    )
    grad_fn.register_hook(hook)
    changed = list(args)
    for index, tensor in zip(indices, passed, strict=True):
        changed[index] = tensor
    return (tuple(changed) if type(args) is tuple else type(args)(*changed)), indices
