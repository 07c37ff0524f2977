"""The base class of everything that has parameters.

The class says what a module has; how hooks run around a call, how tensors are saved and loaded and
how they are converted stands in functions (`_hooks.py`, `_state.py`, `_cast.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from ..._ops.registry import ops
from ..._tensor.tensor import Tensor
from ...utils.hooks import Hook, RemovableHandle, add_hook
from ..parameter import Parameter
from . import _cast, _members, _state
from ._hooks import (
    HookedCall,
    WrappedHook as _WrappedHook,
    backward_hooks,
    global_backward_hooks as _global_backward_hooks,
    global_backward_pre_hooks as _global_backward_pre_hooks,
    global_buffer_registration_hooks as _global_buffer_registration_hooks,
    global_forward_hooks as _global_forward_hooks,
    global_forward_pre_hooks as _global_forward_pre_hooks,
    global_module_registration_hooks as _global_module_registration_hooks,
    global_parameter_registration_hooks as _global_parameter_registration_hooks,
    one_kind,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from ._members import addindent as _addindent
from ._names import typename
from ._state import EXTRA_STATE_KEY, _IncompatibleKeys

__all__ = [
    "Module", "_IncompatibleKeys", "_WrappedHook", "_addindent", "_global_backward_hooks",
    "_global_backward_pre_hooks", "_global_buffer_registration_hooks", "_global_forward_hooks",
    "_global_forward_pre_hooks", "_global_module_registration_hooks",
    "_global_parameter_registration_hooks", "register_module_backward_hook",
    "register_module_buffer_registration_hook", "register_module_forward_hook",
    "register_module_forward_pre_hook", "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook", "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]  # fmt: skip


class Module:
    """A callable with parameters, buffers and submodules, found by assigning them as attributes.

    Subclasses call `super().__init__()` first and define `forward`.

    Example:
        >>> class Double(nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> Double()(torch.ones(1))
        tensor([2.])

    Source: https://pytorch.org/docs/stable/generated/torch.nn.Module.html
    """

    dump_patches: bool = False
    call_super_init: bool = False
    training: bool
    _version: int = 1
    _compiled_call_impl: Callable[..., Any] | None = None
    # Set by `__init__`. The names are torch's: pickled modules carry them. Parameters may be None;
    # replicas and functional calls put plain tensors in their places.
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _modules: dict[str, Any]
    # None until one kind of backward hook is registered; the two kinds do not mix.
    _is_full_backward_hook: bool | None
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]
    _forward_hooks: OrderedDict[int, Callable[..., Any]]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            _members.refuse(self, args, kwargs)
        # not through __setattr__, whose rules these attributes carry
        state = self.__dict__
        state["training"] = True
        state["_parameters"] = {}
        state["_buffers"] = {}
        state["_non_persistent_buffers_set"] = set()
        for name in _HOOK_DICTS:
            state[name] = OrderedDict()
        state["_is_full_backward_hook"] = None
        state["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def _forward_unimplemented(self, *input: Any) -> None:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    forward: Callable[..., Any] = _forward_unimplemented

    # Registration

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is no parameter; `persistent` puts it into `state_dict`."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        _members.check_name(self, "buffer", name, self._buffers)
        _members.check_kind("buffer", name, tensor, Tensor, "torch Tensor")
        tensor = _members.registered(_global_buffer_registration_hooks, self, name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter; None reserves the name."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        _members.check_name(self, "parameter", name, self._parameters)
        if param is None:
            self._parameters[name] = None
            return
        _members.check_kind("parameter", name, param, Parameter, "torch.nn.Parameter")
        _members.check_leaf(name, param)
        hooks = _global_parameter_registration_hooks
        self._parameters[name] = _members.registered(hooks, self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule under `name`; None reserves the name."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{typename(module)} is not a Module subclass")
        _members.check_name(self, "module", name, self._modules)
        hooks = _global_module_registration_hooks
        self._modules[name] = _members.registered(hooks, self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    # Attributes

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__  # written out: every use of a weight or a layer comes here
        if "_parameters" in state and name in (found := state["_parameters"]):
            return found[name]
        if "_buffers" in state and name in (found := state["_buffers"]):
            return found[name]
        if "_modules" in state and name in (found := state["_modules"]):
            return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if not _members.assigned(self, name, value, isinstance(value, Module)):
            super().__setattr__(name, value)

    def _set_buffer(self, name: str, value: Tensor | None) -> None:
        own = type(self).register_buffer is Module.register_buffer
        _members.set_buffer(self, name, value, own)

    def __delattr__(self, name: str) -> None:
        for kind in (self._parameters, self._buffers, self._modules):
            if name in kind:
                del kind[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters]
        names += [*self._modules, *self._buffers]
        return sorted(name for name in names if not name[0].isdigit())

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # modules pickled by old versions lack the newer attributes
        for name in _HOOK_DICTS:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # What is inside

    def _named_members(
        self, get_members_fn: Callable[[Any], Any], prefix: str = "", recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:  # fmt: skip
        """Pairs (dotted name, member); a member reached twice counts once."""
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        whole = modules if recurse else iter([(prefix, self)])
        return _members.members(whole, get_members_fn, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once, in the order of registration."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs of dotted name and parameter."""
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Pairs of dotted name and buffer."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def children(self) -> Iterator[Any]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and direct submodule, each submodule once."""
        return _members.members([("", self)], lambda module: module._modules.items(), True)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Any]:
        """This module and all below it, parents first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Pairs of dotted name and module, this one first under the name `prefix`."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = prefix + ("." if prefix else "") + name
                yield from module.named_modules(memo, below, remove_duplicate)

    def get_submodule(self, target: str) -> Any:
        """The submodule with the dotted name `target`.

        Raises: AttributeError where a part of the path does not exist or is not a module.
        """
        found: Any = self
        for item in target.split(".") if target else ():
            found = _members.member(found, item, Module, "an nn.Module")
        return found

    def set_submodule(self, target: str, module: Any, strict: bool = False) -> None:
        """Puts `module` at the dotted name `target`; `strict` asks that one is there."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            _members.member(parent, name, Module, "an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name `target`."""
        path, _, name = target.rpartition(".")
        return _members.member(self.get_submodule(path), name, Parameter, "an nn.Parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name `target`."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = _members.member(module, name, object, "a buffer")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found  # type: ignore[no-any-return]

    # Hooks, and the call that runs them around `forward`

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Runs `hook(module, args)` before `forward`; a result replaces the arguments.

        With `with_kwargs` the hook is `hook(module, args, kwargs)` and returns a pair.
        """
        notes = [(self._forward_pre_hooks_with_kwargs, with_kwargs)]
        return add_hook(self._forward_pre_hooks, hook, notes, prepend)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:  # fmt: skip
        """Runs `hook(module, args, output)` after `forward`; a result replaces the output.

        With `always_call` the hook runs even when `forward` raises.
        """
        notes = [
            (self._forward_hooks_with_kwargs, with_kwargs),
            (self._forward_hooks_always_called, always_call),
        ]
        return add_hook(self._forward_hooks, hook, notes, prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(module, grad_output)` first in backward; a result replaces it."""
        return add_hook(self._backward_pre_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """Old form of `register_full_backward_hook`."""
        self._is_full_backward_hook = one_kind(self._is_full_backward_hook, False)
        return add_hook(self._backward_hooks, hook)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(module, grad_input, grad_output)` when the input's gradient is known."""
        self._is_full_backward_hook = one_kind(self._is_full_backward_hook, True)
        return add_hook(self._backward_hooks, hook, prepend=prepend)

    def _get_backward_hooks(self) -> tuple[list[Hook], list[Hook]]:
        return backward_hooks(self)

    def _get_backward_pre_hooks(self) -> list[Hook]:
        return [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]

    def _wrapped_call_impl(self, *args: Any, **kwargs: Any) -> Any:
        if self._compiled_call_impl is not None:
            return self._compiled_call_impl(*args, **kwargs)
        return self._call_impl(*args, **kwargs)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        if not (
            self._backward_hooks
            or self._backward_pre_hooks
            or self._forward_hooks
            or self._forward_pre_hooks
            or _global_forward_hooks
            or _global_forward_pre_hooks
            or _global_backward_hooks
            or _global_backward_pre_hooks
        ):
            return self.forward(*args, **kwargs)
        return HookedCall(self).run(args, kwargs)

    __call__: Callable[..., Any] = _wrapped_call_impl

    # Saving and loading

    def get_extra_state(self) -> Any:
        """Override to put more than tensors into `state_dict`, under `_extra_state`."""
        raise _state.never_called("get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Override together with `get_extra_state`."""
        raise _state.never_called("set_extra_state")

    def _register_state_dict_hook(self, hook: Hook) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata)` after `state_dict`."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook"
            )
        return add_hook(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook: Any) -> RemovableHandle:
        """Runs `hook(module, state_dict, prefix, local_metadata)` after `state_dict`."""
        hook._from_public_api = True
        return add_hook(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, prefix, keep_vars)` before `state_dict`."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Hook, with_module: bool = False
    ) -> RemovableHandle:
        wrapped = _WrappedHook(hook, self if with_module else None)
        return add_hook(self._load_state_dict_pre_hooks, wrapped)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before this module loads its part."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, incompatible_keys)` after loading; it may edit the keys."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        """Writes this module's own tensors, not its children's."""
        _state.save_own(self, destination, prefix, keep_vars)
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + EXTRA_STATE_KEY] = self.get_extra_state()

    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """All parameters and persistent buffers by dotted name; the tensors share storage.

        Args:
            destination: a dictionary to fill instead of a new one.
            prefix: put before every name.
            keep_vars: give the parameters themselves instead of detached tensors.

        Example:
            >>> list(nn.Linear(2, 3).state_dict())
            ['weight', 'bias']
        """
        if args:
            _state.warn_positional()
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        return _state.save(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any],
        strict: bool, missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Loads this module's own tensors; problems are appended to the three lists."""
        problems = (missing_keys, unexpected_keys, error_msgs)
        has_extra = type(self).set_extra_state is not Module.set_extra_state
        _state.load_own(self, state_dict, prefix, local_metadata, strict, problems, has_extra)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies tensors by name into this module and all below it.

        Args:
            state_dict: names to tensors, as `state_dict` gives them.
            strict: whether the names must be exactly this module's.
            assign: make the given tensors the module's own instead of copying.

        Raises: RuntimeError where names or shapes do not fit; lists all of them.
        """
        return _state.load(self, state_dict, strict, assign)

    # Other devices and dtypes

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces parameters (in place, so optimizers keep them), grads and buffers by fn's."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for key, param in self._parameters.items():
            if param is not None:
                self._parameters[key] = _cast.converted(param, fn)
        for key, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[key] = fn(buffer)
        return self

    def _apply_floating(self, fn: Callable[[Tensor], Tensor]) -> Any:
        return self._apply(lambda t: fn(t) if t.is_floating_point() else t)

    def cuda(self, device: Any = None) -> Self:
        """Moves all parameters and buffers to a GPU."""
        return self._apply(lambda t: t.cuda(device))

    def cpu(self) -> Self:
        """Moves all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def type(self, dst_type: Any) -> Self:
        """Casts all parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Self:
        """Casts floating parameters and buffers to float32."""
        return self._apply_floating(lambda t: t.float())

    def double(self) -> Self:
        """Casts floating parameters and buffers to float64."""
        return self._apply_floating(lambda t: t.double())

    def half(self) -> Self:
        """Casts floating parameters and buffers to float16."""
        return self._apply_floating(lambda t: t.half())

    def bfloat16(self) -> Self:
        """Casts floating parameters and buffers to bfloat16."""
        return self._apply_floating(lambda t: t.bfloat16())

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves to `device` without copying contents."""
        return self._apply(lambda t: ops.empty_like(t, device=device), recurse=recurse)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves and casts: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`.

        Only floating and complex tensors are cast. The module itself changes and is returned.
        """
        return self._apply(_cast.conversion(args, kwargs))

    def share_memory(self) -> Self:
        """Moves parameters and buffers to shared memory."""
        return self._apply(lambda t: t.share_memory_())

    # Modes and gradients

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Calls `fn` on every module below, children first, then on this one.

        Example:
            >>> net.apply(lambda m: print(type(m)))
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Sets training (or evaluation) mode here and in all submodules."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode here and in all submodules."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets `requires_grad` of all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops (or zeroes) the gradients of all parameters."""
        _members.clear_gradients(self, set_to_none)

    # Printing

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses; subclasses override it."""
        return ""

    def __repr__(self) -> str:
        return _members.text_of(self)

    # Parallelism and compilation

    def _replicate_for_data_parallel(self) -> Module:
        replica = self.__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        replica._parameters = {}
        replica._buffers = replica._buffers.copy()
        replica._modules = replica._modules.copy()
        replica._is_replica = True
        return replica

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles calls of this module with `torch.compile`."""
        import torchish

        self._compiled_call_impl = torchish.compile(self._call_impl, *args, **kwargs)


# Attribute names are torch's: pickled modules carry them.
_HOOK_DICTS = [k for k, kind in Module.__annotations__.items() if kind.startswith("OrderedDict")]
