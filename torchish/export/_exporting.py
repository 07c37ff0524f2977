"""From a module and example arguments to an exported program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._autograd.tensor_base import TensorBase
from .._basics.wide import wide
from ..func._to_jax import Apply, Call
from ..nn.modules.module import Module
from ._symbolic import SAMPLES, Common, Fit, SymbolError, sample_sizes
from .dynamic_shapes import Shapes, bound_names, read
from .exported_program import ExportedProgram, Plan
from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)


def export(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None, dynamic_shapes: Any,
    platforms: Sequence[str] | None,
) -> ExportedProgram:  # fmt: skip
    """Record `module` on arguments like these and lower what it did; see `torch.export.export`."""
    work = _Work(module, args, dict(kwargs or {}))
    shapes = work.symbols(dynamic_shapes)
    with wide():
        try:
            function, structs = work.function(shapes)
            exported = _lowered(function, structs, platforms)
        except SymbolError as error:
            if not shapes.optional:
                raise _user_error(
                    f"{error}. The program depends on a dynamic size in a way that no expression "
                    "of it gives; make that dim static."
                ) from None
            shapes = shapes.without(shapes.optional)
            function, structs = work.function(shapes)
            exported = _lowered(function, structs, platforms)
    plan = Plan(work.taken, work.constants, work.written, dict(shapes.symbols))
    return ExportedProgram(
        exported, work.weights, work.signature(exported), plan, (args, dict(kwargs or {}))
    )


def _user_error(text: str) -> Exception:
    from .._dynamo.exc import UserError

    return UserError(text)


def _lowered(function: Any, structs: Any, platforms: Any) -> Any:
    weights, args, kwargs = structs
    chosen = None if platforms is None else list(platforms)
    return jax.export.export(jax.jit(function), platforms=chosen)(weights, *args, **kwargs)


class _Work:
    """One export: the arguments taken apart, and the recordings at the sizes that it takes."""

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.apply = Apply(module)
        self.module = module if isinstance(module, Module) else None
        self.args, self.kwargs = args, kwargs
        leaves, self.tree = jax.tree_util.tree_flatten((args, kwargs))
        self.leaves = [_as_array(x) for x in leaves]
        self.arrays = [k for k, x in enumerate(self.leaves) if _is_array(x)]
        self.constants = {k: x for k, x in enumerate(self.leaves) if not _is_array(x)}
        self.weights: dict[str, Any] = {}
        self.taken: list[str] = []  # those that the program depends on
        if self.module is not None:
            self.weights = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        self.buffers = [] if self.module is None else [n for n, _ in self.module.named_buffers()]
        self.written: list[str] = []

    # --- arguments -------------------------------------------------------------------------------

    def symbols(self, dynamic_shapes: Any) -> Shapes:
        """The symbols that the user asks for."""
        given = [*self.args, *self.kwargs.values()]
        called = self.module.forward if self.module is not None else self.apply.function
        self.names = bound_names(called, self.args, self.kwargs)
        numbers = iter(range(len(self.leaves)))

        def numbering(value: Any) -> Any:
            return jax.tree_util.tree_map(lambda _: next(numbers), value)

        return read(dynamic_shapes, self.names, given, numbering)

    def _resized(self, shapes: Shapes, sizes: dict[str, int]) -> list[Any]:
        made = list(self.leaves)
        for leaf, by_dim in shapes.leaves.items():
            old = made[leaf]
            shape = [sizes[by_dim[d]] if d in by_dim else n for d, n in enumerate(old.shape)]
            made[leaf] = np.zeros(shape, old.dtype)
        return made

    # --- recordings ------------------------------------------------------------------------------

    def _captured(self, leaves: list[Any]) -> tuple[Callable[..., list[Any]], Call]:
        args, kwargs = jax.tree_util.tree_unflatten(self.tree, leaves)
        buffers = {n: _placeholder(self.weights[n]) for n in self.buffers}
        params = {n: _placeholder(t) for n, t in self.weights.items() if n not in buffers}
        call = Call(
            self.apply, args, kwargs, params, buffers if self.module else None, None, None, "export"
        )
        call.recorder.advice = "call module.eval() first, or draw outside and pass the numbers in"
        results = call.capture()
        kept = len(call.places)
        state = results[kept:]
        written = set(call.written)
        wanted = [v for n, v in zip(self.buffers, state, strict=True) if n in written]
        used = call.recorder.used([*results[:kept], *wanted])
        self.taken = [n for n, u in zip(self.weights, used, strict=False) if u]
        return call.recorder.raw([*results[:kept], *wanted]), call

    def function(self, shapes: Shapes) -> tuple[Callable[..., Any], Any]:
        """The JAX function to lower, and the structs of its (weights, args, kwargs)."""
        function, call = self._captured(self.leaves)
        self.call = call
        self.written = call.written
        places = call.places
        leaves: list[Any] = [
            jax.ShapeDtypeStruct(x.shape, x.dtype) if _is_array(x) else None for x in self.leaves
        ]
        if shapes.symbols:
            symbols = _symbolic(shapes)
            function = self._common(shapes, symbols)
            for leaf, by_dim in shapes.leaves.items():
                old = leaves[leaf]
                shape = [symbols[by_dim[d]] if d in by_dim else n for d, n in enumerate(old.shape)]
                leaves[leaf] = jax.ShapeDtypeStruct(tuple(shape), old.dtype)
        names, taken = list(self.weights), set(self.taken)
        tree, outputs, count = call.tree, call.leaves, len(call.places)
        unused = {n: _placeholder(t) for n, t in self.weights.items() if n not in taken}

        def exported(weights: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            given = jax.tree_util.tree_leaves((args, kwargs))
            every = unused | weights
            made = function(*[every[n] for n in names], *given)
            filled = list(outputs)
            for k, x in zip(places, made, strict=False):
                filled[k] = x
            out = jax.tree_util.tree_unflatten(tree, [_result(x) for x in filled])
            return (out, made[count:]) if made[count:] else out

        weights = {n: _struct(self.weights[n]) for n in self.taken}
        args, kwargs = jax.tree_util.tree_unflatten(self.tree, leaves)
        return exported, (weights, args, kwargs)

    def _common(self, shapes: Shapes, symbols: dict[str, Any]) -> Callable[..., list[Any]]:
        sizes = sample_sizes(shapes.symbols, shapes.examples)
        recordings = []
        for sample in sizes:
            leaves = self._resized(shapes, sample)
            function, _ = self._captured(leaves)
            structs = [_struct(t) for t in self.weights.values()]
            structs += [jax.ShapeDtypeStruct(leaves[k].shape, leaves[k].dtype) for k in self.arrays]
            recordings.append(jax.make_jaxpr(function)(*structs))
        assert len(recordings) == SAMPLES
        return Common(recordings, Fit(sizes, symbols))

    # --- signature -------------------------------------------------------------------------------

    def signature(self, exported: Any) -> ExportGraphSignature:
        """What goes in and comes out, by PyTorch's names where it has some."""
        inputs = [self._weight_spec(name) for name in self.weights]
        number = 0
        for name, value in zip(self.names, [*self.args, *self.kwargs.values()], strict=True):
            leaves = jax.tree_util.tree_leaves(value)
            for k, _ in enumerate(leaves):
                label = name if len(leaves) == 1 else f"{name}_{k}"
                arg: Any = TensorArgument(label)
                if number in self.constants:
                    arg = ConstantArgument(label, self.constants[number])
                inputs.append(InputSpec(InputKind.USER_INPUT, arg, None))
                number += 1
        outputs = [
            OutputSpec(OutputKind.BUFFER_MUTATION, TensorArgument(f"new_{_input_name('b', n)}"), n)
            for n in self.written
        ]
        count = exported.out_tree.num_leaves - len(self.written)
        outputs += [
            OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(f"output_{k}"), None)
            for k in range(count)
        ]
        return ExportGraphSignature(inputs, outputs)

    def _weight_spec(self, name: str) -> InputSpec:
        if name not in self.buffers:
            argument = TensorArgument(_input_name("p", name))
            return InputSpec(InputKind.PARAMETER, argument, name)
        assert self.module is not None
        kept = name in self.module.state_dict()
        return InputSpec(InputKind.BUFFER, TensorArgument(_input_name("b", name)), name, kept)


def _input_name(kind: str, name: str) -> str:
    return f"{kind}_{name.replace('.', '_')}"


def _symbolic(shapes: Shapes) -> dict[str, Any]:
    names = list(shapes.symbols)
    constraints = []
    for name, (low, high) in shapes.symbols.items():
        if low > 1:
            constraints.append(f"{name} >= {int(low)}")
        if high != float("inf"):
            constraints.append(f"{name} <= {int(high)}")
    made = jax.export.symbolic_shape(", ".join(names), constraints=constraints)
    return dict(zip(names, made, strict=True))


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def _as_array(x: Any) -> Any:
    return x.jax(force=True) if isinstance(x, TensorBase) else x


def _struct(tensor: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(tensor.shape), tensor.dtype.np)


def _placeholder(tensor: Any) -> Any:
    """An array of a weight's kind: recording looks at no values."""
    return np.empty(tuple(tensor.shape), tensor.dtype.np)


def _result(x: Any) -> Any:
    try:
        return jnp.asarray(x)
    except TypeError as error:
        raise TypeError(
            f"export: a result is {type(x).__name__}, which no program gives ({error})"
        ) from None
