"""PyTorch's random streams on the host, bit for bit.

May import `_autograd` and what lies below it; the operators that draw are in `_ops/random`.
"""
