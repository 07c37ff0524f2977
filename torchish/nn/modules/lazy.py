"""Modules that learn the shape of their parameters from their first input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..parameter import is_lazy

if TYPE_CHECKING:
    from .module import Module as _Mixed
else:
    _Mixed = object  # a module class stands after the mixin

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin(_Mixed):
    """Mixed in before a module class whose parameters are uninitialized at first.

    A forward pre-hook calls `initialize_parameters` with the first call's arguments, then removes
    itself; the class becomes `cls_to_become`.
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(
            self.__class__._lazy_load_hook, with_module=True
        )
        self._initialize_hook = self.register_forward_pre_hook(
            self.__class__._infer_parameters, with_kwargs=True
        )

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        for name, param in [*self._parameters.items(), *self._buffers.items()]:
            if param is None or name in self._non_persistent_buffers_set:
                continue
            if not (is_lazy(param) or keep_vars):
                param = param.detach()
            destination[prefix + name] = param

    def _lazy_load_hook(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Takes the shapes from the state dict where this module has none yet."""
        for name, param in [*self._parameters.items(), *self._buffers.items()]:
            key = prefix + name
            if key in state_dict and param is not None and is_lazy(param):
                value = state_dict[key]
                if not is_lazy(value):
                    param.materialize(value.shape)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Gives the parameters their shapes from the arguments of `forward`."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether any parameter or buffer has no shape yet."""
        return any(map(is_lazy, [*self._parameters.values(), *self._buffers.values()]))

    def _infer_parameters(
        self, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> None:
        self.initialize_parameters(*args, **(kwargs or {}))
        if self.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        self._initialize_hook.remove()
        self._load_hook.remove()
        delattr(self, "_initialize_hook")
        delattr(self, "_load_hook")
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become

    def _replicate_for_data_parallel(self) -> Any:
        raise RuntimeError(
            "Modules with uninitialized parameters can't be used with `DataParallel`. Run a "
            "dummy forward pass to correctly initialize the modules"
        )
