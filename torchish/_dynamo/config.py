"""Switches of PyTorch's compiler.

`disable`, `recompile_limit` (and its old name, `cache_size_limit`) and `suppress_errors` have an
effect; the others are kept and read back. Names that PyTorch does not have are refused.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

suppress_errors = False
verbose = False
cache_size_limit = 8
recompile_limit = 8
accumulated_cache_size_limit = 256
accumulated_recompile_limit = 256
capture_scalar_outputs = False
capture_dynamic_output_shape_ops = False
dynamic_shapes = True
assume_static_by_default = True
automatic_dynamic_shapes = True
optimize_ddp = True
guard_nn_modules = True
inline_inbuilt_nn_modules = True
disable = False
allow_unspec_int_on_nn_module = False
force_parameter_static_shapes = True
specialize_float = False
fake_tensor_cache_enabled = True
error_on_recompile = False
report_guard_failures = True
cache_size_limit_hit = False
only_allow_pt2_compliant_ops = False
compiled_autograd = False
dead_code_elimination = True
raise_on_ctx_manager_usage = True
print_graph_breaks = False
skip_nnmodule_hook_guards = True
traceable_tensor_subclasses: set[Any] = set()
_ALIASES = {"cache_size_limit": "recompile_limit",
            "accumulated_cache_size_limit": "accumulated_recompile_limit"}  # fmt: skip


class patch:
    """Other values for switches, in a `with` block or a decorated function.

    Args:
        arg1, arg2: the name of one switch and its value, or a dict of them.
        kwargs: switches by name.
    Raises: AttributeError for a switch that does not exist.
    """

    def __init__(self, arg1: Any = None, arg2: Any = None, **kwargs: Any) -> None:
        if isinstance(arg1, str):
            kwargs = {arg1: arg2}
        elif arg1 is not None:
            kwargs = dict(arg1)
        for name in kwargs:
            getattr(sys.modules[__name__], name)
        self.changes = kwargs
        self.before: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        module = sys.modules[__name__]
        self.before.append({name: getattr(module, name) for name in self.changes})
        for name, value in self.changes.items():
            setattr(module, name, value)

    def __exit__(self, *exc: object) -> None:
        for name, value in self.before.pop().items():
            setattr(sys.modules[__name__], name, value)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def patched(*args: Any, **kwargs: Any) -> Any:
            with patch(self.changes):
                return function(*args, **kwargs)

        return patched


class _Config(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in self.__dict__:
            raise AttributeError(f"torch._dynamo.config.{name} does not exist")
        super().__setattr__(name, value)
        other = _ALIASES.get(name) or next((k for k, v in _ALIASES.items() if v == name), None)
        if other is not None:
            super().__setattr__(other, value)


sys.modules[__name__].__class__ = _Config
