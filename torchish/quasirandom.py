"""Sobol's sequences of points that fill a cube evenly: `torch.quasirandom`.

The numbers are 30-bit integers on the host; a point is its predecessor with one column of direction
numbers added without carry.
"""

from __future__ import annotations

import importlib.resources
from typing import Any

import numpy as np

import torchish

_BITS = 30


def _directions(dimension: int) -> np.ndarray:
    """Direction numbers (dimension, 30), from the polynomials that Joe and Kuo published.

    SciPy carries their table in a file of its own.
    """
    table = importlib.resources.files("scipy.stats").joinpath("_sobol_direction_numbers.npz")
    with importlib.resources.as_file(table) as path, np.load(path) as content:
        polynomials = content["poly"][:dimension].astype(np.int64)
        first = content["vinit"][:dimension].astype(np.int64)
    found = np.ones((dimension, _BITS), np.int64)
    for row, polynomial in enumerate(polynomials.tolist()[1:], 1):
        degree = polynomial.bit_length() - 1
        found[row, :degree] = first[row, :degree]
        for j in range(degree, _BITS):
            value = found[row, j - degree]
            for k in range(degree):
                if polynomial >> (degree - 1 - k) & 1:
                    value ^= found[row, j - k - 1] << (k + 1)
            found[row, j] = value
    return found << np.arange(_BITS - 1, -1, -1)


def _scrambled(state: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Direction numbers times lower triangular matrices of bits, (dimension, 30, 30)."""
    bits = state[:, :, None] >> np.arange(_BITS - 1, -1, -1) & 1  # (dimension, column, bit)
    lower = np.tril(lower, -1) + np.eye(_BITS, dtype=np.int64)
    mixed = np.einsum("dpk,djk->djp", lower, bits) & 1
    return mixed @ (1 << np.arange(_BITS - 1, -1, -1))


class SobolEngine:
    """Points of a Sobol sequence in [0, 1)^dimension, one after another.

    Args:
        dimension: 1 to 21201.
        scramble: shuffle the digits at random (Owen), which keeps the points' evenness.
        seed: of the shuffling; by default it is drawn from the default generator.
    Raises: ValueError for other dimensions.
    Source: Sobol' (1967); Joe and Kuo (2008); Owen (1998).
    """

    MAXBIT = _BITS
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]"
            )
        self.seed = seed
        self.scramble = scramble
        self.dimension = dimension
        self._state = _directions(dimension)
        self._shift = np.zeros(dimension, np.int64)
        if scramble:
            self._scramble()
        self._last = self._shift
        self.num_generated = 0

    def _scramble(self) -> None:
        generator = None
        if self.seed is not None:
            generator = torchish.Generator()
            generator.manual_seed(self.seed)
        bits = torchish.randint(2, (self.dimension, _BITS), generator=generator).numpy()
        self._shift = bits @ (1 << np.arange(_BITS))
        shape = (self.dimension, _BITS, _BITS)
        lower = torchish.randint(2, shape, generator=generator).numpy()
        self._state = _scrambled(self._state, lower)

    @property
    def sobolstate(self) -> Any:
        """The direction numbers (dimension, 30)."""
        return torchish.from_numpy(self._state.copy())

    @property
    def shift(self) -> Any:
        """The first point, in units of 2^-30."""
        return torchish.from_numpy(self._shift.copy())

    @property
    def quasi(self) -> Any:
        """The last point, in units of 2^-30."""
        return torchish.from_numpy(self._last.copy())

    def _next(self, count: int) -> np.ndarray:
        """The next points (count, dimension) in units of 2^-30."""
        fresh = self.num_generated == 0
        rows = count - 1 if fresh else count
        start = 0 if fresh else self.num_generated - 1
        before = np.arange(start, start + rows)
        # Which column is added: the place of the last zero among the bits of the point's number.
        lowest = np.log2(~before & (before + 1)).astype(np.int64)
        steps = np.concatenate([self._last[None], self._state.T[lowest]])
        points = np.bitwise_xor.accumulate(steps, 0)
        self._last = points[-1]
        self.num_generated += count
        return points if fresh else points[1:]

    def draw(self, n: int = 1, out: Any = None, dtype: Any = None) -> Any:
        """The next `n` points, (n, dimension), of the default dtype unless another is given."""
        points = self._next(n)
        dtype = torchish.get_default_dtype() if dtype is None else dtype
        result = torchish.from_numpy(points / 2.0**_BITS).to(dtype)
        return result if out is None else out.resize_as_(result).copy_(result)

    def draw_base2(self, m: int, out: Any = None, dtype: Any = None) -> Any:
        """The next 2^m points.

        Raises: ValueError unless as many points as a power of two are drawn by then.
        """
        count = 2**m
        total = self.num_generated + count
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: "
                f"n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(count, out, dtype)

    def reset(self) -> SobolEngine:
        """Begin again with the first point."""
        self._last = self._shift
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Pass over `n` points."""
        self._next(n)
        return self

    def __repr__(self) -> str:
        parts = [f"dimension={self.dimension}"]
        if self.scramble:
            parts.append("scramble=True")
        if self.seed is not None:
            parts.append(f"seed={self.seed}")
        return f"{type(self).__name__}({', '.join(parts)})"
