"""A mapped call over samples: what one sample does, mapped by `jax.vmap`.

Invariant: what leaves a sample does so through one kernel of all that it recorded, however often:
nothing is kept between a forward and its backward but the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._autograd.capture import BlindCapture, DataDependent
from .._autograd.nodes import Edge
from .._basics.devices import device
from .._basics.errors import not_supported
from .._core.kernels import Kernel
from .._core.trace import record_on
from .._core.values import Aval, Value, aval_of
from .mapped import MappedCall, Operand, Piece

_READS = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling "
    ".item() on a Tensor, please try to rewrite what you're doing with other operations. If error "
    "is occurring somewhere inside PyTorch internals, please file a bug report."
)
_CHOOSES = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We "
    "don't support that yet, please file an issue at https://github.com/pytorch/pytorch/issues . "
    "(torch.where chooses elementwise.)"
)
_RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)


class Sample(BlindCapture):
    """The operators of one sample of `size`; `randomness`: "error", "different" or "same"."""

    def __init__(self, home: device, size: int, randomness: str) -> None:
        super().__init__(home, "a function given to vmap")
        self.size, self.randomness = size, randomness

    def draw(self, dist: Any, numbers: Sequence[Any], aval: Aval, dev: device) -> Value | None:
        """The part of one sample, where a Capture around this one gives random numbers."""
        outer = self.outer
        if outer is None or not outer.draws_by_key:
            return None
        return self._part(aval, lambda every: outer.draw(dist, numbers, every, dev))

    def drawn(self, make: Callable[[], Any], aval: Aval) -> Value:
        """The part of one sample of what the host draws, sample after sample."""

        def draw(every: Aval) -> Value:
            if every is aval:
                return BlindCapture.drawn(self, make, aval)
            return BlindCapture.drawn(
                self, lambda: np.stack([make() for _ in range(self.size)]), every
            )

        return self._part(aval, draw)

    def varies(self, value: Value) -> bool:
        """Whether a value in here depends on the sample."""
        parts = {s for s, operand in self.sources.items() if operand.kind != "shared"}
        return self.slot(value) in self.reached(parts)

    def sizes_around(self, value: Value) -> tuple[int, ...]:
        """The sizes of the levels whose sample a value depends on."""
        if value.trace is not self:
            return super().sizes_around(value)
        inner = (self.size,) if self.varies(value) else ()
        around = [
            super(Sample, self).sizes_around(operand.value)
            for slot, operand in self.sources.items()
            if value.slot in self.reached({slot})
        ]
        return (*max(around, key=len, default=()), *inner)

    def _part(self, aval: Aval, draw: Callable[[Aval], Any]) -> Value:
        """What `draw` gives of an aval, for one sample."""
        if self.randomness == "error":
            raise RuntimeError(_RANDOM)
        if self.randomness == "same":
            return draw(aval)  # type: ignore[no-any-return]
        with self.outside():
            drawn = draw(aval_of((self.size, *aval.shape), aval.dtype))
        return self.placeholder(aval, Operand("row", 0, drawn, (aval,)))


class SampleCall(MappedCall):
    """One call of a function that is mapped over samples, one call of `vmap`."""

    def __init__(self, home: device, size: int, randomness: str) -> None:
        self.sample = Sample(home, size, randomness)
        super().__init__([self.sample])
        self.size, self.randomness = size, randomness

    def part(self, value: Value, dim: int, outer: Edge | None) -> Any:
        """The tensor of one sample that stands for a value of all samples, along `dim`."""
        shape = tuple(value.aval.shape)
        aval = aval_of(shape[:dim] + shape[dim + 1 :], value.aval.dtype)
        return self.enter(value, outer, "row", dim, [aval])[0]

    @contextmanager
    def recording(self, number: int = 0) -> Iterator[None]:
        """Record one sample in a block.

        Raises: torch's RuntimeError when it asks for a number or, unasked, for random ones.
        """
        try:
            with super().recording(number):
                yield
        except DataDependent as error:
            names = {frame.f_code.co_name for frame, _ in walk_tb(error.__traceback__)}
            raise RuntimeError(_CHOOSES if "__bool__" in names else _READS) from None

    def varies(self, value: Value) -> bool:
        """Whether a value of one sample depends on the sample."""
        return self.sample.varies(value)

    def backward_name(self, name: str) -> str:
        """As torch's: the same at every order."""
        return name

    def mark(self) -> list[tuple[int, ...]]:
        """How much one sample recorded."""
        return [self.sample.mark()]

    def forget(self, mark: Sequence[tuple[int, ...]]) -> None:
        """Drop a backward pass that nobody will differentiate."""
        self.sample.forget(mark[0])

    def kernel_key(self) -> Any:
        """How many samples there are, and whether they draw alike."""
        return self.size, self.randomness

    def make_kernel(
        self, pieces: Sequence[Piece], specs: Sequence[Any], results: Sequence[Any]
    ) -> Kernel:
        """The kernel: arrays of all samples and numbers -> results.

        Raises: RuntimeError for kernels that draw by themselves, unless all samples draw alike.
        """
        (piece,) = pieces
        if piece.body.draws and self.randomness != "same":
            if self.randomness == "error":
                raise RuntimeError(_RANDOM)
            raise not_supported("vmap(randomness='different') on this device", "'same'")
        kinds = [spec[0] if isinstance(spec, tuple) else "number" for spec in specs]
        axes = [spec[1] if kind == "row" else None for spec, kind in zip(specs, kinds, strict=True)]
        size = self.size

        def one(index: Any, *arrays: Any) -> tuple[Any, ...]:
            seen = [
                jnp.where(index == 0, x, jnp.zeros_like(x)) if kind == "first" else x
                for x, kind in zip(arrays, kinds, strict=True)
            ]
            return tuple(piece.run(seen)[0])

        def fn(*arrays: Any) -> tuple[Any, ...]:
            outs = jax.vmap(
                one,
                in_axes=(0, *axes),
                out_axes=tuple(dim if kind == "stacked" else 0 for kind, dim, _ in results),
            )(np.arange(size), *arrays)
            return tuple(
                x.any() if kind == "any" else x.sum(0) if kind == "sum" else
                x[0] if kind == "first" else x
                for x, (kind, _, _) in zip(outs, results, strict=True)
            )  # fmt: skip

        in_avals = [spec[2] if isinstance(spec, tuple) else spec for spec in specs]
        return Kernel("vmap", fn, in_avals, differentiable=False)

    def apply(self, kernel: Kernel, operands: Sequence[Any]) -> list[Value]:
        """Record in the trace around."""
        return record_on(self.sample.device, kernel, operands)


__all__ = ["SampleCall"]
