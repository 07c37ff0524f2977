"""`torch.hub`: state_dicts from the network, kept in a folder. Code is never downloaded."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ._basics.errors import MissingName, not_supported
from ._basics.settings import torch_home

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

_HASH = re.compile(r"-([a-f0-9]*)\.")
_chosen: list[str] = []


def get_dir() -> str:
    """The folder of downloads: what `set_dir` chose, else `$TORCH_HOME/hub`, else the cache's."""
    if _chosen:
        return _chosen[-1]
    return os.path.join(torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder of downloads."""
    _chosen[:] = [os.path.expanduser(os.fspath(d))]


def download_url_to_file(
    url: str, dst: str, hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Download a file; nothing appears at `dst` unless all of it came and its hash fits.

    Raises: RuntimeError that names the address when it cannot be reached or the hash differs.
    """
    target = Path(dst).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    try:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
            with urllib.request.urlopen(request) as source, os.fdopen(handle, "wb") as out:
                while block := source.read(1 << 17):
                    out.write(block)
                    digest.update(block)
        except (urllib.error.URLError, OSError) as error:
            raise RuntimeError(
                f"cannot download {url}: {error}. Without a network, put the file at {target} "
                "yourself."
            ) from error
        found = digest.hexdigest()
        if hash_prefix and not found.startswith(hash_prefix):
            raise RuntimeError(
                f'invalid hash value (expected "{hash_prefix}", got "{found[: len(hash_prefix)]}")'
            )
        os.replace(partial, target)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """What `torch.load` reads from an address; downloaded once, then kept.

    Raises: RuntimeError when the address cannot be reached.
    """
    from .serialization import load

    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    name = file_name or os.path.basename(urlparse(url).path)
    path = folder / name
    if not path.exists():
        found = _HASH.search(name) if check_hash else None
        download_url_to_file(url, str(path), found.group(1) if found else None, progress)
    return load(path, map_location=map_location, weights_only=weights_only)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    if name in ("help", "list", "load"):
        raise MissingName(
            f"module 'torch.hub' has no attribute '{name}'. "
            f"{not_supported(f'torch.hub.{name} (it runs downloaded code)', 'vision.models')}"
        )
    raise AttributeError(f"module 'torch.hub' has no attribute '{name}'")
