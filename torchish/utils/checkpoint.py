"""`torch.utils.checkpoint`: recompute a part of the forward pass in backward instead of keeping it.

Invariant: the recomputation sees the same inputs, random numbers and autocast as the first run. A
barrier before it keeps XLA from merging both runs where they are in one program.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._autograd.apply import apply_kernel
from .._autograd.grad_mode import grad_mode
from .._autograd.tensor_base import TensorBase, detached, from_value
from .._basics.memo import Memo
from .._basics.state import state
from .._core.kernels import Kernel
from ._recompute import CHECKS, CheckpointError, Frame, GraphExecGroup
from ._selective import (
    CheckpointPolicy,
    SelectiveCheckpointContext,
    _CachedTorchDispatchMode as _CachedTorchDispatchMode,
    _CachingTorchDispatchMode as _CachingTorchDispatchMode,
    create_selective_checkpoint_contexts,
)

__all__ = [
    "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "DefaultDeviceType",
    "GraphExecGroup", "SelectiveCheckpointContext", "check_backward_validity", "checkpoint",
    "checkpoint_sequential", "create_selective_checkpoint_contexts", "detach_variable",
    "get_device_states",
    "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
    "set_device_states",
]  # fmt: skip


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing: for the first run and for the recomputation."""
    return contextlib.nullcontext(), contextlib.nullcontext()


# What the two context managers below have set; None leaves it to each call.
_early_stop: bool | None = None
_debug: bool | None = None


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Inside, whether a recomputation ends as soon as everything that was saved is there again."""
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Inside, whether a CheckpointError lists what both runs saved; None leaves it to `debug=`."""
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


def check_backward_validity(inputs: Any) -> None:
    """Warn when no input of a reentrant checkpoint requires grad."""
    if not any(x.requires_grad for x in inputs if isinstance(x, TensorBase)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs without their history, requiring grad as before."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            + type(inputs).__name__
        )
    found = []
    for x in inputs:
        if isinstance(x, TensorBase):
            needs, x = x._needs_grad(), detached(x)
            x._requires_grad = needs
        found.append(x)
    return tuple(found)


class DefaultDeviceType:
    """The device type whose random state a checkpoint keeps besides the CPU's."""

    _type = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Choose it."""
        DefaultDeviceType._type = device

    @staticmethod
    def get_device_type() -> str:
        """Read it."""
        return DefaultDeviceType._type


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """The GPUs among the arguments' devices, and the states of their generators."""
    from .. import cuda

    found = sorted({x.get_device() for x in args if isinstance(x, TensorBase) and not x.is_cpu})
    return found, [cuda.get_rng_state(k) for k in found]


def set_device_states(devices: Any, states: Any, *, device_type: str | None = None) -> None:
    """Restore the states of GPUs' generators."""
    from .. import cuda

    for k, found in zip(devices, states, strict=True):
        cuda.set_rng_state(found, k)


class _Surroundings:
    """Random state and autocast at the first run, to be there again at the next."""

    def __init__(self, preserve: bool, args: Sequence[Any]) -> None:
        from ..random import get_rng_state

        self.autocast = state.autocast
        self.cpu = get_rng_state() if preserve else None
        self.devices = get_device_states(*args) if preserve else ([], [])

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """A block that sees them; what follows it sees its own."""
        from ..random import fork_rng, set_rng_state

        before = state.autocast
        with fork_rng(self.devices[0], enabled=self.cpu is not None):
            if self.cpu is not None:
                set_rng_state(self.cpu)
                set_device_states(*self.devices)
            state.autocast = self.autocast
            try:
                yield
            finally:
                state.autocast = before


_BARRIERS: Memo[Kernel] = Memo(1024)


def _fresh(value: Any) -> Any:
    """A tensor of the value that XLA does not know to be the same."""
    import jax

    avals = (value.aval,)

    def make() -> Kernel:
        return Kernel("checkpoint", lambda x: (jax.lax.optimization_barrier(x),), avals, avals)

    return apply_kernel(_BARRIERS.find(value.aval, make), (from_value(value),))[0]


def _behind_barrier(x: Any) -> Any:
    """An input of the recomputation: the same place in the graph, another value to XLA."""
    made = _fresh(x._value())
    edge = x._edge()
    if edge is not None and x.is_leaf:
        made._requires_grad = True
    elif edge is not None:
        made._grad_fn, made._out_nr = edge
    return made


def _recompute_later(
    function: Callable[..., Any], preserve: bool, contexts: Any, check: str, debug: bool,
    early_stop: bool, args: Any, kwargs: Any,
) -> Any:  # fmt: skip
    """Run `function`; backward computes again what it saved."""
    debug = debug if _debug is None else _debug
    if debug and contexts is not noop_context_fn:
        raise ValueError("debug=True is incompatible with non-default context_fn")
    if check not in CHECKS:
        raise ValueError(f"determinism_check should be one of {list(CHECKS)}, but got {check}")
    first, second = contexts()
    if not state.grad_enabled:
        return function(*args, **kwargs)
    around = _Surroundings(preserve, args)

    def again(*given: Any) -> None:
        fresh = [_behind_barrier(x) if isinstance(x, TensorBase) else x for x in given]
        with around.restored(), second:
            function(*fresh, **kwargs)

    stops = early_stop if _early_stop is None else _early_stop
    frame = Frame(again, args, CHECKS[check], stops, debug)
    with frame.first_run(), first:
        return function(*args, **kwargs)
    raise RuntimeError(
        "torch.utils.checkpoint: the forward context provided by context_fn suppressed an "
        "exception raised during the checkpointed forward. This is not supported because "
        "checkpoint cannot return a value for a failed forward."
    )


def _reentrant() -> Any:
    """The autograd.Function behind `use_reentrant=True` (made late: autograd is a layer above)."""
    from .. import autograd

    class CheckpointFunction(autograd.Function):
        """Forward without history; backward runs the part again and calls `backward` on it."""

        @staticmethod
        def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
            """Run the part without history."""
            check_backward_validity(args)
            ctx.run_function = run_function
            ctx.around = _Surroundings(preserve_rng_state, args)
            ctx.given = list(args)
            ctx.places = [k for k, x in enumerate(args) if isinstance(x, TensorBase)]
            for k in ctx.places:
                ctx.given[k] = None
            ctx.save_for_backward(*[args[k] for k in ctx.places])
            return run_function(*args)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            """Run the part with history and go back through it.

            Raises: RuntimeError inside `autograd.grad`, or when no output requires grad.
            """
            if state.backward_pass is not None and state.backward_pass.captures is not None:
                raise RuntimeError(
                    "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() "
                    "or passing an `inputs` parameter to .backward(). To resolve this error, you "
                    "can either set use_reentrant=False, or call .backward() without passing the "
                    "`inputs` argument."
                )
            args = list(ctx.given)
            for k, x in zip(ctx.places, ctx.saved_tensors, strict=True):
                args[k] = _fresh(x._value())
                args[k]._requires_grad = x._needs_grad()
            with ctx.around.restored(), grad_mode(True):
                outs = ctx.run_function(*args)
            outs = (outs,) if isinstance(outs, TensorBase) else tuple(outs)
            pairs = [
                (o, g)
                for o, g in zip(outs, grads, strict=True)
                if isinstance(o, TensorBase) and o._needs_grad()
            ]
            if not pairs:
                raise RuntimeError(
                    "none of output has requires_grad=True, this checkpoint() is not necessary"
                )
            autograd.backward([o for o, _ in pairs], [g for _, g in pairs])
            return None, None, *[x.grad if isinstance(x, TensorBase) else None for x in args]

    return CheckpointFunction


CheckpointFunction: Any = _reentrant()


def _which(name: str, use_reentrant: bool | None) -> bool:
    if use_reentrant is not None:
        return use_reentrant
    warnings.warn(
        f"torch.utils.{name}: the use_reentrant parameter should be passed explicitly. Starting in "
        f"PyTorch 2.9, calling {name.split('.')[-1]} without use_reentrant will raise an "
        "exception. use_reentrant=False is recommended, but if you need to preserve the current "
        "default behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
        "differences between the two variants.",
        stacklevel=3,
    )
    return True


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`; backward computes it again instead of keeping its results.

    Args:
        use_reentrant: False (recommended) works with `autograd.grad`, keyword arguments and nested
            inputs; True calls `backward` inside backward, as old PyTorch did.
        determinism_check: "default" compares shapes, dtypes and devices of what both runs save;
            "none" does not.
        debug: a CheckpointError lists what both runs saved.
        early_stop: the recomputation ends as soon as everything that was saved is there again.
        context_fn: gives two contexts, for the first run and for the recomputation.
        preserve_rng_state: False lets the recomputation draw other random numbers.
    Raises: CheckpointError in backward when the recomputation saves other tensors.
    Source: https://docs.pytorch.org/docs/stable/checkpoint.html
    """
    reentrant = _which("checkpoint", use_reentrant)
    preserve = kwargs.pop("preserve_rng_state", True)
    if not reentrant:
        return _recompute_later(
            function, preserve, context_fn, determinism_check, debug, early_stop, args, kwargs
        )
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug:
        raise ValueError(
            "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
        )
    return CheckpointFunction.apply(function, preserve, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run modules in order, in `segments` parts of which all but the last are checkpointed."""
    reentrant = _which("checkpoint.checkpoint_sequential", use_reentrant)
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    parts = list(functions.children() if hasattr(functions, "children") else functions)

    def run(some: Sequence[Any]) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for part in some:
                x = part(x)
            return x

        return forward

    size = len(parts) // segments
    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(
            run(parts[start : start + size]), input, use_reentrant=reentrant,
            preserve_rng_state=preserve,
        )  # fmt: skip
    return run(parts[last:])(input)
