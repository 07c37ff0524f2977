"""`torch._dynamo`, as programs touch it."""

from . import config as config, exc as exc
from .backends.registry import (
    list_backends as list_backends,
    lookup_backend as lookup_backend,
    register_backend as register_backend,
)
from .decorators import (
    disable as disable,
    graph_break as graph_break,
    is_compiling as is_compiling,
    mark_dynamic as mark_dynamic,
    mark_static as mark_static,
    mark_static_address as mark_static_address,
    mark_unbacked as mark_unbacked,
    maybe_mark_dynamic as maybe_mark_dynamic,
    optimize as optimize,
    optimize_assert as optimize_assert,
    run as run,
    skip as skip,
)
from .eval_frame import OptimizedModule as OptimizedModule
from .explaining import explain as explain
from .stance import error_on_graph_break as error_on_graph_break, set_stance as set_stance


def is_dynamo_supported() -> bool:
    """True: `torch.compile` works."""
    return True


def reset() -> None:
    """Forget every program and graph that was compiled."""
    import jax

    from .stance import forget

    forget()
    jax.clear_caches()


def allow_in_graph(fn: object) -> object:
    """`fn` itself, or the list of them."""
    if not (callable(fn) or isinstance(fn, list | tuple)):
        raise AssertionError("allow_in_graph expects a callable")
    return fn


def assume_constant_result(fn: object) -> object:
    """`fn` itself: its result is found anew at each call."""
    return fn


def disallow_in_graph(fn: object) -> object:
    """`fn` outside of every graph."""
    return disable(fn)


forbid_in_graph = disallow_in_graph


def substitute_in_graph(
    original_fn: object, *, can_constant_fold_through: bool = False,
    skip_signature_check: bool = False,
) -> object:  # fmt: skip
    """A decorator that gives its function back: Python code runs as it is."""
    return lambda fn: fn


def patch_dynamo_config(arg1: object = None, arg2: object = None, **kwargs: object) -> object:
    """`torch._dynamo.config.patch`."""
    return config.patch(arg1, arg2, **kwargs)


def nonstrict_trace(traceable_fn: object) -> object:
    """The function itself: Python code runs as it is."""
    return traceable_fn


def is_dynamo_disable_recursive(method: object) -> bool | None:
    """Whether a function is disabled with all that it calls; None if it is not disabled."""
    return getattr(method, "_torchdynamo_disable_recursive", None)
