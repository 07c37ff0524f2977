"""Tags of PyTorch's operators: what compilers and dispatch modes may know of each overload.

`tags.txt` has the facts (`tools/op_tags.py` reads them from PyTorch): a line for each tag, of the
overloads that carry it, or that do not although their names say so (`implied`).
"""

from __future__ import annotations

import enum
import functools
from pathlib import Path


class Tag(enum.Enum):
    """What is known of an operator, for all of its inputs."""

    core = 0
    cudagraph_unsafe = 1
    data_dependent_output = 2
    dynamic_output_shape = 3
    flexible_layout = 4
    generated = 5
    inplace = 6
    inplace_view = 7
    maybe_aliasing_or_mutating = 8
    needs_contiguous_strides = 9
    needs_exact_strides = 10
    needs_fixed_stride_order = 11
    nondeterministic_bitwise = 12
    nondeterministic_seeded = 13
    out = 14
    out_variant = 15
    pointwise = 16
    pt2_compliant_tag = 17
    reduction = 18
    view_copy = 19


def implied(name: str) -> set[str]:
    """The names of tags that the name of an overload says: `relu_.default` is in-place."""
    operator, _, overload = name.partition(".")
    found = {"pt2_compliant_tag"}
    if overload.endswith("out"):
        found.add("out")
    elif operator.endswith("_"):
        found.add("inplace")
    if operator.endswith("_copy"):
        found.add("view_copy")
    return found


@functools.cache
def _listed() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in (Path(__file__).parent / "tags.txt").read_text().splitlines():
        tag, *names = line.split()
        for name in names:
            found.setdefault(name, set()).add(tag)
    return found


def tags_of(name: str) -> list[Tag]:
    """The tags of an overload of `aten`, `add.Tensor`, in order."""
    found = implied(name) ^ _listed().get(name, set())
    return sorted((Tag[tag] for tag in found), key=lambda tag: tag.value)


__all__ = ["Tag", "implied", "tags_of"]
