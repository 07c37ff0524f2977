"""Convolutions and transposed convolutions: checks and geometry around `conv_primitive`."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from ..call.describe import cpp_name, scalar_name
from ..call.warning import user_level
from ..registry import OptTensor, Tensor, op
from ..shared import numeric as num
from ..shared.memory_format import follow_windows, follows
from .primitive import ConvShape, conv, input_grad

PLACES = ("torch", "nn.functional")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def spatial_tuple(value: Any, count: int, name: str, nd: int | None = None) -> tuple[int, ...]:
    """`value` repeated to `count` entries as torch's parser does.

    Raises: RuntimeError when a list of another length is given.
    """
    if _is_int(value):
        value = (value,) * (nd or count)
    value = tuple(int(v) for v in value)
    if len(value) == 1:
        return value * count
    if len(value) != count:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {count} values to match "
            f"the convolution dimensions, but got {name}={list(value)}"
        )
    return value


def _check_dtypes(x: Any, w: Any, bias: Any) -> None:
    if bias is not None and bias.dtype != x.dtype:
        raise RuntimeError(
            f"Input type ({cpp_name(x)}) and bias type ({cpp_name(bias)}) should be the same"
        )
    if x.dtype != w.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(x)} but found {scalar_name(w)}")
    if x.dtype == jnp.bool_:
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")


def _check_groups(w: Any, groups: int) -> None:
    shape = list(w.shape)
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if w.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {shape} instead"
        )
    if w.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{shape}] instead"
        )


def _check_channels(x: Any, w: Any, bias: Any, groups: int, transposed: bool) -> None:
    given = "transposed=1" if transposed else f"groups={groups}"
    expected = w.shape[0] if transposed else w.shape[1] * groups
    if x.shape[1] != expected:
        raise RuntimeError(
            f"Given {given}, weight of size {list(w.shape)}, expected input{list(x.shape)} to have "
            f"{expected} channels, but got {x.shape[1]} channels instead"
        )
    outputs = w.shape[1] * groups if transposed else w.shape[0]
    if bias is not None and bias.shape != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(w.shape)}, "
            f"expected bias to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(bias.shape)} instead"
        )


def _check_positive(stride: Sequence[int], dilation: Sequence[int]) -> None:
    for name, values in (("stride", stride), ("dilation", dilation)):
        if min(values) <= 0:
            raise RuntimeError(f"non-positive {name} is not supported")


def _batched(x: Any, nd: int, name: str) -> tuple[Any, bool]:
    """x with a batch dimension, and whether it had one."""
    if x.ndim not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {name}, but got "
            f"input of size: {list(x.shape)}"
        )
    return (x, True) if x.ndim == nd + 2 else (x[None], False)


def _padding_pairs(
    padding: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """(before, after) for each spatial dimension; "same" puts an odd element after."""
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(kernel)
        if padding != "same":
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if set(stride) != {1}:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        if any(t % 2 for t in totals):
            warnings.warn(
                "Using padding='same' with even kernel lengths and odd dilation may require a "
                "zero-padded copy of the input be created",
                stacklevel=user_level(),
            )
        return tuple((t // 2, t - t // 2) for t in totals)
    pads = spatial_tuple(padding, len(kernel), "padding")
    if min(pads) < 0:
        raise RuntimeError("negative padding is not supported")
    return tuple((p, p) for p in pads)


def _check_fits(geo: ConvShape) -> None:
    if min(geo.kernel) == 0:
        axes = _axis_names(len(geo.kernel))
        sizes = " ".join(f"kernel_{n}: {k}" for n, k in zip(axes, geo.kernel, strict=True))
        raise RuntimeError(f"kernel size should be greater than zero, but got {sizes}")
    padded = [n + sum(p) for n, p in zip(geo.size, geo.padding, strict=True)]
    reach = [d * (k - 1) + 1 for k, d in zip(geo.kernel, geo.dilation, strict=True)]
    if any(n < r for n, r in zip(padded, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel "
            f"size: ({' x '.join(map(str, reach))}). Kernel size can't be greater than actual "
            "input size"
        )


def _axis_names(nd: int) -> list[str]:
    return ["depth", "height", "width"][3 - nd :]


def bilinear(form: Callable[[Any, Any, ConvShape], Any], a: Any, b: Any, geo: ConvShape) -> Any:
    """A convolution map on real, complex or integer operands."""
    if num.is_complex(a):
        real = form(a.real, b.real, geo) - form(a.imag, b.imag, geo)
        imag = form(a.real, b.imag, geo) + form(a.imag, b.real, geo)
        return lax.complex(real, imag)
    return form(a, b, geo)


def _finish(y: Any, bias: Any, batched: bool) -> Any:
    if bias is not None:
        y = y + bias.reshape(1, -1, *(1,) * (y.ndim - 2))
    return y if batched else y[0]


def _convolve(
    name: str, nd: int, x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:  # fmt: skip
    count = w.ndim - 2
    if count < 1:
        raise RuntimeError("weight should have at least three dimensions")
    x, batched = _batched(x, nd, name)
    stride = spatial_tuple(stride, count, "stride", nd)
    dilation = spatial_tuple(dilation, count, "dilation", nd)
    _check_dtypes(x, w, bias)
    pads = _padding_pairs(padding, w.shape[2:], stride, dilation)
    _check_positive(stride, dilation)
    _check_groups(w, groups)
    _check_channels(x, w, bias, groups, False)
    geo = ConvShape(x.shape[2:], w.shape[2:], stride, pads, dilation, groups)
    _check_fits(geo)
    if x.size and w.size:
        y = bilinear(conv, x, w, geo)
    else:
        y = jnp.zeros((x.shape[0], w.shape[0], *geo.output), x.dtype)
    return _finish(y, bias, batched)


def _convolve_transposed(
    name: str, nd: int, x: Any, w: Any, bias: Any, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> Any:  # fmt: skip
    count = w.ndim - 2
    for label, value in (("padding", padding), ("output_padding", output_padding)):
        if isinstance(value, str):
            raise TypeError(f"{name}(): argument '{label}' must be tuple of ints, not str")
    x, batched = _batched(x, nd, name)
    stride = spatial_tuple(stride, count, "stride", nd)
    dilation = spatial_tuple(dilation, count, "dilation", nd)
    pads = spatial_tuple(padding, count, "padding", nd)
    extra = spatial_tuple(output_padding, count, "output_padding", nd)
    _check_dtypes(x, w, bias)
    _check_positive(stride, dilation)
    for label, values in (("padding", pads), ("output_padding", extra)):
        if min(values) < 0:
            raise RuntimeError(f"negative {label} is not supported")
    _check_groups(w, groups)
    _check_channels(x, w, bias, groups, True)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        kinds = {"output_padding": extra, "stride": stride, "dilation": dilation}
        text = " ".join(
            f"{kind}_{axis}: {v}"
            for kind, values in kinds.items()
            for axis, v in zip(_axis_names(count), values, strict=True)
        )
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got {text}"
        )
    kernel = w.shape[2:]
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(x.shape[2:], stride, pads, dilation, kernel, extra, strict=True)
    )
    if min(size) < 0:
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, x.shape[2:]))}). Calculated "
            f"output size per channel: ({' x '.join(map(str, size))}). Output size is too small"
        )
    # The convolution whose input gradient this is ends `extra` elements early.
    pairs = tuple((p, p - e) for p, e in zip(pads, extra, strict=True))
    geo = ConvShape(size, kernel, stride, pairs, dilation, groups)
    shape = (x.shape[0], w.shape[1] * groups, *size)
    if x.size and w.size and 0 not in shape:
        y = bilinear(input_grad, x, w, geo)
    else:
        y = jnp.zeros(shape, x.dtype)
    return _finish(y, bias, batched)


_GRAD = "ConvolutionBackward0"
_FEW = 20480  # of an input's first four sizes' product


def _windows(spatial: int) -> Any:
    """Strides: channels-last where the input or the weight is.

    In one dim torch lays the input out anew first; in three it has a way for small inputs, whose
    results lie row by row.
    """

    @follows
    def layout(avals: Any, operands: Any, key: Any) -> list[Any] | None:
        if spatial == 3 and _is_small(operands, _given(key[-1], 1)):
            return None
        return follow_windows(avals, operands[spatial == 1 : 2], spatial)

    return layout


def _is_small(operands: Any, groups: int) -> bool:
    """Whether torch does without its library for a convolution in three dims."""
    shape, window = tuple(operands[0]._aval.shape), operands[1]._aval.shape[-2:]
    batched = shape if len(shape) == 5 else (1, *shape)
    few = batched[0] == 1 and math.prod(batched[:4]) <= _FEW
    return few and groups == 1 and min(window) <= 3


@follows
def _transposed_windows(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """Strides in three dims; output padding that reaches a stride has a way of its own too."""
    stride, padding = _per_dim(_given(key[-5], 1), 3), _per_dim(_given(key[-3], 0), 3)
    big = any(p >= s for p, s in zip(padding, stride, strict=True))
    if big or _is_small(operands, _given(key[-2], 1)):
        return None
    return follow_windows(avals, operands[:2], 3)


def _given(argument: Any, default: int) -> Any:
    """An argument as a key has it: what was not given stands there as `Parameter.empty`."""
    return default if argument is inspect.Parameter.empty else argument


def _per_dim(given: Any, spatial: int) -> tuple[int, ...]:
    numbers = (given,) if isinstance(given, int) else tuple(given)
    return numbers * spatial if len(numbers) == 1 else numbers


@op("none", into=PLACES, out=False, grad_name=_GRAD, layout=_windows(1))
def conv1d(
    input: Tensor, weight: Tensor, bias: OptTensor = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of input (N, C, L) or (C, L) with weight (O, C / groups, K)."""
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@op("none", into=PLACES, out=False, grad_name=_GRAD, layout=_windows(2))
def conv2d(
    input: Tensor, weight: Tensor, bias: OptTensor = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of input (N, C, H, W) or (C, H, W) with weight (O, C / groups, KH, KW)."""
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@op("none", into=PLACES, out=False, grad_name=_GRAD, layout=_windows(3))
def conv3d(
    input: Tensor, weight: Tensor, bias: OptTensor = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of input (N, C, D, H, W) with weight (O, C / groups, KD, KH, KW)."""
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@op("none", into=PLACES, out=False, grad_name=_GRAD, layout=_windows(1))
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: OptTensor = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of conv1d: input (N, C, L), weight (C, O / groups, K)."""
    return _convolve_transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


@op("none", into=PLACES, out=False, grad_name=_GRAD, layout=_windows(2))
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: OptTensor = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of conv2d: input (N, C, H, W), weight (C, O / groups, KH, KW)."""
    return _convolve_transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


@op("none", into=PLACES, out=False, grad_name=_GRAD, layout=_transposed_windows)
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: OptTensor = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of conv3d: input (N, C, D, H, W), weight (C, O / groups, KD, KH, KW)."""
    return _convolve_transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


@op("none", into=PLACES, out=False)
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Any:
    """conv1d with time first: input (T, N, C), weight (K, C, O), bias (O)."""
    x, w = jnp.transpose(input, (1, 2, 0)), jnp.transpose(weight, (2, 1, 0))
    y = _convolve("conv_tbc", 1, x, w, bias, 1, pad, 1, 1)
    return jnp.transpose(y, (2, 0, 1))
