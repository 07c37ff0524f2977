"""`torch.export`: a module as a program (StableHLO) that runs without the module, or torchish.

The module itself may be called: `torchish.export(module, args)` is `torch.export.export` for any
callable, with JAX's choice of platforms.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .._basics.errors import not_supported
from ._exporting import export as _export
from .dynamic_shapes import Dim as Dim, dims as dims
from .exported_program import ExportedProgram as ExportedProgram
from .files import load as load, save as save
from .graph_signature import (
    ExportGraphSignature as ExportGraphSignature,
)

__all__ = ["Dim", "ExportGraphSignature", "ExportedProgram", "dims", "export", "load", "save"]


def export(
    mod: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, *,
    dynamic_shapes: Any = None, strict: bool = False,
    preserve_module_call_signature: tuple[str, ...] = (),
    prefer_deferred_runtime_asserts_over_guards: bool = False,
) -> ExportedProgram:  # fmt: skip
    """The program of a module for arguments like these, with its weights.

    Args:
        mod: an `nn.Module`, exported in the mode that it is in.
        args, kwargs: example arguments: tensors and containers of them; anything else becomes a
            constant of the program.
        dynamic_shapes: for each argument (a dict by name, or in order) which of its dims may
            change: `{0: Dim("batch")}`, `Dim.AUTO`, or None.
        strict, prefer_deferred_runtime_asserts_over_guards: accepted; operators are recorded, so
            there is no Python to trace and nothing to guard.
    Raises: ValueError for anything but a module, UserError for arguments and dynamic shapes that
        do not fit; RuntimeError when the module asks for the value of a tensor or draws.
    """
    from .._dynamo.exc import UserError
    from ..nn.modules.module import Module

    if not isinstance(mod, Module):
        raise ValueError(f"Expected `mod` to be an instance of `torch.nn.Module`, got {type(mod)}.")
    if not isinstance(args, tuple):
        raise UserError(
            f"Expecting `args` to be a tuple of example positional inputs, got {type(args)}"
        )
    if preserve_module_call_signature:
        raise not_supported(
            "torch.export.export(preserve_module_call_signature=)", "exporting that part by itself"
        )
    return _export(mod, args, kwargs, dynamic_shapes, None)


class _Callable(ModuleType):
    def __call__(
        self, module: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, *,
        dynamic_shapes: Any = None, platforms: tuple[str, ...] | None = None,
    ) -> ExportedProgram:  # fmt: skip
        """The program of a module or function of tensors; see `export.export`.

        Args:
            platforms: "cpu", "cuda", "tpu", "rocm": where it shall run; here by default.
        """
        return _export(module, tuple(args), kwargs, dynamic_shapes, platforms)


sys.modules[__name__].__class__ = _Callable
