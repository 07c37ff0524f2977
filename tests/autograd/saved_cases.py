"""What `saved_tensors_hooks` are compared on: four hundred calls of differentiable operators."""

from __future__ import annotations

from typing import Any

UNARY = """
abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv
exp exp2 expm1 frac i0 lgamma log log10 log1p log2 logit nan_to_num neg positive rad2deg
reciprocal relu round rsqrt sgn sigmoid sign sin sinc sinh sqrt square tan tanh trunc sum
mean prod amax amin logcumsumexp cumsum cumprod std var median nanmedian nansum max min
flatten t flip fliplr diag tril triu softmax log_softmax logsumexp norm std_mean var_mean
aminmax cummax cummin sort topk kthvalue mode unbind
""".split()

BINARY = """
add sub mul div pow atan2 maximum minimum fmax fmin hypot logaddexp logaddexp2 xlogy
copysign fmod remainder nextafter ldexp float_power
""".split()

ACTIVATIONS = """
celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish
relu6 rrelu selu silu softplus softshrink softsign tanhshrink threshold normalize
""".split()

LOSSES = """
mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy kl_div soft_margin_loss
poisson_nll_loss binary_cross_entropy_with_logits
""".split()

LINALG = """
det inv slogdet cholesky eigh eigvalsh qr svd pinv matrix_exp lu_factor matrix_power eig
""".split()

SPECIAL = """
entr erfcx i0e i1 i1e log_ndtr ndtri ndtr xlog1py zeta expit polygamma gammaln psi
multigammaln
""".split()

IN_PLACE = """
exp_ sqrt_ tanh_ sigmoid_ relu_ cos_ abs_ log_ neg_ reciprocal_ rsqrt_ erf_ square_
""".split()


def cases(m: Any) -> dict[str, Any]:
    """A call of each differentiable operator, most of them in one way."""
    F = m.nn.functional

    def t(*s, lo=0.1, dtype=None):
        n = 1
        for k in s:
            n *= k
        return (m.linspace(lo, 1.7, n, dtype=dtype or m.float32).reshape(s)).requires_grad_()

    x, y, w = t(3, 4), t(4), t(2, 4)
    z = t(3, 4, lo=0.3)
    sq = (m.tensor([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]])).requires_grad_()
    idx = m.tensor([[0, 1, 2, 0]])
    c = {}
    for n in UNARY:
        if n in ("flip",):
            c[n] = lambda: x.flip(0)
            continue
        if n in (
            "cumsum",
            "cumprod",
            "logcumsumexp",
            "softmax",
            "log_softmax",
            "logsumexp",
            "cummax",
            "cummin",
        ):
            c[n] = lambda n=n: getattr(x, n)(1)
            continue
        if n == "topk":
            c[n] = lambda: x.topk(2)
            continue
        if n == "kthvalue":
            c[n] = lambda: x.kthvalue(2)
            continue
        if n in ("std_mean", "var_mean", "aminmax"):
            c[n] = lambda n=n: getattr(m, n)(x)
            continue
        if n == "acosh":
            c[n] = lambda: (x + 1).acosh()
            continue
        if n in ("acos", "asin", "atanh", "erfinv", "logit"):
            c[n] = lambda n=n: getattr(x / 2, n)()
            continue
        c[n] = lambda n=n: getattr(x, n)()
    for n in (
        "max",
        "min",
        "median",
        "sum",
        "mean",
        "prod",
        "amax",
        "amin",
        "std",
        "var",
        "norm",
        "nanmedian",
        "mode",
    ):
        c[n + " dim"] = (
            (lambda: x.norm(2, 1)) if n == "norm" else (lambda n=n: getattr(x, n)(dim=1))
        )
    for n in BINARY:
        c[n + " tt"] = lambda n=n: getattr(x, n)(z)
        c[n + " broadcast"] = lambda n=n: getattr(x, n)(y)
    for n in "add sub mul div pow xlogy copysign fmod remainder float_power".split():
        c[n + " number"] = lambda n=n: getattr(x, n)(2.5)
    c["rsub"] = lambda: 3 - x
    c["rdiv"] = lambda: 3 / x
    c["rpow"] = lambda: 3**x
    c["pow0"] = lambda: x**0
    c["pow1"] = lambda: x**1
    c["pow.5"] = lambda: x**0.5
    for n in ACTIVATIONS:
        c[n] = (
            (lambda: F.threshold(x, 0.5, 0)) if n == "threshold" else (lambda n=n: getattr(F, n)(x))
        )
    c["softmin"] = lambda: F.softmin(x, 1)
    c["prelu"] = lambda: F.prelu(x, y)
    c["gelu tanh"] = lambda: F.gelu(x, approximate="tanh")
    c["celu_"] = lambda: F.celu_(x - 1)
    c["elu_"] = lambda: F.elu_(x - 1)
    c["leaky_relu_"] = lambda: F.leaky_relu_(x - 1)
    c["clamp"] = lambda: x.clamp(0.2, 1)
    c["clamp t"] = lambda: x.clamp(y, z)
    c["clamp_min"] = lambda: x.clamp_min(0.3)
    for n in LOSSES:
        c[n] = lambda n=n: getattr(F, n)(x / 2, z.detach() / 2)
    c["mse both"] = lambda: F.mse_loss(x, z)
    c["cross_entropy"] = lambda: F.cross_entropy(x, m.tensor([0, 1, 2]))
    c["nll"] = lambda: F.nll_loss(x, m.tensor([0, 1, 2]))
    c["cosine_embedding"] = lambda: F.cosine_embedding_loss(x, z, m.tensor([1, -1, 1]))
    c["triplet"] = lambda: F.triplet_margin_loss(x, z, x * 2)
    c["margin_ranking"] = lambda: F.margin_ranking_loss(y, z[0], m.ones(4))
    c["hinge"] = lambda: F.hinge_embedding_loss(x, m.ones(3, 4))
    c["multi_margin"] = lambda: F.multi_margin_loss(x, m.tensor([0, 1, 2]))
    c["cosine"] = lambda: F.cosine_similarity(x, z)
    c["pairwise"] = lambda: F.pairwise_distance(x, z)
    c["linear"] = lambda: F.linear(x, w, y[:2])
    c["linear3"] = lambda: F.linear(x[None], w, y[:2])
    c["linear3nb"] = lambda: F.linear(x[None], w)
    c["linear nb"] = lambda: F.linear(x, w)
    c["bilinear"] = lambda: F.bilinear(x[:2], w, im[0, :1])
    c["mm"] = lambda: x.mm(w.t())
    c["mv"] = lambda: x.mv(y)
    c["dot"] = lambda: y.dot(y * 2)
    c["matmul3"] = lambda: x[None].expand(2, 3, 4) @ w.t()
    c["matmul33"] = lambda: m.matmul(x[None].expand(2, 3, 4), w.t()[None])
    c["bmm"] = lambda: m.bmm(x[None], w.t()[None])
    c["baddbmm"] = lambda: m.baddbmm(x[None, :, :2], x[None], w.t()[None])
    c["addbmm"] = lambda: m.addbmm(x[:, :2], x[None], w.t()[None])
    c["addmm"] = lambda: m.addmm(y[:2], x, w.t())
    c["addmv"] = lambda: m.addmv(x[:, 0], x, y)
    c["addr"] = lambda: m.addr(x, x[:, 0], y)
    c["outer"] = lambda: m.outer(y, y)
    c["cross"] = lambda: m.linalg.cross(x[:, :3], z[:, :3])
    c["einsum"] = lambda: m.einsum("ij,kj->ik", x, w)
    c["kron"] = lambda: m.kron(x, w)
    c["tensordot"] = lambda: m.tensordot(x, w, ([1], [1]))
    c["addcmul"] = lambda: m.addcmul(x, x, y)
    c["addcdiv"] = lambda: m.addcdiv(x, x, y)
    c["lerp"] = lambda: m.lerp(x, z, 0.3)
    c["lerp t"] = lambda: m.lerp(x, z, y)
    c["where"] = lambda: m.where(x > 1, x, z)
    c["masked_fill"] = lambda: x.masked_fill(x > 1, 0.0)
    c["masked_select"] = lambda: x.masked_select(x > 1)
    c["masked_scatter"] = lambda: x.masked_scatter(x > 1, z)
    c["gather"] = lambda: x.gather(0, idx)
    c["scatter"] = lambda: x.scatter(0, idx, z[:1])
    c["scatter_add"] = lambda: x.scatter_add(0, idx, z[:1])
    c["scatter_reduce"] = lambda: x.scatter_reduce(0, idx, z[:1], "amax")
    c["index"] = lambda: x[m.tensor([0, 1])]
    c["index mask"] = lambda: x[x > 1]
    c["index_select"] = lambda: x.index_select(0, m.tensor([0, 1]))
    c["index_add"] = lambda: x.index_add(0, m.tensor([0, 1]), z[:2])
    c["index_copy"] = lambda: x.index_copy(0, m.tensor([0, 1]), z[:2])
    c["index_fill"] = lambda: x.index_fill(0, m.tensor([0]), 1.0)
    c["index_put"] = lambda: x.index_put((m.tensor([0]),), y)
    c["take"] = lambda: x.take(m.tensor([0, 5]))
    c["take_along"] = lambda: x.take_along_dim(idx, 0)
    c["put"] = lambda: x.put(m.tensor([0]), y[:1])
    c["cat"] = lambda: m.cat([x, z])
    c["stack"] = lambda: m.stack([x, z])
    c["roll"] = lambda: x.roll(1)
    c["repeat"] = lambda: x.repeat(2, 1)
    c["expand"] = lambda: y.expand(3, 4)
    c["tile"] = lambda: x.tile(2)
    c["repeat_interleave"] = lambda: x.repeat_interleave(2, 0)
    c["pad"] = lambda: F.pad(x, (1, 1))
    c["pad reflect"] = lambda: F.pad(x[None], (1, 1), "reflect")
    c["pad rep"] = lambda: F.pad(x[None], (1, 1), "replicate")
    c["pad circ"] = lambda: F.pad(x[None], (1, 1), "circular")
    c["unfold"] = lambda: x.unfold(1, 2, 1)
    c["diagonal"] = lambda: x.diagonal()
    c["diag_embed"] = lambda: m.diag_embed(x)
    c["trace"] = lambda: sq.trace()
    c["cdist"] = lambda: m.cdist(x, z)
    c["pdist"] = lambda: F.pdist(x)
    c["dist"] = lambda: m.dist(x, z)
    c["renorm"] = lambda: x.renorm(2, 0, 1.0)
    c["vector_norm"] = lambda: m.linalg.vector_norm(x)
    c["matrix_norm"] = lambda: m.linalg.matrix_norm(x)
    c["norm1"] = lambda: x.norm(1)
    for n in LINALG:
        c["linalg " + n] = (
            (lambda: m.linalg.matrix_power(sq, 3))
            if n == "matrix_power"
            else (lambda n=n: getattr(m.linalg, n)(sq))
        )
    c["solve"] = lambda: m.linalg.solve(sq, x)
    c["solve_tri"] = lambda: m.linalg.solve_triangular(sq, x, upper=True)
    c["lstsq"] = lambda: m.linalg.lstsq(sq, x).solution
    c["cholesky_solve"] = lambda: m.cholesky_solve(x, sq)
    c["logdet"] = lambda: sq.logdet()
    im = t(1, 2, 4, 4)
    k = t(3, 2, 2, 2)
    c["conv2d"] = lambda: F.conv2d(im, k)
    c["conv2d b"] = lambda: F.conv2d(im, k, y[:3])
    c["convT"] = lambda: F.conv_transpose2d(im, k.transpose(0, 1))
    c["conv1d"] = lambda: F.conv1d(x[None], t(2, 3, 2))
    c["conv3d"] = lambda: F.conv3d(im[:, None], k[:1, None, :1])
    for n, a in (
        ("max_pool1d", x[None]),
        ("max_pool2d", im),
        ("max_pool3d", im[None]),
        ("avg_pool1d", x[None]),
        ("avg_pool2d", im),
        ("avg_pool3d", im[None]),
        ("lp_pool2d", im),
    ):
        kk = 1 if n.endswith("3d") else 2
        c[n] = (
            (lambda a=a: F.lp_pool2d(a, 2, 2))
            if n == "lp_pool2d"
            else (lambda n=n, a=a, kk=kk: getattr(F, n)(a, kk))
        )
    for n in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        c[n] = lambda n=n: getattr(F, n)(im, 2)
    c["adaptive1"] = lambda: F.adaptive_avg_pool1d(im[0], 2)
    c["adaptive_max1"] = lambda: F.adaptive_max_pool1d(im[0], 2)
    c["fractional"] = lambda: F.fractional_max_pool2d(im, 2, output_size=2)
    c["max_unpool"] = lambda: F.max_unpool2d(
        im[..., :2, :2], m.tensor([[[[0, 2], [8, 10]]] * 2]).reshape(1, 2, 2, 2), 2
    )
    for mode in ("nearest", "bilinear", "bicubic", "area", "nearest-exact"):
        c["interp " + mode] = lambda mode=mode: F.interpolate(im, scale_factor=2, mode=mode)
    c["grid"] = lambda: F.grid_sample(im, m.zeros(1, 2, 2, 2), align_corners=False)
    c["affine"] = lambda: F.affine_grid(
        m.ones(1, 2, 3).requires_grad_(), [1, 1, 2, 2], align_corners=False
    )
    c["pixel_shuffle"] = lambda: F.pixel_shuffle(t(1, 4, 2, 2), 2)
    c["im2col"] = lambda: F.unfold(im, 2)
    c["col2im"] = lambda: F.fold(t(1, 4, 4), (3, 3), 2)
    c["channel_shuffle"] = lambda: F.channel_shuffle(im, 2)
    b = m.zeros(2), m.ones(2)
    c["bn train"] = lambda: F.batch_norm(im, *b, y[:2], y[:2], True)
    c["bn eval"] = lambda: F.batch_norm(im, *b, y[:2], y[:2])
    c["bn plain"] = lambda: F.batch_norm(im, None, None, None, None, True)
    c["in"] = lambda: F.instance_norm(im)
    c["ln"] = lambda: F.layer_norm(x, (4,), y, y)
    c["gn"] = lambda: F.group_norm(im, 2, y[:2], y[:2])
    c["rms"] = lambda: F.rms_norm(x, (4,), y)
    c["lrn"] = lambda: F.local_response_norm(im, 2)
    c["ln2"] = lambda: F.layer_norm(x, (3, 4))
    c["embedding"] = lambda: F.embedding(m.tensor([0, 1]), x)
    c["embedding_bag"] = lambda: F.embedding_bag(m.tensor([[0, 1]]), x)
    c["bag max"] = lambda: F.embedding_bag(m.tensor([[0, 1]]), x, mode="max")
    c["dropout"] = lambda: F.dropout(x, 0.5)
    c["alpha_dropout"] = lambda: F.alpha_dropout(x, 0.5, True)
    c["dropout2d"] = lambda: F.dropout2d(im, 0.5, True)
    c["feature alpha"] = lambda: F.feature_alpha_dropout(im, 0.5, True)
    q = t(1, 2, 3, 4)
    c["sdpa"] = lambda: F.scaled_dot_product_attention(q, q * 2, q * 3)
    c["sdpa causal"] = lambda: F.scaled_dot_product_attention(q, q * 2, q * 3, is_causal=True)
    c["sdpa mask"] = lambda: F.scaled_dot_product_attention(q, q * 2, q * 3, m.zeros(3, 3))
    c["ctc"] = lambda: F.ctc_loss(
        t(5, 1, 3).log_softmax(2), m.tensor([[1, 2]]), m.tensor([5]), m.tensor([2])
    )
    c["gaussian"] = lambda: F.gaussian_nll_loss(x, z.detach(), z)
    mods = {"lstm": m.nn.LSTM, "gru": m.nn.GRU, "rnn": m.nn.RNN}
    for n, M in mods.items():
        c[n] = lambda M=M: M(4, 2)(x[:, None])[0]
    c["mha"] = lambda: m.nn.MultiheadAttention(4, 2)(x[:, None], x[:, None], x[:, None])[0]
    c["encoder layer"] = lambda: m.nn.TransformerEncoderLayer(4, 2, 8, 0.0)(x[:, None])
    c["to double"] = lambda: x.double()
    c["clone"] = lambda: x.clone()
    c["complex"] = lambda: m.complex(x, z).real
    c["fft"] = lambda: m.fft.fft(x).real
    c["rfft"] = lambda: m.fft.rfft(x).real
    c["irfft"] = lambda: m.fft.irfft(m.complex(x, z))
    c["polar"] = lambda: m.polar(x, z).real
    c["cabs"] = lambda: m.complex(x, z).abs()
    c["stft"] = lambda: m.stft(t(16), 4, return_complex=True, window=m.ones(4)).real
    for n in SPECIAL:
        f = getattr(m.special, n)
        c["special " + n] = (
            (lambda f=f: f(x, z))
            if n in ("xlog1py",)
            else (lambda f=f: f(x.detach() + 2, z))
            if n == "zeta"
            else (lambda f=f: f(1, x))
            if n == "polygamma"
            else (lambda f=f: f(x + 3, 2))
            if n == "multigammaln"
            else (lambda f=f: f(x / 2))
        )
    for n in IN_PLACE:
        c[n] = lambda n=n: getattr(x * 1, n)()
    for n in "mul_ div_ add_ pow_ maximum".split():
        if n.endswith("_"):
            c[n] = lambda n=n: getattr(x * 1, n)(z)
    c["cumulative_trapezoid"] = lambda: m.cumulative_trapezoid(x)
    c["trapezoid"] = lambda: m.trapezoid(x)
    c["diff"] = lambda: x.diff()
    c["gradient"] = lambda: m.gradient(y)[0]
    c["cov"] = lambda: x.cov()
    c["corrcoef"] = lambda: x.corrcoef()
    c["quantile"] = lambda: x.quantile(0.3)
    c["vander"] = lambda: m.vander(y)
    c["cartesian"] = lambda: m.cartesian_prod(y, y)
    c["combinations"] = lambda: m.combinations(y)
    c["block_diag"] = lambda: m.block_diag(x, z)
    c["cumprod0"] = lambda: y.cumprod(0)
    c["as_strided"] = lambda: x.as_strided((2, 2), (1, 2))
    c["split"] = lambda: x.split(1)[0]
    c["movedim"] = lambda: x.movedim(0, 1)
    c["segment"] = lambda: m.segment_reduce(y, "sum", lengths=m.tensor([2, 2]))
    c["gumbel"] = lambda: F.gumbel_softmax(x)
    c["one"] = lambda: x.prod(0)
    c["mvlgamma"] = lambda: (x + 3).mvlgamma(2)
    c["hardtanh_"] = lambda: F.hardtanh_(x * 1)
    c["rot90"] = lambda: x.rot90()
    c["threshold_"] = lambda: F.threshold_(x * 1, 0.5, 0.0)
    return c
