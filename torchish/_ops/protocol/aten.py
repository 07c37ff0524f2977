"""What torch's public functions are in `aten` operators, for dispatch modes.

`_LEAVES` lists functions that are shown as one operator: its name, and how the overload is chosen.
Operators of the registry that are not listed are shown under their own names. Functions in `_MADE`
are written out as the operators that torch's are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..registry import methods, nnf, ops
from . import overriding
from .dispatching import packet, raw, resolve_by, show, without_modes
from .packets import OpOverload

__all__ = ["function_of", "written_out"]

_ARITHMETIC = frozenset((
    "add", "sub", "mul", "div", "true_divide", "remainder", "fmod", "bitwise_and", "bitwise_or",
    "bitwise_xor", "logical_and",
))  # fmt: skip
_COMPARED = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))
_BY_DIM = {"sum": "dim_IntList", "mean": "dim", "max": "dim", "min": "dim", "prod": "dim_int",
           "all": "dim", "any": "dim", "median": "dim", "nanmedian": "dim", "norm": "ScalarOpt_dim",
           "amax": "default", "nansum": "default"}  # fmt: skip
_FIXED = {
    "var": "correction", "std": "correction", "where": "self", "transpose": "int", "select": "int",
    "unbind": "int", "cumsum": "default", "bernoulli_": "float", "empty": "memory_format",
    "index": "Tensor", "scatter": "src", "scatter_": "src", "gather": "default",
    "masked_fill": "Scalar", "masked_fill_": "Scalar", "repeat_interleave": "self_int",
    "sort": "default", "zeros": "default", "normal": "Tensor_float",
}  # fmt: skip
# Functions whose sizes may be given one by one.
_SIZED = frozenset(("view", "expand", "permute", "repeat"))
_MAKING = frozenset(("ones", "zeros", "empty", "rand", "randn"))
# Python over tensors that is shown as one operator: torch's name of it.
_LEAVES = {
    **{name: name for name in (
        "view", "permute", "t", "transpose", "unsqueeze", "expand", "select", "unbind", "detach",
        "clone", "as_strided", "diagonal", "alias", "copy_", "fill_", "zero_", "uniform_",
        "normal_", "bernoulli_", "exponential_", "random_", "empty", "empty_strided", "zeros",
        "ones", "full", "rand", "randn", "randint", "randperm", "arange", "linspace", "eye",
        "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
        "new_zeros", "new_ones", "new_full", "new_empty", "bernoulli", "multinomial", "embedding",
        "cat", "stack", "index_select", "gather", "masked_select", "nonzero", "mse_loss", "topk",
        "sort", "squeeze", "split", "bmm", "mm", "addmm", "baddbmm", "mv", "dot", "avg_pool2d",
        "binary_cross_entropy", "binary_cross_entropy_with_logits", "l1_loss", "smooth_l1_loss",
        "tril", "triu", "where", "clamp", "gelu", "silu", "masked_fill", "masked_fill_",
        "div", "pow", "max", "min", "clamp_min", "clamp_max", "relu_", "abs", "neg", "norm",
        "cumsum", "argmax", "argmin", "scatter", "scatter_add", "index_add", "roll", "flip",
        "repeat", "native_batch_norm", "native_layer_norm", "native_group_norm", "convolution",
        "adaptive_avg_pool2d", "upsample_nearest2d", "upsample_bilinear2d", "glu",
    )},
    "item": "_local_scalar_dense", "tensor": "lift_fresh", "as_tensor": "lift_fresh",
}  # fmt: skip


def written_out(public: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a public function under a dispatch mode."""
    place, name = overriding.place_of(public)
    made = _MADE.get(name)
    if name == "batch_norm" and place != "nn.functional":
        made = None  # the other order of arguments
    if made is not None and "out" not in kwargs:
        done = made(*args, **kwargs)
        if done is not NotImplemented:
            return done
    operator = getattr(public, "operator", None)
    if operator is None and name not in _LEAVES:
        return raw(public)(*args, **kwargs)
    if name == "tensor" or name == "as_tensor":
        with without_modes():
            made_tensor = public(*args, **kwargs)
        return show(packet("lift_fresh").default, lambda x: x, (made_tensor,), {})
    label = _LEAVES.get(name, name)
    if place in ("linalg", "fft", "special"):
        label = f"{place}_{label}"
    if not place and operator is not None:
        label = operator.name
    lead = 1 if label in _SIZED else 0 if label in _MAKING else len(args)
    if len(args) > lead and isinstance(args[lead], int):
        args = (*args[:lead], list(args[lead:]))
    if label in ("sum", "mean") and len(args) > 1 and isinstance(args[1], int):
        args = (args[0], [args[1]], *args[2:])
    return show(_overload(label, args, kwargs), public, args, kwargs)


def _overload(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpOverload:
    base = name.removesuffix("_")
    if "out" in kwargs:
        return packet(name).out
    second = args[1] if len(args) > 1 else kwargs.get("other", kwargs.get("dim"))
    overload = "default"
    if base in _ARITHMETIC:
        overload = "Tensor"
    elif base in _COMPARED:
        overload = "Tensor" if isinstance(second, TensorBase) else "Scalar"
    elif base == "pow":
        kinds = ["Tensor" if isinstance(x, TensorBase) else "Scalar" for x in args[:2]]
        overload = "Scalar" if kinds[0] == "Scalar" else "_".join(kinds)
    elif base == "fill":
        overload = "Tensor" if isinstance(second, TensorBase) else "Scalar"
    elif base in _BY_DIM and second is not None:
        overload = "other" if isinstance(second, TensorBase) else _BY_DIM[base]
    elif base == "squeeze" and second is not None:
        overload = "dim" if isinstance(second, int) else "dims"
    elif base == "split":
        overload = "Tensor"
    elif name in _FIXED:
        overload = _FIXED[name]
    return getattr(packet(name), overload)  # type: ignore[no-any-return]


# --- functions that torch makes of several operators, or of one with another name -----------------


def _emit(name: str, function: Callable[..., Any], *args: Any, overload: str = "default") -> Any:
    return show(getattr(packet(name), overload), function, args, {})


def _many(value: Any, n: int) -> list[int]:
    return [value] * n if isinstance(value, int) else list(value) * (n if len(value) == 1 else 1)


def convolution(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int,
) -> Any:  # fmt: skip
    """`aten.convolution`: every convolution, by the number of its dims."""
    n = weight.dim() - 2
    if transposed:
        function = getattr(nnf, f"conv_transpose{n}d")
        made = function(x, weight, bias, stride, padding, output_padding, groups, dilation)
    else:
        made = getattr(nnf, f"conv{n}d")(x, weight, bias, stride, padding, dilation, groups)
    if made.grad_fn is not None:
        made.grad_fn.metadata["aten"] = (
            stride, padding, dilation, transposed, output_padding, groups
        )  # fmt: skip
    return made


def _conv(n: int) -> Callable[..., Any]:
    def conv(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Any:  # fmt: skip
        if isinstance(padding, str) or input.dim() != n + 2:
            return NotImplemented
        sizes = [_many(v, n) for v in (stride, padding, dilation)]
        return _emit(
            "convolution", convolution, input, weight, bias, *sizes, False, [0] * n, groups
        )

    return conv


def _conv_transpose(n: int) -> Callable[..., Any]:
    def conv(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> Any:  # fmt: skip
        if input.dim() != n + 2:
            return NotImplemented
        sizes = [_many(v, n) for v in (stride, padding, dilation)]
        return _emit(
            "convolution", convolution, input, weight, bias, *sizes, True,
            _many(output_padding, n), groups,
        )  # fmt: skip

    return conv


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    if input.dim() == 1 or weight.dim() != 2:
        return NotImplemented
    if bias is None:
        return ops.matmul(input, weight.t())
    flat = input
    if input.dim() != 2:
        flat = input.reshape(input.numel() // max(input.shape[-1], 1), input.shape[-1])
    out = ops.addmm(bias, flat, weight.t())
    return out if input.dim() == 2 else out.view(*input.shape[:-1], weight.shape[0])


def _matmul(input: Any, other: Any) -> Any:
    if not all(isinstance(x, TensorBase) for x in (input, other)):
        return NotImplemented
    dims = input.dim(), other.dim()
    if dims == (1, 1):
        return ops.dot(input, other)
    if dims == (2, 1):
        return ops.mv(input, other)
    if dims == (2, 2):
        return ops.mm(input, other)
    if (dims[0] < 3 and dims[1] < 3) or 1 in dims:
        return NotImplemented
    if dims[1] == 2:
        out = ops.mm(input.reshape(-1, input.shape[-1]), other)
        shape = [*input.shape[:-1], other.shape[-1]]
        return _emit("_unsafe_view", lambda x, s: x.view(s), out, shape)
    lead = list(_broadcast(input.shape[:-2], other.shape[:-2]))
    count = 1
    for n in lead:
        count *= n
    a = input.expand(*lead, *input.shape[-2:]).reshape(count, *input.shape[-2:])
    b = other.expand(*lead, *other.shape[-2:]).reshape(count, *other.shape[-2:])
    out = ops.bmm(a, b)
    shape = [*lead, input.shape[-2], other.shape[-1]]
    return _emit("_unsafe_view", lambda x, s: x.view(s), out, shape)


def _broadcast(first: Any, second: Any) -> tuple[int, ...]:
    from ..call.operator import broadcast_check

    return broadcast_check([tuple(first), tuple(second)])


def _softmax(name: str) -> Callable[..., Any]:
    def softmax(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
        if dim is None or dtype is not None or not isinstance(_stacklevel, int):
            return NotImplemented
        function = getattr(ops, name)
        return _emit(f"_{name}", lambda x, d, half: function(x, d), input, dim, False)

    return softmax


def _batch_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    *unused: Any,
) -> Any:  # fmt: skip
    if isinstance(running_mean, TensorBase) is False and running_mean is not None:
        return NotImplemented

    def run(x: Any, w: Any, b: Any, mean: Any, var: Any, train: bool, m: float, e: float) -> Any:
        out = nnf.batch_norm(x, mean, var, w, b, train, m, e)
        empty = ops.empty(0)
        return out, empty, empty

    _emit("empty", ops.empty, [0], overload="memory_format")  # torch's reserve for cuDNN
    found = _emit(
        "native_batch_norm", run, input, weight, bias, running_mean, running_var, training,
        momentum, eps,
    )  # fmt: skip
    return found[0]


def _layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *unused: Any,
) -> Any:  # fmt: skip
    def run(x: Any, shape: Any, w: Any, b: Any, e: float) -> Any:
        empty = ops.empty(0)
        return nnf.layer_norm(x, shape, w, b, e), empty, empty

    shape = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    return _emit("native_layer_norm", run, input, shape, weight, bias, eps)[0]


def _max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    def run(x: Any, *sizes: Any) -> Any:
        return nnf.max_pool2d(x, *sizes, return_indices=True)

    given: list[Any] = [_many(kernel_size, 2)]
    rest = [_many(stride if stride is not None else kernel_size, 2), _many(padding, 2),
            _many(dilation, 2), ceil_mode]  # fmt: skip
    if rest != [given[0], [0, 0], [1, 1], False]:
        given += rest
    found = _emit("max_pool2d_with_indices", run, input, *given)
    return tuple(found) if return_indices else found[0]


_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def _nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    if size_average is not None or reduce is not None or input.dim() > 2:
        return NotImplemented

    def run(x: Any, t: Any, w: Any, kind: int, ignored: int) -> Any:
        named = next(k for k, v in _REDUCTIONS.items() if v == kind)
        out = nnf.nll_loss(x, t, w, ignore_index=ignored, reduction=named)
        total = ops.tensor(float(t.numel())) if w is None else w[t].sum()
        return out, total

    return _emit(
        "nll_loss_forward", run, input, target, weight, _REDUCTIONS[reduction], ignore_index
    )[0]


def _cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    if label_smoothing or target.is_floating_point() or input.dim() != 2:
        return NotImplemented
    logs = nnf.log_softmax(input, 1)
    return nnf.nll_loss(logs, target, weight, size_average, ignore_index, reduce, reduction)


def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    if query.dim() != 4 or dropout_p or not query.is_cpu:
        return NotImplemented

    def run(q: Any, k: Any, v: Any) -> Any:
        out = nnf.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal, **kwargs)
        return out, ops.empty(0)

    return _emit("_scaled_dot_product_flash_attention_for_cpu", run, query, key, value)[0]


def _relu(input: Any, inplace: bool = False) -> Any:
    return methods.relu_(input) if inplace else NotImplemented


def _reshape(self: Any, *shape: Any) -> Any:
    sizes = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
    made: list[int] | None = None
    with without_modes():
        try:
            sizes = list(methods.view(self, sizes).shape)
        except RuntimeError:
            made = list(methods.reshape(self, sizes).shape)
    if made is None:
        return self.view(*sizes)
    from ..shared.memory_format import contiguous_format

    whole = {"memory_format": contiguous_format}
    copied = show(packet("clone").default, methods.clone, (self,), whole)
    return _emit("_unsafe_view", lambda x, s: x.view(s), copied, made)


def _flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    n = input.dim()
    if n == 0 or not input.is_contiguous():
        return NotImplemented
    first, last = start_dim % n, end_dim % n
    size = 1
    for k in input.shape[first : last + 1]:
        size *= k
    return input.view(*input.shape[:first], size, *input.shape[last + 1 :])


def _getitem(self: Any, index: Any) -> Any:
    items = index if type(index) is tuple else (index,)
    plain = (int, slice, type(None), type(Ellipsis))
    if not all(isinstance(i, plain) and not isinstance(i, bool) for i in items):
        return _emit(
            "index", lambda x, i: raw(type(x).__getitem__)(x, index), self, list(items),
            overload="Tensor",
        )  # fmt: skip
    used = sum(isinstance(i, int | slice) for i in items)
    out, dim = self, 0
    for item in items:
        if item is None:
            out, dim = out.unsqueeze(dim), dim + 1
        elif item is Ellipsis:
            dim += self.dim() - used
        elif isinstance(item, int):
            out = out.select(dim, item)
        else:
            if item != slice(None):
                out = _sliced(out, dim, item)
            dim += 1
    return out


def _sliced(x: Any, dim: int, item: slice) -> Any:
    stop = 2**63 - 1 if item.stop is None else item.stop
    args = [dim, item.start or 0, stop] + ([] if item.step in (None, 1) else [item.step])
    index = (*[slice(None)] * dim, item)
    return _emit("slice", lambda y, *_: y[index], x, *args, overload="Tensor")


def _to(self: Any, *args: Any, **kwargs: Any) -> Any:
    made: list[Any] = []

    def run(x: Any, **named: Any) -> Any:
        return made[0]

    with without_modes():
        made.append(methods.to(self, *args, **kwargs))
    out = made[0]
    if out is self:
        return self
    changed = {"dtype": out.dtype} if out.dtype is not self.dtype else {}
    if out.device != self.device:
        changed["device"] = out.device
    return show(packet("_to_copy").default, run, (self,), changed)


def _contiguous(self: Any, memory_format: Any = None) -> Any:
    if memory_format is not None and self.is_contiguous(memory_format=memory_format):
        return self
    if memory_format is None and self.is_contiguous():
        return self
    from ..shared.memory_format import contiguous_format

    form = contiguous_format if memory_format is None else memory_format
    return show(packet("clone").default, methods.clone, (self,), {"memory_format": form})


def _dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if not training or inplace or not 0 < p < 1:
        return NotImplemented
    noise = ops.empty_like(input).bernoulli_(1 - p)
    return input * noise.div_(1 - p)


def _embedding(
    input: Any, weight: Any, padding_idx: Any = None, max_norm: Any = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    if max_norm is not None:
        return NotImplemented

    def run(w: Any, index: Any, *rest: Any) -> Any:
        return nnf.embedding(index, w, padding_idx, None, norm_type, scale_grad_by_freq, sparse)

    return _emit("embedding", run, weight, input)


def _group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    def run(x: Any, w: Any, b: Any, n: int, c: int, area: int, groups: int, e: float) -> Any:
        empty = ops.empty(0)
        return nnf.group_norm(x, groups, w, b, e), empty, empty

    count, channels = input.shape[:2]
    area = input.numel() // max(count * channels, 1)
    return _emit(
        "native_group_norm", run, input, weight, bias, count, channels, area, num_groups, eps
    )[0]


def _chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    size = -(-input.shape[dim] // chunks)
    return ops.split(input, size, dim)


def _rsub(self: Any, other: Any) -> Any:
    kind = "Tensor" if isinstance(other, TensorBase) else "Scalar"
    return _emit("rsub", lambda x, y: ops.rsub(x, y), self, other, overload=kind)


def _rdiv(self: Any, other: Any) -> Any:
    return ops.mul(ops.reciprocal(self), other)


def _conv_names() -> dict[str, Callable[..., Any]]:
    found = {}
    for n in (1, 2, 3):
        found[f"conv{n}d"] = _conv(n)
        found[f"conv_transpose{n}d"] = _conv_transpose(n)
    return found


_MADE: dict[str, Callable[..., Any]] = {
    **_conv_names(), "linear": _linear, "matmul": _matmul, "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"), "batch_norm": _batch_norm, "layer_norm": _layer_norm,
    "max_pool2d": _max_pool2d, "nll_loss": _nll_loss, "cross_entropy": _cross_entropy,
    "group_norm": _group_norm, "dropout": _dropout, "embedding": _embedding,
    "scaled_dot_product_attention": _attention, "reshape": _reshape, "flatten": _flatten,
    "relu": _relu, "__getitem__": _getitem, "to": _to, "contiguous": _contiguous,
    "chunk": _chunk, "__rsub__": _rsub, "__rdiv__": _rdiv, "__rtruediv__": _rdiv,
}  # fmt: skip


def function_of(overload: OpOverload) -> Callable[..., Any]:
    """The public function that stands for `torch.ops.aten.name`.

    Raises: NotSupportedError for an operator that no public function is.
    """
    from ..._basics.errors import not_supported

    name = overload._packet.__name__
    if name == "convolution":
        return convolution
    for table in (ops, methods, nnf):
        try:
            return getattr(table, name)  # type: ignore[no-any-return]
        except AttributeError:
            continue
    raise not_supported(f"torch.ops.aten.{name}", "the public function that it is part of")


resolve_by(function_of)
