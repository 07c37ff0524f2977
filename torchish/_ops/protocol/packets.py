"""`aten` operators as dispatch modes see them: packets of overloads, by torch's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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
        return type(other).__name__ == "OpOverload" and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class OpOverloadPacket:
    """An operator: `aten.add`."""

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self.__name__ = name
        self.namespace = "aten"
        self._qualified_op_name = f"aten::{name}"
        self.call = call
        self._overloads: dict[str, OpOverload] = {}

    def __getattr__(self, name: str) -> OpOverload:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._overloads.setdefault(name, OpOverload(self, name))

    def overloads(self) -> list[str]:
        """The overloads that were met so far."""
        return list(self._overloads)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.default, args, kwargs)

    def __str__(self) -> str:
        return f"aten.{self.__name__}"

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __eq__(self, other: object) -> bool:
        return type(other).__name__ == "OpOverloadPacket" and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))
