"""Modules as pure functions of their parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .._ops.registry import ops


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with the given tensors as its parameters and buffers.

    Args:
        parameter_and_buffer_dicts: a dict by dotted name, or a sequence of such dicts.
    Raises: ValueError for a name in two dicts.
    """
    from ..nn.utils.stateless import _functional_call

    given = parameter_and_buffer_dicts
    if not isinstance(given, dict):
        if not isinstance(given, Sequence):
            raise ValueError(
                "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but "
                f"got {type(given)}"
            )
        if not all(isinstance(d, dict) for d in given):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dicts")
        names = [name for d in given for name in d]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise ValueError(f"{sorted(twice)} appeared in multiple dictionaries; behavior of "
                             "functional call is ambiguous")  # fmt: skip
        given = {name: value for d in given for name, value in d.items()}
    return _functional_call(module, given, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers of equal modules, each stacked along a new first dim (for `vmap`).

    Raises: RuntimeError for no module, or modules of several classes or modes.
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(tables: Sequence[dict[str, Any]]) -> dict[str, Any]:
        made = {}
        for name in tables[0]:
            tensors = [t[name] for t in tables]
            needs = tensors[0].requires_grad
            if not all(t.requires_grad == needs for t in tensors):
                raise RuntimeError(
                    f"Expected {name} from each model to have the same .requires_grad"
                )
            whole = ops.stack([t.detach() for t in tensors])
            made[name] = whole.requires_grad_(needs)
        return made

    return (
        stacked([dict(m.named_parameters()) for m in models]),
        stacked([dict(m.named_buffers()) for m in models]),
    )


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func`: what it records is free of mutation and views already.

    Raises: RuntimeError for another `remove` than "mutations" or "mutations_and_views".
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove=. Valid "
            "options are:\n     remove='mutations': all inplace and out= operators will be removed "
            "from the program, and replaced with their out-of-place equivalents.\n     "
            "remove='mutations_and_views': In addition to the above, all aliasing operators "
            "{view} will be replaced with their non-aliasing counterparts, {view}_copy.\n"
        )

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapped


def debug_unwrap(tensor: Any, *, recurse: bool = True) -> Any:
    """`tensor`: transforms wrap nothing here."""
    return tensor


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Let batch norms in `root` normalise by the batch and keep no running statistics; in place."""
    from ..nn.modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
