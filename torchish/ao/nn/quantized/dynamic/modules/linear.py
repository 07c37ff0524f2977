"""A linear layer on integers."""

from __future__ import annotations

from typing import Any, NoReturn

from ......_autograd.grad_mode import no_grad
from ......_basics import dtypes
from ......_basics.errors import not_supported
from ......_ops.registry import ops
from ......_tensor.tensor import Tensor
from ......nn import Linear as FloatLinear, Module

__all__ = ["Linear"]

_TOP = 127.0  # inputs have 7 bits: sums of two products of 8 bits would overflow the 16 of old CPUs
_SMALLEST = 6.1e-5  # a scale below it is not trusted


def _as_integers(x: Tensor) -> tuple[Any, Any]:
    """Integers from 0 to 127, less the one that stands for zero, and their scale; on x's device.

    scale = (max - min) / 127 of a range that holds zero, so that zero is exact.
    """
    low = x.amin().clamp(max=0).double()
    high = x.amax().clamp(min=0).double()
    scale = (high - low) / _TOP
    scale = ops.where(scale.float() == 0, 0.1, scale)
    widened = _SMALLEST / scale
    low, high = [ops.where(widened > 1, end * widened, end) for end in (low, high)]
    scale = ops.where(widened > 1, _SMALLEST, scale).float()
    zero = ops.round(-low / scale.double()).clamp(0, _TOP).float()
    quantised = ops.round(x * (1.0 / scale) + zero).clamp(0, _TOP)
    return quantised - zero, scale


def _check(x: Any, features: int) -> None:
    """Raise PyTorch's errors for another dtype or shape."""
    if x.dtype is not dtypes.float32:
        name = dtypes.SCALAR_NAMES[x.dtype]
        raise RuntimeError(f"expected scalar type Float but found {name}")
    if x.dim() < 2:
        raise RuntimeError("The dimension of input tensor should be larger than or equal to 2")
    if x.shape[-1] != features:
        raise RuntimeError(f"The number of rows in the packB should be equal to K: {x.shape[-1]}")


class Linear(Module):
    """``y = x @ W.T + b`` with W in int8 and x rounded to 7 bits at each call.

    Args:
        dtype: `torch.qint8`, or `torch.float16` for weights rounded to that, and x as it is.
    Raises: NotSupportedError for `weight()`: a quantized tensor. The integers and their scale (one,
        or one for each row) are the buffers `_weight` and `_scale`.
    Source: https://docs.pytorch.org/docs/stable/quantization.html
    Differs from torch: states hold `_weight`, `_scale` and `_bias`.
    """

    _bias: Tensor | None
    _weight: Tensor
    _scale: Tensor

    def __init__(
        self, in_features: int, out_features: int, bias_: bool = True,
        dtype: dtypes.dtype = dtypes.qint8,
    ) -> None:  # fmt: skip
        super().__init__()
        if dtype not in (dtypes.qint8, dtypes.float16):
            raise RuntimeError("Unsupported dtype specified for quantized Linear!")
        self.in_features, self.out_features, self._dtype = in_features, out_features, dtype
        held = dtypes.int8 if dtype is dtypes.qint8 else dtypes.float16
        self.register_buffer("_weight", ops.zeros((out_features, in_features), dtype=held))
        self.register_buffer("_scale", ops.ones(()))
        self.register_buffer("_bias", ops.zeros(out_features) if bias_ else None)

    @classmethod
    def from_float(
        cls, mod: Any, use_precomputed_fake_quant: bool = False, *, per_channel: bool = False,
        dtype: dtypes.dtype = dtypes.qint8,
    ) -> Linear:  # fmt: skip
        """The layer with the rounded weights of a Linear; `per_channel` gives each row a scale.

        Raises: AssertionError for another module, NotSupportedError for observers' results.
        """
        if type(mod) is not FloatLinear:
            raise AssertionError(
                f"nn.quantized.dynamic.Linear.from_float only works for Linear, got {type(mod)}"
            )
        if use_precomputed_fake_quant:
            raise not_supported("from_float(use_precomputed_fake_quant=True)", "leaving it out")
        made = cls(mod.in_features, mod.out_features, mod.bias is not None, dtype)
        with no_grad():
            made._take(mod.weight.detach().float(), per_channel)
            if mod.bias is not None:
                made._bias = mod.bias.detach().float().clone()
        return made

    def _take(self, weight: Any, per_channel: bool) -> None:
        if self._dtype is dtypes.float16:
            self._weight = weight.half()
            return
        largest = weight.abs().amax(1, keepdim=True) if per_channel else weight.abs().amax()
        scale = (largest / 127.5).clamp(min=1.1920928955078125e-07)
        self._weight = ops.round(weight * (1.0 / scale)).clamp(-128, 127).to(dtypes.int8)
        self._scale = scale.reshape(-1) if per_channel else scale

    def forward(self, x: Tensor) -> Tensor:
        _check(x, self.in_features)
        with no_grad():
            given: Any = x.detach()
            if self._dtype is dtypes.float16:
                made = given @ self._weight.float().t()
            elif x.numel() == 0:
                made = given.new_zeros((*x.shape[:-1], self.out_features))
            else:
                integers, scale = _as_integers(given)
                # Sums of integers below 2**53: float64 adds them without rounding.
                total = integers.double() @ self._weight.double().t()
                made = total.float() * (scale * self._scale)
            return made if self._bias is None else made + self._bias  # type: ignore[no-any-return]

    def bias(self) -> Tensor | None:
        """The bias."""
        return self._bias

    def weight(self) -> NoReturn:
        """Refused.

        Raises: NotSupportedError.
        """
        raise not_supported("quantized tensors", "the buffers _weight and _scale of the layer")

    def _get_name(self) -> str:
        return "DynamicQuantizedLinear"

    def extra_repr(self) -> str:
        text = (
            f"in_features={self.in_features}, out_features={self.out_features}, dtype={self._dtype}"
        )
        if self._dtype is not dtypes.qint8:
            return text
        kind = "channel" if self._scale.dim() else "tensor"
        return f"{text}, qscheme=torch.per_{kind}_affine"
