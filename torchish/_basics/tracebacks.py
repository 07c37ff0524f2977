"""What a user sees of an error: their own lines, then torch's message and nothing after it.

Invariant: an error that leaves a traced body carries neither JAX's notes and causes nor frames that
hold tracers; TORCHISH_TRACEBACK=full keeps everything.
"""

from __future__ import annotations

import functools
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import jax

from .settings import settings

_OWN = __file__.rsplit("_basics", 1)[0]
_JAX = jax.__file__.rsplit("__init__", 1)[0]
_MARK = "__tracebackhide__"  # pytest leaves out frames whose globals have it
_NOTE = "JAX has removed its internal frames"


def tidied(error: Exception) -> Exception:
    """An error caught at the edge of traced code, without what JAX added and the frames inside."""
    if settings.full_tracebacks:
        return error
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = [note for note in notes if _NOTE not in note]
    for link in ("__cause__", "__context__"):
        if type(getattr(error, link)).__module__.partition(".")[0] in ("jax", "jaxlib"):
            setattr(error, link, None)
    return error.with_traceback(None)


def is_hidden(filename: str) -> bool:
    """Whether code in a file is torchish's or JAX's own."""
    return filename.startswith((_OWN, _JAX))


def visible(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without hidden frames; as it is when nothing else is in it."""
    if settings.full_tracebacks:
        return trace
    shown = []
    found = trace
    while found is not None:
        if not is_hidden(found.tb_frame.f_code.co_filename):
            shown.append(found)
        found = found.tb_next
    if not shown:
        return trace
    made: TracebackType | None = None
    for entry in reversed(shown):
        made = TracebackType(made, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return made


def clear_chain(error: BaseException | None) -> None:
    """Hide frames of an error and of all that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = visible(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def hide_in_reports() -> None:
    """Leave hidden frames out of what Python prints for errors, uncaught or by `traceback`."""
    _hide_in_texts()
    show, show_thread = sys.excepthook, threading.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        clear_chain(error)
        show(kind, error, error.__traceback__)

    def thread_hook(args: Any) -> None:
        clear_chain(args.exc_value)
        if args.exc_value is not None:
            args = threading.ExceptHookArgs(
                (args.exc_type, args.exc_value, args.exc_value.__traceback__, args.thread)
            )
        show_thread(args)

    sys.excepthook, threading.excepthook = excepthook, thread_hook


def _hide_in_texts() -> None:
    """The same for `traceback.print_exc` and its like, `logging.exception` among them."""
    made = traceback.TracebackException.__init__

    @functools.wraps(made)
    def init(self: Any, kind: Any, error: Any, trace: Any, *args: Any, **kwargs: Any) -> None:
        made(self, kind, error, visible(trace), *args, **kwargs)

    traceback.TracebackException.__init__ = init  # type: ignore[method-assign, assignment]


def hide_from_pytest(package: str) -> None:
    """Mark the loaded modules of a package as what pytest need not show."""
    if settings.full_tracebacks:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith(package):
            module.__dict__[_MARK] = True
