"""`torch.compile`: the argument itself, since XLA compiles every program already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
_BACKENDS = ("aot_eager", "cudagraphs", "eager", "inductor", "openxla", "onnxrt", "tvm")


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """`model` itself: whole steps are compiled by XLA whether or not this is called.

    Args: all of them are checked and then change nothing; a callable `backend` would receive an
        FX graph, which does not exist here.
    Raises: RuntimeError for an unknown mode or backend, or mode together with options;
        NotSupportedError for a callable backend.
    Differs from torch: a module is not wrapped, so its state_dict has no `_orig_mod.` prefix.
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if callable(backend):
        from ._core.errors import not_supported

        raise not_supported(
            "torch.compile with a backend function (there is no FX graph)", "leave backend out"
        )
    if backend not in _BACKENDS:
        raise RuntimeError(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available "
            "backends."
        )
    if model is None:
        return lambda m: m
    if not callable(model):
        raise RuntimeError("torch.compile() expects a function, a class or a module")
    return model
