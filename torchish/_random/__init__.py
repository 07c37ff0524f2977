"""Random numbers: PyTorch's streams on the host, bit for bit, and how drawn values enter tensors.

May import `_autograd` and what lies below it; the operators that draw are in `_ops/random`.
"""
