"""A view: a storage seen through strides.

Every read is one strided-read kernel and every write one strided-write kernel; gradients,
`as_strided` and in-place operators follow from these two.
"""

from __future__ import annotations

from typing import Any

from .._basics.memo import Bounded
from .layout import read_step, write_step
from .storage import Storage
from .trace import record
from .values import Aval, Value

# How views are read, by base, shape and layout: what the recorder looks at (`native/src/recorder`).
reads = Bounded(4096)

# Strides, offset, and whether the elements are read conjugated; None: the whole base.
Layout = tuple[tuple[int, ...], int, bool] | None


class View:
    """`aval` elements of a storage, at the places that `layout` says."""

    __slots__ = ("aval", "layout", "storage")

    def __init__(self, storage: Storage, aval: Aval, layout: Layout) -> None:
        self.storage = storage
        self.aval = aval
        self.layout = layout

    def read(self) -> Value:
        """The present content, in the view's own shape."""
        if self.layout is None:
            return self.storage.value
        kernel, starts = read_step(*self._step())
        if self.storage.strides is None:
            reads.keep((self.storage.aval, self.aval, self.layout), (kernel, starts))
        (found,) = record(kernel, (self.storage.value, *starts))
        return found

    def write(self, value: Value) -> None:
        """Replace the content; what lies outside of the view stays."""
        if self.layout is not None:
            kernel, starts = write_step(*self._step())
            (value,) = record(kernel, (self.storage.value, value, *starts))
        self.storage.set(value)

    def _step(self) -> tuple[Any, ...]:
        assert self.layout is not None
        strides, offset, conj = self.layout
        shape = tuple(self.aval.shape)
        return self.storage.geometry, shape, strides, offset, self.aval.dtype, conj
