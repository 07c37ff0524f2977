"""What is noted about the nodes that are made now."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

current_meta: dict[str, Any] = {}
should_preserve_node_meta = False


@contextlib.contextmanager
def preserve_node_meta(enable: bool = True) -> Iterator[None]:
    """Nodes that are made inside take over the current notes."""
    global should_preserve_node_meta, current_meta
    before, meta = should_preserve_node_meta, current_meta.copy()
    try:
        should_preserve_node_meta = enable
        yield
    finally:
        should_preserve_node_meta, current_meta = before, meta


@contextlib.contextmanager
def set_current_meta(node: Any, pass_name: str = "") -> Iterator[None]:
    """While a node is run again, what is made takes over its notes."""
    global current_meta
    if not (should_preserve_node_meta and node.meta):
        yield
        return
    before = current_meta
    try:
        current_meta = node.meta.copy()
        yield
    finally:
        current_meta = before


def get_current_meta() -> dict[str, Any]:
    """The notes for nodes that are made now."""
    return current_meta


def has_preserved_node_meta() -> bool:
    """Whether `preserve_node_meta` is on."""
    return should_preserve_node_meta


def set_stack_trace(stack: list[str]) -> None:
    """Note a stack for the nodes that are made now."""
    if should_preserve_node_meta and stack:
        current_meta["stack_trace"] = "".join(stack)


def format_stack() -> list[str]:
    """The noted stack, or the present one."""
    if should_preserve_node_meta:
        return [current_meta.get("stack_trace", "")]
    return traceback.format_list(traceback.extract_stack()[:-1])
