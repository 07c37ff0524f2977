"""torch.fft: every transform is one of three operators over a list of dimensions.

complex to complex, real to complex (half of the spectrum, or all of it) and Hermitian complex to
real; the norm modes are "backward" (1/n on the inverse), "ortho" (1/sqrt(n) on both) and "forward".

Source: Cooley & Tukey, 1965.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..._basics import dtypes
from ..._basics.state import process
from ..._basics.strides import contiguous_strides
from ..call.binding import plain
from ..call.composites import last
from ..call.describe import scalar_name
from ..create.filled import RANGED
from ..registry import Tensor, composite, op, ops, wrap_dim

Ints = tuple[int, ...]
_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _one(x: Any, dim: int, norm: str, forward: bool) -> Any:
    return (jnp.fft.fft if forward else jnp.fft.ifft)(x, axis=dim, norm=norm)


def _half(x: Any, dim: int, norm: str, forward: bool) -> Any:
    """The first half of the spectrum of real `x`."""
    if forward:
        return jnp.fft.rfft(x, axis=dim, norm=norm)
    return jnp.conj(jnp.fft.rfft(x, axis=dim, norm=_OPPOSITE[norm]))


def _real(x: Any, dim: int, size: int, norm: str, forward: bool) -> Any:
    """The real signal (or spectrum, forward) of which `x` is the first half of the transform."""
    if forward:
        return jnp.fft.irfft(jnp.conj(x), size, axis=dim, norm=_OPPOSITE[norm])
    return jnp.fft.irfft(x, size, axis=dim, norm=norm)


def _resize(x: Any, dims: Any, sizes: Any) -> Any:
    """Cut or fill with zeros."""
    for dim, size in zip(dims, sizes, strict=True):
        have = x.shape[dim]
        if size < have:
            x = x[(*[slice(None)] * dim, slice(0, size))]
        elif size > have:
            x = jnp.pad(x, [(0, size - have if d == dim else 0) for d in range(x.ndim)])
    return x


# ---------------------------------------------------------------------------- strides


class _Steps:
    """Sizes and strides of a tensor through a chain of transforms, as PyTorch's MKL code has them.

    A transform leaves the transformed dims innermost and the others, outside, in the order of
    their strides; cutting keeps strides and filling makes the tensor contiguous.
    """

    def __init__(self, tensor: Any, dims: Ints, sizes: Ints) -> None:
        self.shape, self.strides = list(tensor._aval.shape), tuple(tensor._strides)
        for dim, size in zip(dims, sizes, strict=True):
            if size > self.shape[dim]:
                self.strides = contiguous_strides(self.resized(dim, size))
            self.shape = list(self.resized(dim, size))

    def resized(self, dim: int, size: int) -> Ints:
        """The sizes with one of them replaced."""
        return (*self.shape[:dim], size, *self.shape[dim + 1 :])

    def transform(self, dims: Ints, keep_last: bool = False) -> None:
        """One call over several dims, the outermost in memory first (the last one aside)."""
        moved = dims[:-1] if keep_last else dims
        inner = sorted(moved, key=lambda d: -self.strides[d]) + list(dims[len(moved) :])
        outer = [d for d in range(len(self.shape)) if d not in dims]
        outer.sort(key=lambda d: -self.strides[d])
        strides, step = [0] * len(self.shape), 1
        for d in reversed(outer + inner):
            strides[d] = step
            step *= max(self.shape[d], 1)
        self.strides = tuple(strides)

    def found(self) -> list[Any]:
        """The strides of the result, None for row-major."""
        return [None if self.strides == contiguous_strides(tuple(self.shape)) else self.strides]


def _c2c_layout(avals: Any, operands: Any, key: Any) -> list[Any]:
    steps = _Steps(operands[0], plain(key[1]), plain(key[2]))
    steps.transform(plain(key[1]))
    return steps.found()


def _r2c_layout(avals: Any, operands: Any, key: Any) -> list[Any]:
    dims, sizes = plain(key[1]), plain(key[2])
    steps = _Steps(operands[0], dims, sizes)
    if plain(key[4]) or not plain(key[5]):
        steps.shape = list(avals[0].shape)
        steps.transform(dims, keep_last=bool(plain(key[5])))
    else:  # ihfft: the real transform alone, then complex ones over the other dims
        steps.shape = list(steps.resized(dims[-1], sizes[-1] // 2 + 1))
        steps.transform(dims[-1:])
        if dims[:-1]:
            steps.transform(dims[:-1])
    return steps.found()


def _c2r_layout(avals: Any, operands: Any, key: Any) -> list[Any]:
    *others, last = plain(key[1])
    *cut, size = plain(key[2])
    steps = _Steps(operands[0], (*others, last), (*cut, size // 2 + 1))
    if others:
        steps.transform(tuple(others))
    steps.shape = list(avals[0].shape)
    steps.transform((last,))
    return steps.found()


# ---------------------------------------------------------------------------- operators


@op(
    "none", into=("internal",), name="_fft_c2c", grad_name="FftC2CBackward0", layout=_c2c_layout,
    out_dtype="cast",
)  # fmt: skip
def _c2c(input: Tensor, dims: Any, sizes: Any, norm: str, forward: bool):
    x = _resize(input, dims, sizes)
    for dim in dims:
        x = _one(x, dim, norm, forward)
    return x


def _r2c_name(dims: Any, forward: bool, onesided: bool, **_: Any) -> str:
    """torch takes one dim from the real transform; inverse ones and further dims by other steps."""
    if forward and (onesided or len(dims) == 1):
        return "FftR2CBackward0"
    return "ConjBackward0" if len(dims) == 1 else "FftC2CBackward0"


@op(
    "none", into=("internal",), name="_fft_r2c", grad_name=_r2c_name, layout=_r2c_layout,
    out_dtype="cast",
)  # fmt: skip
def _r2c(input: Tensor, dims: Any, sizes: Any, norm: str, forward: bool, onesided: bool):
    x = _resize(input, dims, sizes)
    *others, last = dims
    if onesided:
        x = _half(x, last, norm, forward)
    else:
        kind = jnp.complex128 if x.dtype == jnp.float64 else jnp.complex64
        x = _one(x.astype(kind), last, norm, forward)
    for dim in others:
        x = _one(x, dim, norm, forward)
    return x


@op(
    "none", into=("internal",), name="_fft_c2r", grad_name="FftC2RBackward0", layout=_c2r_layout,
    out_dtype="cast",
)  # fmt: skip
def _c2r(input: Tensor, dims: Any, sizes: Any, norm: str, forward: bool):
    *others, last = dims
    *cut, size = sizes
    x = _resize(input, (*others, last), (*cut, size // 2 + 1))
    for dim in others:
        x = _one(x, dim, norm, forward)
    return _real(x, last, size, norm, forward)


# ---------------------------------------------------------------------------- arguments


def _norm(norm: str | None) -> str:
    if norm not in (None, "backward", "ortho", "forward"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm or "backward"


def _inexact(input: Any, is_complex: bool = False) -> Any:
    """Integers in the default float dtype; with `is_complex`, real numbers as complex ones."""
    dtype = input.dtype
    if dtype.category < dtypes.FLOAT:
        dtype = process.default_dtype
    if dtype.itemsize < 4:
        raise RuntimeError(f"Unsupported dtype {dtypes.SCALAR_NAMES[dtype]}")
    if is_complex and not dtype.is_complex:
        dtype = dtype.to_complex()
    return input if dtype is input.dtype else input.to(dtype)


def _check_size(size: int) -> int:
    if size < 1:
        raise RuntimeError(f"Invalid number of data points ({size}) specified")
    return size


def _dims(input: Any, s: Any, dim: Any) -> tuple[tuple[int, ...], list[int]]:
    """Dimensions and, for each, the asked or present size."""
    ndim = input.dim()
    if dim is not None:
        dim = (dim,) if isinstance(dim, int) else tuple(dim)
        dims = tuple(wrap_dim(d, ndim) for d in dim)
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
    if s is None:
        dims = dims if dim is not None else tuple(range(ndim))
        return dims, [input.shape[d] for d in dims]
    s = (s,) if isinstance(s, int) else tuple(s)
    if dim is not None and len(s) != len(dim):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    if len(s) > ndim:
        raise RuntimeError(
            f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions."
        )
    dims = dims if dim is not None else tuple(range(ndim - len(s), ndim))
    return dims, [input.shape[d] if n == -1 else n for d, n in zip(dims, s, strict=True)]


def _dim(input: Any, dim: int) -> int:
    if input.dim() == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, input.dim())


def _full(input: Any, dims: Any, sizes: Any, norm: Any, forward: bool) -> Any:
    norm, x = _norm(norm), _inexact(input)
    sizes = tuple(_check_size(size) for size in sizes)
    if not dims:
        return _inexact(x, True).clone()
    if x.is_complex():
        return last(_c2c, x, tuple(dims), sizes, norm, forward)
    return last(_r2c, x, tuple(dims), sizes, norm, forward, False)


def _to_half(name: str, input: Any, dims: Any, sizes: Any, norm: Any, forward: bool) -> Any:
    if input.is_complex():
        kind = "real" if len(name) < 6 and name[-1] == "t" else "real-valued"
        raise RuntimeError(f"{name} expects a {kind} input tensor, but got {scalar_name(input)}")
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    norm, x = _norm(norm), _inexact(input)
    sizes = tuple(_check_size(size) for size in sizes)
    return last(_r2c, x, tuple(dims), sizes, norm, forward, True)


def _to_real(
    name: str, input: Any, dims: Any, sizes: Any, size: Any, norm: Any, forward: bool
) -> Any:
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    norm, x = _norm(norm), _inexact(input, True)
    if size is None or size == -1:
        size = 2 * (input.shape[dims[-1]] - 1)
    sizes = tuple(_check_size(size) for size in (*sizes[:-1], size))
    return last(_c2r, x, tuple(dims), sizes, norm, forward)


# ---------------------------------------------------------------------------- public functions


def _register_1d(name: str, forward: bool, kind: str, doc: str) -> None:
    def function(input, n=None, dim=-1, norm=None):
        d = _dim(input, dim)
        sizes = [input.shape[d] if n is None else n]
        if kind == "full":
            return _full(input, (d,), sizes, norm, forward)
        if kind == "half":
            return _to_half(name, input, (d,), sizes, norm, forward)
        return _to_real(name, input, (d,), sizes, n, norm, forward)

    _name(function, name, doc)


def _register_nd(name: str, forward: bool, kind: str, doc: str) -> None:
    def function(input, s=None, dim=None, norm=None):
        dims, sizes = _dims(input, s, dim)
        if kind == "full":
            return _full(input, dims, sizes, norm, forward)
        if kind == "half":
            return _to_half(name, input, dims, sizes, norm, forward)
        size = None if s is None else (s if isinstance(s, int) else tuple(s)[-1])
        return _to_real(name, input, dims, sizes, size, norm, forward)

    many = _name(function, name, doc)
    two = name[:-1] + "2"

    def function2(input, s=None, dim=(-2, -1), norm=None):
        return last(many, input, s, dim, norm)

    _name(function2, two, doc.replace("several dimensions", "two dimensions"))


def _name(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return composite(into=("fft",), out=True)(function)


for _stem, _forward, _kind, _what in (
    ("fft", True, "full", "The discrete Fourier transform"),
    ("ifft", False, "full", "The inverse of the discrete Fourier transform"),
    ("rfft", True, "half", "The first half of the Fourier transform of a real signal"),
    ("irfft", False, "real", "The real signal whose transform starts with the given half"),
    ("hfft", True, "real", "The real transform of a Hermitian signal, given its first half"),
    ("ihfft", False, "half", "The first half of the inverse transform of a real spectrum"),
):
    _register_1d(_stem, _forward, _kind, f"{_what} along `dim`, cut or filled to `n`.")
    _register_nd(
        _stem + "n", _forward, _kind, f"{_what} over several dimensions, cut or filled to `s`."
    )


@composite(into=("fft",), out=RANGED)
def fftfreq(n, d=1.0, *, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """The frequencies of `fft`'s bins, `[0, 1, …, -2, -1] / (n d)`."""
    half = (n + 1) // 2
    place = {"device": device, "layout": layout}
    bins = ops.cat([ops.arange(half, **place), ops.arange(-(n // 2), 0, **place)])
    return _finish(bins, n * d, dtype, requires_grad)


@composite(into=("fft",), out=RANGED)
def rfftfreq(n, d=1.0, *, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """The frequencies of `rfft`'s bins, `[0, 1, …, n // 2] / (n d)`."""
    return _finish(
        ops.arange(n // 2 + 1, device=device, layout=layout), n * d, dtype, requires_grad
    )


def _finish(bins: Any, scale: float, dtype: Any, requires_grad: bool) -> Any:
    made = bins.to(dtype or process.default_dtype) * (1.0 / scale)
    if requires_grad:
        made.requires_grad_(True)
    return made


@composite(into=("fft",))
def fftshift(input, dim=None) -> Tensor:
    """Move the zero frequency to the middle of the given (by default all) dimensions."""
    return _shifted(input, dim, lambda size: size // 2)


@composite(into=("fft",))
def ifftshift(input, dim=None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted(input, dim, lambda size: (size + 1) // 2)


def _shifted(input: Any, dim: Any, by: Any) -> Any:
    dims = range(input.dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = tuple(wrap_dim(d, input.dim()) for d in dims)
    return ops.roll(input, tuple(by(input.shape[d]) for d in dims), dims) if dims else input
