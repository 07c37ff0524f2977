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

from .._basics.forking import tracing
from .._basics.stats import stats
from .._basics.tracebacks import tidied
from .._basics.wide import wide, widened
from .values import Aval, aval_of, aval_of_array

if TYPE_CHECKING:
    from .._interpret.plan import Plan

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
    """

    __slots__ = (
        "_closed",
        "_jitted",
        "_plan",
        "_vjps",
        "differentiable",
        "fn",
        "grad_name",
        "in_avals",
        "keeps",
        "n_in",
        "n_out",
        "name",
        "origin",
        "out_avals",
        "out_bytes",
        "saves_output",
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
        differentiable: bool = True,
        wrapped: frozenset[int] = frozenset(),
    ) -> None:
        self.name = name
        self.fn = fn
        self._closed: Any = None
        self.in_avals = tuple(in_avals)
        self.n_in = len(self.in_avals)
        if out_avals is None:
            out_avals = [aval_of_array(s) for s in self._trace().out_avals]
        self.out_avals = tuple(out_avals)
        self.n_out = len(self.out_avals)
        self.out_bytes = sum(a.nbytes for a in self.out_avals)
        self.grad_name = grad_name or name
        self.saves_output = saves_output
        self.wrapped = wrapped  # inputs where a number stands in for a tensor operand
        self.differentiable = tuple(
            differentiable and (a.dtype.is_floating_point or a.dtype.is_complex)
            for a in self.out_avals
        )
        # The operator and the key that it is a specialisation for, where it is one; and what is
        # known of the tensors that its node keeps (worked out when first asked for).
        self.origin: Any = None
        self.keeps: Any = None
        self._jitted: Any = None
        self._plan: Plan | None = None
        self._vjps: dict[Any, VjpKernel] = {}

    def __repr__(self) -> str:
        return f"Kernel({self.name}: {self.in_avals} -> {self.out_avals})"

    def _trace(self) -> Any:
        stats.kernels_traced += 1
        try:
            with tracing, wide():
                self._closed = jax.make_jaxpr(self.fn)(*map(_struct, self.in_avals))
        except Exception as error:
            raise tidied(error)  # noqa: B904
        return self._closed

    @property
    def closed(self) -> Any:
        """The kernel's jaxpr, traced when it is first asked for."""
        return self._closed if self._closed is not None else self._trace()

    @property
    def plan(self) -> Plan:
        """How the kernel runs in numpy."""
        if self._plan is None:
            from .._interpret.plan import Plan  # the rules, loaded when something first runs

            with tracing:
                self._plan = Plan(self.closed)
        return self._plan

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
        if self._jitted is None:
            stats.kernels_compiled += 1
            self._jitted = jax.jit(self.call)
        return self._jitted  # type: ignore[no-any-return]

    def vjp(self, wanted: tuple[int, ...], given: tuple[int, ...]) -> VjpKernel:
        """The gradient kernel for the inputs `wanted` from cotangents of the outputs `given`."""
        found = self._vjps.get((wanted, given))
        if found is None:
            found = self._vjps[wanted, given] = make_vjp(self, wanted, given)
        return found

    def needed_for(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Which inputs the gradient for `wanted` needs."""
        given = tuple(k for k, d in enumerate(self.differentiable) if d)
        return self.vjp(wanted, given).saved


class DrawKernel(Kernel):
    """A kernel that draws random numbers by itself; its first operand is the seed."""

    __slots__ = ()

    draws = True


class VjpKernel(Kernel):
    """The vjp of a Kernel, as a kernel of its own: (saved inputs, cotangents) -> gradients.

    `saved` lists the primal's inputs that it takes; the other inputs turned out not to matter.
    """

    __slots__ = ("saved",)

    saved: tuple[int, ...]


@widened
def make_vjp(kernel: Kernel, wanted: tuple[int, ...], given: tuple[int, ...]) -> VjpKernel:
    """Derive the gradient kernel with `jax.vjp`, and find out which inputs it uses."""
    structs = [_struct(a) for a in kernel.in_avals]
    cts = [kernel.out_avals[k].struct for k in given]
    stats.kernels_traced += 1
    try:
        with tracing:
            closed = jax.make_jaxpr(_full_vjp(kernel, wanted, given))(*structs, *cts)
    except Exception as error:
        raise tidied(error)  # noqa: B904
    jaxpr, used = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    saved = tuple(i for i in range(kernel.n_in) if used[i])
    # What the function takes: saved inputs, then every cotangent (an unused one is dropped here).
    given_used = [used[kernel.n_in + k] for k in range(len(given))]

    def fn(*arrays: Any) -> tuple[Any, ...]:
        cotangents = arrays[len(saved) :]
        taken = [ct for ct, wants in zip(cotangents, given_used, strict=True) if wants]
        return tuple(eval_jaxpr(jaxpr, closed.consts, *arrays[: len(saved)], *taken))

    in_avals = [kernel.in_avals[i] for i in saved] + [kernel.out_avals[k] for k in given]
    out_avals = [kernel.in_avals[i] for i in wanted]
    made = VjpKernel(
        kernel.name + ".vjp", fn, in_avals, out_avals, grad_name=_double_name(kernel.grad_name)
    )
    made.saved = saved
    return made


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


def _conj(x: Any) -> Any:
    return jnp.conj(x) if jnp.issubdtype(x.dtype, jnp.complexfloating) else x


def scalar_array(number: Any) -> np.ndarray[Any, Any]:
    """A Python number as the 0-d array that kernels take for it."""
    return np.asarray(number, SCALAR_STRUCTS[type(number)].dtype)


__all__ = ["Aval", "DrawKernel", "Kernel", "VjpKernel", "aval_of", "make_vjp", "scalar_array"]
