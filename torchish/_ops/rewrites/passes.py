"""The passes over a lowered program for the CPU, in their order.

Updates come before products, so that a group's operands are still the program's own; helpers are
kept awake by what calls there are then; heads are read where they lie last.
"""

from __future__ import annotations

from ..._core.program import rewrites
from .awake import keep_awake
from .heads import leave_heads
from .products import use_onednn
from .updates import fuse_updates

rewrites += [fuse_updates, use_onednn, keep_awake, leave_heads]
