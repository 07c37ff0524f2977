"""How torch's functions and classes are written in generated code: always from `torch`."""

from __future__ import annotations

from typing import Any

from .._ops.protocol import overriding


def root_name(module: str) -> str:
    """A module's name with torchish's own root replaced by torch's or torchvision's."""
    for own, name in (("torchish.vision", "torchvision"), ("torchish", "torch")):
        if module == own or module.startswith(f"{own}."):
            return name + module.removeprefix(own)
    return module


def is_tensor_method(func: Any) -> bool:
    """Whether a function is a method of the tensor class."""
    return overriding.stands(func) and overriding.qualified_name(func).startswith("torch.Tensor.")


def is_from_torch(obj: Any) -> bool:
    """Whether an object is found under the name `torch`."""
    if overriding.stands(obj):
        return True
    module = getattr(obj, "__module__", None)
    if isinstance(module, str):
        return root_name(module).partition(".")[0] == "torch"
    return False


# What torch's C++ functions are called there, by their public names.
_NN = frozenset((
    "avg_pool2d", "avg_pool3d", "elu_", "gelu", "hardtanh_", "leaky_relu_", "linear", "one_hot",
    "scaled_dot_product_attention", "softplus", "softshrink",
))  # fmt: skip
_IN_TORCH = frozenset((
    "adaptive_avg_pool1d", "avg_pool1d", "bilinear", "celu_", "channel_shuffle", "conv1d", "conv2d",
    "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "cosine_similarity", "hardshrink", "native_channel_shuffle", "pairwise_distance", "pdist",
    "pixel_shuffle", "pixel_unshuffle", "prelu", "relu_", "rrelu_", "selu_", "threshold_",
))  # fmt: skip


def torch_name(func: Any) -> str:
    """The dotted name under which torch's own generated code finds a public function."""
    name = overriding.qualified_name(func)
    place, _, short = name.rpartition(".")
    if place == "torch.nn.functional":
        if short == "logsigmoid":
            return "torch._C._nn.log_sigmoid"
        if short in _NN:
            return f"torch._C._nn.{short}"
        return f"torch.{short}" if short in _IN_TORCH else name
    kind = place.removeprefix("torch.")
    if kind in ("linalg", "fft", "special"):
        return f"torch._C._{kind}.{kind}_{short}"
    return name


def short_name(func: Any) -> str:
    """`func.__name__` as torch has it."""
    if overriding.stands(func):
        return torch_name(func).rpartition(".")[2]
    return str(getattr(func, "__name__", func))
