"""Kernels: operators specialised to static arguments and input avals.

Invariant: a Kernel's function is pure and total on its input avals, and is traced once: the one
jaxpr gives the output avals (so errors of shape and dtype are raised when the kernel is made, at
the user's line), the plan that is interpreted, the gradient and what programs inline. Scalars
(`float`, `int`, `bool`, `complex` instead of an Aval) arrive as 0-d arrays of float64, int64, bool
and complex128: numbers are operands, so a changed number makes no new kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.interpreters.partial_eval import dce_jaxpr
from jax.sharding import AbstractMesh, use_abstract_mesh

from .._basics import dtypes, room
from .._basics.forking import tracing
from .._basics.memo import memoised
from .._basics.stats import stats
from .._basics.tracebacks import tidied
from .._basics.wide import wide, widened
from . import store
from .values import Aval, aval_of, aval_of_array

if TYPE_CHECKING:
    from .._interpret.plan import Plan

# A kernel's jaxpr serves everywhere: one that is traced within `shard_map`, because only its recipe
# was known until then (store.py), must not be bound to the mesh around it.
_NO_MESH = AbstractMesh((), ())

InAval = Any  # Aval, or one of the types float, int, bool, complex
SCALAR_STRUCTS = {
    float: jax.ShapeDtypeStruct((), np.float64),
    int: jax.ShapeDtypeStruct((), np.int64),
    bool: jax.ShapeDtypeStruct((), np.bool_),
    complex: jax.ShapeDtypeStruct((), np.complex128),
}


def _struct(aval: InAval) -> jax.ShapeDtypeStruct:
    return aval.struct if type(aval) is Aval else SCALAR_STRUCTS[aval]


class Kernel:
    """A pure function on arrays with known input and output avals.

    `fn` takes one array an operand and returns a tuple. `name` is the operator's; `grad_name` names
    the grad node of results. `differentiable[k]` tells whether output k can carry a gradient.
    `identity` names all that `fn` depends on (store.py), where that can be named: what tracing
    found out in another process serves then. `twin` is a kernel of the same function.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_jitted",
        "_kept",
        "_plan",
        "_vjps",
        "differentiable",
        "fn",
        "grad_name",
        "identity",
        "in_avals",
        "keepings",
        "keeps",
        "n_in",
        "n_out",
        "name",
        "origin",
        "out_avals",
        "out_bytes",
        "saves_output",
        "twin",
        "used",
        "wrapped",
    )

    # Whether the first two operands are a random seed and counter (replicas vary the seed).
    draws = False

    def __init__(
        self,
        name: str,
        fn: Callable[..., tuple[Any, ...]],
        in_avals: Sequence[InAval],
        out_avals: Sequence[Aval] | None = None,
        *,
        grad_name: str = "",
        saves_output: bool = False,
        differentiable: bool | Sequence[bool] = True,
        wrapped: frozenset[int] = frozenset(),
        identity: str | None = None,
    ) -> None:
        self.name = name
        self.fn = fn
        self._closed: Any = None
        self._kept: Any = None
        self.twin: Kernel | None = None
        self.identity = identity
        self.in_avals = tuple(in_avals)
        self.n_in = len(self.in_avals)
        if out_avals is None:
            self._kept = store.find(identity)
            if self._kept is not None:
                out_avals = [aval_of(s, dtypes.by_name(d)) for s, d in self._kept.out_avals]
            else:
                out_avals = [aval_of_array(s) for s in self._trace().out_avals]
        self.out_avals = tuple(out_avals)
        self.n_out = len(self.out_avals)
        self.out_bytes = sum(a.nbytes for a in self.out_avals)
        self.grad_name = grad_name or name
        self.saves_output = saves_output
        self.wrapped = wrapped  # inputs where a number stands in for a tensor operand
        wanted = (
            [differentiable] * self.n_out if isinstance(differentiable, bool) else differentiable
        )
        self.differentiable = tuple(
            w and (a.dtype.is_floating_point or a.dtype.is_complex)
            for w, a in zip(wanted, self.out_avals, strict=True)
        )
        # The operator and the key that it is a specialisation for, where it is one; and what is
        # known of the tensors that its node keeps (worked out when first asked for).
        self.origin: Any = None
        self.keeps: Any = None
        self._jitted: Any = None
        self._plan: Plan | None = None
        self._vjps: dict[Any, VjpKernel] = {}
        # What grad nodes of this kernel have in common (_autograd/nodes.py).
        self.keepings: dict[Any, Any] = {}
        self.used = room.clock.now
        room.enlist(self)

    def __repr__(self) -> str:
        return f"Kernel({self.name}: {self.in_avals} -> {self.out_avals})"

    def _trace(self) -> Any:
        stats.kernels_traced += 1
        try:
            with tracing, wide(), use_abstract_mesh(_NO_MESH):
                self._closed = jax.make_jaxpr(self.fn)(*map(_struct, self.in_avals))
        except Exception as error:
            raise tidied(error)  # noqa: B904
        return self._closed

    @property
    def closed(self) -> Any:
        """The kernel's jaxpr, traced when it is first asked for."""
        found = self._closed
        if found is not None:
            return found
        return self._trace() if self.twin is None else self.twin.closed

    @property
    def plan(self) -> Plan:
        """How the kernel runs in numpy."""
        self.used = room.clock.now
        found = self._plan
        if found is None:
            found = self._plan = self._planned() if self.twin is None else self.twin.plan
        return found

    def _planned(self) -> Plan:
        from .._interpret.rules import Plan  # the rules, loaded when something first runs

        if self._kept is None and self._closed is None:
            self._kept = store.find(self.identity)
        kept, self._kept = self._kept, None
        if kept is not None:
            return Plan(kept.recipe)
        with tracing:
            made = Plan(self.closed)
        store.keep(self.identity, self.out_avals, self._saved(), made.recipe)
        made.recipe = None
        return made

    def _saved(self) -> tuple[int, ...] | None:
        return None

    def lighten(self) -> None:
        """Forget what can be found out again."""
        self._closed = self._plan = self._jitted = self._kept = None
        self._vjps = {}
        self.keepings = {}

    def call(self, *arrays: Any) -> list[Any]:
        """Apply the kernel to arrays or tracers: its equations join what is being traced."""
        closed = self.closed
        return eval_jaxpr(closed.jaxpr, closed.consts, *arrays)

    @property
    def is_jitted(self) -> bool:
        """Whether `jitted` exists already."""
        return self._jitted is not None

    @property
    def jitted(self) -> Callable[..., tuple[Any, ...]]:
        """The kernel as a program of its own (node-by-node execution)."""
        self.used = room.clock.now
        found = self._jitted
        if found is None:
            stats.kernels_compiled += 1
            found = self._jitted = jax.jit(self.call)
        return found  # type: ignore[no-any-return]

    def vjp(self, wanted: tuple[int, ...], given: tuple[int, ...]) -> VjpKernel:
        """The gradient kernel for the inputs `wanted` from cotangents of the outputs `given`."""
        found = self._vjps.get((wanted, given))
        if found is None:
            with tracing:  # one object for all threads: programs are told apart by it
                found = self._vjps.get((wanted, given))
                if found is None:
                    found = self._vjps[wanted, given] = make_vjp(self, wanted, given)
        return found

    def jvp(self, wanted: tuple[int, ...]) -> VjpKernel:
        """The kernel of the results' tangents from those of the inputs `wanted`."""
        found = self._vjps.get((wanted, None))
        if found is None:
            found = self._vjps[wanted, None] = make_jvp(self, wanted)
        return found

    def needed_for(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Which inputs the gradient for `wanted` needs."""
        given = tuple(k for k, d in enumerate(self.differentiable) if d)
        return self.vjp(wanted, given).saved


class DrawKernel(Kernel):
    """A kernel that draws random numbers by itself; its first operand is the seed."""

    __slots__ = ()

    draws = True


@memoised(1024)
def renamed(kernel: Kernel, name: str) -> Kernel:
    """The same kernel under the grad node name of another operator, or form, that uses it."""
    made = Kernel(
        kernel.name, kernel.fn, kernel.in_avals, kernel.out_avals, grad_name=name,
        saves_output=kernel.saves_output, differentiable=kernel.differentiable,
        wrapped=kernel.wrapped, identity=kernel.identity,
    )  # fmt: skip
    made.origin = kernel.origin
    made.twin = kernel
    return made


class VjpKernel(Kernel):
    """The vjp of a Kernel, as a kernel of its own: (saved inputs, cotangents) -> gradients.

    Or its jvp: (saved inputs, tangents) -> tangents of the differentiable results.

    `saved` lists the primal's inputs that it takes; the other inputs turned out not to matter.
    """

    __slots__ = ("primal", "saved")

    saved: tuple[int, ...]
    # The kernel, the inputs wanted and the cotangents given, where `jax.vjp` derives this one.
    primal: tuple[Kernel, tuple[int, ...], tuple[int, ...]]

    def _trace(self) -> Any:
        if not hasattr(self, "primal"):
            return super()._trace()
        self._closed, _ = _traced_vjp(*self.primal)
        return self._closed

    def _saved(self) -> tuple[int, ...] | None:
        return self.saved


def make_vjp(kernel: Kernel, wanted: tuple[int, ...], given: tuple[int, ...]) -> VjpKernel:
    """Derive the gradient kernel with `jax.vjp`, and find out which inputs it uses."""
    name = None
    if kernel.identity is not None:
        name = store.identity("vjp", kernel.identity, wanted, given)
    kept, closed = store.find(name), None
    if kept is not None and kept.saved is not None:
        saved = kept.saved
    else:
        closed, saved = _traced_vjp(kernel, wanted, given)

    made = VjpKernel(
        kernel.name + ".vjp", lambda *arrays: tuple(made.call(*arrays)),
        [kernel.in_avals[i] for i in saved] + [kernel.out_avals[k] for k in given],
        [kernel.in_avals[i] for i in wanted],
        grad_name=_double_name(kernel.grad_name), identity=name,
    )  # fmt: skip
    made.primal, made.saved = (kernel, wanted, given), saved
    made._closed, made._kept = closed, kept
    return made


@widened
def _traced_vjp(
    kernel: Kernel, wanted: tuple[int, ...], given: tuple[int, ...]
) -> tuple[Any, tuple[int, ...]]:
    """The jaxpr of a gradient on the inputs it needs and all cotangents, and which inputs."""
    structs = [_struct(a) for a in kernel.in_avals]
    cts = [kernel.out_avals[k].struct for k in given]
    closed = _traced(_full_vjp(kernel, wanted, given), [*structs, *cts])
    return _pruned(kernel, closed, len(given))


@widened
def make_jvp(kernel: Kernel, wanted: tuple[int, ...]) -> VjpKernel:
    """Derive the kernel of tangents with `jax.jvp`, and find out which inputs it uses.

    Where JAX knows the gradient only (`jax.custom_vjp`), its transpose gives the tangents.
    """
    structs = [_struct(a) for a in kernel.in_avals]
    tangents = [structs[i] for i in wanted]
    closed = _traced(_full_jvp(kernel, wanted), [*structs, *tangents])
    if _lacks_jvp(closed.jaxpr):
        closed = _traced(_transposed_vjp(kernel, wanted), [*structs, *tangents])
    found, saved = _pruned(kernel, closed, len(wanted))
    made = VjpKernel(
        kernel.name + ".jvp", lambda *arrays: tuple(made.call(*arrays)),
        [kernel.in_avals[i] for i in (*saved, *wanted)],
        [a for a, d in zip(kernel.out_avals, kernel.differentiable, strict=True) if d],
        grad_name=_double_name(kernel.grad_name),
    )  # fmt: skip
    made.saved, made._closed = saved, found
    return made


def _lacks_jvp(jaxpr: Any) -> bool:
    """Whether a jaxpr holds JAX's stand-in for tangents that only a gradient is known for."""
    from jax.extend.core import subjaxprs  # loads all of jax.extend

    return any(e.primitive.name == "custom_lin" for e in jaxpr.eqns) or any(
        map(_lacks_jvp, subjaxprs(jaxpr))
    )


def _traced(full: Callable[..., Any], structs: Sequence[Any]) -> Any:
    stats.kernels_traced += 1
    try:
        with tracing, use_abstract_mesh(_NO_MESH):
            return jax.make_jaxpr(full)(*structs)
    except Exception as error:
        raise tidied(error)  # noqa: B904


def _pruned(kernel: Kernel, closed: Any, count: int) -> tuple[Any, tuple[int, ...]]:
    """A jaxpr of the inputs and `count` more operands without the inputs that do not matter."""
    asked = [False] * kernel.n_in + [True] * count
    jaxpr, used = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), asked)
    return type(closed)(jaxpr, closed.consts), tuple(i for i in range(kernel.n_in) if used[i])


def _double_name(name: str) -> str:
    """torch's habit: the backward of MulBackward0 is MulBackward0's own ops; we name it plainly."""
    return name if name.endswith("Backward") else name + "Backward"


def _full_vjp(
    kernel: Kernel, wanted: tuple[int, ...], given: tuple[int, ...]
) -> Callable[..., tuple[Any, ...]]:
    n_in = kernel.n_in

    def full(*arrays: Any) -> tuple[Any, ...]:
        inputs, cts = list(arrays[:n_in]), arrays[n_in:]

        def primal(*varied: Any) -> tuple[Any, ...]:
            args = list(inputs)
            for i, x in zip(wanted, varied, strict=True):
                args[i] = x
            outs = kernel.call(*args)
            return tuple(outs[k] for k in given)

        _, pull = jax.vjp(primal, *[inputs[i] for i in wanted])
        # torch's complex gradients are the conjugates of JAX's.
        grads = pull(tuple(_conj(ct) for ct in cts))
        return tuple(_conj(g) for g in grads)

    return full


def _full_jvp(kernel: Kernel, wanted: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]:
    def full(*arrays: Any) -> tuple[Any, ...]:
        inputs, tangents = arrays[: kernel.n_in], arrays[kernel.n_in :]

        def primal(*varied: Any) -> tuple[Any, ...]:
            args = list(inputs)
            for i, x in zip(wanted, varied, strict=True):
                args[i] = x
            outs = kernel.call(*args)
            return tuple(x for x, d in zip(outs, kernel.differentiable, strict=True) if d)

        return jax.jvp(primal, tuple(inputs[i] for i in wanted), tangents)[1]  # type: ignore[no-any-return]

    return full


def _transposed_vjp(kernel: Kernel, wanted: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]:
    given = tuple(k for k, d in enumerate(kernel.differentiable) if d)
    vjp = kernel.vjp(wanted, given)

    def full(*arrays: Any) -> tuple[Any, ...]:
        inputs, tangents = arrays[: kernel.n_in], arrays[kernel.n_in :]

        def pull(*cts: Any) -> tuple[Any, ...]:
            grads = vjp.call(*[inputs[i] for i in vjp.saved], *map(_conj, cts))
            return tuple(map(_conj, grads))

        structs = [kernel.out_avals[k].struct for k in given]
        return jax.linear_transpose(pull, *structs)(tuple(tangents))  # type: ignore[no-any-return]

    return full


def _conj(x: Any) -> Any:
    return jnp.conj(x) if jnp.issubdtype(x.dtype, jnp.complexfloating) else x


def scalar_array(number: Any) -> np.ndarray[Any, Any]:
    """A Python number as the 0-d array that kernels take for it."""
    return np.asarray(number, SCALAR_STRUCTS[type(number)].dtype)


__all__ = [
    "Aval", "DrawKernel", "Kernel", "VjpKernel", "aval_of", "make_jvp", "make_vjp", "scalar_array",
]  # fmt: skip
