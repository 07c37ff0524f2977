"""Downloads, checksums and archives.

Invariant: a file stands under its final name only once it is complete; what is interrupted leaves
a file that ends in `.part`, from which the next attempt goes on where the server allows it.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import pathlib
import re
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlparse

import numpy as np

from ..._basics.errors import not_supported

USER_AGENT = "pytorch/vision"
Path = str | os.PathLike[str]

# -- checksums -------------------------------------------------------------------------------------


def calculate_md5(fpath: Path, chunk_size: int = 1024 * 1024) -> str:
    """The MD5 of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def check_md5(fpath: Path, md5: str, **kwargs: Any) -> bool:
    """Whether a file has this MD5."""
    return md5 == calculate_md5(fpath, **kwargs)


def check_integrity(fpath: Path, md5: str | None = None) -> bool:
    """Whether a file exists and, if an MD5 is given, has it."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


# -- downloads -------------------------------------------------------------------------------------


def _open_url(url: str, start: int, most: int) -> Any:
    """The response to a request from byte `start` on, after at most that many redirections."""
    headers = {"User-Agent": USER_AGENT}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    response = urllib.request.urlopen(request)
    hops = sum(getattr(request, "redirect_dict", {}).values())  # urllib counts visits there
    if hops > most:
        response.close()
        raise RecursionError(
            f"Request to {url} exceeded {most} redirects. The last redirect points to "
            f"{response.geturl()}."
        )
    return response


def _fetch(url: str, target: str, most_hops: int, chunk_size: int = 1024 * 32) -> None:
    """Download with a progress bar; `target` appears when all of it is there."""
    from tqdm.auto import tqdm

    partial = f"{target}.part"
    start = os.path.getsize(partial) if os.path.exists(partial) else 0
    with _open_url(url, start, most_hops) as response:
        resumed = start > 0 and getattr(response, "status", None) == 206
        start = start if resumed else 0
        length = response.length
        total = None if length is None else length + start
        with (
            open(partial, "ab" if resumed else "wb") as file,
            tqdm(total=total, initial=start, unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(chunk_size):
                file.write(chunk)
                bar.update(len(chunk))
    size = os.path.getsize(partial)
    if total is not None and size != total:
        raise urllib.error.URLError(f"{url} ended after {size} of {total} bytes")
    os.replace(partial, target)


def _google_drive_id(url: str) -> str | None:
    parts = urlparse(url)
    if re.match(r"(drive|docs)[.]google[.]com", parts.netloc) is None:
        return None
    match = re.match(r"/file/d/(?P<id>[^/]*)", parts.path)
    return None if match is None else match.group("id")


def _checked(fpath: str, md5: str | None) -> None:
    """Raise RuntimeError, and remove the file, if its MD5 is another."""
    if not check_integrity(fpath, md5):
        if os.path.exists(fpath):
            os.remove(fpath)
        raise RuntimeError("File not found or corrupted.")


def download_url(
    url: str,
    root: Path,
    filename: Path | None = None,
    md5: str | None = None,
    max_redirect_hops: int = 3,
) -> None:
    """Download a file into a folder, unless it is there.

    Args:
        filename: default: the last part of the address.
        md5: what the file must have.
        max_redirect_hops: how many redirections are followed.
    Raises: URLError if the address cannot be reached, RecursionError for more redirections,
        RuntimeError for another MD5.
    """
    root = os.path.expanduser(root)
    fpath = os.path.join(root, os.fspath(filename or os.path.basename(url)))
    if check_integrity(fpath, md5):
        return
    os.makedirs(root, exist_ok=True)
    file_id = _google_drive_id(url)
    if file_id is not None:
        return download_file_from_google_drive(file_id, root, filename, md5)
    try:
        _fetch(url, fpath, max_redirect_hops)
    except OSError as error:  # URLError is one
        reason = getattr(error, "reason", None) or error
        raise urllib.error.URLError(
            f"{url} could not be downloaded ({reason}). Nearest: put the file at {fpath}"
        ) from error
    _checked(fpath, md5)


def download_file_from_google_drive(
    file_id: str, root: Path, filename: Path | None = None, md5: str | None = None
) -> None:
    """Download a file of Google Drive into a folder, unless it is there, by way of `gdown`.

    Raises: RuntimeError without `gdown`, and for another MD5.
    """
    root = os.path.expanduser(root)
    fpath = os.path.join(root, os.fspath(filename or file_id))
    if check_integrity(fpath, md5):
        return
    try:
        import gdown
    except ModuleNotFoundError:
        raise RuntimeError(
            "To download files from GDrive, 'gdown' is required. You can install it with "
            "'pip install gdown'."
        ) from None
    os.makedirs(root, exist_ok=True)
    partial = f"{fpath}.part"
    gdown.download(id=file_id, output=partial, quiet=False, user_agent=USER_AGENT)
    if os.path.exists(partial):
        os.replace(partial, fpath)
    _checked(fpath, md5)


# -- folders and archives --------------------------------------------------------------------------


def _entries(root: Path, wanted: Callable[[str], bool], prefix: bool) -> list[str]:
    root = os.path.expanduser(root)
    names = [name for name in os.listdir(root) if wanted(os.path.join(root, name))]
    return [os.path.join(root, name) for name in names] if prefix else names


def list_dir(root: Path, prefix: bool = False) -> list[str]:
    """Folders in a folder, with its path in front if `prefix`."""
    return _entries(root, os.path.isdir, prefix)


def list_files(root: Path, suffix: str, prefix: bool = False) -> list[str]:
    """Files in a folder whose names end with `suffix`, with its path in front if `prefix`."""
    return _entries(root, lambda p: os.path.isfile(p) and p.endswith(suffix), prefix)


def _extract_tar(from_path: Path, to_path: Path, compression: str | None) -> None:
    mode: Any = f"r:{compression[1:]}" if compression else "r"
    with tarfile.open(from_path, mode) as archive:
        archive.extractall(to_path, filter="data")  # nothing outside of the folder


def _extract_zip(from_path: Path, to_path: Path, compression: str | None) -> None:
    with zipfile.ZipFile(from_path) as archive:
        archive.extractall(to_path)


_ARCHIVES: dict[str, Callable[..., None]] = {".tar": _extract_tar, ".zip": _extract_zip}
_OPENERS: dict[str, Any] = {
    ".bz2": bz2.open,
    ".gz": gzip.open,
    ".xz": lzma.open,
}
_ALIASES = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}


def _detect_file_type(file: Path) -> tuple[str, str | None, str | None]:
    """Ending, kind of archive and compression of a file name."""
    suffixes = pathlib.Path(file).suffixes
    if not suffixes:
        raise RuntimeError(
            f"File '{file}' has no suffixes that could be used to detect the archive type and "
            "compression."
        )
    last = suffixes[-1]
    if last in _ALIASES:
        return last, *_ALIASES[last]
    if last in _ARCHIVES:
        return last, last, None
    if last in _OPENERS:
        before = suffixes[-2] if len(suffixes) > 1 else ""
        return (before + last, before, last) if before in _ARCHIVES else (last, None, last)
    known = sorted({*_ALIASES, *_ARCHIVES, *_OPENERS})
    raise RuntimeError(
        f"Unknown compression or archive type: '{last}'.\nKnown suffixes are: '{known}'."
    )


def _decompress(from_path: Path, to_path: Path, remove_finished: bool, compression: str) -> None:
    partial = f"{os.fspath(to_path)}.part"
    with _OPENERS[compression](from_path, "rb") as source, open(partial, "wb") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
    os.replace(partial, to_path)
    if remove_finished:
        os.remove(from_path)


def extract_archive(
    from_path: Path, to_path: Path | None = None, remove_finished: bool = False
) -> Any:
    """Unpack an archive into a folder, or a compressed file beside itself.

    Returns: the folder, or the file.
    Raises: RuntimeError if the name does not tell what it is.
    """
    folder = os.path.dirname(from_path) if to_path is None else os.fspath(to_path)
    suffix, archive, compression = _detect_file_type(from_path)
    if archive is None:
        name = os.path.basename(from_path).replace(suffix, "")
        made = os.path.join(folder, name)
        _decompress(from_path, made, remove_finished, str(compression))
    else:
        made = folder
        _ARCHIVES[archive](from_path, folder, compression)
        if remove_finished:
            os.remove(from_path)
    return made if isinstance(from_path, str) else pathlib.Path(made)


def download_and_extract_archive(
    url: str,
    download_root: Path,
    extract_root: Path | None = None,
    filename: Path | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """`download_url`, then `extract_archive`."""
    download_root = os.path.expanduser(download_root)
    name = filename or os.path.basename(url)
    download_url(url, download_root, name, md5)
    archive = os.path.join(download_root, os.fspath(name))
    extract_archive(archive, extract_root or download_root, remove_finished)


# -- arguments -------------------------------------------------------------------------------------


def iterable_to_str(iterable: Iterable[Any]) -> str:
    """'a', 'b', 'c'"""
    return "'" + "', '".join(str(item) for item in iterable) + "'"


def verify_str_arg(
    value: Any,
    arg: str | None = None,
    valid_values: Iterable[Any] | None = None,
    custom_msg: str | None = None,
) -> Any:
    """`value`, if it is a text and one of those allowed.

    Raises: ValueError otherwise.
    """
    if not isinstance(value, str):
        of = "" if arg is None else f" for argument {arg}"
        raise ValueError(f"Expected type str{of}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        raise ValueError(
            custom_msg
            or f"Unknown value '{value}' for argument {arg}. "
            f"Valid values are {{{iterable_to_str(valid_values)}}}."
        )
    return value


def scipy_io() -> Any:
    """`scipy.io`, which reads MATLAB's files.

    Raises: RuntimeError if SciPy is not installed.
    """
    try:
        import scipy.io
    except ImportError:
        raise RuntimeError(
            "Scipy is not found. This dataset needs to have scipy installed: pip install scipy"
        ) from None
    return scipy.io


def need(module: str, package: str, what: str) -> Any:
    """An optional package.

    Raises: NotSupportedError if it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise not_supported(f"{what} without {package}", f"`pip install {package}`") from None


def _read_pfm(file_name: Path, slice_channels: int = 2) -> np.ndarray:
    """The floats (C, H, W) of a portable float map."""
    with open(file_name, "rb") as file:
        kind = file.readline().rstrip()
        if kind not in (b"PF", b"Pf"):
            raise ValueError("Invalid PFM file")
        size = re.match(rb"^(\d+)\s(\d+)\s$", file.readline())
        if size is None:
            raise Exception("Malformed PFM header.")
        width, height = (int(n) for n in size.groups())
        little = float(file.readline().rstrip()) < 0
        data = np.fromfile(file, dtype="<f4" if little else ">f4")
    rows = data.reshape(height, width, 3 if kind == b"PF" else 1)[::-1]  # stored from the bottom
    return rows.transpose(2, 0, 1)[:slice_channels].astype(np.float32)
