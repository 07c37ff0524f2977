"""einsum's subscripts: lists of numbers, and the letters that they stand for."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

ELLIPSIS = -1
LETTERS = string.ascii_uppercase + string.ascii_lowercase  # torch's order of the implicit output


def written_out(args: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of a call of `einsum` as an equation and its operands, one by one."""
    if isinstance(args[0], str):
        listed = len(args) == 2 and isinstance(args[1], (list, tuple))
        return (args[0], *args[1]) if listed else tuple(args)
    if len(args) < 2 or not all(isinstance(x, (list, tuple)) for x in args[1::2]):
        return tuple(args)
    terms = ["".join(letter(label) for label in numbers(term)) for term in args[1::2]]
    result = f"->{''.join(letter(label) for label in numbers(args[-1]))}" if len(args) % 2 else ""
    return ",".join(terms) + result, *args[0 : len(args) // 2 * 2 : 2]


def letter(label: int) -> str:
    """How a number of a subscript list is written."""
    return "..." if label == ELLIPSIS else LETTERS[label]


def numbers(term: Any) -> list[int]:
    """A subscript list with `ELLIPSIS` for three dots.

    Raises: ValueError for a number that has no letter.
    """
    for label in term:
        if label is not Ellipsis and not 0 <= label < 52:
            raise ValueError(
                "einsum(): subscript in subscript list is not within the valid range [0, 52)"
            )
    return [ELLIPSIS if label is Ellipsis else int(label) for label in term]
