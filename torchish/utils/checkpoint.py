"""`torch.utils.checkpoint`: recompute a part of the forward pass in backward instead of keeping it.

Invariant: between forward and backward only the inputs of the part (and what it took from outside)
are kept; the recomputation sees the same inputs, random numbers and autocast as the first run. A
barrier before it keeps XLA from merging both runs where they are in one program.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._core.apply import apply_kernel
from .._core.autograd import grad_mode
from .._core.errors import not_supported
from .._core.kernels import Kernel
from .._core.nodes import FREED, Edge, Node, Var, next_sequence, node_class
from .._core.state import state
from .._core.subgraph import borders, enter, gradients
from .._core.tensor_base import TensorBase, detached, from_value
from ..func._tree import flatten, unflatten

__all__ = [
    "CheckpointError", "CheckpointFunction", "DefaultDeviceType", "check_backward_validity",
    "checkpoint", "checkpoint_sequential", "detach_variable", "get_device_states",
    "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
    "set_device_states",
]  # fmt: skip

_ABSENT = ("CheckpointPolicy", "GraphExecGroup", "SAC_IGNORED_OPS", "SelectiveCheckpointContext",
           "create_selective_checkpoint_contexts")  # fmt: skip


class CheckpointError(RuntimeError):
    """The recomputation did not do what the first run did."""


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        from .._process import MissingName

        text = f"module 'torch.utils.checkpoint' has no attribute '{name}'"
        raise MissingName(
            f"{text}. {not_supported('selective checkpoints', 'checkpoint() of smaller parts')}"
        )
    raise AttributeError(f"module 'torch.utils.checkpoint' has no attribute '{name}'")


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing: for the first run and for the recomputation."""
    return contextlib.nullcontext(), contextlib.nullcontext()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Accepted: XLA leaves out what the recomputation does not need in any case."""
    yield


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Accepted: errors of a recomputation name what differs without it."""
    yield


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


_BARRIERS: dict[Any, Kernel] = {}


def _fresh(value: Any) -> Any:
    """A tensor of the value that XLA does not know to be the same."""
    import jax

    kernel = _BARRIERS.get(value.aval)
    if kernel is None:
        kernel = _BARRIERS[value.aval] = Kernel(
            "checkpoint", lambda x: (jax.lax.optimization_barrier(x),), (value.aval,), (value.aval,)
        )
    return apply_kernel(kernel, (from_value(value),))[0]


class _Recomputed(Node):
    """History of a checkpointed part."""

    function: Any = None
    arguments: list[Any]
    shape: Any
    around: Any
    context: Any
    outside: list[Edge]
    avals: list[Any]
    places: list[int]

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Run the part again, this time with history, and go back through it."""
        if self.function is None:
            raise RuntimeError(FREED)
        made: list[Any] = []
        arguments = []
        for x in self.arguments:
            if isinstance(x, _Kept):
                inside = enter(x.tensor, _fresh(x.value)._value()) if x.needs else _fresh(x.value)
                made.append(inside if x.needs else None)
                arguments.append(inside)
            else:
                arguments.append(x)
        args, kwargs = unflatten(self.shape, arguments)
        with self.around.restored(), grad_mode(True), self.context:
            outs = self.function(*args, **kwargs)
        found = [x for x in flatten(outs)[0] if isinstance(x, TensorBase)]
        edges = self._matched(found)
        entries: list[Edge | None] = [None if m is None else (m._grad_fn, 0) for m in made]
        roots = list(zip(edges, grads, strict=True))
        return gradients(roots, [*entries, *self.outside], graph=graph, keep=graph)

    def _matched(self, found: Sequence[Any]) -> list[Edge | None]:
        """Edges of the outputs that carry gradients.

        Raises: CheckpointError when the outputs are not those of the first run.
        """
        if len(found) != len(self.avals):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                f"original forward and recomputation.\nNumber of tensors saved during forward: "
                f"{len(self.avals)}\nNumber of tensors saved during recomputation: {len(found)}."
            )
        for k, (now, then) in enumerate(zip(found, self.avals, strict=True)):
            if now._aval is not then:
                raise CheckpointError(
                    "torch.utils.checkpoint: Recomputed values for the following tensors have "
                    "different metadata than during the forward pass.\n"
                    f"tensor at position {k}:\nsaved metadata: {then}\nrecomputed metadata: "
                    f"{now._aval}"
                )
        return [found[k]._edge() for k in self.places]

    def release(self) -> None:
        """Forget the part: it cannot be run again."""
        self.function = None
        self.arguments = []


class _Kept:
    """An input tensor as it was."""

    def __init__(self, tensor: Any) -> None:
        self.value = tensor._value()
        self.needs = tensor._edge() is not None
        self.tensor = from_value(self.value)
        if self.needs:
            self.tensor._grad_fn, self.tensor._out_nr = tensor._edge()


def _recompute_later(
    function: Callable[..., Any], preserve: bool, contexts: Any, args: Any, kwargs: Any
) -> Any:
    """Run `function` and let backward run it again."""
    first, second = contexts()
    if not state.grad_enabled:
        with first:
            return function(*args, **kwargs)
    leaves, shape = flatten((args, kwargs))
    around = _Surroundings(preserve, [x for x in leaves if isinstance(x, TensorBase)])
    kept = [_Kept(x) if isinstance(x, TensorBase) else x for x in leaves]
    start = next_sequence()
    with first:
        outs = function(*args, **kwargs)
    tensors, structure = flatten(outs)
    places = [k for k, x in enumerate(tensors) if isinstance(x, TensorBase)]
    flowing = [k for k in places if tensors[k]._edge() is not None]
    if not flowing:
        return outs
    given: list[Edge | None] = [
        x.tensor._edge() if x.needs else None for x in kept if isinstance(x, _Kept)
    ]
    # an input may also be used from outside, past its argument: it is then a border as well
    outside = borders([tensors[k]._edge() for k in flowing], start)
    name = type(tensors[flowing[0]]._edge()[0]).__name__
    node = node_class(name, _Recomputed)([*given, *outside], [tensors[k]._aval for k in flowing])
    node.function, node.arguments, node.shape = function, kept, shape
    node.around, node.context, node.outside = around, second, outside
    node.avals = [tensors[k]._aval for k in places]
    node.places = [places.index(k) for k in flowing]
    for number, k in enumerate(flowing):
        tensors[k] = detached(tensors[k])
        tensors[k]._grad_fn, tensors[k]._out_nr = node, number
    return unflatten(structure, tensors)


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
        context_fn: gives two contexts, for the first run and for the recomputation.
        preserve_rng_state: False lets the recomputation draw other random numbers.
    Raises: CheckpointError in backward when the recomputation gives other shapes or dtypes.
    Source: https://docs.pytorch.org/docs/stable/checkpoint.html
    """
    reentrant = _which("checkpoint", use_reentrant)
    preserve = kwargs.pop("preserve_rng_state", True)
    if not reentrant:
        return _recompute_later(function, preserve, context_fn, args, kwargs)
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
