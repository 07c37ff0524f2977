"""What primitives cost by the static model: in numpy, and for XLA to compile.

The figures were measured on one core; they decide when a program is compiled, so they depend on
shapes alone, never on the clock.
"""

from __future__ import annotations

# Seconds: a call of a rule, a byte it makes, a floating-point operation, a byte of a transcendental
# function, a byte of a convolution's patches.
CALL, BYTE, FLOP, FUNCTION_BYTE = 1e-6, 1.5e-10, 1.3e-11, 6e-10
PATCH_BYTE = 8e-11
# Compiling an equation, and a convolution.
COMPILE_EQUATION, COMPILE_WEIGHTED = 7e-4, 0.12
# Primitives that cost what a convolution costs.
WEIGHTED = frozenset("conv_general_dilated conv conv_input_grad conv_weight_grad".split())
# Attention: operations a score takes for each unit of its two widths, and where its queries stand.
ATTENTION = {"attention": (2, 0), "attention_gradient": (5, 1), "attention_tangent": (5, 3)}
# Its operators where no call runs it.
OPERATORS = {"attention": 15, "attention_gradient": 30, "attention_tangent": 30}


def of_compiling(name: str) -> float:
    """Compiling one equation of the primitive `name`."""
    if name in WEIGHTED:
        return COMPILE_WEIGHTED
    return COMPILE_EQUATION * OPERATORS.get(name, 1)
