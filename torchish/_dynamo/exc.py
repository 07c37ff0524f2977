"""Errors of PyTorch's compiler, for `except` clauses: none of them is ever raised."""

from __future__ import annotations


class TorchDynamoException(RuntimeError):
    """Base of the compiler's errors."""


class Unsupported(TorchDynamoException):
    """Code that the compiler cannot trace."""


class BackendCompilerFailed(TorchDynamoException):
    """A backend's error."""


class InternalTorchDynamoError(TorchDynamoException):
    """A fault of the compiler."""


class UserError(Unsupported):
    """A fault of the program."""


class RecompileError(TorchDynamoException):
    """A recompilation where none was allowed."""


class TorchRuntimeError(TorchDynamoException):
    """An error of the traced program."""
