"""The old home of the profiler."""

from ..profiler import profile as profile, record_function as record_function

__all__ = ["profile", "record_function"]
