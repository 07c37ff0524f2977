"""PyTorch's module layout over ours: every module path of its package can be imported.

`modules.txt` lists PyTorch's modules and the names in each (written by tools/torch_layout.py).
A path without a file here becomes a `shells.Shell`, in which a name that lives elsewhere here is
found there, and a name that torchish lacks is a placeholder whose use raises NotSupportedError.

Invariant: nothing is read or made before a path or name is asked for that no file here has.
"""
