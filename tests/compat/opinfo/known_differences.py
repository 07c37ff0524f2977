"""Where torchish is known to differ from PyTorch in the OpInfo runs: the one table.

A row is (entry pattern, dtypes, check) -> reason. `*` in the pattern stands for anything; dtypes
are named, or `*`. Rows are strict: a row that no longer explains a failure must go (the full run
checks it, `unused`).
"""

from __future__ import annotations

import fnmatch

_HALF = "float16 bfloat16"
_SECOND_OF_LINEAR = (
    "nn.functional.adaptive_*", "nn.functional.avg_pool*", "nn.functional.interpolate.area",
    "nn.functional.nll_loss", "nn.functional.pad.*", "nn.functional.rrelu", "stft",
)  # fmt: skip
_FREE_SIGN = "the sign (complex: the phase) of an eigenvector or singular vector is free"
_TIES = "among equal elements PyTorch's selection is not stable; here the first ones are taken"
_UNSTABLE = "without stable=True PyTorch sorts long rows by an unstable sort; here it is stable"
_LINEAR = (
    "linear: the first gradient does not depend on the input, so it does not require grad here; "
    "PyTorch gives zeros"
)
_NARROW = "PyTorch rounds intermediate results to the half type; here they are float32"
_COMPLEX32 = "XLA has no complex32"
_SELF = "a method called on an int: PyTorch's are C descriptors with an error of their own"
_BESSEL = "PyTorch's rational approximations are off by up to 8e-7 near x = 5; here by 1e-11"

_BELOW_NORM = "an element 10,000 times below the norm; both are off by 1e-6 of the norm"

KNOWN: dict[tuple[str, str, str], str] = {
    ("__r*__", "-", "errors"): _SELF,
    ("gradient", "-", "errors"): "one sample lies on the meta device, which the runner cannot copy",
    ("index_select", "-", "errors"): (
        "an `out=` of another shape whose elements share memory is resized, not refused"
    ),
    (
        "narrow_copy",
        "-",
        "errors",
    ): "PyTorch raises an internal RuntimeError for a dim out of range",
    ("as_strided_scatter", "*", "gradient"): (
        "PyTorch's gradient of the input keeps the elements that were overwritten and drops the "
        "others; here it is the other way round, as finite differences say"
    ),
    ("chalf", "*", "forward"): _COMPLEX32,
    ("chalf", "*", "gradient"): _COMPLEX32,
    ("chalf", "*", "method"): _COMPLEX32,
    ("complex", "float16", "forward"): _COMPLEX32,
    ("complex", "float16", "gradient"): _COMPLEX32,
    ("linalg.eig", "*", "forward"): _FREE_SIGN,
    ("linalg.lstsq*", "float32", "layout"): (
        "PyTorch's solution shows the first rows of a larger buffer; here it has its own"
    ),
    ("mode", "int64", "forward"): (
        "which of many equal elements is named is left to an unstable sort by PyTorch"
    ),
    (
        "fft.ihfft*",
        "float32 int64",
        "out",
    ): ("PyTorch leaves garbage in the `out=` of ihfft2 and ihfftn"),
    ("histogramdd", "float32", "forward"): (
        "bins that do not increase are refused; PyTorch counts with them"
    ),
    ("grid_sampler_*", "float32", "gradient"): (
        "elements where large terms cancel; both are off by 1e-6 of the largest gradient"
    ),
    ("linalg.eigh", "*", "out"): _FREE_SIGN,
    ("kthvalue", "*", "forward"): _TIES,
    ("kthvalue", "*", "method"): _TIES,
    ("kthvalue", "*", "out"): _TIES,
    ("topk", "*", "forward"): _TIES,
    ("topk", "*", "method"): _TIES,
    ("topk", "*", "out"): _TIES,
    ("argsort", "*", "forward"): _UNSTABLE,
    ("sort", "*", "forward"): _UNSTABLE,
    ("sort", "*", "gradient"): _UNSTABLE,
    ("msort", "*", "gradient"): _UNSTABLE,
    ("linalg.norm.subgradients_at_zero", "float64", "second"): "NaN in PyTorch, 0 here",
    ("native_layer_norm", "float32", "gradient"): (
        "rows of one element: the gradient is 0; PyTorch leaves the rounding of mean * rstd"
    ),
    ("native_batch_norm", "float32", "out"): "no out= form",
    ("logcumsumexp", "float32 float16 bfloat16 complex64", "gradient"): (
        "PyTorch goes through logarithms of gradients and is off by 5e-3 in float32; here the "
        "error is 4e-7"
    ),
    ("matrix_exp", "float32", "forward"): _BELOW_NORM,
    ("matrix_exp", "float32", "method"): _BELOW_NORM,
    ("matrix_exp", "bfloat16", "*"): "PyTorch computes in bfloat16 and gives NaN",
    ("matrix_exp", "float16", "*"): "float16 is refused, as linalg.matrix_exp refuses it",
    ("addbmm", _HALF, "forward"): _NARROW,
    ("ldexp", "bfloat16", "gradient"): _NARROW,
    ("nn.functional.instance_norm", "bfloat16", "forward"): _NARROW,
    ("nn.functional.interpolate.trilinear", "bfloat16", "forward"): _NARROW,
    ("nn.functional.scaled_dot_product_attention", "float16", "gradient"): _NARROW,
    ("addr", "bfloat16", "forward"): _NARROW,
    ("linalg.vector_norm", "float16", "gradient"): _NARROW + " (and overflow there)",
    ("grid_sampler_*", _HALF, "*"): _NARROW,
    ("nn.functional.grid_sample", _HALF, "*"): _NARROW,
    ("nn.functional.conv_transpose2d", _HALF, "forward"): _NARROW,
    ("nn.functional.conv_transpose3d", _HALF, "forward"): _NARROW,
    ("nn.functional.soft_margin_loss", "float16", "*"): _NARROW + " (and overflow there)",
    ("histc", _HALF, "forward"): _NARROW + ", and so do the edges of bins",
    ("special.bessel_*", "float64", "forward"): _BESSEL,
    ("view_as_complex", "float16", "forward"): _COMPLEX32,
    ("view_as_complex", "float16", "gradient"): _COMPLEX32,
    ("__rpow__", "float16", "gradient"): _NARROW + " (and overflow there)",
    **{(name, "float64", "second"): _LINEAR for name in _SECOND_OF_LINEAR},
}


def row_for(entry: str, dtype: str, check: str) -> tuple[str, str, str] | None:
    """The row that explains a failure."""
    for row in KNOWN:
        pattern, dtypes, name = row
        if name in (check, "*") and (dtypes == "*" or dtype in dtypes.split()):
            if fnmatch.fnmatchcase(entry, pattern):
                return row
    return None


def reason_for(entry: str, dtype: str, check: str) -> str | None:
    """Why a check of an entry is known to fail at a dtype; None when it must hold."""
    row = row_for(entry, dtype, check)
    return None if row is None else KNOWN[row]


def unused(failures: set[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Rows that explain none of the failures of a full run."""
    used = {row_for(*failure) for failure in failures}
    return [row for row in KNOWN if row not in used]
