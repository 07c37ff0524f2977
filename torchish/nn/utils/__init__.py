"""Helpers for parameters: clipping, flattening, reparametrization, packed sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    parametrizations as parametrizations,
    parametrize as parametrize,
    rnn as rnn,
    stateless as stateless,
)
from .clip_grad import (
    clip_grad_norm as clip_grad_norm,
    clip_grad_norm_ as clip_grad_norm_,
    clip_grad_value_ as clip_grad_value_,
    clip_grads_with_norm_ as clip_grads_with_norm_,
    get_total_norm as get_total_norm,
)
from .convert_parameters import (
    parameters_to_vector as parameters_to_vector,
    vector_to_parameters as vector_to_parameters,
)
from .fusion import (
    fuse_conv_bn_eval as fuse_conv_bn_eval,
    fuse_conv_bn_weights as fuse_conv_bn_weights,
    fuse_linear_bn_eval as fuse_linear_bn_eval,
    fuse_linear_bn_weights as fuse_linear_bn_weights,
)
from .init import skip_init as skip_init
from .memory_format import (
    convert_conv2d_weight_memory_format as convert_conv2d_weight_memory_format,
    convert_conv3d_weight_memory_format as convert_conv3d_weight_memory_format,
)
from .spectral_norm import (
    remove_spectral_norm as remove_spectral_norm,
    spectral_norm as spectral_norm,
)
from .weight_norm import remove_weight_norm as remove_weight_norm, weight_norm as weight_norm

if TYPE_CHECKING:
    from . import prune as prune

if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> object:
        if name == "prune":
            import importlib

            return importlib.import_module(f"{__name__}.prune")
        raise AttributeError(f"module 'torch.nn.utils' has no attribute {name!r}")
