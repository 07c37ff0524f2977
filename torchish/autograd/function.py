"""`torch.autograd.Function`: operators whose gradient the user writes.

Invariant: the user's forward runs without history; its results get one node whose `apply` calls the
user's backward with tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .._core import nodes
from .._core.autograd import as_tensor, as_var
from .._core.grad_mode import no_grad
from .._core.nodes import FREED, Edge, Node, SavedTensor, Var
from .._core.state import state
from .._core.tensor_base import CUSTOM, TensorBase, alias
from .._ops.registry import ops


class FunctionCtx:
    """What `forward` keeps for `backward`."""

    _saved: Sequence[Any] | None = ()
    _versions: Sequence[Any] = ()
    _dirty: tuple[Any, ...] = ()
    _plain: tuple[Any, ...] = ()
    _materialize = True
    needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors; their versions are checked when they are read."""
        for t in tensors:
            if t is not None and not isinstance(t, TensorBase):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{tensors.index(t)} is of type {type(t).__name__}"
                )
        self._saved = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *args: Any) -> None:
        """Declare inputs that forward changed in place (they must be returned)."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Declare outputs that get no gradient."""
        self._plain = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients arrive as zeros (default) or None."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors.

        Raises: RuntimeError after they were freed or changed in place.
        """
        if self._saved is None:
            raise RuntimeError(FREED)
        for version in self._versions:
            version.check()
        return tuple(self._saved)

    saved_variables = saved_tensors


class FunctionNode(Node, FunctionCtx):
    """The grad node of a custom function; it is the `ctx` that backward receives."""

    _function: Any = None

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Call the user's backward."""
        if self._saved is None:
            raise RuntimeError(FREED)
        given = [
            (self._zeros(k) if self._materialize and self._flows[k] else None)
            if g is None
            else as_tensor(g)
            for k, g in enumerate(grads)
        ]
        got = self._backward()(self, *given)
        got = got if isinstance(got, tuple) else (got,)
        return self._checked(got, graph)

    _flows: Sequence[bool] = ()

    def _backward(self) -> Callable[..., Any]:
        function = self._function
        if function.vjp is not Function.vjp and function.backward is Function.backward:
            return function.vjp  # type: ignore[no-any-return]
        return function.backward  # type: ignore[no-any-return]

    def _zeros(self, k: int) -> Any:
        aval = self.out_avals[k]
        return ops.zeros(tuple(aval.shape), dtype=aval.dtype)

    def _checked(self, got: tuple[Any, ...], graph: bool) -> Sequence[Var | None]:
        name = type(self).__name__
        count = len(self.edges)
        while len(got) > count and got[-1] is None:
            got = got[:-1]
        if len(got) != count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, got "
                f"{len(got)})"
            )
        outs: list[Var | None] = []
        for k, (g, edge) in enumerate(zip(got, self.edges, strict=True)):
            if g is None or edge is None:
                outs.append(None)
                continue
            if not isinstance(g, TensorBase):
                raise RuntimeError(
                    f"function {name} returned an invalid gradient at index {k} - expected type "
                    f"Tensor but got {type(g).__name__}"
                )
            outs.append(as_var(self._fit(name, k, g, edge), graph))
        return outs

    def _fit(self, name: str, k: int, grad: Any, edge: Edge) -> Any:
        """The gradient in the shape and dtype of its input (summed if it broadcast)."""
        aval = edge[0].out_avals[edge[1]]
        if grad._aval.shape != aval.shape:
            try:
                grad = _sum_to(grad, tuple(aval.shape))
            except ValueError:
                raise RuntimeError(
                    f"Function {name} returned an invalid gradient at index {k} - got "
                    f"{list(grad._aval.shape)} but expected shape compatible with "
                    f"{list(aval.shape)}"
                ) from None
        return grad.to(aval.dtype) if grad._aval.dtype is not aval.dtype else grad

    def release(self) -> None:
        """Free the saved tensors."""
        if self._saved:
            self._saved = None


def _sum_to(grad: Any, shape: tuple[int, ...]) -> Any:
    have = tuple(grad._aval.shape)
    lead = len(have) - len(shape)
    if lead < 0 or any(n not in (1, have[lead + d]) for d, n in enumerate(shape)):
        raise ValueError(shape)
    dims = [*range(lead), *[lead + d for d, n in enumerate(shape) if n == 1 != have[lead + d]]]
    return grad.sum(dims, keepdim=True).reshape(shape) if dims else grad.reshape(shape)


class _FunctionMeta(type):
    """Gives each Function the class of its grad nodes (`MyFunctionBackward`)."""

    def __init__(cls, name: str, bases: Any, body: Any) -> None:
        super().__init__(name, bases, body)
        parts = {"_function": cls, "__module__": "torch.autograd.function"}
        cls._node_class = type(name + "Backward", (FunctionNode,), parts)


class Function(metaclass=_FunctionMeta):
    """Base of custom differentiable functions: static `forward` and `backward`, used by `apply`."""

    _node_class: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            f"static, "
            "so you should invoke them on the class itself. Instantiating an autograd "
            "function will "
            "raise an error in a future version of PyTorch."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the result; the first argument is ctx unless `setup_context` is defined."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what backward needs (when forward takes no ctx)."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Gradients of the inputs, one for each argument of forward."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function "
            "to use it with backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and record the custom node."""
        tensors = [a if isinstance(a, TensorBase) else None for a in args]
        edges = [None if t is None else t._edge() for t in tensors]
        needs = state.grad_enabled and any(e is not None for e in edges)
        ctx = cls._node_class(edges if needs else [None] * len(args), ())
        ctx.needs_input_grad = tuple(e is not None for e in edges)
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                output = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args, **kwargs)
        return _wrap(cls, ctx, args, output, needs)


def _wrap(cls: Any, ctx: Any, args: Sequence[Any], output: Any, needs: bool) -> Any:
    many = isinstance(output, tuple)
    outs = list(output) if many else [output]
    inputs = {id(a) for a in args if isinstance(a, TensorBase)}
    dirty = {id(t) for t in ctx._dirty}
    plain = {id(t) for t in ctx._plain}
    made = []
    flows = []
    avals: list[Any] = []
    for k, out in enumerate(outs):
        if not isinstance(out, TensorBase):
            made.append(out)
            flows.append(False)
            avals.append(None)
            continue
        flow = needs and id(out) not in plain and out._aval.dtype.category >= 2
        if id(out) in inputs and id(out) not in dirty:
            out = alias(out, out._aval.shape, out._strides, out._offset)
        if id(out) in dirty:
            out._version_counter.version += 1
        if flow:
            out._requires_grad = False
            out._grad_fn, out._out_nr = ctx, k
            if out._base is not None:
                out._base, out._creation = None, CUSTOM
        made.append(out)
        flows.append(flow)
        avals.append(out._aval)
    ctx.out_avals, ctx._flows = avals, flows
    if needs:
        ctx._versions = [SavedTensor(t) for t in ctx._saved or () if t is not None]
        swap = {id(o): m for o, m in zip(outs, made, strict=True)}
        ctx._saved = tuple(_saved(swap.get(id(t), t), ctx) for t in ctx._saved or ())
    return tuple(made) if many else made[0]


def _saved(tensor: Any, ctx: Any) -> Any:
    """An output that its own node saves is kept without history: no reference cycle."""
    if isinstance(tensor, TensorBase) and tensor._grad_fn is ctx:
        return tensor.detach()  # type: ignore[attr-defined]
    return tensor


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a backward whose result may not be differentiated again."""

    @functools.wraps(function)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            outputs = function(ctx, *args)
        if not state.grad_enabled or not any(
            isinstance(a, TensorBase) and a._needs_grad() for a in args
        ):
            return outputs
        many = isinstance(outputs, tuple)
        outs = outputs if many else (outputs,)
        edges = [a._edge() for a in args if isinstance(a, TensorBase)]
        node = _Refuse(edges, [o._aval for o in outs if o is not None])
        k = 0
        marked = []
        for o in outs:
            if o is not None:
                o = o.detach()
                o._grad_fn, o._out_nr = node, k
                k += 1
            marked.append(o)
        return tuple(marked) if many else marked[0]

    return wrapper


class _Refuse(Node):
    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Raise: the function was declared once differentiable."""
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


__all__ = ["Function", "FunctionCtx", "nodes", "once_differentiable"]
