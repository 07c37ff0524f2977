"""Anomaly detection: nodes remember where they were made, and NaN gradients raise."""

from __future__ import annotations

from typing import Any

from .._basics.state import state


class set_multithreading_enabled:
    """Whether backward runs on several threads: it is one program here, so nothing changes."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class set_detect_anomaly:
    """Switch anomaly detection on or off; also a context manager."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (state.anomaly, state.anomaly_check_nan)
        state.anomaly, state.anomaly_check_nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        state.anomaly, state.anomaly_check_nan = self._before


class detect_anomaly:
    """Detect NaN gradients inside a block; errors name the forward call."""

    def __init__(self, check_nan: bool = True) -> None:
        import warnings

        self._check = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._before = (state.anomaly, state.anomaly_check_nan)
        state.anomaly, state.anomaly_check_nan = True, self._check

    def __exit__(self, *exc: Any) -> None:
        state.anomaly, state.anomaly_check_nan = self._before
