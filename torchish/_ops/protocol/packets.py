"""`torch.ops`' objects: operators with their overloads, by torch's names.

Dispatch modes are given overloads of `aten`, `torch.ops` holds those of every namespace; both are
these, so that they are equal where they are the same operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .tags import Tag, tags_of

Call = Callable[["OpOverload", Any, Any], Any]


class OpOverload:
    """One overload of an operator; prints as `aten.add.Tensor`."""

    def __init__(self, packet: OpOverloadPacket, overload: str) -> None:
        self._packet, self._overloadname = packet, overload
        self.namespace = packet.namespace
        self.__name__ = f"{packet.__name__}.{overload}"

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """The operator with all its overloads."""
        return self._packet

    @property
    def _opname(self) -> str:
        return self._packet.__name__

    @property
    def tags(self) -> list[Tag]:
        """What PyTorch says of the operator, as `torch.Tag`s."""
        if self._packet._tags is not None:
            return list(self._packet._tags)
        return tags_of(self.__name__)

    def name(self) -> str:
        """`aten::add.Tensor`."""
        tail = "" if self._overloadname == "default" else f".{self._overloadname}"
        return f"{self._packet._qualified_op_name}{tail}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._packet.call(self, args, kwargs)

    def __str__(self) -> str:
        return f"{self._packet}.{self._overloadname}"

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self._packet}', overload='{self._overloadname}')>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpOverload) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class OpOverloadPacket:
    """An operator: `aten.add`.

    Args:
        call: function of (overload, args, kwargs) that runs it.
        schema, tags: its signature and tags, where it is a custom one.
    """

    def __init__(
        self, namespace: str, name: str, call: Call, schema: str | None = None,
        tags: Sequence[Tag] | None = None,
    ) -> None:  # fmt: skip
        self.__name__ = name
        self.namespace = namespace
        self._qualified_op_name = f"{namespace}::{name}"
        self.call = call
        self._schema = schema
        self._tags = tags
        self._overloads: dict[str, OpOverload] = {}

    def __getattr__(self, name: str) -> OpOverload:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._overloads.setdefault(name, OpOverload(self, name))

    def overloads(self) -> list[str]:
        """The overloads that were met so far, or the default one."""
        return list(self._overloads) or ["default"]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.default, args, kwargs)

    def __str__(self) -> str:
        return f"{self.namespace}.{self.__name__}"

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpOverloadPacket) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def of_function(function: Callable[..., Any]) -> Call:
    """How a packet calls a function that is the same for all overloads."""
    return lambda overload, args, kwargs: function(*args, **kwargs)
