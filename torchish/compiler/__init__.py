"""`torch.compiler`: marks for a compiler of Python code, which torchish does without.

Every program is recorded and compiled by XLA, so what marks code for or against compiling gives
its argument back, and the questions are answered as PyTorch answers them outside of a compile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .._compile import compile as compile

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends",
    "nested_compile_region", "reset", "set_stance", "substitute_in_graph", "wrap_numpy",
]  # fmt: skip

_STANCES = ("default", "force_eager", "eager_on_recompile", "fail_on_recompile",
            "eager_then_compile", "aot_eager_then_compile")  # fmt: skip


def is_compiling() -> bool:
    """False: no Python code is being traced by a compiler."""
    return False


def is_dynamo_compiling() -> bool:
    """False, as `is_compiling`."""
    return False


def is_exporting() -> bool:
    """False, as `is_compiling`."""
    return False


def _same(fn: Callable[..., Any]) -> Callable[..., Any]:
    return fn


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """`fn` itself, or a decorator that gives it back."""
    return _same if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """`fn` itself, or the list of them."""
    if not (callable(fn) or isinstance(fn, list | tuple)):
        raise AssertionError("allow_in_graph expects a callable")
    return fn


def assume_constant_result(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def nested_compile_region(fn: Any = None, **kwargs: Any) -> Any:
    """`fn` itself, or a decorator that gives it back."""
    return _same if fn is None else fn


def wrap_numpy(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function on numpy arrays as one on tensors."""
    import functools

    import numpy as np

    from .._core.tensor_base import TensorBase
    from .._ops.registry import ops
    from ..utils._pytree import tree_map_only

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree_map_only(TensorBase, lambda t: t.numpy(), (args, kwargs))
        return tree_map_only(np.ndarray, ops.from_numpy, fn(*args, **kwargs))

    return wrapped


def substitute_in_graph(
    original_fn: Callable[..., Any], *, can_constant_fold_through: bool = False,
    skip_signature_check: bool = False,
) -> Callable[[Any], Any]:  # fmt: skip
    """A decorator that gives its function back: nothing is substituted."""
    return _same


def cudagraph_mark_step_begin() -> None:
    """Do nothing: XLA reuses its programs' memory by itself."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names of backends that `torch.compile` takes."""
    return ["cudagraphs", "inductor", "onnxrt", "openxla", "tvm"]


def reset() -> None:
    """Forget every program that was compiled."""
    import jax

    jax.clear_caches()


@contextmanager
def _stance() -> Iterator[None]:
    yield


def set_stance(
    stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None
) -> Any:
    """Check the name of a stance; a context manager and decorator without effect.

    Raises: RuntimeError for an unknown one.
    """
    if stance not in _STANCES:
        raise RuntimeError(f"invalid torch.compile stance '{stance}'")
    return _stance()
