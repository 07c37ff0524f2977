"""The older way to make operators: `Library`, `define`, `impl`."""

from __future__ import annotations

from typing import Any

from .._basics.errors import not_supported
from .custom import declare, find
from .packets import DEFINED, NAMESPACES
from .schema import parse

_KEYS = {
    "": "default", "CPU": "cpu", "CUDA": "cuda", "Meta": "meta", "Autograd": "Autograd",
    "AutogradCPU": "Autograd", "AutogradCUDA": "Autograd", "CompositeImplicitAutograd": "Autograd",
    "CompositeExplicitAutograd": "default", "BackendSelect": "default", "cpu": "cpu",
    "cuda": "cuda", "default": "default",
}  # fmt: skip


def _key(dispatch_key: str) -> str:
    if dispatch_key not in _KEYS:
        raise not_supported(f"the dispatch key {dispatch_key!r}", "CPU, CUDA or Autograd")
    return _KEYS[dispatch_key]


def fallthrough_kernel(*args: Any) -> Any:
    """A mark: nothing is done at this dispatch key."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


class Library:
    """A part of a namespace: definitions, and kernels for them.

    Args:
        ns: the namespace.
        kind: "DEF", "IMPL" or "FRAGMENT".
        dispatch_key: for kernels that name none.
    Raises: ValueError for another kind.
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError("Unsupported kind: ", kind)
        if ns in ("prim", "aten", "prims") and kind != "IMPL":
            raise ValueError(ns, " is a reserved namespace. Please try creating a library with "
                             "another name.")  # fmt: skip
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._defined: list[str] = []

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Declare an operator: `name(Tensor x) -> Tensor`; gives its name."""
        name, _, _ = parse(schema)
        qualname = f"{self.ns}::{name}"
        declare(qualname, schema[schema.index("(") :], tags)
        self._defined.append(qualname)
        return name

    def impl(
        self, op_name: Any, fn: Any, dispatch_key: str = "", *, with_keyset: bool = False,
        allow_override: bool = False,
    ) -> None:  # fmt: skip
        """Register `fn` for an operator at a dispatch key."""
        if self.ns == "aten":
            raise not_supported("replacing kernels of aten", "__torch_function__")
        if with_keyset:
            raise not_supported("Library.impl(with_keyset=True)", "with_keyset=False")
        name = op_name if isinstance(op_name, str) else op_name.name()
        full = name if "::" in name else f"{self.ns}::{name}"
        if fn is not fallthrough_kernel:
            find(full).kernels[_key(dispatch_key or self.dispatch_key)] = fn

    def fallback(self, fn: Any, dispatch_key: str = "", *, with_keyset: bool = False) -> None:
        """Refuse: there is no dispatcher to fall back from."""
        raise not_supported("Library.fallback", "a kernel for each operator")

    def _destroy(self) -> None:
        for qualname in self._defined:
            DEFINED.pop(qualname, None)
            space, _, name = qualname.partition("::")
            NAMESPACES[space].__dict__.pop(name, None)
        self._defined.clear()


def define(qualname: Any, schema: Any = None, *, lib: Any = None, tags: Any = ()) -> Any:
    """Declare `namespace::name` with a signature `(Tensor x) -> Tensor`."""
    if isinstance(qualname, Library):
        library, text = qualname, schema
        name = library.define(text, tags=tags)

        def store(fn: Any) -> Any:
            library.impl(name, fn)
            return fn

        return store
    if not isinstance(qualname, str):
        raise ValueError(
            f"define(qualname, schema): expected qualname to be instance of str, got "
            f"{type(qualname)}"
        )
    declare(qualname, schema, tags)
    return None


def impl(qualname: Any, types: Any, func: Any = None, *, lib: Any = None) -> Any:
    """Register `func` for an operator on kinds of devices ("default": on all)."""
    kinds = [types] if isinstance(types, str) else list(types)

    def store(fn: Any) -> Any:
        for kind in kinds:
            find(qualname).kernels[_key(kind)] = fn
        return fn

    return store if func is None else store(func)


def impl_abstract(qualname: Any, func: Any = None, **kwargs: Any) -> Any:
    """The old name of `register_fake`."""
    from .custom import register_fake

    return register_fake(qualname, func)


def get_ctx() -> Any:
    """Refuse: fakes are never called."""
    raise not_supported("torch.library.get_ctx (fakes are never called)")


def get_kernel(op: Any, dispatch_key: Any) -> Any:
    """The function registered for an operator at a dispatch key."""
    return find(op).kernels[_key(str(dispatch_key))]


def opcheck(
    op: Any, args: Any, kwargs: Any = None, *, test_utils: Any = None, raise_exception: bool = True,
    atol: float | None = None, rtol: float | None = None,
) -> dict[str, str]:  # fmt: skip
    """Run an operator and compare its derivative with differences; what holds, by check.

    Args:
        test_utils: the checks, of "test_schema" and "test_autograd_registration"; all if None.
        atol, rtol: of the derivative.
    Raises: what went wrong, with `raise_exception`.
    """
    from .._tensor.tensor import Tensor
    from ..autograd import gradcheck

    found: dict[str, str] = {}
    named = kwargs or {}

    def check(name: str, test: Any) -> None:
        try:
            test()
            found[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise
            found[name] = repr(error)

    wanted = (test_utils,) if isinstance(test_utils, str) else test_utils
    near: dict[str, Any] = {
        name: x for name, x in (("atol", atol), ("rtol", rtol)) if x is not None
    }
    if wanted is None or "test_schema" in wanted:
        check("test_schema", lambda: op(*args, **named))
    wide = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    chosen = wanted is None or "test_autograd_registration" in wanted
    if chosen and wide and all(a.dtype.name == "float64" for a in wide):
        check(
            "test_autograd_registration",
            lambda: gradcheck(lambda *a: op(*a, **named), args, **near),
        )
    return found
