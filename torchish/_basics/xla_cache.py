"""JAX's persistent cache of compiled programs, with files as `disk.py` writes them.

JAX's own file cache writes in place, so a full disk or a crash leaves half a file that every later
process stumbles over, and it does not bound the folder.
"""

from __future__ import annotations

from typing import Any

import jax

from .disk import Folder


def install(path: str) -> None:
    """Keep all compiled programs in `path`: the second run of a script compiles nothing."""
    jax.config.update("jax_compilation_cache_dir", path)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    from jax._src import compilation_cache

    theirs = getattr(compilation_cache, "get_file_cache", None)
    if theirs is None:  # another version of JAX: its own files serve
        return

    def file_cache(where: str) -> Any:
        bounded = getattr(jax.config, "jax_compilation_cache_max_size", -1) != -1
        if where != path or bounded:  # the program chose otherwise after all
            return theirs(where)
        return Folder(where, suffix=".xla"), where

    compilation_cache.get_file_cache = file_cache  # type: ignore[assignment]
