"""Tensors as handles with a history: nodes, applying kernels, the backward pass.

May import `_core` and what lies below it. `torch.autograd` is the public face of it.
"""

from . import backward as backward  # nodes are told there how they run
