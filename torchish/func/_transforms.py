"""`grad`, `vjp`, `jvp` and Jacobians as functions of functions.

Invariant: the user's function sees tensors whose history begins at an Entry of this call, so calls
nest and never mix; results keep a history only if something outside wants one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .._autograd.capture import Rules
from .._autograd.forward import new_level, reverse, without_history
from .._autograd.grad_mode import grad_mode
from .._autograd.gradients import as_tensor, as_var, constant
from .._autograd.nodes import Edge, Node, Var, next_sequence
from .._autograd.subgraph import Entry, borders, enter, gradients
from .._autograd.tensor_base import TensorBase, from_value
from .._basics.dtypes import SCALAR_NAMES
from .._basics.state import state
from .._ops.registry import ops
from ._tree import Spec, flatten, tree_map, unflatten
from ._vmap import ARITHMETIC


class _Captures(Rules):
    """One run of a function, which may not write to what it captures."""

    rewrites = True

    def __init__(self, given: Any = ()) -> None:
        """`given` are arguments that may be written to."""
        super().__init__()
        self.given = {
            id(x._storage): x._storage for x in flatten(given)[0] if isinstance(x, TensorBase)
        }

    def before_write(self, target: Any, new: Any, step: Any, name: str) -> None:
        """Refuse a write to what is not this run's own."""
        if self.is_captured(target) and id(target._storage) not in self.given:
            name = name.rstrip("_")
            kind = f"aten::{name}_" + (".Tensor" if name in ARITHMETIC else "")
            raise RuntimeError(
                "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to "
                f"call in-place operation ({kind}) that would mutate a captured Tensor. This is "
                "not supported; please rewrite the function being transformed to explicitly accept "
                "the mutated Tensor(s) as inputs."
            )


class _Level(_Captures):
    """One run of a function on tensors of its own, whose gradients are wanted."""

    def __init__(self, primals: Any, outer_grad: bool, given: Any = ()) -> None:
        """`given` are arguments besides those to differentiate by: they may be written to."""
        super().__init__(given)
        self.outer_grad = outer_grad or state.forward is not None
        self.start = next_sequence()
        tensors, self.spec = flatten(primals)
        for x in tensors:
            if not isinstance(x, TensorBase):
                raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
        self.inputs = [enter(x, outer=self.outer_grad) for x in tensors]
        for x in self.inputs:
            if x._grad_fn is not None:
                reverse((x._grad_fn, 0))[0].stands_for_leaf = True  # type: ignore[index]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Gradients are on, too."""
        with super().running(), grad_mode(True):
            yield

    def arguments(self) -> Any:
        """The tensors that the function gets."""
        return unflatten(self.spec, self.inputs)

    def entries(self) -> list[Edge | None]:
        """Where the gradients of the inputs arrive."""
        return [None if x._grad_fn is None else _entry(x, self.start) for x in self.inputs]

    def watched(self, edges: Sequence[Edge | None]) -> bool:
        """Whether something outside may be differentiated through these results."""
        return self.outer_grad and bool(borders(edges, self.start))


def _entry(x: Any, start: int) -> Edge:
    """The first history of an input, also if it was written to since."""
    node: Node = x._grad_fn
    while not (isinstance(node, Entry) and node.sequence >= start):
        step = node.edges[0]
        assert step is not None
        node = step[0]
    return (node, 0)


def _plain(tree: Any, keep: bool) -> Any:
    """Results without history, unless they are to keep it."""
    if keep:
        return tree
    return tree_map(lambda x: without_history(x) if isinstance(x, TensorBase) else x, tree)


def _made(var: Var | None, like: TensorBase, keep: bool) -> Any:
    if var is None:
        return from_value(constant(like._aval, 0.0, like._storage.device))
    made = as_tensor(var)
    return made if keep else without_history(made)


# --- reverse mode --------------------------------------------------------------------------------


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """`func(*primals)` and the function from cotangents of the result to those of the primals.

    Returns: (output, vjp_fn), with `has_aux` (output, vjp_fn, aux).
    Raises: RuntimeError when the function returns anything but tensors.
    """
    outer = state.grad_enabled
    level = _Level(primals, outer)
    with level.running():
        outs = func(*level.arguments())
        aux = None
        if has_aux:
            outs, aux = _pair(outs, "vjp(f, *primals): output of function f should be a tuple")
        leaves, spec = flatten(outs)
        for x in leaves:
            if not isinstance(x, TensorBase):
                raise RuntimeError(
                    "vjp(f, *primals): expected f(*primals) to return only tensors, got "
                    f"unsupported type {type(x)}"
                )
    edges = [x._edge() for x in leaves]
    entries = level.entries()
    keep = level.watched(edges)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, shape = flatten(cotangents)
        if not isinstance(outs, TensorBase) or shape.kind is not None:
            _same_shape(shape, spec)
        graph = state.grad_enabled if create_graph is None else create_graph
        graph = graph and (keep or any(g._needs_grad() for g in given))
        roots: list[tuple[Edge | None, Var | None]] = []
        for k, (out, edge, g) in enumerate(zip(leaves, edges, given, strict=True)):
            if g._aval.shape != out._aval.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{k}] has a shape of {g._aval.shape} and "
                    f"output[{k}] has a shape of {out._aval.shape}."
                )
            if g._aval.dtype is not out._aval.dtype:
                g = g.to(out._aval.dtype)
            roots.append((edge, as_var(g, graph)))
        found = gradients(roots, entries, graph=graph)
        result = unflatten(
            level.spec,
            [_made(v, x, graph) for v, x in zip(found, level.inputs, strict=True)],
        )
        return result

    visible = _plain(outs, keep)
    if has_aux:
        return visible, pull, _plain(aux, keep)
    return visible, pull


def _pair(outs: Any, lead: str) -> tuple[Any, Any]:
    if not (isinstance(outs, tuple) and len(outs) == 2):
        raise RuntimeError(f"{lead}: (output, aux) if has_aux is True")
    return outs


def _same_shape(cotangents: Spec, outputs: Spec) -> None:
    if cotangents != outputs:
        raise RuntimeError(
            "Expected pytree structure of cotangents to be the same as pytree structure of outputs "
            f"to the function. cotangents: {cotangents}, primal output: {outputs}"
        )


def _chosen(args: Sequence[Any], argnums: Any) -> tuple[tuple[int, ...], Any]:
    """The positions that `argnums` names, and the arguments there.

    Raises: RuntimeError for anything but an int or a tuple of them in range.
    """
    if not isinstance(argnums, int | tuple):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    if not numbers:
        raise RuntimeError("argnums must be non-empty")
    found = []
    for n in numbers:
        if not isinstance(n, int):
            raise RuntimeError(f"argnums must be a Tuple of integers: got {argnums}")
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
        found.append(n % len(args))
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return tuple(found), tuple(args[n] for n in found)


def _with(args: Sequence[Any], places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    replaced = list(args)
    for place, value in zip(places, values, strict=True):
        replaced[place] = value
    return replaced


def grad_and_value(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns (gradient, value) of a scalar-valued `func`."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        places, primals = _chosen(args, argnums)
        outer = state.grad_enabled
        level = _Level(primals, outer, (args, kwargs))
        with level.running():
            for x in level.inputs:
                if x._aval.dtype.category < 2:
                    raise RuntimeError("only Tensors of floating point dtype can require gradients")
            output = func(*_with(args, places, level.arguments()), **kwargs)
            aux = None
            if has_aux:
                output, aux = _pair(
                    output, "grad_and_value(f)(*args): output of function f should be a tuple"
                )
            _check_scalar(output)
        edge = output._edge()
        keep = level.watched([edge])
        one = constant(output._aval, 1.0, output._storage.device)
        found = gradients([(edge, (one, None))], level.entries(), graph=keep)
        made = [_made(v, x, keep) for v, x in zip(found, level.inputs, strict=True)]
        result = unflatten(level.spec, made)
        if isinstance(argnums, int):
            result = result[0]
        value = _plain(output, keep)
        return (result, (value, _plain(aux, keep))) if has_aux else (result, value)

    return wrapper


def _check_scalar(output: Any) -> None:
    lead = "grad_and_value(f)(*args): Expected f(*args) to return a"
    if not isinstance(output, TensorBase):
        raise RuntimeError(f"{lead} Tensor, got {type(output)}")
    if output._aval.ndim != 0:
        raise RuntimeError(
            f"{lead} scalar Tensor, got tensor with {output._aval.ndim} dims. Maybe you wanted to "
            "use the vjp or jacrev APIs instead?"
        )
    if output._aval.dtype.is_complex:
        raise RuntimeError(
            "grad can be implicitly created only for real scalar outputs but got "
            + SCALAR_NAMES[output._aval.dtype]
        )


def grad(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns the gradient of a scalar-valued `func` by its arguments `argnums`.

    Example:
        >>> grad(torch.sin)(torch.tensor(0.0))
        tensor(1.)
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found[0], found[1][1]) if has_aux else found[0]

    return wrapper


# --- forward mode --------------------------------------------------------------------------------


def jvp(
    func: Callable[..., Any],
    primals: Any,
    tangents: Any,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """`func(*primals)` and its derivative along the tangents.

    Raises: RuntimeError for tangents of another structure or shape.
    """
    lead = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{lead}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    inputs, spec = flatten(primals)
    directions, shape = flatten(tangents)
    with _Captures(primals).running():
        if shape != spec:
            raise RuntimeError(
                f"{lead}: Expected primals and tangents to have the same python structure. For "
                "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals "
                f"with structure {spec.long()} and tangents with structure {shape.long()}"
            )
        with new_level() as forward:
            duals = [
                forward.make(x, t if t._aval.dtype is x._aval.dtype else t.to(x._aval.dtype))
                for x, t in zip(inputs, directions, strict=True)
            ]
            outs = func(*unflatten(spec, duals))
            aux = None
            if has_aux:
                outs, aux = _pair(outs, f"{lead}: output of function f should be a tuple")
                aux = tree_map(
                    lambda x: forward.unpack(x)[0] if isinstance(x, TensorBase) else x, aux
                )
            leaves, shape = flatten(outs)
            found = [_along(x, forward, strict) for x in leaves]
    result = tuple(unflatten(shape, list(part)) for part in zip(*found, strict=True))
    return (*result, aux) if has_aux else result


def _along(out: Any, level: Any, strict: bool) -> tuple[Any, Any]:
    """One result and its derivative along the tangents of its level."""
    if not isinstance(out, TensorBase):
        raise RuntimeError(
            f"jvp(f, primals, tangents): Expected output of f to be a Tensor, got {type(out)}"
        )
    primal, tangent = level.unpack(out)
    if tangent is None:
        if strict:
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the "
                "inputs. This is not allowed with strict=True."
            )
        tangent = from_value(constant(out._aval, 0.0, out._storage.device))
    return primal, tangent


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`func(*primals)` and the linear function that its jvp at this point is."""
    output = func(*primals)

    def push(*tangents: Any) -> Any:
        return jvp(func, tuple(primals), tuple(tangents))[1]

    return output, push


# --- Jacobians -----------------------------------------------------------------------------------


def _basis(like: Sequence[TensorBase]) -> list[Any]:
    """For each tensor its part of the standard basis of all of them: (total, *shape)."""
    total = sum(x._aval.numel for x in like)
    found = []
    start = 0
    for x in like:
        n = x._aval.numel
        eye = ops.zeros(total, n, dtype=x._aval.dtype, device=x._storage.device)
        if n:
            eye[start : start + n] = ops.eye(n, dtype=x._aval.dtype, device=x._storage.device)
        found.append(eye.reshape(total, *x._aval.shape))
        start += n
    return found


def jacrev(
    func: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """The function that returns the Jacobian of `func`, row by row (reverse mode).

    Shape: for each result and argument, (*result, *argument).
    """
    from ._mapping import vmap

    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        places, primals = _chosen(args, argnums)
        found = vjp(lambda *x: func(*_with(args, places, x), **kwargs), *primals, has_aux=has_aux)
        outs, pull = found[0], found[1]
        leaves, spec = flatten(outs)
        basis = unflatten(spec, _basis(leaves))
        rows = vmap(pull, chunk_size=chunk_size)(basis)
        jacobians, inner = flatten(rows)
        inputs = flatten(primals)[0]
        made = []
        start = 0
        for out in leaves:
            n = out._aval.numel
            parts = [
                j[start : start + n].reshape(*out._aval.shape, *x._aval.shape)
                for j, x in zip(jacobians, inputs, strict=True)
            ]
            result = unflatten(inner, parts)
            made.append(result[0] if isinstance(argnums, int) else result)
            start += n
        return (unflatten(spec, made), found[2]) if has_aux else unflatten(spec, made)

    return wrapper


def jacfwd(
    func: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable[..., Any]:
    """The function that returns the Jacobian of `func`, column by column (forward mode).

    Shape: for each result and argument, (*result, *argument).
    """
    from ._mapping import vmap

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        places, primals = _chosen(args, argnums)
        inputs, shape = flatten(primals)

        def push(*directions: Any) -> Any:
            found = jvp(
                lambda *x: func(*_with(args, places, x), **kwargs), primals,
                unflatten(shape, directions), has_aux=has_aux,
            )  # fmt: skip
            return found[1:]

        columns, *rest = vmap(push, randomness=randomness)(*_basis(inputs))
        leaves, spec = flatten(columns)
        made = []
        for c in leaves:
            parts = []
            start = 0
            for x in inputs:
                n = x._aval.numel
                part = ops.movedim(c[start : start + n], 0, -1)
                parts.append(part.reshape(*c._aval.shape[1:], *x._aval.shape))
                start += n
            result = unflatten(shape, parts)
            made.append(result[0] if isinstance(argnums, int) else result)
        jacobian = unflatten(spec, made)
        return (jacobian, tree_map(lambda x: x[0], rest[0])) if has_aux else jacobian

    return wrapper


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that returns the second derivatives of `func`."""
    return jacfwd(jacrev(func, argnums), argnums)
