"""How tests have XLA compile where what it is given is tested, and not how it writes machine code.

Its older writer of loops, and one module for LLVM: compiled in two fifths of the time to the same
numbers (to the bit in 39 of 41 operators). Programs run as users run them keep XLA's defaults.
"""

from __future__ import annotations

QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
# The same for a child's environment.
QUICK_FLAGS = " ".join(f"--{name}={value}".lower() for name, value in QUICK.items())
