"""State of modules and optimizers by the names of parameters, however a module is wrapped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.errors import not_supported
from .. import _group, _objects

__all__ = [
    "StateDictOptions", "get_model_state_dict", "get_optimizer_state_dict", "get_state_dict",
    "set_model_state_dict", "set_optimizer_state_dict", "set_state_dict",
]  # fmt: skip

_WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


@dataclass
class StateDictOptions:
    """How states are given and taken.

    full_state_dict: tensors in full, as they always are; cpu_offload: on the CPU, and with
        full_state_dict in rank 0 only.
    broadcast_from_rank0: the states that rank 0 is given count; full_state_dict has to be set.
    keep_submodule_prefixes: of `submodules`, which are refused: changes nothing.
    """

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def _bare(name: str, model: Any) -> str:
    """A name without the parts that wrappers (DistributedDataParallel, compile) add."""
    from ...nn.parallel import DataParallel, DistributedDataParallel

    if isinstance(model, DataParallel | DistributedDataParallel):
        name = name.removeprefix("module.")
    for part in _WRAPPERS[1:]:
        name = name.replace(part, "")
    return name


def _options(options: StateDictOptions | None, submodules: Any = None) -> StateDictOptions:
    """The options that hold.

    Raises: ValueError for options that do not go together, NotSupportedError.
    """
    if submodules is not None:
        raise not_supported("get_state_dict(submodules=...)", "the state of the submodule itself")
    found = options or StateDictOptions()
    if found.dsd_fqn_modifiers != "_fqn_modifiers":
        raise not_supported("StateDictOptions(dsd_fqn_modifiers=...)", "renaming entries")
    if found.broadcast_from_rank0 and not found.full_state_dict:
        raise ValueError("full_state_dict must be True when broadcast_from_rank0 is True.")
    return found


def _several() -> bool:
    return _group.is_initialized() and _group.get_world_size() > 1


def _here(state: dict[str, Any], options: StateDictOptions) -> dict[str, Any]:
    """The state as this rank gives it."""
    first_only = options.full_state_dict and options.cpu_offload and _several()
    if first_only and _group.get_rank() != 0:
        return {}
    return _on_cpu(state) if options.cpu_offload else state  # type: ignore[no-any-return]


def _on_cpu(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value.detach().cpu()  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    return value


def _given(state: Any, options: StateDictOptions) -> Any:
    """The state that counts: this rank's, or that of rank 0."""
    if not options.broadcast_from_rank0 or not _several():
        return state
    holder = [state if _group.get_rank() == 0 else None]
    _objects.broadcast_object_list(holder, src=0)
    return holder[0]


def get_model_state_dict(
    model: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """The model's state by bare names."""
    options = _options(options, submodules)
    found = model.state_dict()
    if options.ignore_frozen_params:
        frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        found = {k: v for k, v in found.items() if k not in frozen}
    return _here({_bare(name, model): value for name, value in found.items()}, options)


def _listed(optimizers: Any) -> list[Any]:
    from ...optim import Optimizer

    return [optimizers] if isinstance(optimizers, Optimizer) else list(optimizers)


def _begin(optimizer: Any) -> None:
    """Let an optimizer without state have one: a step of length 0 on gradients of 0."""
    if optimizer.state:
        return
    params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    if any(p.grad is not None for p in params):
        return
    for p in params:
        p.grad = p.detach().new_zeros(p.shape)
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * 0
    optimizer.step()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)


def _names(model: Any) -> dict[int, str]:
    return {id(p): _bare(name, model) for name, p in model.named_parameters()}


def get_optimizer_state_dict(
    model: Any, optimizers: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """The state of the optimizers, by names of parameters."""
    options = _options(options, submodules)
    names = _names(model)
    state: dict[str, Any] = {}
    groups: list[Any] = []
    for optimizer in _listed(optimizers):
        _begin(optimizer)
        for param, values in optimizer.state.items():
            state[names[id(param)]] = dict(values)
        for group in optimizer.param_groups:
            groups.append({**group, "params": [names[id(p)] for p in group["params"]]})
    if options.flatten_optimizer_state_dict:
        return _here(_flat(state, groups), options)
    return _here({"state": state, "param_groups": groups}, options)


def _flat(state: dict[str, Any], groups: list[Any]) -> dict[str, Any]:
    flat = {f"state.{n}.{k}": v for n, values in state.items() for k, v in values.items()}
    for group in groups:
        for name in group["params"]:
            flat.update({f"param_groups.{name}.{k}": v for k, v in group.items() if k != "params"})
    return flat


def _unflat(given: dict[str, Any], groups: list[list[str]]) -> dict[str, Any]:
    """The nested form, for groups of these names."""
    state: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    for key, value in given.items():
        kind, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        (state if kind == "state" else options).setdefault(name, {})[field] = value
    made = [{**options.get(names[0], {}), "params": names} for names in groups]
    return {"state": state, "param_groups": made}


def get_state_dict(
    model: Any, optimizers: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of the model and of its optimizers, by names of parameters.

    Example:
        >>> model_state, optimizer_state = get_state_dict(net, optimizer)
    """
    return (
        get_model_state_dict(model, submodules=submodules, options=options),
        get_optimizer_state_dict(model, optimizers, submodules=submodules, options=options),
    )


def set_model_state_dict(
    model: Any, model_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> Any:
    """Give the model a state by bare names; what is missing and unexpected is returned."""
    options = _options(options)
    model_state_dict = _given(model_state_dict, options)
    own = {_bare(name, model): name for name in model.state_dict()}
    given = {own.get(name, name): value for name, value in model_state_dict.items()}
    return model.load_state_dict(given, strict=options.strict)


def set_optimizer_state_dict(
    model: Any, optimizers: Any, optim_state_dict: dict[str, Any], *,
    options: StateDictOptions | None = None,
) -> None:  # fmt: skip
    """Give optimizers a state by names of parameters.

    Raises: RuntimeError for a parameter that the state does not name.
    """
    optim_state_dict = _given(optim_state_dict, _options(options))
    for optimizer in _listed(optimizers):
        optimizer.load_state_dict(by_number(model, optimizer, optim_state_dict))


def by_number(model: Any, optimizer: Any, state: dict[str, Any]) -> dict[str, Any]:
    """A state by names as `optimizer.load_state_dict` takes it."""
    names = _names(model)
    groups = [[names[id(p)] for p in g["params"]] for g in optimizer.param_groups]
    return _by_number(state if "param_groups" in state else _unflat(state, groups), groups)


def _by_number(given: dict[str, Any], groups: list[list[str]]) -> dict[str, Any]:
    """A state by names as optimizers save it: by the numbers of parameters."""
    numbers: dict[str, int] = {}
    for name in (n for names in groups for n in names):
        numbers[name] = len(numbers)
    found = []
    for names in groups:
        saved = next((g for g in given["param_groups"] if names[0] in g["params"]), None)
        if saved is None:
            raise RuntimeError(f"Expect to find {names[0]} in the optimizer state dict")
        found.append({**saved, "params": [numbers[n] for n in names]})
    state = {numbers[n]: values for n, values in given["state"].items() if n in numbers}
    return {"state": state, "param_groups": found}


def set_state_dict(
    model: Any, optimizers: Any, *, model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any], options: StateDictOptions | None = None,
) -> Any:  # fmt: skip
    """Give the model and its optimizers their states."""
    if isinstance(optimizers, Iterable):
        optimizers = list(optimizers)
    set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return set_model_state_dict(model, model_state_dict, options=options)
