"""A torch function recorded once, as a JAX function of the arrays that stand for its tensors.

Invariants: the function's Python runs once, on placeholders; what it recorded depends on structure
only and is one jitted program, which JAX may trace into whatever it traces. Where plain
differentiation of that program is what autograd would do, JAX differentiates it (any mode, any
order). Where it is not (something was cut by `detach` or `no_grad`, hooks, `autograd.Function`),
the program carries torch's backward as a `jax.custom_vjp`, and so does that backward in turn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._autograd.capture import BlindCapture, Body, DataDependent, Rules
from .._autograd.grad_mode import grad_mode
from .._autograd.nodes import AccumulateGrad, Edge, Node, OpNode, Var, next_sequence
from .._autograd.subgraph import Entry, gradients
from .._autograd.tensor_base import TensorBase, from_value
from .._basics.devices import CPU
from .._basics.dtypes import uint32
from .._basics.errors import not_supported
from .._basics.memo import Memo, memoised
from .._basics.state import state
from .._basics.wide import widened
from .._core.checks import defer_check, run_checks
from .._core.graph import Scalars, scalars
from .._core.kernels import Kernel, VjpKernel
from .._core.trace import record_on
from .._core.values import Aval, Value, aval_of

_PROGRAMS: Memo[Callable[..., Any]] = Memo(512)


class Pure(Rules):
    """What is recorded has no effects: it may write to its own tensors only."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def before_write(self, target: Any, new: Value, step: Any, name: str) -> None:
        """Refuse a write to a tensor that the function was not given."""
        if self.is_captured(target):
            raise RuntimeError(
                f"{self.name}: the function writes in place ({name.rstrip('_')}_) to a tensor that "
                "it was not given. A JAX function has no effects: pass the tensor as an argument "
                "and return the new one, or make it a buffer of a module."
            )


class Recorder(BlindCapture):
    """One run of a torch function, and everything that its derivatives add to it.

    It also notes what JAX's differentiation of the recorded operators would get wrong. What the
    placeholders stand for is their place in history (None: no gradient goes there).

    Args:
        name: what the run is for, in error texts.
        key: key data of JAX (uint32) and their implementation, for what is drawn inside.
    """

    draws_by_key = True

    def __init__(self, name: str, dev: Any = CPU, key: tuple[Any, str] | None = None) -> None:
        super().__init__(dev, name)
        self.rules = Pure(name)
        self.start = next_sequence()
        # Slots that depend on a differentiable input; those of them that autograd has cut off.
        self.moving: set[int] = set()
        self.cut: set[int] = set()
        self.exact = True
        self.entered: list[tuple[int, Edge | None]] = []
        self.draws = 0
        self.advice = "give rngs=jax.random.key(...), and another key at every call"
        self.key: Value | None = None
        if key is not None:
            self.implementation = key[1]
            self.key = self._input(aval_of(tuple(key[0].shape), uint32), None)

    # --- inputs ----------------------------------------------------------------------------------

    def _input(self, aval: Aval, edge: Edge | None) -> Value:
        value = self.placeholder(aval, edge)
        self.entered.append((value.slot, edge))
        return value

    def enter(self, aval: Aval, *, moving: bool = True) -> Any:
        """A tensor that stands for an array; gradients reach it if it is `moving`."""
        moving = moving and aval.dtype.category >= 2
        entry = Entry(None, aval) if moving else None
        made = from_value(self._input(aval, None if entry is None else (entry, 0)))
        if entry is not None:
            made._grad_fn = entry
            self.moving.add(made._value().slot)
        return made

    # --- running ---------------------------------------------------------------------------------

    def record(self, kernel: Kernel, operands: Sequence[Any], depth: int = 2) -> list[Value]:
        """Append one node, and note whether gradients go through it in torch as in JAX."""
        made = super().record(kernel, operands, depth + 1)
        slots = {self.slot(v) for v in operands if type(v) is Value}
        if not slots & self.moving:
            return made
        recording = state.grad_enabled
        if recording and slots & self.cut:
            self.exact = False
        for value, carries in zip(made, kernel.differentiable, strict=True):
            if value.aval.dtype.category >= 2:
                self.moving.add(value.slot)
                if not (recording and carries):
                    self.cut.add(value.slot)
        return made

    def on_cut(self, source: TensorBase) -> None:
        """An alias without history was made of a tensor of this run."""
        if self.slot(source._storage._value) in self.moving:
            self.exact = False

    def run(self, work: Callable[[], Any]) -> Any:
        """Run `work` inside; returns what it returns.

        Raises: RuntimeError when it needs the value of a tensor, writes to one from outside, or
            draws without a key.
        """
        try:
            with self.recording(), self.rules.running(), grad_mode(True):
                return work()
        except DataDependent:
            raise RuntimeError(
                f"{self.name}: the function asks for the value of a tensor (item(), a comparison "
                "in `if`, a shape that depends on values), and while JAX traces there is none. "
                "torch.where chooses without asking; torchish.func.from_jax(jax.lax.cond, ...) and "
                "its kin branch and loop on the device."
            ) from None

    def draw(self, dist: Any, numbers: Sequence[Any], aval: Aval, dev: Any) -> Value:
        """Random numbers from the key of the call, and from how many draws came before."""
        if self.key is None:
            raise RuntimeError(f"{self.name}: {dist.name} draws random numbers; {self.advice}")
        self.draws += 1
        kinds = tuple(type(n) for n in numbers)
        kernel = _draw_kernel(dist, aval, kinds, self.key.aval, self.implementation)
        return record_on(dev, kernel, (self.key, self.draws, *numbers))[0]

    def drawn(self, make: Callable[[], Any], aval: Aval) -> Value:
        """Refuse what the host draws."""
        raise not_supported("this draw inside a JAX function", "drawing outside, or on a device")

    # --- as a function ---------------------------------------------------------------------------

    def function(self, results: Sequence[Var]) -> Callable[..., list[Any]]:
        """The JAX function from the arrays of the inputs (in order) to those of `results`."""
        slots = [self.slot(value) for value, _ in results]
        edges = [edge for _, edge in results]
        inputs = [slot for slot, _ in self.entered]
        if self.exact and self._plain(slots, edges):
            stopped = [e is None and s in self.moving for s, e in zip(slots, edges, strict=True)]
            still = [s not in self.moving for s in inputs]
            program = self._program(slots, inputs)

            def plain(*arrays: Any) -> list[Any]:
                return _stopped(program(*_stopped(arrays, still)), stopped)

            return plain
        return self._differentiated(slots, edges)

    def _plain(self, slots: Sequence[int], edges: Sequence[Edge | None]) -> bool:
        """Whether the history of the results is what JAX makes of the program."""
        if any(s in self.cut and e is not None for s, e in zip(slots, edges, strict=True)):
            return False
        seen: set[Node] = set()
        stack = [e[0] for e in edges if e is not None]
        while stack:
            node = stack.pop()
            if node in seen or node.sequence < self.start or isinstance(node, AccumulateGrad):
                continue
            seen.add(node)
            if node.tensor_hooks or node.pre_hooks or node.post_hooks:
                return False
            if isinstance(node, OpNode):
                if type(node.kernel).vjp not in (Kernel.vjp, VjpKernel.vjp):
                    return False
            elif not isinstance(node, Entry):
                return False
            stack.extend(e[0] for e in node.edges if e is not None)
        return True

    def _program(self, slots: Sequence[int], inputs: Sequence[int]) -> Callable[..., list[Any]]:
        """The recorded operators that `slots` need, as one jitted function of the inputs."""
        body = self.body(slots)
        call = _PROGRAMS.find(body, lambda: jax.jit(_Run(body)))
        return widened(self._fed(body, call, inputs))

    def _fed(
        self, body: Body, call: Callable[..., list[Any]], inputs: Sequence[int]
    ) -> Callable[..., list[Any]]:
        """A body's function of arrays and numbers as one of the inputs alone."""
        at = {slot: k for k, slot in enumerate(inputs)}
        captured = {s: self.captured(s) for s in body.inputs if s not in at}
        given = scalars((self.floats, self.ints, self.complexes))
        numbers = (given.floats, given.ints, given.complexes)

        def program(*arrays: Any) -> list[Any]:
            known = [captured[s].read() if s in captured else arrays[at[s]] for s in body.inputs]
            return call(known, numbers)

        return program

    def used(self, results: Sequence[Var]) -> list[bool]:
        """Of each input, in order, whether the results depend on it."""
        needed = set(self.body([self.slot(value) for value, _ in results]).inputs)
        return [s in needed for s, _ in self.entered]

    def raw(self, results: Sequence[Var]) -> Callable[..., list[Any]]:
        """As `function`, without a jit of its own and with JAX's differentiation."""
        body = self.body([self.slot(value) for value, _ in results])
        return self._fed(body, _Run(body), [s for s, _ in self.entered])

    def _differentiated(
        self, slots: Sequence[int], edges: Sequence[Edge | None]
    ) -> Callable[..., list[Any]]:
        """The program with torch's backward, which is made when JAX first asks for it."""
        entered = list(self.entered)
        program = self._program(slots, [s for s, _ in entered])
        made = jax.custom_vjp(program)

        def forward(*arrays: Any) -> Any:
            return made(*arrays), arrays

        def backward(arrays: Any, cotangents: Any) -> Any:
            given = [
                k for k, (e, ct) in enumerate(zip(edges, cotangents, strict=True))
                if e is not None and ct.dtype != jax.dtypes.float0
            ]  # fmt: skip
            function, places = self._backward([edges[k] for k in given], cotangents, given, entered)
            # This pass's cotangents come after whatever entered since: the placeholders in order.
            outs = iter(function(*arrays, *[_torch_side(cotangents[k]) for k in given]))
            grads = [
                _jax_side(next(outs)) if reached else _no_gradient(x)
                for x, reached in zip(arrays, places, strict=True)
            ]
            return tuple(grads)

        made.defvjp(forward, backward)
        return made

    def _backward(
        self, edges: Sequence[Any], cotangents: Sequence[Any], given: Sequence[int],
        entered: Sequence[tuple[int, Edge | None]],
    ) -> tuple[Callable[..., Any], list[bool]]:  # fmt: skip
        """The gradient function (inputs, cotangents) -> gradients, and which inputs have one."""
        self.entered = list(entered)
        self.exact = False

        def work() -> Any:
            roots = []
            for edge, k in zip(edges, given, strict=True):
                aval = edge[0].out_avals[edge[1]]
                ct = self.enter(aval)
                assert tuple(aval.shape) == tuple(cotangents[k].shape)
                roots.append((edge, (ct._value(), ct._edge())))
            return gradients(roots, [e for _, e in entered], graph=True)

        found = self.run(work)
        return self.function([v for v in found if v is not None]), [v is not None for v in found]

    def check(self, arrays: Sequence[Any]) -> None:
        """Raise what the run left to be looked at (an index out of range), where JAX has numbers.

        Inside a transformation of JAX there are none, and an index is clamped as JAX does.
        """
        checks, self.checks = self.checks, []
        if not checks or any(isinstance(x, jax.core.Tracer) for x in arrays):
            return
        slots = [self.slot(flag) for flag, _ in checks]
        flags = self._program(slots, [s for s, _ in self.entered])(*arrays)
        for flag, (_, error) in zip(flags, checks, strict=True):
            value = Value(flag, aval_of((), checks[0][0].aval.dtype), CPU)
            defer_check(value, functools.partial(self._late, error))
        run_checks()

    def _late(self, error: Callable[[], Exception]) -> Exception:
        """A check's error, also when its text would quote a value of the run."""
        try:
            return error()
        except (DataDependent, RuntimeError):
            return IndexError(f"index out of range in {self.name}")


class _Run:
    """A body as a function that JAX may trace into whatever it traces."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def __call__(self, arrays: Sequence[Any], numbers: tuple[Any, Any, Any]) -> list[Any]:
        """The arrays of the slots; the kernels' equations join what is being traced."""
        # Inside shard_map arrays vary over axes, and constants must be told to: jnp does it, a
        # jaxpr that was traced elsewhere does not.
        varies = any(_varies(x) for x in arrays)

        def run(position: int, kernel: Kernel, given: list[Any]) -> Sequence[Any]:
            return kernel.fn(*given) if varies else kernel.call(*given)

        return self.body(arrays, Scalars(*numbers).fetch, run)


def _varies(x: Any) -> bool:
    kind = jax.typeof(x)  # JAX moved the field between its versions
    return bool(getattr(getattr(kind, "mat", kind), "varying", getattr(kind, "vma", None)))


@memoised(512)
def _draw_kernel(dist: Any, aval: Aval, kinds: Any, key: Aval, implementation: str) -> Kernel:
    shape, np_dtype = tuple(aval.shape), aval.dtype.np

    def fn(data: Any, number: Any, *values: Any) -> tuple[Any]:
        drawn = jax.random.wrap_key_data(data, impl=implementation)
        drawn = jax.random.fold_in(drawn, number.astype(jnp.uint32))
        return (dist.device(drawn, shape, np_dtype, *values).astype(np_dtype),)

    return Kernel(dist.name, fn, (key, int, *kinds), (aval,), differentiable=False)


def key_data(key: Any) -> tuple[Any, str]:
    """The uint32 array behind a key of JAX (typed or old), and the name of its implementation.

    Raises: TypeError for anything else.
    """
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(key), str(jax.random.key_impl(key))
    if getattr(key, "dtype", None) == np.uint32 and getattr(key, "ndim", 0) == 1:
        return key, "threefry2x32" if key.shape[0] == 2 else "rbg"
    raise TypeError(f"rngs must be one key of jax.random.key, not {type(key).__name__}")


def _stopped(arrays: Sequence[Any], stops: Sequence[bool]) -> list[Any]:
    """The arrays, without gradient where one `stops`."""
    return [jax.lax.stop_gradient(x) if stop else x for x, stop in zip(arrays, stops, strict=True)]


def _torch_side(cotangent: Any) -> Any:
    """JAX's cotangent of a complex array is the conjugate of torch's."""
    return jnp.conj(cotangent) if jnp.iscomplexobj(cotangent) else cotangent


_jax_side = _torch_side


def _no_gradient(x: Any) -> Any:
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.zeros(x.shape, x.dtype)
    return np.zeros(x.shape, jax.dtypes.float0)


__all__ = ["Recorder", "key_data"]
