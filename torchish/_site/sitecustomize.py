"""Runs at the start of the Python processes that a `python -m torchish` process starts."""

import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_package = os.path.dirname(_here)


def _install_alias():
    # By path, not as `torchish._alias`: that would import all of torchish, and JAX with it.
    path = os.path.join(_package, "_alias.py")
    spec = importlib.util.spec_from_file_location("_torchish_alias", path)
    alias = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alias)
    alias.install()
    if importlib.util.find_spec("torchish") is None:  # run from a checkout, not installed
        sys.path.append(os.path.dirname(_package))


def _run_hidden_sitecustomize():
    elsewhere = [p for p in sys.path if os.path.abspath(p or os.curdir) != _here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_install_alias()
_run_hidden_sitecustomize()
