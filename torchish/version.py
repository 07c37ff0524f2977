"""The version: PyTorch's whose behaviour torchish follows, with a local label."""

from __future__ import annotations


class TorchVersion(str):
    """A version string that compares as versions do (`torch.__version__ >= "1.10"`)."""

    def _key(self, other: object) -> tuple[list[int], list[int]] | None:
        if isinstance(other, tuple | list):
            return _numbers(str(self)), [int(n) for n in other]
        return (_numbers(str(self)), _numbers(other)) if isinstance(other, str) else None

    def _compare(self, other: object, test: object) -> bool:
        keys = self._key(other)
        if keys is None:
            return NotImplemented  # type: ignore[return-value]
        size = max(len(keys[0]), len(keys[1]))
        left, right = ([*k, *[0] * (size - len(k))] for k in keys)
        return test(left, right)  # type: ignore[operator,no-any-return]

    def __lt__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a < b)

    def __le__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a <= b)

    def __gt__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a > b)

    def __ge__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a >= b)

    __eq__ = str.__eq__
    __hash__ = str.__hash__


def _numbers(text: str) -> list[int]:
    found = []
    for part in text.split("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not digits:
            break
        found.append(int(digits))
    return found


__version__ = TorchVersion("2.13.0+torchish")
cuda = None
hip = None
git_version = "torchish"
debug = False
