"""What stands in a tensor's `__dict__` for its user.

Invariant: the engine keeps its state in the instance's own dictionary, in the fields that
`TensorBase` annotates; nothing outside of torchish sees them or can write them through `__dict__`.
"""

from __future__ import annotations

from typing import Any

from .._autograd.tensor_base import TensorBase

ENGINE_FIELDS = frozenset(TensorBase.__annotations__)

# The dictionary that an instance really has, the engine's fields included.
every_field = TensorBase.__dict__["__dict__"].__get__

_ABSENT = object()


class Attributes(dict[str, Any]):
    """The user's attributes of one tensor; what is written here is written to the tensor.

    It is a dictionary of its own, since libraries hand it on as `**kwargs` or test its type:
    attributes that the tensor gets later are not in it.
    """

    __slots__ = ("_fields",)

    def __init__(self, tensor: TensorBase) -> None:
        self._fields = every_field(tensor)
        super().__init__((k, v) for k, v in self._fields.items() if k not in ENGINE_FIELDS)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        from copy import deepcopy

        return deepcopy(dict(self), memo)

    def __setitem__(self, name: str, value: Any) -> None:
        if name in ENGINE_FIELDS:
            raise AttributeError(f"{name} of a tensor belongs to the engine")
        super().__setitem__(name, value)
        self._fields[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._fields.pop(name, None)

    def __ior__(self, other: Any) -> Attributes:  # type: ignore[override, misc]
        self.update(other)
        return self

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str, default: Any = _ABSENT) -> Any:  # type: ignore[override]
        if name not in self and default is not _ABSENT:
            return default
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        name, value = super().popitem()
        del self._fields[name]
        return name, value

    def clear(self) -> None:
        for name in list(self):
            del self[name]


def _replace(tensor: TensorBase, attributes: dict[str, Any]) -> None:
    mine = Attributes(tensor)
    mine.clear()
    mine.update(attributes)


user_attributes = property(Attributes, _replace)
