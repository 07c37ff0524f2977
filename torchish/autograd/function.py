"""`torch.autograd.Function`: operators whose gradient the user writes.

Invariant: the user's forward runs without history; its results get one node whose `apply` calls the
user's backward with tensors.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from .._autograd import nodes
from .._autograd.apply import rebase, root_edge
from .._autograd.forward import Dual, Level, check_size, current, reverse
from .._autograd.grad_mode import no_grad
from .._autograd.gradients import as_tensor, as_var
from .._autograd.nodes import FREED, Edge, Node, Var
from .._autograd.saved import Saved, SavedHandle
from .._autograd.tensor_base import CUSTOM, MULTI_OUTPUT, NO_GRAD, TensorBase, alias
from .._basics.state import state
from .._ops.call.warning import user_level
from .._ops.registry import ops


class FunctionCtx:
    """What `forward` keeps for `backward`."""

    _saved: Sequence[Any] = ()
    # What a node that backward may reach keeps of them.
    _kept: Sequence[Saved | None] | None = None
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

    def _keep(self, tensors: Sequence[Any]) -> None:
        """Keep the saved tensors the way that nodes do: outputs of this node without history."""
        kept = []
        for t in tensors:
            own = t is not None and t._grad_fn is self
            kept.append(None if t is None else Saved(t, t._out_nr if own else None))
        self._kept, self._saved = kept, ()

    @property
    def _raw_saved_tensors(self) -> tuple[Any, ...]:
        return tuple([SavedHandle.of(functools.partial(_one_of, s)) for s in self._kept or ()])

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`."""
        if not all(t is None or isinstance(t, TensorBase) for t in tensors):
            raise AssertionError(
                "save_for_forward expects all arguments to be tensors; you should save non-tensors "
                "as attributes on ctx."
            )
        self._saved_for_forward = tensors

    # What `saved_tensors` gives while `jvp` runs, if `save_for_forward` was called.
    _saved_for_forward: tuple[Any, ...] | None = None
    _for_jvp: tuple[Any, ...] | None = None

    def mark_dirty(self, *args: Any) -> None:
        """Declare inputs that forward changed in place (they must be returned).

        Raises: RuntimeError for anything but tensors.
        """
        if not all(isinstance(t, TensorBase) for t in args):
            raise RuntimeError("mark_dirty can only accept variables, but argument ")
        self._dirty = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Declare outputs that get no gradient.

        Raises: RuntimeError for anything but tensors.
        """
        if not all(isinstance(t, TensorBase) for t in args):
            raise RuntimeError("mark_non_differentiable only accepts variable arguments, but got ")
        self._plain = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients arrive as zeros (default) or None."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors.

        Raises: RuntimeError after they were freed or changed in place.
        """
        if self._for_jvp is not None:
            return self._for_jvp
        if self._kept is None:
            return tuple(self._saved)
        return tuple([None if s is None else s.unpack(self) for s in self._kept])

    saved_variables = saved_tensors


def _one_of(saved: Saved | None) -> Saved:
    if saved is None:
        raise RuntimeError("register_hooks: nothing is kept here, None was saved")
    return saved


class FunctionNode(Node, FunctionCtx):
    """The grad node of a custom function; it is the `ctx` that backward receives."""

    _function: Any = None

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Call the user's backward."""
        if self._freed:
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
    _freed = False

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
        """Free the saved tensors; a node that kept none may run again."""
        for saved in self._kept or ():
            if saved is not None:
                saved.release()
                self._freed = True


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
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch."
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
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward
    # Whether vmap may run forward and backward on one sample and map what they do.
    generate_vmap_rule = False

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Forward-mode derivatives of the results, for those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """How the function maps over samples: from (info, in_dims, *args) to (output, out_dims)."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and record the custom node.

        Raises: RuntimeError inside a transformation of torch.func that the function is not for.
        """
        mapping = None
        if any(t.rewrites for t in state.transforms):
            _check_transforms(cls)
            mapping = _mapping(cls)
            if mapping is state.transforms[-1]:
                return mapping.lowered(cls, args)
        if state.is_captured():
            return state.compiled.outside(cls.apply, args, kwargs, "autograd.Function")
        tensors = [a if isinstance(a, TensorBase) else None for a in args]
        edges = [None if t is None else t._edge() for t in tensors]
        forward = None if state.forward is None else _Tangents(cls, tensors, edges)
        edges = [reverse(e) for e in edges] if forward else edges
        needs = state.grad_enabled and any(e is not None for e in edges)
        ctx = cls._node_class(edges if needs else [None] * len(args), ())
        ctx.needs_input_grad = tuple(e is not None for e in edges)
        results = _Results(cls, ctx, tensors, edges)
        with no_grad(), current(None):
            if cls.setup_context is not Function.setup_context:
                output = (
                    cls.forward(*args, **kwargs) if mapping is None else mapping.lowered(cls, args)
                )
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args, **kwargs)
        made = results.wrap(output)
        return made if forward is None else forward.onto(ctx, made)


def _mapping(cls: Any) -> Any:
    """The innermost vmap that runs now, if the function has a rule of its own for it."""
    if cls.vmap is Function.vmap:
        return None
    return next((t for t in reversed(state.transforms) if t.maps), None)


def _check_transforms(cls: Any) -> None:
    """Raise torch's error where a transformation cannot take a function that is written so."""
    more = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"
    if cls.setup_context is Function.setup_context:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, "
            f"jacrev, ...), it must override the setup_context staticmethod. {more}"
        )
    if any(t.maps for t in state.transforms):
        if cls.generate_vmap_rule and cls.vmap is not Function.vmap:
            raise RuntimeError(
                f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True "
                "and an overridden vmap staticmethod. Please set generate_vmap_rule=False or "
                f"delete the overridden vmap staticmethod to avoid ambiguity. {more}"
            )
        if not cls.generate_vmap_rule and cls.vmap is Function.vmap:
            raise RuntimeError(
                f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please "
                "override and implement the vmap staticmethod or set generate_vmap_rule=True. "
                f"{more}"
            )


class _Tangents:
    """The tangents of a function's arguments, and those that its `jvp` gives the results."""

    def __init__(self, cls: Any, tensors: Sequence[Any], edges: Sequence[Edge | None]) -> None:
        self.cls, self.tensors = cls, tensors
        # For each level, the innermost first: the tangent of each argument or None.
        self.found: list[tuple[Level, list[Any]]] = []
        level = state.forward
        while level is not None:
            tangents = [level.tangent(e) for e in edges]
            if any(t is not None for t in tangents):
                self.found.append((level, tangents))
            edges = [level.without(e) for e in edges]
            level = level.outer

    def onto(self, ctx: Any, made: Any) -> Any:
        """The results with their tangents.

        Raises: torch's NotImplementedError where the function has no `jvp`.
        """
        if not self.found:
            return made
        many = isinstance(made, tuple)
        outs = list(made) if many else [made]
        for level, tangents in reversed(self.found):
            given = self._materialized(ctx, tangents)
            ctx._for_jvp = ctx._saved_for_forward
            try:
                with current(level.outer):
                    got = self.cls.jvp(ctx, *given)
            finally:
                ctx._for_jvp = None
            got = got if isinstance(got, tuple) else (got,)
            for k, tangent in enumerate(self._checked(got, outs)):
                if tangent is not None:
                    outs[k] = self._dual(level, outs[k], tangent)
        return tuple(outs) if many else outs[0]

    def _materialized(self, ctx: Any, tangents: list[Any]) -> list[Any]:
        if not ctx._materialize:
            return tangents
        return [
            ops.zeros_like(x) if t is None and x is not None and x._aval.dtype.category >= 2 else t
            for t, x in zip(tangents, self.tensors, strict=True)
        ]

    def _checked(self, got: tuple[Any, ...], outs: list[Any]) -> tuple[Any, ...]:
        if len(got) != len(outs):
            raise RuntimeError(
                "Function's jvp returned an invalid number of forward gradients (expected "
                f"{len(outs)} but got {len(got)})"
            )
        for k, (tangent, out) in enumerate(zip(got, outs, strict=True)):
            if tangent is not None and not isinstance(tangent, TensorBase):
                raise RuntimeError(
                    f"expected Variable or None (got {type(tangent).__name__}) for grad output {k}."
                )
            if tangent is not None and isinstance(out, TensorBase):
                check_size(out, tangent)
        return got

    def _dual(self, level: Level, out: Any, tangent: Any) -> Any:
        out._grad_fn, out._out_nr = Dual(tangent, out._edge(), out._aval, level), 0
        return out


class _Results:
    """What `forward` returned, made the results of one node."""

    def __init__(self, cls: Any, ctx: Any, inputs: Sequence[Any], edges: Sequence[Any]) -> None:
        self.name, self.ctx = cls.__name__, ctx
        self.needs = state.grad_enabled and any(e is not None for e in edges)
        self.inputs = {id(t) for t in inputs if t is not None}
        # In-place writes give a view's base a new history: where it leads before that.
        self.roots = {
            id(t): root_edge(t) for t in inputs if t is not None and t._base is not None
        } if self.needs else {}  # fmt: skip

    def wrap(self, output: Any) -> Any:
        """The results with their history.

        Raises: torch's RuntimeErrors for tensors that were marked dirty and may not be.
        """
        ctx, many = self.ctx, isinstance(output, tuple)
        outs = list(output) if many else [output]
        self.dirty, self.plain = {id(t) for t in ctx._dirty}, {id(t) for t in ctx._plain}
        self._check_dirty(outs)
        made: list[Any] = []
        seen: dict[int, Any] = {}
        flows = [self._flows(out) for out in outs]
        ctx.out_avals = [out._aval if isinstance(out, TensorBase) else None for out in outs]
        ctx._flows = flows
        for k, out in enumerate(outs):
            if isinstance(out, TensorBase):
                if id(out) not in seen:
                    seen[id(out)] = self._one(k, out, flows[k])
                elif flows[k]:
                    seen[id(out)]._out_nr = k  # a tensor that is returned twice: the last counts
                out = seen[id(out)]
            made.append(out)
        if sum(flows) > 1:
            for k, out in enumerate(made):
                if flows[k] and out._base is not None:
                    out._creation = MULTI_OUTPUT
        if self.needs:
            ctx._keep([seen.get(id(t), t) for t in ctx._saved or ()])
        return tuple(made) if many else made[0]

    def _flows(self, out: Any) -> bool:
        if not isinstance(out, TensorBase) or not self.needs:
            return False
        return id(out) not in self.plain and out._aval.dtype.category >= 2

    def _check_dirty(self, outs: Sequence[Any]) -> None:
        returned = {id(out) for out in outs}
        for t in self.ctx._dirty:
            t._version_counter.version += 1
            if id(t) not in self.inputs:
                warnings.warn(
                    "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors "
                    "that have been mutated should be passed to ctx.mark_dirty().",
                    stacklevel=user_level(),
                )
            elif id(t) not in returned:
                raise RuntimeError(
                    "Some elements marked as dirty during the forward method were not returned as "
                    "output. The inputs that are modified inplace must all be outputs of the "
                    "Function."
                )

    def _one(self, k: int, out: Any, flow: bool) -> Any:
        given, dirty = id(out) in self.inputs, id(out) in self.dirty
        if given and dirty:
            if flow:
                self._rebased(k, out)
            return out
        if given:
            out = self._alias(out)
        if flow:
            out._requires_grad = False
            out._grad_fn, out._out_nr = self.ctx, k
            if out._base is not None:
                out._creation = CUSTOM
                out._attr_version = out._version_counter.version
        return out

    def _alias(self, out: Any) -> Any:
        """An input that is returned as it is: a view of it."""
        made = alias(out, out._aval.shape, out._strides, out._offset)
        made._base = out if out._base is None else out._base
        made._attr_version, made._creation = made._version_counter.version, NO_GRAD
        return made

    def _rebased(self, k: int, out: Any) -> None:
        """The history of an input that forward wrote to."""
        base = out._base
        if base is None and out._requires_grad and out._grad_fn is None:
            raise RuntimeError(
                "a leaf Variable that requires grad has been used in an in-place operation."
            )
        if base is None:
            rebase(out, None, (self.ctx, k))
            return
        if base._requires_grad and base._grad_fn is None:
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
        if len(self.ctx.out_avals) > 1:
            raise RuntimeError(
                "If your Function modifies inplace an input that is a view of another Tensor, your "
                "Function cannot return more than one Tensor. This is not supported by the current "
                "autograd engine. You should either make sure the input is not a view (using "
                ".clone() for example) or make your Function only return one Tensor (potentially "
                "splitting it into two Functions: one doing the inplace that returns a single "
                "Tensor and a second one that does the other operations). You can ask on the forum "
                "https://discuss.pytorch.org/ if you need help to do this change."
            )
        rebase(out, self.roots.get(id(out)), (self.ctx, k))


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
