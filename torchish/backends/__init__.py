"""`torch.backends`: switches of PyTorch's own libraries.

XLA chooses algorithms itself, so flags that only steer a choice of algorithm (`cudnn.benchmark`,
`cudnn.deterministic`, TF32) are kept and read back, and change nothing. What would change results
(`cuda.matmul.allow_tf32` on a GPU) follows JAX's `jax_default_matmul_precision`. `mkldnn` tells of
the optional package torchish-cpu, and switches it.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from . import _attention


class _Backend(types.ModuleType):
    """A submodule whose flags are plain attributes."""

    def __init__(self, name: str, **flags: Any) -> None:
        super().__init__(f"{__name__}.{name}")
        self.__dict__.update(flags)
        self.__path__: list[str] = []  # its submodules, where torch has some, are shells
        sys.modules[self.__name__] = self

    def flags(self, **kwargs: Any) -> Any:
        """Context manager that sets flags inside a block."""
        return _Flags(self, kwargs)


class _Flags:
    def __init__(self, backend: _Backend, wanted: dict[str, Any]) -> None:
        self.backend, self.wanted = backend, wanted

    def __enter__(self) -> None:
        self.before = {k: getattr(self.backend, k, None) for k in self.wanted}
        self._set(self.wanted)

    def __exit__(self, *exc: object) -> None:
        self._set(self.before)

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self.backend, name, value)


class _OneDnn(_Backend):
    """`enabled` decides; programs that were compiled under the other answer are dropped."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "enabled":
            from .._ops.conv import onednn

            onednn.switch(bool(value))


def _onednn_available() -> bool:
    from .._ops.conv import onednn

    return onednn.is_available()


def _never() -> bool:
    return False


def _cuda_built() -> bool:
    from .._basics.devices import jax_devices

    return bool(jax_devices("cuda"))


cudnn = _Backend(
    "cudnn", benchmark=False, deterministic=False, enabled=True, allow_tf32=True,
    benchmark_limit=10, is_available=_never, version=lambda: None,
)  # fmt: skip
cuda = _Backend("cuda", is_built=_cuda_built, **_attention.functions(), **_attention.others())
cuda.matmul = types.SimpleNamespace(  # type: ignore[attr-defined]
    allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
)  # fmt: skip
mkldnn = _OneDnn("mkldnn", enabled=True, is_available=_onednn_available)
mkl = _Backend("mkl", is_available=_never)
openmp = _Backend("openmp", is_available=_never)
mps = _Backend("mps", is_available=_never, is_built=_never)
opt_einsum = _Backend("opt_einsum", enabled=True, strategy="auto", is_available=lambda: True)
quantized = _Backend("quantized", engine="none", supported_engines=["none"])
