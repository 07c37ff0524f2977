"""`to_jax`: a torch module or function as a pure JAX function of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from .._autograd.interop import to_jax as array_of
from .._autograd.tensor_base import TensorBase
from .._basics.devices import CPU
from .._core.values import aval_of_array
from ..nn.modules.module import Module
from ..nn.utils.stateless import _reparametrize_module
from ._recorded import Recorder, key_data


def to_jax(function: Callable[..., Any]) -> tuple[Apply, dict[str, Any]]:
    """A module or function of tensors as `(apply, params)`, a pure JAX function and its parameters.

    `apply(params, *args, buffers=None, rngs=None, train=None, **kwargs)` takes and returns arrays
    (and containers of them) and may stand under `jax.jit`, `grad`, `vmap`, `jvp`, `shard_map`,
    `checkpoint` and `lax.scan`.

    Args:
        function: its Python runs when JAX traces; what it captures are constants.
    Returns: `apply` (see `Apply`), and a dict of arrays by the names of `named_parameters`, empty
        for a function.
    Raises: TypeError for what cannot be called. Calls raise RuntimeError for a function that asks
        for values, writes to captured tensors, or draws without `rngs`.

    Example:
        >>> apply, params = torchish.func.to_jax(nn.Linear(3, 1))
        >>> jax.grad(lambda p: apply(p, jnp.ones((2, 3))).sum())(params)["bias"]
        Array([2.], dtype=float32)
    """
    if not callable(function):
        raise TypeError(f"to_jax needs a module or function, not {type(function).__name__}")
    apply = Apply(function)
    return apply, apply.params


class Apply:
    """The JAX function of a torch module or function.

    Args (of a call):
        params: arrays by name, as `to_jax` gave them; `requires_grad=False` stops gradients there.
        args, kwargs: arrays and containers of them become tensors, anything else is passed on.
        buffers: arrays by name, as in `apply.buffers`. The call then returns `(out, new_buffers)`.
        rngs: one key of `jax.random`, for dropout and everything else that draws.
        train: True or False for `module.train(...)` meanwhile; None leaves modules as they are.
    Raises: RuntimeError where the module writes its buffers and none were given, ValueError for
        names that the module does not have.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.module = function if isinstance(function, Module) else None
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __repr__(self) -> str:
        return f"<JAX function of {self.__name__}>"

    @property
    def params(self) -> dict[str, Any]:
        """The module's parameters now, as arrays by name."""
        return {} if self.module is None else _arrays(self.module.named_parameters())

    @property
    def buffers(self) -> dict[str, Any]:
        """The module's buffers now, as arrays by name."""
        return {} if self.module is None else _arrays(self.module.named_buffers())

    def __call__(
        self, params: Mapping[str, Any], /, *args: Any, buffers: Mapping[str, Any] | None = None,
        rngs: Any = None, train: bool | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        made = Call(self, args, kwargs, params, buffers, rngs, train)
        flat = made.run()
        made.recorder.check(made.arrays)
        count = made.tree.num_leaves  # type: ignore[attr-defined]  # of a PyTreeDef
        out = jax.tree_util.tree_unflatten(made.tree, flat[:count])
        if buffers is None:
            return out
        return out, dict(zip(made.buffer_names, flat[count:], strict=True))


class Call:
    """One call of an `Apply`: the run of the torch function, and the arrays it is for."""

    def __init__(
        self, apply: Apply, args: tuple[Any, ...], kwargs: dict[str, Any],
        params: Mapping[str, Any], buffers: Mapping[str, Any] | None, rngs: Any,
        train: bool | None, purpose: str = "to_jax",
    ) -> None:  # fmt: skip
        self.apply, self.module = apply, apply.module
        key = None if rngs is None else key_data(rngs)
        self.recorder = Recorder(f"{purpose}({apply.__name__})", self._home(), key)
        self.arrays: list[Any] = [] if key is None else [key[0]]
        self.train = train
        self.keeps_buffers = buffers is not None
        self.state = self._state(params, buffers)
        self.args, self.kwargs = self._enter((args, kwargs))

    def _home(self) -> Any:
        tensor = None if self.module is None else next(self.module.parameters(), None)
        return CPU if tensor is None else tensor._storage.device

    def _placed(self, array: Any, moving: bool = True) -> Any:
        self.arrays.append(array)
        return self.recorder.enter(aval_of_array(array), moving=moving)

    def _state(self, params: Mapping[str, Any], buffers: Mapping[str, Any] | None) -> Any:
        if self.module is None:
            if params or buffers:
                raise ValueError(f"{self.apply!r} has no parameters or buffers; give {{}}")
            self.buffer_names: list[str] = []
            return {}
        own = dict(self.module.named_parameters())
        _check_names(own, params, "params")
        given = self.apply.buffers if buffers is None else buffers
        self.buffer_names = [name for name, _ in self.module.named_buffers()]
        _check_names(self.buffer_names, given, "buffers")
        made = {k: self._placed(params[k], own[k].requires_grad) for k in own}
        return made | {k: self._placed(given[k], moving=False) for k in self.buffer_names}

    def _enter(self, tree: Any) -> Any:
        def enter(leaf: Any) -> Any:
            if isinstance(leaf, TensorBase):
                leaf = leaf.jax(force=True)
            return self._placed(leaf) if isinstance(leaf, jax.Array | np.ndarray) else leaf

        return jax.tree_util.tree_map(enter, tree)

    def capture(self) -> list[Any]:
        """Run the torch function: its results that are tensors, then the buffers that were given.

        Leaves what it returned in `leaves` (of `tree`), the places of tensors there in `places`,
        and the names of the buffers that it wrote in `written`.
        """
        before = {k: self.state[k] for k in self.buffer_names}

        def work() -> list[Any]:
            self.leaves, self.tree = jax.tree_util.tree_flatten(_known(self._call()))
            self.places = [k for k, x in enumerate(self.leaves) if isinstance(x, TensorBase)]
            self.written = [
                k for k, t in before.items() if self.state[k] is not t or t._storage.writes
            ]  # fmt: skip
            results = [self.leaves[k] for k in self.places]
            if self.keeps_buffers:
                results += [self.state[k] for k in self.buffer_names]
            elif self.written:
                raise self._written()
            return [(t._value(), t._edge()) for t in results]

        return self.recorder.run(work)  # type: ignore[no-any-return]

    def run(self) -> list[Any]:
        """Arrays of the results (leaves of `tree`), then of the buffers if they were given."""
        made = iter(self.recorder.function(self.capture())(*self.arrays))
        for k in self.places:
            self.leaves[k] = next(made)
        return [*self.leaves, *made]

    def _call(self) -> Any:
        if self.module is None:
            return self.apply.function(*self.args, **self.kwargs)
        with (
            _mode(self.module, self.train),
            _reparametrize_module(self.module, self.state, tie_weights=True),
        ):
            return self.module(*self.args, **self.kwargs)

    def _written(self) -> RuntimeError:
        names = self.written
        return RuntimeError(
            f"{self.recorder.name}: the module writes its buffers ({', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}). Pass buffers= (apply.buffers at first) and "
            "take the new ones from (out, new_buffers), or call it with train=False."
        )


def _arrays(named: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    return {name: array_of(tensor) for name, tensor in named}


def _check_names(own: Any, given: Mapping[str, Any], what: str) -> None:
    missing = [k for k in own if k not in given]
    unexpected = [k for k in given if k not in own]
    if missing or unexpected:
        raise ValueError(
            f"{what} are not those of the module: missing {missing}, unexpected {unexpected}"
        )


@contextmanager
def _mode(module: Any, train: bool | None) -> Iterator[None]:
    if train is None:
        yield
        return
    modes = [(m, m.training) for m in module.modules()]
    module.train(train)
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _known(tree: Any) -> Any:
    """Results in containers that JAX knows: subclasses of dict are none."""
    if isinstance(tree, dict) and type(tree) is not dict:
        return {k: _known(v) for k, v in tree.items()}
    return tree
