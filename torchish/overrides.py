"""`torch.overrides`: modes that see every function, and helpers of the protocol.

The protocol itself is in `torchish/_ops/protocol/overriding.py`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ._basics.state import state
from ._ops import registry
from ._ops.protocol import overriding
from ._ops.protocol.entering import Mode
from ._ops.protocol.overriding import DisableTorchFunction, EnableTorchFunction
from ._ops.protocol.overriding_forms import FUNCTIONAL
from ._tensor.tensor import Tensor, unwrapped_functions

__all__ = [
    "enable_reentrant_dispatch",
    "get_ignored_functions",
    "get_overridable_functions",
    "get_testing_overrides",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "redispatch_function",
    "resolve_name",
    "wrap_torch_function",
]

# Public functions that torch's protocol leaves alone: they make tensors, or take no tensor.
_IGNORED = {
    "torch": (
        "arange are_deterministic_algorithms_enabled as_strided as_tensor asarray "
        "autocast_decrement_nesting autocast_increment_nesting bartlett_window "
        "blackman_window broadcast_shapes can_cast clear_autocast_cache compile device "
        "dtype empty empty_permuted empty_strided enable_grad eye finfo from_file "
        "from_numpy frombuffer full get_autocast_dtype get_default_device get_default_dtype "
        "get_deterministic_debug_mode get_device_module get_float32_matmul_precision "
        "get_num_interop_threads get_num_threads get_rng_state hamming_window hann_window "
        "iinfo inference_mode initial_seed is_anomaly_enabled is_autocast_cache_enabled "
        "is_autocast_enabled is_deterministic_algorithms_warn_only_enabled is_grad_enabled "
        "is_inference_mode_enabled is_storage is_tensor is_warn_always_enabled "
        "kaiser_window layout linspace load logspace manual_seed memory_format no_grad "
        "normal ones promote_types rand rand_like randint randint_like randn randn_like "
        "randperm range result_type save scalar_tensor seed set_autocast_enabled "
        "set_default_device set_default_tensor_type set_deterministic_debug_mode "
        "set_float32_matmul_precision set_flush_denormal set_grad_enabled "
        "set_num_interop_threads set_num_threads set_printoptions set_rng_state "
        "set_warn_always sparse_coo_tensor tensor tril_indices triu_indices typename "
        "use_deterministic_algorithms vander vmap zeros"
    ),
    "nn.functional": (
        "hardsigmoid hardswish sigmoid tanh upsample upsample_bilinear upsample_nearest"
    ),
    "method": (
        "__class__ __delattr__ __delitem__ __dir__ __getattribute__ __hash__ __init__ "
        "__iter__ __new__ __setattr__ __torch_dispatch__ as_subclass eig lstsq new "
        "new_empty new_empty_strided new_full new_ones new_tensor new_zeros reinforce solve "
        "stride symeig to_padded_tensor to_sparse_coo unflatten"
    ),
    "fft": "fftfreq rfftfreq",
}


# --- asking ---------------------------------------------------------------------------------------


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a call with these arguments, or any call now (a mode), is to be dispatched."""
    off = state.overriding_off
    if state.function_modes and off < 2:
        return True
    return not off and any(overriding.implementation(x) is not None for x in relevant_args)


def has_torch_function_unary(obj: Any) -> bool:
    """`has_torch_function` for one argument."""
    return has_torch_function((obj,))


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function` for several arguments."""
    return has_torch_function(args)


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a tensor, or takes part in the protocol."""
    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


def _get_overloaded_args(
    relevant_args: Iterable[Any], get_type_fn: Callable[[Any], type] | None = None
) -> list[Any]:
    if state.overriding_off:
        return []
    found: list[Any] = []
    for x in relevant_args:
        overriding.add_overloaded(found, x)
    return found


# --- dispatching ----------------------------------------------------------------------------------


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Call the modes and the arguments' `__torch_function__` for a function of one's own.

    Raises: TypeError when none of them implements it.
    """
    found = _get_overloaded_args(relevant_args)
    return overriding.dispatch(public_api, found, args, kwargs, python=True)


def wrap_torch_function(
    dispatcher: Callable[..., Iterable[Any]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function so that it takes part in the protocol.

    Args:
        dispatcher: given the call's arguments, returns those that may override it.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def public(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(public, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return public

    return wrap


def redispatch_function(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call `func` without the protocol."""
    with DisableTorchFunction():
        return func(*args, **kwargs)


@contextlib.contextmanager
def enable_reentrant_dispatch() -> Iterator[None]:
    """The protocol is on inside the context, even within a handler that switched it off."""
    with EnableTorchFunction():
        yield


def get_default_nowrap_functions() -> set[Any]:
    """Functions whose results `Tensor.__torch_function__` leaves as they are."""
    return unwrapped_functions()


# --- modes ----------------------------------------------------------------------------------------


class TorchFunctionMode(Mode):
    """While it is entered, `__torch_function__(func, types, args, kwargs)` sees every call.

    Inside that method the mode is off; the modes entered before it are on.

    Example:
        >>> class Log(TorchFunctionMode):
        ...     def __torch_function__(self, func, types, args=(), kwargs=None):
        ...         print(resolve_name(func))
        ...         return func(*args, **(kwargs or {}))
        >>> with Log():
        ...     _ = torch.ones(2)
        torch.ones
    """

    inner: TorchFunctionMode

    def __init__(self) -> None:
        """Nothing is set up until the mode is entered."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def _goes_on(self) -> None:
        _push_mode(self)

    def _goes_off(self) -> None:
        _pop_mode()


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that changes nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def _push_mode(mode: Any) -> None:
    overriding.engage()
    state.function_modes.append(mode)


def _pop_mode() -> Any:
    return state.function_modes.pop()


@contextlib.contextmanager
def _pop_mode_temporarily() -> Iterator[Any]:
    mode = _pop_mode()
    try:
        yield mode
    finally:
        _push_mode(mode)


def _get_current_function_mode() -> Any:
    return state.function_modes[-1] if state.function_modes else None


def _get_current_function_mode_stack() -> list[Any]:
    return list(state.function_modes)


def _len_torch_function_stack() -> int:
    return len(state.function_modes)


# --- what can be overridden -----------------------------------------------------------------------


def _modules() -> dict[str, Any]:
    import torchish

    from . import fft, linalg, special
    from .nn import functional

    return {
        "torch": torchish, "nn.functional": functional, "linalg": linalg, "fft": fft,
        "special": special, "method": Tensor,
    }  # fmt: skip


def _attributes() -> dict[str, property]:
    found: dict[str, property] = {}
    for kind in Tensor.__mro__:
        for name, member in vars(kind).items():
            if type(member) is property and (not name.startswith("_") or name == "_version"):
                found.setdefault(name, member)
    return found


def _members(place: str, holder: Any) -> dict[str, Any]:
    """The functions of one place by name, ignored ones included."""
    found = {k: f for k, f in registry.table(place).items() if inspect.isfunction(f)}
    if place == "torch":
        found.update({k: f for k, f in vars(holder).items() if overriding.stands(f)})
    if place == "method":
        for kind in reversed(Tensor.__mro__[:-1]):  # what the class has wins over the registry
            for name, member in vars(kind).items():
                if inspect.isfunction(member) and overriding.stands(member):
                    found[name] = member
    return {k: f for k, f in found.items() if not k.startswith("_") or k.startswith("__")}


def get_ignored_functions() -> set[Any]:
    """Public functions that `__torch_function__` of an argument does not see."""
    found = set()
    for place, names in _IGNORED.items():
        holder = _modules()[place]
        for name in names.split():
            try:
                found.add(getattr(holder, name))
            except (AttributeError, NotImplementedError):  # absent here
                continue
    return found


@functools.cache
def _overridable() -> tuple[dict[Any, list[Any]], dict[Any, str]]:
    ignored = {place: set(names.split()) for place, names in _IGNORED.items()}
    functions: dict[Any, list[Any]] = {}
    names: dict[Any, str] = {}
    for place, holder in _modules().items():
        prefix = "torch." + overriding.PREFIXES[place]
        for name, function in _members(place, holder).items():
            label = f"functional.{name}" if place == "torch" and name in FUNCTIONAL else name
            names.setdefault(function, prefix + label)
            if name not in ignored.get(place, ()):
                functions.setdefault(holder, []).append(function)
    for name, member in _attributes().items():
        functions[member] = [member.__get__]
        names[member.__get__] = f"torch.Tensor.{name}.__get__"
        for change in ("__set__", "__delete__"):
            names[getattr(member, change)] = f"torch.Tensor.{name}.{change}"
    return functions, names


def get_overridable_functions() -> dict[Any, list[Any]]:
    """Every function that can be overridden, by the module or class that holds it."""
    return {holder: list(found) for holder, found in _overridable()[0].items()}


def get_testing_overrides() -> dict[Any, Callable[..., Any]]:
    """For every overridable function a stand-in of the same signature that returns -1."""
    return {f: _dummy(f) for found in _overridable()[0].values() for f in found}


def _dummy(function: Any) -> Callable[..., Any]:
    def dummy(*args: Any, **kwargs: Any) -> int:
        return -1

    dummy.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return dummy


def _signature(function: Any) -> inspect.Signature:
    operator = getattr(function, "operator", None)
    if operator is None:
        if not inspect.isfunction(function):  # an attribute's getter
            return inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)])
        return inspect.signature(function)
    ordinary, named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    found: list[inspect.Parameter] = []
    for p in operator.binder.params:
        kind = named if p.keyword_only else ordinary
        if any(q.default is not q.empty for q in found) and p.required:
            kind = named
        found.append(inspect.Parameter(p.name, kind, default=p.default))
    found.sort(key=lambda p: p.kind)
    return inspect.Signature(found)


def resolve_name(f: Any) -> str | None:
    """`"torch.add"` for `torch.add`: the dotted name of an overridable function, else None."""
    try:
        found = _overridable()[1].get(f)
    except TypeError:  # not hashable
        return None
    if found is None and hasattr(f, "_qualified_op_name"):
        return str(f)
    return found


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether a function is a method of `Tensor`, or the getter of one of its attributes."""
    name = resolve_name(func) or ""
    return name.startswith("torch.Tensor.") and not name.endswith((".__set__", ".__delete__"))
