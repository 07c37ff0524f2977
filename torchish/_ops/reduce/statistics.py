"""Covariance, correlation, finite differences."""

import warnings
from collections.abc import Sequence
from typing import Any

from ..._autograd.interop import host_array, is_host
from ..call.warning import user_level
from ..registry import Tensor, composite, ops, wrap_dim


@composite()
def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """The covariance matrix of the rows of `input`; columns are observations.

    Raises: RuntimeError for more than two dims or weights that do not fit the observations.
    """
    if input.dim() > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.dim()} dimensions"
        )
    if input.dtype.name == "bool":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input.unsqueeze(0) if input.dim() < 2 else input
    if input.dim() == 0:
        x = x.unsqueeze(1)
    count = x.size(1)
    weights = _weights(x, count, fweights, aweights)
    if weights is None:
        total, mean = count, x.sum(1, True) / count
        norm: Any = total - correction
    else:
        total = weights.sum()
        mean = (x * weights).sum(1, True) / total
        norm = total - correction
        if correction and aweights is not None:
            spread = (weights * aweights).sum() / total
            norm = total - spread * correction
        norm = norm.clamp(min=0)
    if not hasattr(norm, "dtype"):
        if norm <= 0:
            warnings.warn(
                "cov(): degrees of freedom is <= 0. Correction should be strictly less than the "
                "number of observations.",
                stacklevel=user_level(),
            )
        norm = max(norm, 0)
    centred = x - mean
    weighted = centred if weights is None else centred * weights
    found = centred @ weighted.t().conj() / norm
    return found.squeeze()


def _weights(x: Any, count: int, fweights: Any, aweights: Any) -> Any:
    """The weight of each observation; None if all are equal."""
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        if weights.dim() > 1:
            raise RuntimeError(
                f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
                f"{weights.dim()} dimensions"
            )
        integral = not (weights.dtype.is_floating_point or weights.dtype.is_complex)
        if name == "fweights" and not integral:
            raise RuntimeError(
                "cov(): expected fweights to have integral dtype but got fweights with "
                f"{str(weights.dtype)[6:]} dtype"
            )
        if is_host(weights) and (host_array(weights) < 0).any():
            raise RuntimeError(f"cov(): {name} cannot be negative")
        if weights.numel() != count:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the "
                f"input but got {weights.numel()} != {count}"
            )
    if fweights is None:
        return aweights
    return fweights if aweights is None else fweights * aweights


@composite()
def corrcoef(input: Any) -> Tensor:
    """The correlation matrix of the rows of `input`."""
    if input.dim() > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.dim()} dimensions"
        )
    found = ops.cov(input)
    if found.dim() == 0:
        return found / found
    spread = found.diagonal().sqrt()
    if found.dtype.is_complex:
        spread = found.diagonal().real.sqrt()
    found = found / spread.view(-1, 1) / spread.view(1, -1)
    if found.dtype.is_complex:
        return ops.complex(found.real.clip(-1, 1), found.imag.clip(-1, 1))
    return found.clip(-1, 1)


@composite(into=("torch",))
def gradient(input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> Any:
    """Central differences along each of `dim`; one-sided at the edges, of order 1 or 2.

    Args:
        spacing: one number, a number for each dim, or the coordinates along each dim.
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    spacing = 1 if spacing is None else spacing
    dims = list(range(input.dim())) if dim is None else dim
    dims = [dims] if isinstance(dims, int) else [wrap_dim(d, input.dim()) for d in dims]
    steps = list(spacing) if isinstance(spacing, Sequence) else [spacing] * len(dims)
    if len(steps) != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or a list of length "
            f"equal to 'self.dim() = {input.dim()}', but got a list of length {len(steps)}"
        )
    for d in dims:
        if input.size(d) < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        input = input.to(ops.full((), 0.0).dtype)
    return tuple(
        _slope(input, wrap_dim(d, input.dim()), h, edge_order)
        for d, h in zip(dims, steps, strict=True)
    )


def _slope(x: Any, d: int, spacing: Any, edge_order: int) -> Any:
    """The derivative of `x` along one dim."""
    n = x.size(d)

    def at(start: int, length: int = 1) -> Any:
        return x.narrow(d, start % n, length)

    if hasattr(spacing, "dim") and spacing.dim() == 1:
        shape = [1] * x.dim()
        shape[d] = -1
        gaps = spacing.diff()
        left = gaps[:-1].view(shape)
        right = gaps[1:].view(shape)
        middle = (
            at(0, n - 2) * (-right / (left * (left + right)))
            + at(1, n - 2) * ((right - left) / (left * right))
            + at(2, n - 2) * (left / (right * (left + right)))
        )
        first, last = gaps[0], gaps[-1]
    else:
        first = last = spacing
        middle = (at(2, n - 2) - at(0, n - 2)) / (2 * spacing)
        left, right = spacing, spacing
    if edge_order == 1:
        start, end = (at(1) - at(0)) / first, (at(-1) - at(-2)) / last
    else:
        start = _edge(at(0), at(1), at(2), *_pair(spacing, 0))
        end = -_edge(at(-1), at(-2), at(-3), *_pair(spacing, -1))
    return ops.cat([start, middle, end], d)


def _pair(spacing: Any, end: int) -> tuple[Any, Any]:
    """The two gaps next to an end."""
    if hasattr(spacing, "dim") and spacing.dim() == 1:
        gaps = spacing.diff()
        return (gaps[0], gaps[1]) if end == 0 else (gaps[-1], gaps[-2])
    return spacing, spacing


def _edge(x0: Any, x1: Any, x2: Any, near: Any, far: Any) -> Any:
    """The slope at x0 of the parabola through three points, seen from inside."""
    return (
        -(2 * near + far) / (near * (near + far)) * x0
        + (near + far) / (near * far) * x1
        - near / (far * (near + far)) * x2
    )


@composite(into=("method",))
def sum_to_size(self: Any, *size: Any) -> Tensor:
    """The sum over the dims that `size` was broadcast along."""
    shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
    mine = tuple(self.shape)
    if not shape:
        return self.sum()
    extra = len(mine) - len(shape)
    fits = extra >= 0 and all(b in (1, a) for a, b in zip(mine[extra:], shape, strict=True))
    if not fits:
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(mine)}}}.")
    dims = [d for d in range(len(mine)) if d < extra or (shape[d - extra] == 1 and mine[d] != 1)]
    return self.sum(dims, True).view(shape) if dims else self
