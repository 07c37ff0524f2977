"""Calling a module with other tensors in place of its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..._tensor.tensor import Tensor
from ..modules.module import Module

__all__ = ["functional_call"]


def _slots(module: Module) -> dict[str, tuple[Module, str]]:
    """Dotted name of every parameter and buffer to the module that holds it and its name there."""
    found = {}
    for prefix, owner in module.named_modules(remove_duplicate=False):
        for name in (*owner._parameters, *owner._buffers):
            found[f"{prefix}.{name}" if prefix else name] = (owner, name)
    return found


def _read(owner: Module, name: str) -> Tensor | None:
    kind = owner._parameters if name in owner._parameters else owner._buffers
    return kind[name]


def _tied(slots: dict[str, tuple[Module, str]], given: dict[str, Tensor]) -> dict[str, Tensor]:
    """`given` with each tensor repeated under all names of a tied one."""
    names: dict[int, set[str]] = {}
    for dotted, slot in slots.items():
        tensor = _read(*slot)
        if tensor is not None:
            names.setdefault(id(tensor), set()).add(dotted)
    untied = dict(given)
    for group in names.values():
        chosen = [name for name in given if name in group]
        if len(group) < 2 or not chosen:
            continue
        if len({id(given[name]) for name in chosen}) != 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(group)}, which are tied. "
                "Consider using tie_weights=False"
            )
        untied.update(dict.fromkeys(group, given[chosen[0]]))
    return untied


def _check_names(module: Module, slots: dict[str, Any], given: dict[str, Tensor]) -> None:
    unexpected = [name for name in given if name not in slots]
    missing = [name for name in slots if name not in given]
    messages = []
    if unexpected:
        messages.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    if missing:
        messages.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if messages:
        raise RuntimeError(
            "Error(s) in reparametrizing for {}:\n\t{}".format(
                module._get_name(), "\n\t".join(messages)
            )
        )


@contextmanager
def _reparametrize_module(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    tie_weights: bool = False,
    strict: bool = False,
) -> Iterator[None]:
    """Within the block the module's tensors are the given ones.

    What the module assigns meanwhile (buffers, for example) is found in the dictionary after.
    """
    slots = _slots(module)
    given = _tied(slots, parameters_and_buffers) if tie_weights else parameters_and_buffers
    if strict:
        _check_names(module, slots, given)
    saved: list[tuple[str, dict[str, Any], str, Any]] = []
    try:
        for dotted, tensor in given.items():
            owner, name = slots.get(dotted) or _owner_of(module, dotted)
            if name in owner._parameters:
                kind = owner._parameters
            elif name in owner._buffers:
                kind = owner._buffers
            else:
                kind = owner.__dict__
            saved.append((dotted, kind, name, kind.get(name)))
            kind[name] = tensor
        yield
    finally:
        for dotted, kind, name, original in reversed(saved):
            now = kind[name]
            if original is None and kind is not None and dotted not in slots:
                kind.pop(name)
            else:
                kind[name] = original
            if dotted in parameters_and_buffers:
                parameters_and_buffers[dotted] = now


def _owner_of(module: Module, dotted: str) -> tuple[Module, str]:
    path, _, name = dotted.rpartition(".")
    return module.get_submodule(path), name


def _functional_call(
    module: Module,
    parameters_and_buffers: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with the given tensors as parameters and buffers."""
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _reparametrize_module(
        module, parameters_and_buffers, tie_weights=tie_weights, strict=strict
    ):
        return module(*args, **(kwargs or {}))


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Old place of `torch.func.functional_call`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )
