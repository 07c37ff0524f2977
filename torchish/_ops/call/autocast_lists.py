"""Which operators autocast runs in which precision, by device type. Source: torch's amp page.

"low": floating operands become the autocast dtype. "float32": half-precision ones become float32.
"sum": the same for the result, by `dtype=float32` where none is given. "widest": all become the
widest floating dtype among them.
"""

from __future__ import annotations

_CONV = (
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc convolution"
)
_FFT = "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft"
_LOSSES = (
    "cosine_embedding_loss nll_loss hinge_embedding_loss kl_div l1_loss huber_loss mse_loss "
    "margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss "
    "multi_margin_loss binary_cross_entropy_with_logits poisson_nll_loss"
)

CPU = {
    "low": f"{_CONV} bmm mm matmul linalg.matmul baddbmm addmm addbmm linear prelu "
    "linalg.multi_dot chain_matmul linalg.vecdot scaled_dot_product_attention lstm rnn_tanh "
    "rnn_relu internal._einsum tensordot inner matrix_power linalg.matrix_power cov",
    "float32": f"{_LOSSES} avg_pool3d binary_cross_entropy grid_sampler grid_sample polar prod "
    "quantile nanquantile stft cdist trace view_as_complex cholesky cholesky_inverse "
    "cholesky_solve inverse lu_solve orgqr ormqr pinverse max_pool3d max_unpool2d max_unpool3d "
    "adaptive_avg_pool3d cross_entropy smooth_l1_loss ctc_loss geqrf qr svd linalg.pinv pad "
    "triangular_solve fractional_max_pool2d "
    "fractional_max_pool3d adaptive_max_pool3d linalg.cond linalg.matrix_rank linalg.solve "
    "linalg.cholesky linalg.svdvals linalg.eigvals linalg.eigvalsh linalg.inv "
    "linalg.householder_product linalg.tensorinv linalg.tensorsolve linalg.qr linalg.cholesky_ex "
    "linalg.svd linalg.eig linalg.eigh linalg.lstsq linalg.inv_ex "
    + " ".join(f"fft.{n}" for n in _FFT.split()),
    "widest": "stack cat index_copy",
}
CUDA = {
    "low": f"{_CONV} addmm addmv addr matmul internal._einsum mm mv linear addbmm baddbmm bmm "
    "chain_matmul linalg.multi_dot linalg.matmul linalg.vecdot prelu scaled_dot_product_attention "
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    "float32": f"{_LOSSES} acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt "
    "sinh tan pow softplus layer_norm group_norm nuclear_norm cosine_similarity smooth_l1_loss "
    "dist pdist cdist renorm logsumexp interpolate upsample upsample_nearest upsample_bilinear",
    "sum": "prod softmax log_softmax cumprod cumsum linalg.vector_norm linalg.matrix_norm "
    "linalg.norm sum norm",
    "widest": "addcdiv addcmul atan2 bilinear cross dot vdot grid_sample grid_sampler index_put "
    "tensordot scatter_add stack cat index_copy",
    "banned": "binary_cross_entropy",
}
