"""torchish: PyTorch's API on JAX. `import torchish as torch`."""

from __future__ import annotations

import importlib
import sys as _sys
from typing import TYPE_CHECKING, Any

from ._importing import uncollected as _uncollected
from ._layout import finder as _finder

_finder.install()

with _uncollected():
    import jax as _jax

    from ._basics.settings import settings as _settings

    # torch has int64 and float64; operands are cast by torch's rules before JAX sees them. Without
    # the setting the engine turns the mode on wherever it needs it (`_basics/wide.py`).
    if _settings.jax_x64:
        _jax.config.update("jax_enable_x64", True)
    if (
        _settings.cache_folder is not None
        and getattr(_jax.config, "jax_compilation_cache_dir", None) is None
    ):
        from ._basics import xla_cache as _xla_cache

        _xla_cache.install(_settings.cache_folder)

    if _settings.keep_memory:
        from ._basics.allocator import keep_freed_memory as _keep

        _keep()

    from . import _ahead as _ahead, _jax_arguments
    from ._basics import tracebacks as _tracebacks
    from ._namespace import public as _namespace
    from ._tensor.tensor import Tensor as Tensor
    from .torch_version import __version__ as __version__

globals().update(_namespace.public())
_jax_arguments.register()
_tracebacks.hide_in_reports()
_tracebacks.hide_from_pytest(__name__)

if TYPE_CHECKING:  # what an editor sees of the names that are made at run time
    from . import fft as fft, linalg as linalg, random as random, special as special
    from ._generated.torch import *  # noqa: F403
    from ._generated.torch import _assert as _assert

# Submodules that scripts reach as attributes without importing them; loaded at first use.
_LAZY = (
    "_C", "__config__", "__future__", "_dynamo", "accelerator", "amp", "autograd", "backends",
    "compiler", "cpu", "cuda", "distributed", "distributions", "export", "fft", "func",
    "futures", "hub", "jit", "library", "linalg", "mps", "mtia", "multiprocessing", "nested",
    "nn", "onnx", "ops", "optim", "overrides", "profiler", "random", "return_types",
    "serialization", "signal", "sparse", "special", "storage", "testing", "types", "utils",
    "vision", "xpu",
)  # fmt: skip
# Names that live in submodules which most scripts never load.
_BORROWED = {
    "install": "_command.notebook", "load_ipython_extension": "_command.notebook",
    "BufferDict": "nn", "ModuleDict": "nn", "ParameterDict": "nn", "Event": "_devices.streams",
    "Stream": "_devices.streams", "GradScaler": "amp", "autocast": "amp", "vmap": "func",
    "from_dlpack": "_tensor.dlpack", "to_dlpack": "_tensor.dlpack", "from_jax": "_jax",
    "compile": "_compile", "sparse_coo_tensor": "sparse", "sparse_csr_tensor": "sparse",
    "sparse_csc_tensor": "sparse", "sparse_bsr_tensor": "sparse", "sparse_bsc_tensor": "sparse",
    "sparse_compressed_tensor": "sparse",
    **dict.fromkeys(
        ("smm", "spmm", "hspmm", "dsmm", "hsmm", "saddmm", "sspaddmm"), "_namespace.sparse_names"
    ),
    "Future": "futures",
    **dict.fromkeys(
        ("cond", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sqrt",
         "sym_sum"), "_namespace.symbolic"
    ),
    **dict.fromkeys((
        "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache",
        "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype",
        "is_autocast_cache_enabled", "is_autocast_cpu_enabled", "is_autocast_enabled",
        "set_autocast_cache_enabled", "set_autocast_cpu_dtype", "set_autocast_cpu_enabled",
        "set_autocast_dtype", "set_autocast_enabled", "set_autocast_gpu_dtype",
    ), "amp.autocast_mode"),
}  # fmt: skip


if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            try:
                module = importlib.import_module(f"{__package__}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{__package__}.{name}":
                    raise
                raise _namespace.absent_module(name) from None
            globals()[name] = module
            return module
        if name in _BORROWED:
            try:
                module = importlib.import_module(f"{__package__}.{_BORROWED[name]}")
            except ModuleNotFoundError:
                return _namespace.missing(name)
            globals()[name] = found = getattr(module, name)
            return found
        if name.startswith("_foreach_"):
            module = importlib.import_module(f"{__package__}._ops.foreach")
            if hasattr(module, name):
                return getattr(module, name)
        if name == "torch":  # PyTorch's modules import it, and some programs write torch.torch
            return importlib.import_module("torchish")
        return _namespace.missing(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_BORROWED})


_finder.finish(_sys.modules[__name__])
