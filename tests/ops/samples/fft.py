"""Samples of Fourier transforms."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import N, S, c, f, i

_HANN = np.hanning(9)[:-1].astype(np.float32)

_COMPLEX = np.exp(1j * np.arange(24.0).reshape(4, 6) ** 1.5).astype(np.complex64)


def _spectrum() -> np.ndarray:
    return np.fft.rfft(np.random.RandomState(3).randn(5, 8)).T.astype(np.complex64)


def close(*args: object, **kwargs: object):
    """A sample at transform precision; strides of transforms follow the library's own plan."""
    return S(*args, **kwargs).within(10).no_strides().no_half()


SAMPLES = {
    "fft.fft": [
        close(f(5)),
        close(c(2, 5), n=7),
        close(f(2, 5), dim=0, norm="ortho"),
        close(i(4)),
        close(f(4), n=0),
        close(f(4), norm="x"),
        close(f(2, 5), n=3, norm="forward"),
    ],
    "fft.ifft": [close(c(5)), close(f(2, 4), n=3, norm="forward")],
    "fft.rfft": [close(f(5)), close(f(2, 6), n=4, dim=0), close(c(4)), close(i(4), norm="ortho")],
    "fft.irfft": [close(c(4)), close(c(2, 4), n=7, norm="ortho"), close(f(4)), close(c(1))],
    "fft.hfft": [close(c(4)), close(c(4), n=5, norm="forward")],
    "fft.ihfft": [close(f(6)), close(f(6), n=5, norm="ortho"), close(c(4))],
    "fft.fft2": [close(f(2, 3, 4)), close(c(3, 4), s=(5, 2)), close(f(3))],
    "fft.ifft2": [close(c(3, 4), norm="ortho")],
    "fft.rfft2": [close(f(3, 4))],
    "fft.irfft2": [close(c(3, 4)), close(c(3, 4), s=(3, 5))],
    "fft.hfft2": [close(c(3, 4))],
    "fft.ihfft2": [close(f(3, 4))],
    "fft.fftn": [
        close(f(2, 3, 4)),
        close(c(2, 3, 4), dim=(0, 2)),
        close(f(2, 3), s=(4,)),
        close(f(2, 3), dim=(0, 0)),
    ],
    "fft.ifftn": [close(c(2, 3, 4), norm="forward")],
    "fft.rfftn": [close(f(2, 3, 4)), close(f(2, 3, 4), s=(2, 5), dim=(0, 1))],
    "fft.irfftn": [close(c(2, 3, 4)), close(c(2, 3, 4), s=(2, 7), dim=(0, 2))],
    "fft.hfftn": [close(c(2, 3, 4), s=(3, 5), dim=(0, 1), norm="ortho")],
    "fft.ihfftn": [close(f(2, 3, 4), dim=(0, 1))],
    "fft.fftfreq": [S(5), S(4, 0.5), S(4, d=0.1, dtype=N("float64"))],
    "fft.rfftfreq": [S(5), S(4, 0.1)],
    "fft.fftshift": [S(f(2, 5)), S(f(2, 5), dim=1), S(c(4))],
    "fft.ifftshift": [S(f(2, 5)), S(f(2, 5), dim=(0,))],
    "torch.stft": [
        close(f(16), 8, window=_HANN, return_complex=True),
        close(f(2, 16), 8, 3, 6, _HANN[:6], return_complex=True),
        close(f(16), 8, window=_HANN, center=False, normalized=True, return_complex=True),
        close(f(16), 8, window=_HANN, onesided=False, return_complex=False).warns(),
        close(f(16), 8, window=_HANN),
    ],
    "torch.istft": [
        close(_spectrum(), 8, window=_HANN),
        close(_spectrum(), 8, window=_HANN, length=7),
        close(_spectrum(), 8, 8, window=_HANN, center=False),
        close(f(5, 5), 8),
        close(_COMPLEX, 4, 2, window=_COMPLEX[:, 0], return_complex=True),
    ],
}
