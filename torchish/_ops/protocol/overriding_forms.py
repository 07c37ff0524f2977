"""In which form torch's Python functions hand their arguments to `__torch_function__`.

Functions of torch that are C++ pass a call on as it was written; those that are Python pass some
arguments by position and all others by name, with their defaults. `fx` prints what it receives.
A row is `names: positional arguments | keyword=default ...`; a keyword without a default is one
that is passed on only if it was given. Rows may go on in a line that is indented further.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Any

from ..shared.subscripts import written_out

FORMS = {
    "torch": """
        atleast_1d,atleast_2d,atleast_3d,block_diag,broadcast_tensors,cartesian_prod: *tensors |
        cdist: x1 x2 | p=2.0 compute_mode='use_mm_for_euclid_dist_if_necessary'
        chain_matmul: *matrices |
        einsum: *args |
        meshgrid: *tensors | indexing=None
        norm: input | p='fro' dim=None keepdim=False out=None dtype=None
        pca_lowrank: A | q=None center=True niter=2
        split: tensor split_size_or_sections | dim=0
        stft: input n_fft | hop_length=None win_length=None window=None center=True
            pad_mode='reflect' normalized=False onesided=None return_complex=None
            align_to_window=None
        svd_lowrank: A | q=6 niter=2 M=None
        tensordot: a b | dims=2 out=None
        unique: input | sorted=True return_inverse=False return_counts=False dim=None
        unique_consecutive: input | return_inverse=False return_counts=False dim=None
        unravel_index: indices | shape
    """,
    "nn.functional": """
        adaptive_avg_pool2d,adaptive_avg_pool3d: input output_size |
        adaptive_max_pool1d_with_indices,adaptive_max_pool2d_with_indices,adaptive_max_pool3d_with_indices:
            input output_size | return_indices=False
        adaptive_max_pool1d,adaptive_max_pool2d,adaptive_max_pool3d: input output_size |
            return_indices=False
        affine_grid: theta size | align_corners=None
        alpha_dropout,feature_alpha_dropout: input | p=0.5 training=False inplace=False
        batch_norm: input running_mean running_var | weight=None bias=None training=False
            momentum=0.1 eps=1e-05
        binary_cross_entropy,multilabel_soft_margin_loss: input target | weight=None
            size_average=None reduce=None reduction='mean'
        binary_cross_entropy_with_logits: input target | weight=None size_average=None
            reduce=None reduction='mean' pos_weight=None
        celu,elu: input | alpha=1.0 inplace=False
        cosine_embedding_loss,margin_ranking_loss: input1 input2 target | margin=0
            size_average=None reduce=None reduction='mean'
        cross_entropy: input target | weight=None size_average=None ignore_index=-100
            reduce=None reduction='mean' label_smoothing=0.0
        ctc_loss: log_probs targets input_lengths target_lengths | blank=0 reduction='mean'
            zero_infinity=False
        dropout,dropout1d,dropout2d,dropout3d: input | p=0.5 training=True inplace=False
        embedding: input weight | padding_idx=None max_norm=None norm_type=2.0
            scale_grad_by_freq=False sparse=False
        embedding_bag: input weight | offsets=None max_norm=None norm_type=2
            scale_grad_by_freq=False mode='mean' sparse=False per_sample_weights=None
            include_last_offset=False padding_idx=None
        fold: input output_size kernel_size | dilation=1 padding=0 stride=1
        fractional_max_pool2d_with_indices,fractional_max_pool3d_with_indices: input kernel_size
            | output_size=None output_ratio=None return_indices=False _random_samples=None
        fractional_max_pool2d,fractional_max_pool3d: input kernel_size | output_size=None
            output_ratio=None return_indices=False _random_samples=None
        gaussian_nll_loss: input target var | full=False eps=1e-06 reduction='mean'
        glu: input | dim=-1
        grid_sample: input grid | mode='bilinear' padding_mode='zeros' align_corners=None
        group_norm: input num_groups | weight=None bias=None eps=1e-05
        grouped_mm: mat_a mat_b | offs=None bias=None out_dtype=None
        gumbel_softmax: logits | tau=1 hard=False eps=1e-10 dim=-1
        handle_torch_function: *args |
        hardsigmoid,hardswish,mish,relu,relu6,selu,silu: input | inplace=False
        hardtanh: input | min_val=-1.0 max_val=1.0 inplace=False
        hinge_embedding_loss: input target | margin=1.0 size_average=None reduce=None
            reduction='mean'
        huber_loss: input target | reduction='mean' delta=1.0 weight=None
        instance_norm: input | running_mean=None running_var=None weight=None bias=None
            use_input_stats=True momentum=0.1 eps=1e-05
        interpolate: input | size=None scale_factor=None mode='nearest' align_corners=None
            recompute_scale_factor=None antialias=False
        kl_div: input target | size_average=None reduce=None reduction='mean' log_target=False
        l1_loss,multilabel_margin_loss,soft_margin_loss: input target | size_average=None
            reduce=None reduction='mean'
        layer_norm: input normalized_shape | weight=None bias=None eps=1e-05
        leaky_relu: input | negative_slope=0.01 inplace=False
        linear_cross_entropy: input linear_weight target | linear_bias=None weight=None
            reduction='mean' ignore_index=None label_smoothing=0.0 options=None
        local_response_norm: input size | alpha=0.0001 beta=0.75 k=1.0
        log_softmax,softmax,softmin: input | dim=None _stacklevel=3 dtype=None
        lp_pool1d,lp_pool2d,lp_pool3d: input norm_type kernel_size | stride=None ceil_mode=False
        max_pool1d_with_indices,max_pool2d_with_indices,max_pool3d_with_indices: input
            kernel_size | stride=None padding=0 dilation=1 ceil_mode=False return_indices=False
        max_pool1d,max_pool2d,max_pool3d: input kernel_size | stride=None padding=0 dilation=1
            ceil_mode=False return_indices=False
        max_unpool1d,max_unpool2d,max_unpool3d: input indices kernel_size | stride=None
            padding=0 output_size=None
        mse_loss: input target | size_average=None reduce=None reduction='mean' weight=None
        multi_head_attention_forward: query key value embed_dim_to_check num_heads
            in_proj_weight in_proj_bias bias_k bias_v add_zero_attn dropout_p out_proj_weight
            out_proj_bias | training=True key_padding_mask=None need_weights=True attn_mask=None
            is_causal=False use_separate_proj_weight=False q_proj_weight=None k_proj_weight=None
            v_proj_weight=None static_k=None static_v=None average_attn_weights=True
        multi_margin_loss: input target | p=1 margin=1.0 weight=None size_average=None
            reduce=None reduction='mean'
        nll_loss: input target | weight=None size_average=None ignore_index=-100 reduce=None
            reduction='mean'
        normalize: input | p=2.0 dim=1 eps=1e-12 out=None
        pad: input pad | mode='constant' value=None
        poisson_nll_loss: input target | log_input=True full=False size_average=None eps=1e-08
            reduce=None reduction='mean'
        rms_norm: input normalized_shape | weight=None eps=None
        rrelu: input | lower=0.125 upper=0.3333333333333333 training=False inplace=False
        smooth_l1_loss: input target | size_average=None reduce=None reduction='mean' beta=1.0
        softsign,tanhshrink: input |
        threshold: input threshold value | inplace=False
        triplet_margin_loss: anchor positive negative | margin=1.0 p=2 eps=1e-06 swap=False
            size_average=None reduce=None reduction='mean'
        triplet_margin_with_distance_loss: anchor positive negative | distance_function=None
            margin=1.0 swap=False reduction='mean'
        unfold: input kernel_size | dilation=1 padding=0 stride=1
        upsample: input | size=None scale_factor=None mode='nearest' align_corners=None
            recompute_scale_factor antialias
        upsample_bilinear,upsample_nearest: input | size=None scale_factor=None mode
            align_corners recompute_scale_factor antialias
    """,
    "method": """
        __array__: self | dtype=None
        __array_wrap__: self | array
        __contains__: self element |
        __deepcopy__: self memo |
        __dir__,__dlpack_device__,__len__,__reversed__: self |
        dim_order,is_shared,share_memory_,storage,storage_type: self |
        __dlpack__: self | stream=-1 max_version=None dl_device=None copy=None
        __floordiv__,__rdiv__,__rfloordiv__,__rlshift__,__rmatmul__: self other |
        __rmod__,__rpow__,__rrshift__,__rsub__,__rtruediv__: self other |
        __format__: self format_spec |
        __reduce_ex__: self proto |
        __repr__: self | tensor_contents=None
        __setstate__: self state |
        backward: self | gradient=None retain_graph=None create_graph=False inputs=None
        istft: self n_fft | hop_length=None win_length=None window=None center=True
            normalized=False onesided=None length=None return_complex=False
        pow,pow_,__pow__,__ipow__: self other |
        lu: self | pivot=True get_infos=False
        module_load: self other | assign=False
        norm: self | p='fro' dim=None keepdim=False dtype=None
        register_hook,register_post_accumulate_grad_hook: self hook |
        resize: self *sizes |
        resize_as: self tensor |
        split: self split_size | dim=0
        stft: self n_fft | hop_length=None win_length=None window=None center=True
            pad_mode='reflect' normalized=False onesided=None return_complex=None
            align_to_window=None
        unflatten: self dim sizes |
        unique: self | sorted=True return_inverse=False return_counts=False dim=None
        unique_consecutive: self | return_inverse=False return_counts=False dim=None
    """,
    "nn.init": """
        constant_: | tensor val
        kaiming_uniform: | tensor a mode nonlinearity generator
        kaiming_uniform_: | tensor a=0 mode='fan_in' nonlinearity='leaky_relu' generator=None
        normal: | tensor mean std generator
        normal_: | tensor mean=0.0 std=1.0 generator=None
        uniform: | tensor a b generator
        uniform_: | tensor a=0.0 b=1.0 generator=None
    """,
}

# What torch defines in torch/functional.py, and names so.
FUNCTIONAL = frozenset((
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_tensors", "cartesian_prod",
    "cdist", "chain_matmul", "einsum", "lu", "meshgrid", "norm", "pca_lowrank", "split", "stft",
    "svd_lowrank", "tensordot", "unique",
    "unique_consecutive", "unravel_index",
))  # fmt: skip
Form = tuple[tuple[str, ...], dict[str, Any]]
_REQUIRED = object()


@functools.cache
def forms(place: str) -> dict[str, Form]:
    """The rows of one place."""
    found: dict[str, Form] = {}
    lines: list[str] = []
    for line in FORMS.get(place, "").splitlines():
        if line.startswith(" " * 12):
            lines[-1] += " " + line.strip()
        elif line.strip():
            lines.append(line.strip())
    for line in lines:
        names, _, row = line.partition(": ")
        positional, _, keywords = row.partition("|")
        defaults = {}
        for item in keywords.split():
            name, given, default = item.partition("=")
            defaults[name] = ast.literal_eval(default) if given else _REQUIRED
        for name in names.split(","):
            found[name] = (tuple(positional.split()), defaults)
    return found


def arranged(
    place: str, name: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """A call as torch's Python function passes it on; None where the call is left as it is."""
    form = forms(place).get(name)
    if form is None:
        return None
    positional, defaults = form
    if name == "einsum":
        return written_out(args), kwargs
    if positional and positional[-1].startswith("*"):
        return tuple(args), {**defaults, **kwargs} if not _missing(defaults, kwargs) else kwargs
    names = (*positional, *defaults)
    if len(args) > len(names):
        return None
    given = dict(zip(names, args, strict=False))
    for key, value in kwargs.items():
        if key in given or key not in names:
            return None
        given[key] = value
    if any(key not in given for key in positional):
        return None
    rest = {
        key: given.get(key, default)
        for key, default in defaults.items()
        if key in given or default is not _REQUIRED
    }
    return tuple(given[key] for key in positional), rest


def _missing(defaults: dict[str, Any], kwargs: dict[str, Any]) -> bool:
    return any(d is _REQUIRED and k not in kwargs for k, d in defaults.items())
