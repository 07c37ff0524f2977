"""Policies of what is wrapped apart, and the functions that follow them.

Source: https://docs.pytorch.org/docs/stable/fsdp.html
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ...nn import Module, ModuleDict, ModuleList, MultiheadAttention

__all__ = [
    "CustomPolicy", "ModuleWrapPolicy", "always_wrap_policy", "enable_wrap",
    "lambda_auto_wrap_policy", "size_based_auto_wrap_policy", "transformer_auto_wrap_policy",
    "wrap",
]  # fmt: skip

Kwargs = dict[str, Any]


def always_wrap_policy(*args: Any, **kwargs: Any) -> bool:
    """Every module."""
    return True


class _Policy(ABC):
    """A policy that looks at the whole module at once."""

    @abstractmethod
    def _run_policy(
        self, root_module: Any, ignored_modules: set[Any], root_kwargs: Kwargs
    ) -> dict[Any, Kwargs]:
        """The modules that are wrapped, and with which arguments."""


class ModuleWrapPolicy(_Policy):
    """Modules of some classes."""

    def __init__(self, module_classes: Iterable[type]) -> None:
        self._module_classes = set(module_classes)

    def _run_policy(
        self, root_module: Any, ignored_modules: set[Any], root_kwargs: Kwargs
    ) -> dict[Any, Kwargs]:
        kinds = tuple(self._module_classes)
        found = [m for m in root_module.modules() if isinstance(m, kinds)]
        return {m: dict(root_kwargs) for m in found if m not in ignored_modules}

    def __call__(self, module: Any, recurse: bool, *args: Any, **kwargs: Any) -> bool:
        return recurse or isinstance(module, tuple(self._module_classes))

    def __repr__(self) -> str:
        return f"{super().__repr__()}({self._module_classes})"


class CustomPolicy(_Policy):
    """Modules that a function says: True, or a dictionary of arguments of their own."""

    def __init__(self, lambda_fn: Callable[[Any], Any]) -> None:
        self._lambda_fn = lambda_fn

    def _run_policy(
        self, root_module: Any, ignored_modules: set[Any], root_kwargs: Kwargs
    ) -> dict[Any, Kwargs]:
        """Ask the function.

        Raises: ValueError for any other answer.
        """
        found: dict[Any, Kwargs] = {}
        for module in root_module.modules():
            if module in ignored_modules:
                continue
            answer = self._lambda_fn(module)
            if not isinstance(answer, dict | bool):
                raise ValueError(
                    "The lambda_fn passed to CustomPolicy should return False/True or a kwarg "
                    f"dict, but it returned {answer}"
                )
            if answer:
                found[module] = {**root_kwargs, **(answer if isinstance(answer, dict) else {})}
        return found


def lambda_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[Any], bool]
) -> bool:
    """Modules that a function says, of whatever size."""
    return recurse or lambda_fn(module)


def transformer_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type]
) -> bool:
    """Layers of a transformer, of whatever size."""
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, min_num_params: int = int(1e8),
    force_leaf_modules: Any = None, exclude_wrap_modules: Any = None,
) -> bool:  # fmt: skip
    """Modules of so many parameters."""
    large = nonwrapped_numel >= min_num_params
    leaves = {MultiheadAttention} if force_leaf_modules is None else force_leaf_modules
    excluded = {ModuleList, ModuleDict} if exclude_wrap_modules is None else exclude_wrap_modules
    return large and not isinstance(module, tuple(leaves if recurse else excluded))


# --- following a policy ---------------------------------------------------------------------------


def wrap_inside(root: Any, policy: Any, wrapper_cls: Any, kwargs: Kwargs) -> None:
    """Wrap what a policy says inside of `root`, not `root` itself.

    Raises: AssertionError where something is wrapped already.
    """
    for module in root.modules():
        if isinstance(module, wrapper_cls):
            raise AssertionError(f"Child module {module} is already wrapped by {wrapper_cls}")
    if isinstance(policy, _Policy):
        chosen = policy._run_policy(root, set(), kwargs)
        _replace(root, {m: k for m, k in chosen.items() if m is not root}, wrapper_cls, {root})
    else:
        _recurse(root, policy, wrapper_cls, kwargs, True)


def _replace(module: Any, chosen: dict[Any, Kwargs], wrapper_cls: Any, seen: set[Any]) -> None:
    """Put wrappers in the places of the chosen modules, the innermost first."""
    for name, child in list(module.named_children()):
        if child not in seen:
            seen.add(child)
            _replace(child, chosen, wrapper_cls, seen)
            if child in chosen:
                setattr(module, name, wrapper_cls(child, **chosen[child]))


def _recurse(
    module: Any, policy: Any, wrapper_cls: Any, kwargs: Kwargs, is_root: bool
) -> tuple[Any, int]:
    """The module or its wrapper, and how many elements are wrapped in it."""
    size = sum(p.numel() for p in module.parameters())
    if not policy(module=module, recurse=True, nonwrapped_numel=size):
        return module, 0
    inside = 0
    for name, child in list(module.named_children()):
        made, count = _recurse(child, policy, wrapper_cls, kwargs, False)
        setattr(module, name, made)
        inside += count
    if not is_root and policy(module=module, recurse=False, nonwrapped_numel=size - inside):
        return wrapper_cls(module, **kwargs), size
    return module, inside


_around: list[tuple[Any, Kwargs]] = []


@contextmanager
def enable_wrap(*, wrapper_cls: Any, **wrapper_kwargs: Any) -> Iterator[None]:
    """A block in which `wrap(module)` is `wrapper_cls(module, **wrapper_kwargs)`.

    Raises: NotImplementedError inside of another one.
    """
    if _around:
        raise NotImplementedError(
            "You are already within an autowrap context and we currently do not supported nested "
            "autowrap."
        )
    _around.append((wrapper_cls, wrapper_kwargs))
    try:
        yield
    finally:
        _around.pop()


def wrap(module: Module, **wrap_overrides: Any) -> Any:
    """The module, wrapped inside a block of `enable_wrap`; the arguments given here win."""
    if not _around:
        return module
    wrapper_cls, kwargs = _around[-1]
    return wrapper_cls(module, **{**kwargs, **wrap_overrides})
