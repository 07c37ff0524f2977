"""Named results such as `torch.return_types.max(values=..., indices=...)`."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

types: dict[str, type] = {}


def return_type(name: str, fields: str) -> type:
    """The tuple subclass of an operator with named results (one a name)."""
    found = types.get(name)
    if found is not None:
        return found
    names = fields.split()

    def new(cls: type, values: Any) -> Any:
        values = tuple(values)
        if len(values) != len(names):
            raise TypeError(
                f"torch.return_types.{name}() takes a {len(names)}-sequence "
                f"({len(values)}-sequence given)"
            )
        return tuple.__new__(cls, values)

    def text(self: Any) -> str:
        parts = [f"{n}={v!r}" for n, v in zip(names, self, strict=True)]
        return f"torch.return_types.{name}(\n" + ",\n".join(parts) + ")"

    body: dict[str, Any] = {n: property(itemgetter(k)) for k, n in enumerate(names)}
    body.update(
        __new__=new, __repr__=text, __module__="torch.return_types", __slots__=(),
        n_fields=len(names), n_sequence_fields=len(names), n_unnamed_fields=0,
        __reduce__=lambda self: (return_type(name, fields), (tuple(self),)),
    )  # fmt: skip
    made = types[name] = type(name, (tuple,), body)
    return made
