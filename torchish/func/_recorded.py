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

from .._autograd.grad_mode import grad_mode
from .._autograd.nodes import AccumulateGrad, Edge, Node, OpNode, Var, next_sequence
from .._autograd.subgraph import Entry, gradients
from .._autograd.tensor_base import TensorBase, from_value
from .._basics.devices import CPU
from .._basics.dtypes import uint32
from .._basics.memo import Memo
from .._basics.state import state
from .._basics.wide import widened
from .._core.checks import run_checks
from .._core.graph import LastUses, Nodes, Scalars, evaluate, last_uses, scalars, steps
from .._core.kernels import Kernel, VjpKernel
from .._core.storage import moment, older
from .._core.trace import record_on
from .._core.values import Aval, Value, aval_of
from .._parallel.region import DataDependent, Outside, Region

_PROGRAMS: Memo[Callable[..., Any]] = Memo(512)


class RecordedRegion(Region):
    """The operators of one run, with what JAX's differentiation of them would get wrong."""

    __slots__ = ("closed", "cut", "exact", "moving", "name")

    def __init__(self, dev: Any, name: str) -> None:
        super().__init__(dev)
        self.name = name
        self.closed = False
        # Slots that depend on a differentiable input; those of them that autograd has cut off.
        self.moving: set[int] = set()
        self.cut: set[int] = set()
        self.exact = True

    def flush(self, reason: str = "asked for") -> None:
        """Refuse.

        Raises: DataDependent inside, RuntimeError outside.
        """
        if self.closed:
            raise RuntimeError(
                f"a tensor that was made inside {self.name} is used outside of it; return it from "
                "the function instead"
            )
        super().flush(reason)

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

    def slot(self, value: Value) -> int:
        """Where a value stands in this region; one from outside is taken in."""
        if value.trace is self:
            return value.slot
        found = self.ext_index.get(id(value))
        return self._external(value, len(self.entries)) if found is None else found

    def on_cut(self, source: TensorBase) -> None:  # type: ignore[override]
        """An alias without history was made of a tensor of this region."""
        if self.slot(source._storage._value) in self.moving:
            self.exact = False


class Recorder:
    """One run of a torch function, and everything that its derivatives add to it.

    Args:
        name: what the run is for, in error texts.
        key: key data of JAX (uint32) and their implementation, for what is drawn inside.
    """

    maps = rewrites = False

    def __init__(self, name: str, dev: Any = CPU, key: tuple[Any, str] | None = None) -> None:
        self.name = name
        self.region = RecordedRegion(dev, name)
        self.start = next_sequence()
        self.moment = moment()
        self.arrays: dict[int, Any] = {}  # by slot of the placeholder
        self.entered: list[tuple[int, Edge | None]] = []
        self.checks: list[Any] = []
        self.draws = 0
        self.advice = "give rngs=jax.random.key(...), and another key at every call"
        self.key: Value | None = None
        if key is not None:
            self.implementation = key[1]
            self.key = self._placeholder(aval_of(tuple(key[0].shape), uint32))

    # --- inputs ----------------------------------------------------------------------------------

    def _placeholder(self, aval: Aval) -> Value:
        value = Value(None, aval, self.region.device)
        value.trace = Outside(self.region)  # type: ignore[assignment]
        slot = self.region._external(value, len(self.region.entries))
        self.entered.append((slot, None))
        return value

    def enter(self, aval: Aval, *, moving: bool = True) -> Any:
        """A tensor that stands for an array; gradients reach it if it is `moving`."""
        made = from_value(self._placeholder(aval))
        slot = self.entered[-1][0]
        if moving and aval.dtype.category >= 2:
            made._grad_fn = Entry(None, aval)
            self.entered[-1] = (slot, (made._grad_fn, 0))
            self.region.moving.add(slot)
        return made

    # --- running ---------------------------------------------------------------------------------

    def run(self, work: Callable[[], Any]) -> Any:
        """Run `work` inside; returns what it returns.

        Raises: RuntimeError when it needs the value of a tensor, writes to one from outside, or
            draws without a key.
        """
        before, keys = len(state.checks), state.draw_keys
        state.draw_keys = self._draw
        state.transforms.append(self)
        self.region.closed = False
        try:
            with self.region.recording(), grad_mode(True):
                return work()
        except DataDependent:
            raise RuntimeError(
                f"{self.name}: the function asks for the value of a tensor (item(), a comparison "
                "in `if`, a shape that depends on values), and while JAX traces there is none. "
                "torch.where chooses without asking; torchish.func.from_jax(jax.lax.cond, ...) and "
                "its kin branch and loop on the device."
            ) from None
        finally:
            self.region.closed = True
            self.checks = state.checks[before:]
            del state.checks[before:]
            state.transforms.pop()
            state.draw_keys = keys

    def before_write(self, target: Any, new: Value, step: Any, name: str) -> None:
        """Refuse a write to a tensor that the function was not given."""
        if older(target._storage, self.moment):
            raise RuntimeError(
                f"{self.name}: the function writes in place ({name.rstrip('_')}_) to a tensor that "
                "it was not given. A JAX function has no effects: pass the tensor as an argument "
                "and return the new one, or make it a buffer of a module."
            )

    def _draw(self, dist: Any, numbers: Sequence[Any], aval: Aval, dev: Any) -> Value:
        if self.key is None:
            raise RuntimeError(f"{self.name}: {dist.name} draws random numbers; {self.advice}")
        self.draws += 1
        kinds = tuple(type(n) for n in numbers)
        kernel = _draw_kernel(dist, aval, kinds, self.key.aval, self.implementation)
        return record_on(dev, kernel, (self.key, self.draws, *numbers))[0]

    # --- as a function ---------------------------------------------------------------------------

    def function(self, results: Sequence[Var]) -> Callable[..., list[Any]]:
        """The JAX function from the arrays of the inputs (in order) to those of `results`."""
        region = self.region
        slots = [region.slot(value) for value, _ in results]
        edges = [edge for _, edge in results]
        inputs = [slot for slot, _ in self.entered]
        if region.exact and self._plain(slots, edges):
            stopped = [e is None and s in region.moving for s, e in zip(slots, edges, strict=True)]
            still = [s not in region.moving for s in inputs]
            program = self._program(slots, inputs)

            def plain(*arrays: Any) -> list[Any]:
                return _stopped(program(*_stopped(arrays, still)), stopped)

            return plain
        return self._differentiated(slots, edges)

    def _plain(self, slots: Sequence[int], edges: Sequence[Edge | None]) -> bool:
        """Whether the history of the results is what JAX makes of the program."""
        if any(s in self.region.cut and e is not None for s, e in zip(slots, edges, strict=True)):
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
        region = self.region
        run = _Run(steps(region.entries), tuple(slots))
        given = set(inputs)
        captured = {s: region.externals[-1 - s] for s in run.externals() if s not in given}
        key = (tuple(region.entries), tuple(slots), tuple(inputs), tuple(captured))
        call = _PROGRAMS.find(key, lambda: jax.jit(run))
        numbers = scalars((region.floats, region.ints, region.complexes))
        given_numbers = (numbers.floats, numbers.ints, numbers.complexes)

        @widened
        def program(*arrays: Any) -> list[Any]:
            known = dict(zip(inputs, arrays, strict=True))
            known |= {s: v.read() for s, v in captured.items()}
            return call(known, given_numbers)

        return program

    def used(self, results: Sequence[Var]) -> list[bool]:
        """Of each input, in order, whether the results depend on it."""
        slots = tuple(self.region.slot(value) for value, _ in results)
        needed = set(_Run(steps(self.region.entries), slots).externals())
        return [s in needed for s, _ in self.entered]

    def raw(self, results: Sequence[Var]) -> Callable[..., list[Any]]:
        """As `function`, without a jit of its own and with JAX's differentiation."""
        region = self.region
        run = _Run(steps(region.entries), tuple(region.slot(value) for value, _ in results))
        inputs = [s for s, _ in self.entered]
        captured = {s: region.externals[-1 - s] for s in run.externals() if s not in set(inputs)}
        numbers = scalars((region.floats, region.ints, region.complexes))

        def function(*arrays: Any) -> list[Any]:
            known = dict(zip(inputs, arrays, strict=True))
            known |= {s: v.read() for s, v in captured.items()}
            return run(known, (numbers.floats, numbers.ints, numbers.complexes))

        return function

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
        self.region.exact = False

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
        slots = [self.region.slot(flag) for flag, _ in checks]
        flags = self._program(slots, [s for s, _ in self.entered])(*arrays)
        for flag, (_, error) in zip(flags, checks, strict=True):
            value = Value(flag, aval_of((), checks[0][0].aval.dtype), CPU)
            state.checks.append((value, functools.partial(self._late, error)))
        run_checks()

    def _late(self, error: Callable[[], Exception]) -> Exception:
        """A check's error, also when its text would quote a value of the run."""
        try:
            return error()
        except (DataDependent, RuntimeError):
            return IndexError(f"index out of range in {self.name}")


class _Run:
    """The nodes of a recording that some slots need, applied to arrays."""

    def __init__(self, nodes: Nodes, slots: tuple[int, ...]) -> None:
        self.nodes, self.slots = nodes, slots
        self.uses: LastUses = last_uses(nodes, slots)

    def externals(self) -> list[int]:
        """Slots of the inputs from outside that are needed."""
        found = dict.fromkeys(s for s in self.slots if s < 0)
        for (_, inputs), dead in zip(self.nodes, self.uses, strict=True):
            if dead is not None:
                found.update(dict.fromkeys(s for s in inputs if s < 0))
        return list(found)

    def __call__(self, known: dict[int, Any], numbers: tuple[Any, Any, Any]) -> list[Any]:
        """The arrays of the slots; the kernels' equations join what is being traced."""
        # Inside shard_map arrays vary over axes, and constants must be told to: jnp does it, a
        # jaxpr that was traced elsewhere does not.
        varies = any(_varies(x) for x in known.values())

        def run(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
            return kernel.fn(*arrays) if varies else kernel.call(*arrays)

        outside = [known.get(-1 - k) for k in range(-min(known, default=0))]
        made = evaluate(self.nodes, run, outside, Scalars(*numbers).fetch, self.uses)
        return [made[s] if s >= 0 else known[s] for s in self.slots]


def _varies(x: Any) -> bool:
    kind = jax.typeof(x)  # JAX moved the field between its versions
    return bool(getattr(getattr(kind, "mat", kind), "varying", getattr(kind, "vma", None)))


@functools.lru_cache(maxsize=512)
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
