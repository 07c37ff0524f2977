"""Errors of `torch.compile`, by PyTorch's names."""

from __future__ import annotations

from typing import Any


class TorchDynamoException(RuntimeError):
    """Base of the compiler's errors."""


class Unsupported(TorchDynamoException):
    """Code that cannot stand in one graph, where `fullgraph=True` asks for one.

    Args:
        title: what happened.
        explanation: in a sentence.
        context: what the code called.
    """

    def __init__(self, title: str, explanation: str = "", context: str = "") -> None:
        text = title
        if explanation:
            text += f"\n  Explanation: {explanation}"
        if context:
            text += f"\n\n  Developer debug context: {context}\n"
        super().__init__(text)
        self.msg = title


class InvalidBackend(TorchDynamoException):
    """No backend has this name."""

    def __init__(self, name: Any) -> None:
        super().__init__(
            f"Invalid backend: {name!r}, see `torch._dynamo.list_backends()` for available "
            "backends."
        )


class BackendCompilerFailed(TorchDynamoException):
    """A backend's own error."""

    def __init__(self, backend_fn: Any, inner_exception: Exception) -> None:
        self.backend_name = getattr(backend_fn, "__name__", "?")
        self.inner_exception = inner_exception
        super().__init__(
            f"backend={self.backend_name!r} raised:\n"
            f"{type(inner_exception).__name__}: {inner_exception}"
        )


class InternalTorchDynamoError(TorchDynamoException):
    """A fault of the compiler."""


class UserError(Unsupported):
    """A fault of the program."""


class RecompileError(TorchDynamoException):
    """A recompilation where none was allowed."""


class RecompileLimitExceeded(Unsupported):
    """Too many graphs for one function."""


class FailOnRecompileLimitHit(Exception):
    """Too many graphs for one function that may not fall back."""


class ResetRequired(TorchDynamoException):
    """`torch._dynamo.reset` has to be called first."""

    def __init__(self) -> None:
        super().__init__(
            "Must call `torch._dynamo.reset()` before changing backends.  Detected two calls to "
            "`torch.compile()` with a different backend compiler arguments."
        )


class TorchRuntimeError(TorchDynamoException):
    """An error of the traced program."""
