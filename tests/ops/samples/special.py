"""Samples of special functions."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, f, i, pos, unary, unit

_EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.5, 30.0], np.float32)

# Where the derivative is a limit.
_AT_ZERO = np.array([0.0, 0.5, 1.0, 0.75], np.float32)
_BESSEL = np.array([0.0, 0.3, 10.0, 24.0, 40.0, -2.0, np.nan], np.float32)

SAMPLES = {
    "torch.erf": [*unary(), S(_EDGES)],
    "torch.erfc": [*unary(), S(_EDGES)],
    "torch.erfinv": [*unary(domain=unit, ints=False), S(np.array([-1.0, 1.0, 2.0], np.float32))],
    "torch.lgamma": [*unary(), S(_EDGES).no_grad()],
    "torch.digamma": [*unary(domain=pos, ints=False), S(f(5)).within(20), S(_EDGES).no_grad()],
    "torch.polygamma": [
        S(0, f(3)).within(20),
        S(1, pos(3)).within(5),
        S(2, pos(3)).within(5),
        S(3, f(3)).within(50).no_half(),
        S(-1, f(2)),
    ],
    "torch.mvlgamma": [S(f(3, low=3.0, high=6.0), 2), S(f(3, low=4.0, high=6.0), 3)],
    "torch.logit": [S(unit(3, 4)), S(f(3)), S(f(5), 0.1), S(f(5), eps=0.2), S(_AT_ZERO)],
    "torch.sinc": [*unary(), S(_EDGES).no_grad(), S(_AT_ZERO)],
    "torch.i0": [*unary(), S(_AT_ZERO)],
    "torch.igamma": [S(pos(3, 4), pos(4)).no_grad()],
    "special.gammainc": [S(pos(3, 4), pos(4)).no_grad()],
    "special.gammaincc": [S(pos(3, 4), pos(4)).no_grad()],
    "torch.igammac": [S(pos(3, 4), pos(4)).no_grad()],
    "special.i0e": [*unary(), S(_AT_ZERO)],
    "special.i1": [*unary(), S(_AT_ZERO)],
    "special.i1e": [*unary(), S(_AT_ZERO)],
    "special.entr": [*unary(domain=pos, ints=False), S(f(5)), S(_EDGES)],
    "special.ndtr": [*unary(), S(_EDGES)],
    "special.ndtri": [S(unit(3, 4)), S(np.array([0.0, 1.0, -1.0], np.float32))],
    "special.log_ndtr": [*unary(), S(np.array([-30.0, -5.0, 8.0], np.float32)).no_half()],
    "special.erfcx": [*unary(), S(np.array([-5.0, 20.0, 60.0, 1e4], np.float32)).no_half()],
    "special.xlog1py": [
        S(f(3), pos(3)),
        S(f(3), 2.0),
        S(2.0, pos(3)),
        S(np.zeros(2, np.float32), f(2)).no_grad(),
    ],
    "special.zeta": [
        S(np.full(3, 2.5, np.float32), pos(3)).no_grad(),
        S(2.0, f(4)).no_grad(),
        S(3, pos(3)).no_grad(),
        S(i(5), i(5)),
    ],
    "special.gammaln": [S(f(3))],
    "special.psi": [S(pos(3))],
    "special.multigammaln": [S(f(3, low=3.0, high=6.0), 2)],
    "special.exp2": [S(f(3))],
    "special.expm1": [S(f(3))],
    "special.log1p": [S(pos(3))],
    "special.round": [S(f(3), decimals=1)],
    "special.logsumexp": [S(f(3, 4), 1)],
    "special.xlogy": [S(f(3), pos(3))],
    "special.polygamma": [S(1, pos(3)).within(5)],
    "special.sinc": [S(f(3))],
    **{
        f"special.{name}": [S(f(3, 4)).no_grad(), S(i(4, low=1)), S(_BESSEL).no_grad().no_half()]
        for name in (
            "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_i0",
            "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1",
            "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0",
            "airy_ai",
        )
    },
    **{
        f"special.{name}": [S(f(3, 4), 3).no_grad(), S(f(3), i(3, low=0, high=6)).no_grad(),
                            S(f(3), -1).no_grad(), S(2.0, i(3, low=0, high=4))]
        for name in (
            *(f"{prefix}chebyshev_polynomial_{kind}" for prefix in ("", "shifted_")
              for kind in "tuvw"),
            "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l",
            "legendre_polynomial_p",
        )
    },
}  # fmt: skip
