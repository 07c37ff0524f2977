"""Short-time Fourier transform and its inverse (overlap-add).

Source: Griffin & Lim, 1984, the inverse by least squares.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._autograd.require import require
from ..._basics import dtypes
from ..call.describe import scalar_name, show_size as show
from ..call.warning import user_level
from ..linalg.checks import column_strides
from ..registry import OptTensor, Tensor, composite, nnf, op, ops


def _frames(length: int, n_fft: int, hop: int) -> np.ndarray[Any, Any]:
    """Positions of each frame's samples, `(frames, n_fft)`."""
    starts = np.arange(0, length - n_fft + 1, hop)
    return starts[:, None] + np.arange(n_fft)[None, :]


def _window(window: Any, n_fft: int, win_length: int, dtype: Any) -> Any:
    """The window (by default ones), centred in `n_fft` samples."""
    made = jnp.ones(win_length, dtype) if window is None else window
    left = (n_fft - win_length) // 2
    return jnp.pad(made, (left, n_fft - win_length - left))


def _spectra_layout(avals: Any, operands: Any, key: Any) -> list[Any]:
    """Frequencies lie innermost; batches lie within frames where they do so in the input."""
    shape, input, hop = tuple(avals[0].shape), operands[0], key[-4]
    if input._aval.ndim == 1 or input._strides[0] >= hop * input._strides[1]:
        return [column_strides(shape)]
    batches, frequencies, _ = shape
    return [(frequencies, 1, batches * frequencies)]


@op(
    "none", into=("internal",), name="_stft", grad_name="TransposeBackward0",
    layout=_spectra_layout,
)  # fmt: skip
def _stft(
    input: Tensor, window: OptTensor, n_fft: int, hop: int, win_length: int, normalized: bool,
    onesided: bool,
):  # fmt: skip
    weights = _window(window, n_fft, win_length, input.dtype)
    frames = input[..., _frames(input.shape[-1], n_fft, hop)]
    if jnp.iscomplexobj(weights) and not jnp.iscomplexobj(frames):
        frames = frames.astype(weights.dtype)
    frames = frames * weights.astype(frames.dtype)
    norm = "ortho" if normalized else "backward"
    spectrum = (jnp.fft.rfft if onesided else jnp.fft.fft)(frames, axis=-1, norm=norm)
    return jnp.swapaxes(spectrum, -1, -2)


def _tensor_text(tensor: Any, braces: bool = False) -> str:
    if tensor is None:
        return "None"
    shape = f"{{{show(tensor.shape)}}}" if braces else show(tensor.shape)
    return f"torch.{scalar_name(tensor)}Tensor{shape}"


@composite()
def stft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect",
    normalized=False, onesided=None, return_complex=None, align_to_window=None,
) -> Tensor:  # fmt: skip
    """Fourier transforms of overlapping frames, `(*, n_fft // 2 + 1 or n_fft, frames)`.

    Raises: RuntimeError for lengths that do not fit and real input without `return_complex`.
    """
    _warn_without_window(window)
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        lead = (1,) * (3 - input.dim())
        wide = input.view((*lead, *input.shape))
        wide = nnf.pad(wide, (n_fft // 2, n_fft // 2), pad_mode)
        input = wide.view(wide.shape[-input.dim() :])
    is_complex = input.is_complex() or (window is not None and window.is_complex())
    call = (
        f"stft({_tensor_text(input)}, n_fft={n_fft}, hop_length={hop}, win_length={length}, "
        f"window={_tensor_text(window, True)}, normalized={int(normalized)}, "
        f"onesided={_flag(onesided)}, return_complex={_flag(return_complex)}, "
        f"align_to_window={_flag(align_to_window)}) "
    )
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further "
            "require that return_complex=True in a future PyTorch release."
        )
    if input.dim() not in (1, 2):
        raise RuntimeError(call + ": expected a 1D or 2D tensor")
    size = input.shape[-1]
    if not 0 < n_fft <= size:
        raise RuntimeError(call + f": expected 0 < n_fft < {size}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(call + f": expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(
            call + f": expected 0 < win_length <= n_fft, but got win_length={length}"
        )
    if window is not None and tuple(window.shape) != (length,):
        raise RuntimeError(
            call + f": expected a 1D window tensor of size equal to win_length={length}, but got "
            f"window with size {show(window.shape)}"
        )
    if onesided is None:
        onesided = not is_complex
    elif onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    made = _stft(input, window, n_fft, hop, length, bool(normalized), bool(onesided))
    return made if return_complex or return_complex is None else ops.view_as_real(made)


def _warn_without_window(window: Any) -> None:
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied. Pass "
            "window=torch.ones(n_fft) to say so, and the same window to stft and istft.",
            stacklevel=user_level(),
        )


def _flag(value: Any) -> str:
    return "None" if value is None else str(int(value))


@op("none", into=("internal",), name="_istft", returns="signal envelope",
    grad_name="DivBackward0")  # fmt: skip
def _istft(
    input: Tensor, window: OptTensor, n_fft: int, hop: int, win_length: int, center: bool,
    normalized: bool, onesided: bool, length: Any, return_complex: bool,
):  # fmt: skip
    spectrum = jnp.swapaxes(input, -1, -2)
    real = spectrum.real.dtype
    norm = "ortho" if normalized else "backward"
    if return_complex:
        frames = jnp.fft.ifft(spectrum, axis=-1, norm=norm)
    else:
        half = spectrum if onesided else spectrum[..., : n_fft // 2 + 1]
        frames = jnp.fft.irfft(half, n_fft, axis=-1, norm=norm)
    weights = _window(window, n_fft, win_length, real)
    count = frames.shape[-2]
    total = n_fft + hop * (count - 1)
    at = _frames(total, n_fft, hop)
    signal = jnp.zeros((*frames.shape[:-2], total), frames.dtype)
    signal = signal.at[..., at].add(frames * weights.astype(frames.dtype))
    envelope = jnp.zeros(total, weights.dtype)
    envelope = envelope.at[at].add(jnp.broadcast_to(weights * weights, at.shape))
    start = n_fft // 2 if center else 0
    if length is not None:
        end = start + length
    else:
        end = total - n_fft // 2 if center else total
    signal, envelope = signal[..., start:end], envelope[start:end]
    signal = signal / envelope.astype(signal.dtype)
    if end > total:
        signal = jnp.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, end - total)])
    return signal, envelope


@composite()
def istft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False,
    onesided=None, length=None, return_complex=False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` is nearest to `input`, by overlap-add.

    Raises: RuntimeError for shapes that do not fit, and where the windows leave a gap.
    """
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    _warn_without_window(window)
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    call = (
        f"istft(CPU{dtypes.SCALAR_NAMES[input.dtype]}Type{show(input.shape)}, n_fft={n_fft}, "
        f"hop_length={hop}, win_length={size}, window={_tensor_text(window, True)}, "
        f"center={int(center)}, normalized={int(normalized)}, onesided={_flag(onesided)}, "
        f"length={length}, return_complex={int(return_complex)}) "
    )
    if input.dim() not in (2, 3):
        raise RuntimeError(
            call + f": expected a tensor with 2 or 3 dimensions, but got {input.dim()}"
        )
    sides = input.shape[-2] != n_fft if onesided is None else onesided
    expected, what = (n_fft // 2 + 1, "n_fft / 2 + 1") if sides else (n_fft, "n_fft")
    if input.shape[-2] != expected:
        flag = "True" if sides else "False"
        raise RuntimeError(
            call + ": expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match {what} when onesided={flag}, but got {input.shape[-2]}"
        )
    if not 0 < hop <= size:
        raise RuntimeError(call + ": expected 0 < hop_length <= win_length")
    if not 0 < size <= n_fft:
        raise RuntimeError(call + ": expected 0 < win_length <= n_fft")
    if window is not None and tuple(window.shape) != (size,):
        raise RuntimeError(call + ": Invalid window shape. window has to be 1D and length of "
                           "`win_length`")  # fmt: skip
    if return_complex and sides:
        raise RuntimeError(call + ": complex output is incompatible with onesided=True")
    signal, envelope = _istft(
        input, window, n_fft, hop, size, bool(center), bool(normalized), bool(sides), length,
        bool(return_complex),
    )  # fmt: skip
    require(
        "istft_gap", lambda e: abs(e) < 1e-11, [envelope], [],
        lambda _: RuntimeError(call + "window overlap add min: 1"),
    )  # fmt: skip
    return signal
