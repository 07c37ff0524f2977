"""`custom_op` and what is registered for an operator: kernels, fakes, derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._basics.errors import not_supported
from .._ops.protocol.tags import Tag
from .calling import call
from .packets import DEFINED, Defined, OpOverload, OpOverloadPacket, namespace
from .schema import infer_schema


def declare(qualname: str, schema: str, tags: Any = ()) -> Defined:
    """Make `torch.ops.namespace.name` of `namespace::name`; `tags`: one of `torch.Tag`, or several.

    Raises: ValueError for a name without namespace.
    """
    space, colons, name = qualname.partition("::")
    if not colons:
        raise ValueError(
            f"Expected qualname to be of the form 'namespace::name' but got {qualname}"
        )
    op = Defined(qualname, schema)
    DEFINED[qualname] = op
    packet = OpOverloadPacket(
        space, name.partition(".")[0], lambda _, args, kwargs: call(op, args, kwargs), schema,
        (tags,) if isinstance(tags, Tag) else tuple(tags),
    )  # fmt: skip
    setattr(namespace(space), name.partition(".")[0], packet)
    return op


def find(op: Any) -> Defined:
    """The operator that a name, packet or definition stands for.

    Raises: RuntimeError for one that is not defined.
    """
    if isinstance(op, CustomOpDef):
        return op._op
    if isinstance(op, OpOverload):
        op = op._packet
    name = op._qualified_op_name if isinstance(op, OpOverloadPacket) else str(op)
    if name.removesuffix(".default") not in DEFINED:
        raise RuntimeError(f"operator {name} does not exist")
    return DEFINED[name.removesuffix(".default")]


class CustomOpDef:
    """A custom operator, called like the function that it was made of."""

    def __init__(self, op: Defined, fn: Callable[..., Any]) -> None:
        self._op, self._init_fn = op, fn
        self._qualname = op.name
        self._namespace, _, self._name = op.name.partition("::")
        self._opoverload = getattr(namespace(self._namespace), self._name).default

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return call(self._op, args, kwargs)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """What runs on one or several kinds of devices (None: on all)."""
        return register_kernel(self._op.name, device_types, fn)

    def register_fake(self, fn: Any, /) -> Any:
        """Shapes and dtypes of results: kept; calls are recorded by running them."""
        return register_fake(self._op.name, fn)

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """The derivative: `setup_context(ctx, inputs, output)` saves, `backward` uses it."""
        register_autograd(self._op.name, backward, setup_context=setup_context)

    def register_vmap(self, func: Any = None) -> Any:
        """Refuse: `torch.func.vmap` maps what the operator's kernel records."""
        return register_vmap(self._op.name, func)

    def register_torch_dispatch(self, torch_dispatch_class: Any, fn: Any = None, /) -> Any:
        """Refuse."""
        return register_torch_dispatch(self._op.name, torch_dispatch_class, fn)


def custom_op(
    name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: str | Iterable[str],
    device_types: Any = None, schema: str | None = None, tags: Any = None,
) -> Any:  # fmt: skip
    """Make an operator of a function with annotations.

    Args:
        name: `namespace::name`.
        mutates_args: the names of parameters that the function writes to.
        device_types: the kinds of devices that the function is for (None: all).
        schema: its signature, else read from the annotations.
        tags: one of `torch.Tag`, or several.
    """

    def made(function: Callable[..., Any]) -> CustomOpDef:
        names = mutates_args if isinstance(mutates_args, str) else tuple(mutates_args)
        text = infer_schema(function, mutates_args=names) if schema is None else schema
        own = (tags,) if isinstance(tags, Tag) else tuple(tags or ())
        op = declare(name, text, (Tag.pt2_compliant_tag, *own))
        _store(op, device_types, function)
        return CustomOpDef(op, function)

    return made if fn is None else made(fn)


def _store(op: Defined, device_types: Any, fn: Any) -> None:
    kinds = [device_types] if isinstance(device_types, str) else device_types or ["default"]
    op.kernels.update(dict.fromkeys(kinds, fn))


def _registered(store: Callable[[Any], None], fn: Any) -> Any:
    def wrap(function: Any) -> Any:
        store(function)
        return function

    return wrap if fn is None else wrap(fn)


def register_kernel(op: Any, device_types: Any, func: Any = None, /, *, lib: Any = None) -> Any:
    """What runs on one or several kinds of devices (None: on all)."""
    found = find(op)
    return _registered(lambda fn: _store(found, device_types, fn), func)


def register_fake(
    op: Any, func: Any = None, /, *, lib: Any = None, _stacklevel: int = 1,
    allow_override: bool = False,
) -> Any:  # fmt: skip
    """Shapes and dtypes of an operator's results: kept; calls are recorded by running them."""
    found = find(op)
    return _registered(lambda fn: found.kernels.__setitem__("meta", fn), func)


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Any = None, lib: Any = None
) -> None:
    """The derivative of an operator: `setup_context(ctx, inputs, output)` saves for `backward`."""
    found = find(op)
    found.backward, found.setup_context = backward, setup_context


def register_autocast(op: Any, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> None:
    """Cast the floating inputs of an operator in regions of autocast of that device type."""
    from .._autograd.tensor_base import TensorBase
    from ..amp.autocast_mode import is_autocast_enabled
    from ..utils._pytree import tree_map_only

    found = find(op)

    def casting(kernel: Any) -> Any:
        def cast(t: Any) -> Any:
            return t.to(cast_inputs) if t.is_floating_point() else t

        def run(*args: Any, **kwargs: Any) -> Any:
            if is_autocast_enabled(device_type):
                args, kwargs = tree_map_only(TensorBase, cast, (args, kwargs))
            return kernel(*args, **kwargs)

        return run

    found.kernels.update({k: casting(fn) for k, fn in found.kernels.items() if k != "meta"})


def register_vmap(op: Any, func: Any = None, /, *, lib: Any = None) -> Any:
    """Refuse: `torch.func.vmap` maps what the operator's kernel records."""
    raise not_supported("torch.library.register_vmap", "an operator made of torch's own")


def register_torch_dispatch(
    op: Any, torch_dispatch_class: Any, func: Any = None, /, *, lib: Any = None
) -> Any:
    """Refuse."""
    raise not_supported("torch.library.register_torch_dispatch", "__torch_function__")


def triton_op(name: str, fn: Any = None, /, **kwargs: Any) -> Any:
    """Refuse: there is no Triton here."""
    raise not_supported("torch.library.triton_op", "a jax.experimental.pallas kernel")


def wrap_triton(triton_kernel: Any, /) -> Any:
    """Refuse: there is no Triton here."""
    raise not_supported("torch.library.wrap_triton", "a jax.experimental.pallas kernel")
