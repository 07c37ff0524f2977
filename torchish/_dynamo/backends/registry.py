"""Backends by name.

The names that stand for PyTorch's own compilers all mean the engine: it records and XLA compiles,
so no graph is written for them (None in the table).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..exc import InvalidBackend

CompilerFn = Callable[..., Any]

_ENGINE = {
    "cudagraphs": (), "inductor": (), "openxla": (), "tvm": (), "onnxrt": ("experimental",),
    "aot_eager": ("debug",), "aot_eager_decomp_partition": ("debug",),
    "aot_eager_default_partitioner": ("debug",), "eager": ("debug",), "eager_debug": ("debug",),
    "eager_noexcept": ("debug",), "openxla_eval": ("experimental",),
    "pre_dispatch_eager": ("debug",), "ts": ("debug",),
}  # fmt: skip
_backends: dict[str, CompilerFn | None] = dict.fromkeys(_ENGINE)
_tags: dict[str, Sequence[str]] = dict(_ENGINE)


def register_backend(
    compiler_fn: CompilerFn | None = None, name: str | None = None, tags: Sequence[str] = ()
) -> Any:
    """Make a backend known by a name; also a decorator.

    Args:
        compiler_fn: called with a GraphModule and example inputs, gives a callable.
        name: by default the function's own.
        tags: `"debug"` or `"experimental"` keep it out of `list_backends()`.
    """
    if compiler_fn is None:
        return lambda fn: register_backend(fn, name, tags)
    if not callable(compiler_fn):
        raise AssertionError(f"compiler_fn must be callable, got {type(compiler_fn)}")
    label = name or compiler_fn.__name__
    if label in _backends:
        raise AssertionError(f"duplicate name: {label}")
    _backends[label] = compiler_fn
    _tags[label] = tuple(tags)
    return compiler_fn


register_debug_backend = register_backend
register_experimental_backend = register_backend


def lookup_backend(compiler_fn: Any) -> CompilerFn | None:
    """The function behind a name; None for the engine itself.

    Raises: InvalidBackend for an unknown name.
    """
    if isinstance(compiler_fn, str):
        if compiler_fn not in _backends:
            raise InvalidBackend(compiler_fn)
        return _backends[compiler_fn]
    return compiler_fn  # type: ignore[no-any-return]


def list_backends(
    exclude_tags: Sequence[str] | None = ("debug", "experimental"),
) -> list[str]:
    """The names that `torch.compile` takes, without those of some kinds."""
    left_out = set(exclude_tags or ())
    return sorted(name for name in _backends if not left_out & set(_tags[name]))
