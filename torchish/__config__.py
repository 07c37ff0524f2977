"""How this installation was built."""

from __future__ import annotations


def show() -> str:
    """The versions that computations run on."""
    import jax
    import jaxlib

    from ._basics.recorder import reason
    from ._ops.conv import onednn

    why = onednn.reason()
    kernels = f"none ({why})" if why else onednn.version()
    return (
        f"torchish on JAX {jax.__version__}, jaxlib {jaxlib.__version__}\n"
        f"oneDNN for convolutions on the CPU: {kernels}\n"
        f"Calls of operators: in {f'Python ({reason})' if reason else 'C'}\n"
    )


def parallel_info() -> str:
    """The number of threads."""
    from ._namespace.public import get_num_threads

    return f"XLA's CPU thread pool: {get_num_threads()} threads\n"
