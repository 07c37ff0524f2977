"""Weak references and dicts by identity: tensors compare element by element, so `==` is no help."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any

WeakRef = weakref.ref

__all__ = [
    "TensorWeakRef", "WeakIdKeyDictionary", "WeakIdRef", "WeakRef", "WeakTensorKeyDictionary",
]  # fmt: skip


class WeakIdRef(weakref.ref):  # type: ignore[type-arg]
    """A weak reference that hashes by its object's id; equal to others of the same object."""

    __slots__ = ["_id"]

    def __init__(self, key: Any, callback: Any = None) -> None:
        self._id = id(key)
        super().__init__(key, callback)  # type: ignore[call-arg]

    def __call__(self) -> Any:
        return super().__call__()

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other: object) -> bool:
        mine = self()
        if mine is not None and isinstance(other, WeakIdRef):
            theirs = other()
            if theirs is not None:
                return mine is theirs
        return self is other


class WeakIdKeyDictionary(MutableMapping):  # type: ignore[type-arg]
    """A dict whose keys are compared by identity and not kept alive."""

    def __init__(self, dict: Any = None, ref_type: Any = WeakIdRef) -> None:
        self.data: dict_[Any, Any] = {}
        self.ref_type = ref_type
        own = weakref.ref(self)

        def forget(key: Any) -> None:
            space = own()
            if space is not None:
                space.data.pop(key, None)

        self._forget = forget
        if dict is not None:
            self.update(dict)

    def _key(self, key: Any) -> Any:
        return self.ref_type(key)

    def __getitem__(self, key: Any) -> Any:
        return self.data[self._key(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.data[self.ref_type(key, self._forget)] = value

    def __delitem__(self, key: Any) -> None:
        del self.data[self._key(key)]

    def __contains__(self, key: object) -> bool:
        try:
            return self._key(key) in self.data
        except TypeError:
            return False

    def __len__(self) -> int:
        return sum(ref() is not None for ref in self.data)

    def __iter__(self) -> Iterator[Any]:
        for ref in list(self.data):
            key = ref()
            if key is not None:
                yield key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x}>"

    def copy(self) -> WeakIdKeyDictionary:
        """A dict of the same keys and values."""
        made = WeakIdKeyDictionary(ref_type=self.ref_type)
        made.update(self)
        return made

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> WeakIdKeyDictionary:
        from copy import deepcopy

        made = type(self)()
        for key, value in self.items():
            made[key] = deepcopy(value, memo)
        return made

    def keyrefs(self) -> list[Any]:
        """The weak references of the keys."""
        return list(self.data)


dict_ = dict
WeakTensorKeyDictionary = WeakIdKeyDictionary


class TensorWeakRef:
    """A weak reference to a tensor."""

    def __init__(self, tensor: Any) -> None:
        from .._autograd.tensor_base import TensorBase

        if not isinstance(tensor, TensorBase):
            raise AssertionError(f"expected torch.Tensor, got {type(tensor)}")
        self.ref = weakref.ref(tensor)

    def __call__(self) -> Any:
        return self.ref()
