"""`torch.library`: operators of one's own, called as `torch.ops.namespace.name`.

Source: https://pytorch.org/docs/stable/library.html
"""

from __future__ import annotations

from .custom import (
    CustomOpDef as CustomOpDef,
    custom_op as custom_op,
    register_autocast as register_autocast,
    register_autograd as register_autograd,
    register_fake as register_fake,
    register_kernel as register_kernel,
    register_torch_dispatch as register_torch_dispatch,
    register_vmap as register_vmap,
    triton_op as triton_op,
    wrap_triton as wrap_triton,
)
from .fragments import (
    Library as Library,
    define as define,
    fallthrough_kernel as fallthrough_kernel,
    get_ctx as get_ctx,
    get_kernel as get_kernel,
    impl as impl,
    impl_abstract as impl_abstract,
    opcheck as opcheck,
)
from .schema import infer_schema as infer_schema

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "fallthrough_kernel", "get_ctx", "get_kernel",
    "impl", "impl_abstract", "infer_schema", "opcheck", "register_autocast", "register_autograd",
    "register_fake", "register_kernel", "register_torch_dispatch", "register_vmap", "triton_op",
    "wrap_triton",
]  # fmt: skip
