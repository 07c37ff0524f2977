"""Applying plans of tensor parallelism."""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...._ops.call.warning import user_level
from .style import ParallelStyle

__all__ = ["loss_parallel", "parallelize_module"]


def parallelize_module(
    module: Any, device_mesh: Any = None, parallelize_plan: Any = None, *,
    src_data_rank: int | None = 0,
) -> Any:  # fmt: skip
    """Lay a module's parameters over a mesh of one dimension, by plan; returns the module.

    Args:
        parallelize_plan: a style for the module itself, or names of submodules (with wildcards)
            and their styles.
    Raises: TypeError for another plan, ValueError for a mesh of several dimensions, RuntimeError
        without a mesh.
    Differs from torch: parameters stay `Parameter`s, and inside a module tensors are whole, so
        that a program reshapes to all heads and not to one device's.

    Example:
        >>> mesh = init_device_mesh("cuda", (4,))
        >>> plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
        >>> parallelize_module(block, mesh, plan)
    """
    if device_mesh is None:
        raise RuntimeError("No device mesh is currently active!")
    if device_mesh.ndim != 1:
        raise ValueError(
            f"Currently only 1D device mesh is supported, but got {device_mesh.ndim} dimensions; "
            "name one: mesh['tp']"
        )
    if parallelize_plan is None:
        warnings.warn(
            "No parallelize_plan is provided and auto-parallel is not supported at the moment, so "
            "this parallelize_module call will do nothing.",
            stacklevel=user_level(),
        )
        return module
    if isinstance(parallelize_plan, ParallelStyle):
        return parallelize_plan._apply(module, device_mesh)
    if not isinstance(parallelize_plan, dict):
        raise TypeError(
            "Expect Union[ParallelStyle, Dict[str, ParallelStyle]] for parallelize_plan, "
            f"{type(parallelize_plan)} found!"
        )
    for path, style in parallelize_plan.items():
        found = [sub for name, sub in module.named_modules() if _matches(name, path)]
        if not found:
            warnings.warn(
                f"Parallelize plan key '{path}' could not be resolved: no submodule matching it.",
                stacklevel=user_level(),
            )
        for submodule in found:
            style._apply(submodule, device_mesh)
    return module


def _matches(name: str, path: str) -> bool:
    """Whether a pattern names a submodule, part by part."""
    parts, wanted = name.split("."), path.split(".")
    if path == "":
        return name == ""
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


@contextmanager
def loss_parallel() -> Iterator[None]:
    """A block whose losses are computed over the mesh: XLA does that by itself."""
    yield
