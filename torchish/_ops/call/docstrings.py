"""The docstring of a public operator: its own words, and what its record says.

The words of the definition (a sentence, the formula, what is particular to the operator) stay as
they are; the call, shapes, dtypes, errors and the source follow from the record and are never
written by hand. A section that a definition writes itself, under the same name, stands instead of
the derived one, but for `Source:`, where the page of PyTorch's manual follows the paper. A family
made after one paper says so once, in its module's docstring.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from types import FunctionType
from typing import Any

from .binding import MISSING
from .operator import Operator

MANUAL = "https://docs.pytorch.org/docs/stable"
_SOURCE = re.compile(r"^( *)Source: (.+(?:\n\1 +\S.*)*)\n?", re.M)

# Public names that have no page of their own in PyTorch's manual: the page of their place it is.
_WITHOUT_PAGE = {
    "torch": """
    _neg_view _sample_dirichlet _standard_gamma affine_grid_generator alias_copy as_strided_copy
    as_strided_scatter binomial channel_shuffle constant_pad_nd conv_tbc convolution detach_copy
    diagonal_copy empty_permuted expand_copy feature_dropout fill frobenius_norm grid_sampler
    grid_sampler_2d grid_sampler_3d gru gru_cell hash_tensor is_distributed lstm lstm_cell
    max_pool1d_with_indices native_batch_norm native_channel_shuffle native_dropout
    native_group_norm native_layer_norm norm_except_dim nuclear_norm permute_copy put rnn_relu
    rnn_relu_cell rnn_tanh rnn_tanh_cell rsub scalar_tensor segment_reduce select_copy slice_copy
    split_copy split_with_sizes split_with_sizes_copy squeeze_copy t_copy transpose_copy
    unbind_copy unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze_copy
    view_as_complex_copy view_as_real_copy view_copy clamp_max clamp_min alpha_dropout_
    as_strided_ celu_ clamp_max_ clamp_min_ deg2rad_ dropout_ embedding_renorm_ exp2_
    feature_alpha_dropout_ feature_dropout_ rad2deg_ selu_
    """,
    "method": """
    __delitem__ __getitem__ __ilshift__ __irshift__ __lshift__ __rshift__ __setitem__ _neg_view
    _slice alias as_strided_ as_strided_scatter clamp_max clamp_max_ clamp_min clamp_min_ deg2rad_
    eig exp2 exp2_ hash_tensor heaviside_ histogramdd is_distributed is_nonzero is_same_size kron
    log_softmax lstsq map2_ maximum_ minimum_ new new_empty_strided prelu put rad2deg_ reinforce
    relu relu_ resize resize_as solve split_with_sizes swapaxes_ swapdims_ symeig unsafe_chunk
    unsafe_split unsafe_split_with_sizes view_as_complex view_as_real
    """,
    "nn.functional": """
    adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices
    adaptive_max_pool3d_with_indices celu_ channel_shuffle conv_tbc
    fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices max_pool1d_with_indices
    max_pool2d_with_indices max_pool3d_with_indices multi_head_attention_forward
    native_channel_shuffle selu_
    """,
}
_PATHS = {"torch": "torch", "method": "torch.Tensor"}
_PLACE_PAGES = {"torch": "torch", "method": "tensors"}


def page(place: str, name: str, functional: Mapping[str, Any]) -> str:
    """Where PyTorch's manual has a public name.

    torch's own spellings of functions of nn.functional are explained there, in-place ones with the
    methods.
    """
    if place == "special":  # one page for all
        return f"{MANUAL}/special.html#torch.special.{name}"
    if place == "torch":
        if name in functional and name not in _without_page("nn.functional"):
            place = "nn.functional"
        elif name.endswith("_") and name not in _without_page("torch"):
            place = "method"
    if name in _without_page(place):
        return f"{MANUAL}/{_PLACE_PAGES.get(place, place)}.html"
    return f"{MANUAL}/generated/{_path(place)}.{name}.html"


def document(place: str, table: Mapping[str, Any], functional: Mapping[str, Any]) -> None:
    """Complete the docstrings of a place's functions; one that has several names once."""
    for name, function in table.items():
        if isinstance(function, FunctionType) and MANUAL not in (function.__doc__ or ""):
            source = page(place, name, functional)
            function.__doc__ = _completed(function, f"{_path(place)}.{name}", source)


@cache
def _without_page(place: str) -> frozenset[str]:
    return frozenset(_WITHOUT_PAGE.get(place, "").split())


def _path(place: str) -> str:
    return _PATHS.get(place) or f"torch.{place}"


def _completed(function: Any, path: str, source: str) -> str:
    own = function.__doc__ or ""
    if "\n" in own:
        own = inspect.cleandoc(own)
    operator = getattr(function, "operator", None)
    papers = _paper(own)
    if papers:
        own = _SOURCE.sub("", own).rstrip()
    else:
        papers = _paper_of_module((operator.body if operator else function).__module__)
    head, _, sections = own.partition("\n\n")
    is_method = path.startswith(_PATHS["method"])
    call = f"{path}({_arguments(function, operator, is_method)})"
    lines = [head, "", call, ""]
    if sections:
        lines.append(sections)
    if operator is not None:
        lines += (f"{k}: {v}." for k, v in _facts(function, operator) if f"\n{k}:" not in own)
    lines.append(f"Source: {papers}{source}")
    return "\n".join(lines)


def _paper(text: str) -> str:
    """What a docstring says its subject was made after, ready for more to follow."""
    if "Source: " not in text:
        return ""
    found = _SOURCE.search(text)
    return f"{' '.join(found[2].split()).rstrip('.')}; " if found else ""


@cache
def _paper_of_module(name: str) -> str:
    module = sys.modules.get(name)
    return _paper((module and module.__doc__) or "")


# --- the call -------------------------------------------------------------------------------------


def _arguments(function: Any, operator: Operator | None, is_method: bool) -> str:
    every = _of_code(inspect.unwrap(function)) if operator is None else _of_record(operator)
    added, at = _added(function)
    if added:
        spelled = "inplace=False" if added == "inplace" else "out=None"
        last = len(every) - (every[-1][:2] == "**")
        if at is None and added == "out" and not any(a[0] == "*" for a in every[:last]):
            spelled = f"*, {spelled}"
        every.insert(last if at is None else at, spelled)
    if is_method and every and every[0][0] != "*":
        every[0] = "self"
    return ", ".join(every)


def _added(function: Any) -> tuple[str, int | None]:
    """The argument that the form has beside its definition's, and its place."""
    while not hasattr(function, "added"):
        if not hasattr(function, "__wrapped__"):
            return "", None
        function = function.__wrapped__
    found: tuple[str, int | None] = function.added
    return found


def _of_record(operator: Operator) -> list[str]:
    spelled, keywords = [], False
    for p in operator.binder.params:
        if p.keyword_only and not keywords:
            keywords = True
            spelled.append("*")
        spelled.append(p.name if p.default is MISSING else f"{p.name}={p.default!r}")
    return spelled


def _of_code(body: Any) -> list[str]:
    """The arguments of plain Python, from its code object: `inspect.signature` is slow."""
    code = body.__code__
    split, stop = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names, rest = code.co_varnames[:stop], list(code.co_varnames[stop:])
    positional = body.__defaults__ or ()
    defaults = dict(zip(names[split - len(positional) : split], positional, strict=True))
    defaults.update(body.__kwdefaults__ or {})
    spelled = [f"{name}={defaults[name]!r}" if name in defaults else name for name in names]
    if code.co_flags & inspect.CO_VARARGS:
        spelled.insert(split, f"*{rest.pop(0)}")
    elif split < stop:
        spelled.insert(split, "*")
    if code.co_flags & inspect.CO_VARKEYWORDS:
        spelled.append(f"**{rest[0]}")
    return spelled


# --- what a record says ---------------------------------------------------------------------------


def _facts(function: Any, operator: Operator) -> Iterator[tuple[str, str]]:
    tensors = [f"`{p.name}`" for p in operator.binder.params if p.kind in ("tensor", "operand")]
    if tensors and operator.elementwise:
        yield "Shape", _shape(function, tensors)
    if tensors:
        yield "Dtype", _dtype(operator, tensors)
    refused = " or ".join(_refused(function, operator, tensors))
    runtime = f", RuntimeError for {refused}" if refused else ""
    yield "Raises", f"TypeError for arguments of other kinds{runtime}"


def _is_in_place(function: Any) -> bool:
    return function.__name__.endswith("_") and not function.__name__.endswith("__")


def _shape(function: Any, tensors: list[str]) -> str:
    if len(tensors) == 1:
        return f"that of {tensors[0]}"
    if _is_in_place(function):
        return f"that of {tensors[0]}, to which {_listed(tensors[1:])} must broadcast"
    return f"{_listed(tensors)} broadcast together"


def _dtype(operator: Operator, tensors: list[str]) -> str:
    if operator.promote == "none":
        return "each argument is taken in its own; none is converted"
    first = tensors[0]
    if operator.promote == "bool_int64":
        own = f"that of {first}, int64 for bools and integers"
        return f"`dtype`, or else {own}" if "dtype" in operator.binder.names else own
    single = len(tensors) == 1
    common = f"that of {first}" if single else f"the result type of {_listed(tensors)}"
    floats = ", for integers in the default float dtype" if operator.promote == "float" else ""
    return f"computed in {common}{floats}"


def _refused(function: Any, operator: Operator, tensors: list[str]) -> Iterator[str]:
    if operator.elementwise and len(tensors) > 1:
        yield "shapes that do not broadcast"
    if _is_in_place(function) and tensors:
        yield f"a result that cannot be cast to the dtype of {tensors[0]}"
    elif _added(function)[0] == "out" and operator.out_dtype in ("cast", "cat"):
        yield "an `out` to whose dtype the result cannot be cast"
    elif _added(function)[0] == "out" and operator.out_dtype != "any":
        yield "an `out` of another dtype"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
