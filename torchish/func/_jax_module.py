"""`module_from_jax`: a model of a JAX library as an `nn.Module`.

Invariant: the module's parameters are the model's arrays, under the path that leads to each of
them; a call puts them back in their places and applies the model as one operator.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._autograd.interop import from_jax as tensor_of, to_jax as array_of
from ..nn.modules.module import Module
from ..nn.parameter import Parameter
from ._from_jax import from_jax


def module_from_jax(model: Any, params: Any = None) -> JaxModule:
    """A JAX model as an `nn.Module`: parameters, buffers, state_dict, `train()` and `eval()`.

    Args:
        model: a Flax NNX module; or a callable pytree such as an Equinox module; or, with
            `params`, a function `apply(params, *args)` such as those of Haiku and Flax Linen.
        params: the pytree of arrays that `apply` takes first.
    Returns: a module. Floating-point arrays are its parameters (of NNX: the variables that are
        `nnx.Param`), all others its buffers; what an NNX model writes when called (statistics,
        counters of its random streams) is written back to them.
    Raises: TypeError for anything else.

    Example:
        >>> net = torchish.func.module_from_jax(equinox.nn.MLP(2, 1, 8, 2, key=jax.random.key(0)))
        >>> optimizer = torch.optim.Adam(net.parameters())
    """
    if params is not None:
        if not callable(model):
            raise TypeError("module_from_jax(apply, params): apply has to be a function")
        return JaxModule(_Function(model, params))
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(model, nnx.Module):
        return JaxModule(_NNX(nnx, model))
    leaves = jax.tree_util.tree_leaves(model)
    if not callable(model) or not any(_is_array(x) for x in leaves):
        raise TypeError(
            f"module_from_jax needs an NNX module, a callable pytree with arrays (an Equinox "
            f"module), or a function and its params=, not {type(model).__name__}"
        )
    return JaxModule(_Tree(model))


class JaxModule(Module):
    """The module that `module_from_jax` makes; `to_model()` gives the JAX model back."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source
        self._slots: list[tuple[Module, str]] = []
        self._keys: dict[int, str] = {}
        taken: set[str] = set()
        for k, (path, array, trains) in enumerate(source.arrays()):
            name = _name(path, taken)
            self._slots.append(self._register(name, array, trains, k))

    def _register(self, name: str, array: Any, trains: bool, number: int) -> tuple[Module, str]:
        owner: Module = self
        *folders, last = name.split(".")
        for folder in folders:
            if folder not in owner._modules:
                owner.add_module(folder, Module())
            owner = owner._modules[folder]
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            self._keys[number] = str(jax.random.key_impl(array))
            array = jax.random.key_data(array)
        tensor = tensor_of(jnp.asarray(array))
        if trains:
            owner.register_parameter(last, Parameter(tensor))
        else:
            owner.register_buffer(last, tensor)
        return owner, last

    def _tensors(self) -> list[Any]:
        return [getattr(owner, name) for owner, name in self._slots]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives for tensors."""
        apply, static = self._source.apply(self.training)
        out, written = apply(static, self._tensors(), _Keys(self._keys), *args, **kwargs)
        for k, value in written.items():
            owner, name = self._slots[k]
            setattr(owner, name, value.detach())
        return out

    def to_model(self) -> Any:
        """The JAX model (for a function: its params) with the arrays that this module has now."""
        arrays = _Keys(self._keys).wrapped([array_of(t) for t in self._tensors()])
        return self._source.rebuilt(arrays, self.training)

    def extra_repr(self) -> str:
        return str(self._source.name)


class _Keys:
    """Which arrays are typed keys, by place: static in programs."""

    def __init__(self, implementations: dict[int, str]) -> None:
        self.items = tuple(sorted(implementations.items()))

    def __hash__(self) -> int:
        return hash(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keys) and self.items == other.items

    def wrapped(self, arrays: list[Any]) -> list[Any]:
        """The arrays with typed keys in their places."""
        made = list(arrays)
        for k, implementation in self.items:
            made[k] = jax.random.wrap_key_data(made[k], impl=implementation)
        return made


class _Tree:
    """A callable pytree: its inexact arrays are parameters."""

    def __init__(self, model: Any) -> None:
        self.name = type(model).__name__
        self.modes: dict[bool, Any] = {}
        self._take(model)

    def _take(self, model: Any) -> None:
        paths, self.tree = jax.tree_util.tree_flatten_with_path(model)
        self.leaves = [leaf for _, leaf in paths]
        self.paths = [path for path, _ in paths]
        self.places = [k for k, x in enumerate(self.leaves) if _is_array(x)]

    def arrays(self) -> list[tuple[Any, Any, bool]]:
        """(path, array, whether it is a parameter) of every array; they are handed over."""
        made = []
        for k in self.places:
            array, self.leaves[k] = self.leaves[k], None
            made.append((self.paths[k], array, bool(jnp.issubdtype(array.dtype, jnp.inexact))))
        return made

    def __deepcopy__(self, memo: Any) -> _Tree:
        return self

    def apply(self, training: bool) -> tuple[Callable[..., Any], Any]:
        """The operator (static, arrays, keys, *args) -> (out, written), and what is static."""
        if training not in self.modes:
            self.modes[training] = from_jax(self._function(training))
        return self.modes[training], None

    def _function(self, training: bool) -> Callable[..., Any]:
        def call(_: Any, arrays: list[Any], keys: _Keys, *args: Any, **kwargs: Any) -> Any:
            return self._call(self.rebuilt(keys.wrapped(arrays), training), args, kwargs), {}

        call.__name__ = self.name
        return call

    def _call(self, model: Any, args: Any, kwargs: Any) -> Any:
        return model(*args, **kwargs)

    def rebuilt(self, arrays: list[Any], training: bool) -> Any:
        """The model around other arrays."""
        leaves = list(self.leaves)
        for k, x in zip(self.places, arrays, strict=True):
            leaves[k] = x
        model = jax.tree_util.tree_unflatten(self.tree, leaves)
        equinox = sys.modules.get("equinox")
        if equinox is not None and isinstance(model, equinox.Module):
            model = equinox.nn.inference_mode(model, value=not training)
        return model


class _Function(_Tree):
    """A function and the pytree of its parameters."""

    def __init__(self, function: Callable[..., Any], params: Any) -> None:
        super().__init__(params)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__).strip("<>")

    def _call(self, model: Any, args: Any, kwargs: Any) -> Any:
        return self.function(model, *args, **kwargs)


class _NNX:
    """A Flax NNX module; its state is split off and merged again at every call."""

    def __init__(self, nnx: Any, model: Any) -> None:
        self.nnx, self.name = nnx, type(model).__name__
        graph, state = nnx.split(model)
        self.graphs = {True: graph}
        self.shape = jax.tree_util.tree_structure(state)
        self.found: list[bool] = []  # of each array, whether it is a parameter
        self.state: Any = state
        # Modes are attributes of the model's parts: each mode is a graph of its own.
        for training in (True, False):
            other = nnx.merge(graph, state)
            getattr(other, "train" if training else "eval", lambda: None)()
            self.graphs[training] = nnx.split(other)[0]
        self.operators: dict[bool, Any] = {}

    def __deepcopy__(self, memo: Any) -> _NNX:
        return self

    def arrays(self) -> list[tuple[Any, Any, bool]]:
        """(path, array, whether it is a parameter) of every array; they are handed over."""
        variables = jax.tree_util.tree_flatten_with_path(
            self.state, is_leaf=lambda x: isinstance(x, self.nnx.Variable)
        )[0]
        made = []
        for path, variable in variables:
            trains = isinstance(variable, self.nnx.Param)
            for inner, array in jax.tree_util.tree_flatten_with_path(variable)[0]:
                keep = trains and bool(jnp.issubdtype(array.dtype, jnp.inexact))
                made.append(((*path, *_inner(inner)), array, keep))
        self.found = [trains for _, _, trains in made]
        self.state = None
        return made

    def apply(self, training: bool) -> tuple[Callable[..., Any], Any]:
        """The operator (static, arrays, keys, *args) -> (out, written), and what is static."""
        if training not in self.operators:
            self.operators[training] = from_jax(self._function(training))
        return self.operators[training], None

    def _function(self, training: bool) -> Callable[..., Any]:
        def call(_: Any, arrays: list[Any], keys: _Keys, *args: Any, **kwargs: Any) -> Any:
            model = self.rebuilt(keys.wrapped(arrays), training)
            out = model(*args, **kwargs)
            after = jax.tree_util.tree_leaves(self.nnx.split(model)[1])
            written = {}
            for k, trains in enumerate(self.found):
                if not trains and k not in dict(keys.items):
                    written[k] = after[k]
            return out, written

        call.__name__ = self.name
        return call

    def rebuilt(self, arrays: list[Any], training: bool) -> Any:
        """The model around other arrays, in one of its modes."""
        state = jax.tree_util.tree_unflatten(self.shape, arrays)
        return self.nnx.merge(self.graphs[training], state)


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def _inner(path: Any) -> tuple[Any, ...]:
    """The part of a variable's own path that says something: a single value has no name."""
    return tuple(p for p in path if "value" not in str(p))


def _name(path: Any, taken: set[str]) -> str:
    """A path of a pytree as a module's dotted name."""
    parts = [re.sub(r"\W", "_", _word(p)).strip("_") or "_" for p in path]
    name = ".".join(parts) or "weight"
    base, count = name, 1
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name)
    return name


def _word(part: Any) -> str:
    for attribute in ("name", "key", "idx"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return str(part)
