"""`torch.__version__`: a string that compares as a version, as PyTorch's does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .version import __version__ as internal_version

__all__ = ["TorchVersion"]

_FORM = re.compile(
    r"v?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|rc|alpha|beta|c|pre|preview)[-_.]?(\d*))?"
    r"(?:[-_.]?(post)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9.]+))?$",
    re.IGNORECASE,
)
_STAGES = {"a": 0, "alpha": 0, "b": 1, "beta": 1}


def _key(version: Any) -> tuple[Any, ...] | None:
    """What orders versions; None for what is none."""
    if isinstance(version, Iterable) and not isinstance(version, str):
        version = ".".join(str(part) for part in version)
    match = _FORM.match(str(version).strip())
    if match is None:
        return None
    release, stage, number, post, post_number, dev, dev_number, local = match.groups()
    digits = [int(part) for part in release.split(".")]
    while digits and digits[-1] == 0:
        digits.pop()
    if stage:
        step = (_STAGES.get(stage.lower(), 2), int(number or 0))
    else:
        step = (-1 if dev and not post else 3, 0)
    return (
        tuple(digits),
        step,
        int(post_number or 0) + 1 if post else 0,
        (0, int(dev_number or 0)) if dev else (1, 0),
        local or "",
    )


class TorchVersion(str):
    """A version that compares with strings and tuples: `torch.__version__ >= (2, 1)`."""

    def _order(self, other: Any) -> tuple[Any, Any]:
        mine, others = _key(self), _key(other)
        if mine is None or others is None:  # what is no version compares as text
            return str(self), str(other)
        return mine, others

    def __gt__(self, other: Any) -> bool:
        mine, others = self._order(other)
        return mine > others

    def __lt__(self, other: Any) -> bool:
        mine, others = self._order(other)
        return mine < others

    def __ge__(self, other: Any) -> bool:
        mine, others = self._order(other)
        return mine >= others

    def __le__(self, other: Any) -> bool:
        mine, others = self._order(other)
        return mine <= others

    def __eq__(self, other: object) -> bool:
        mine, others = self._order(other)
        return mine == others

    __hash__ = str.__hash__


__version__ = TorchVersion(internal_version)
