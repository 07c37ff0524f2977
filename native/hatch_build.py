"""Compiles the library and the recorder when the wheel is built, and puts oneDNN beside them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PACKAGE = ROOT / "torchish_cpu"
NOTICES = ("share/doc/onednn/LICENSE", "share/doc/onednn/THIRD-PARTY-PROGRAMS")


def find(distribution: str, ending: str) -> Path:
    """The installed file of a distribution whose path ends so."""
    for file in metadata.files(distribution) or ():
        path = Path(file.locate()).resolve()
        if path.as_posix().endswith("/" + ending):
            return path
    raise FileNotFoundError(f"{distribution} has no file {ending}")


def compile_library(onednn: Path) -> None:
    """Build libtorchish_cpu.so, which finds oneDNN in its own folder."""
    jaxlib = importlib.util.find_spec("jaxlib")
    assert jaxlib is not None and jaxlib.origin is not None
    headers = find("onednn-devel-cpu-gomp", "include/oneapi/dnnl/dnnl.hpp").parents[2]
    subprocess.run(
        [
            os.environ.get("CXX", "g++"), "-std=c++17", "-O3", "-fPIC", "-shared",
            "-fno-math-errno", "-fno-trapping-math",  # loops over conditions become vector code
            "-Wall", "-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL",
            "-Wl,-rpath,$ORIGIN", "-Wl,--no-undefined",
            f"-isystem{Path(jaxlib.origin).parent / 'include'}", f"-isystem{headers}",
            *sorted(map(str, (ROOT / "src").glob("*.cc"))),
            str(onednn), "-l:libgomp.so.1", "-o", str(PACKAGE / "libtorchish_cpu.so"),
        ],
        check=True,
    )  # fmt: skip


class Hook(BuildHookInterface):  # type: ignore[misc]
    """Hatch calls `initialize` before it collects files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make what the wheel holds beside Python, and name the platform it is for."""
        library = find("onednn-cpu-gomp", "lib/libdnnl.so.3")
        onednn = PACKAGE / "libdnnl.so.3"
        shutil.copyfile(library, onednn)
        licenses = PACKAGE / "licenses"
        licenses.mkdir(exist_ok=True)
        for notice in NOTICES:
            shutil.copyfile(
                find("onednn-cpu-gomp", notice), licenses / f"oneDNN-{Path(notice).name}"
            )
        compile_library(onednn)
        for old in PACKAGE.glob("_recorder*.so"):
            old.unlink()
        subprocess.run([sys.executable, str(ROOT / "build_recorder.py"), str(PACKAGE)], check=True)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
