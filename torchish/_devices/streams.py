"""Streams and events. XLA orders all work of a device itself, as one stream would.

Invariant: an event's time is taken when all work that was queued before it is done.
"""

from __future__ import annotations

import time
from typing import Any

from .._basics.devices import device as Device, jax_device, resolve
from .._core.trace import flush_all


def _finish(place: Device) -> None:
    """Wait until the device has done what was queued."""
    import jax

    flush_all("a device is synchronised")
    jax.device_put(0, jax_device(place)).block_until_ready()
    for array in jax.live_arrays():
        if not array.is_deleted():
            array.block_until_ready()


class Stream:
    """A queue of work. There is one a device; every `Stream` stands for it.

    Args:
        device: whose queue.
        priority: accepted; there is nothing to rank.
    """

    stream_id = 0

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        self.device = resolve(device)
        self.priority = priority

    @property
    def device_type(self) -> int:
        """1 for a GPU, 0 for the CPU."""
        return int(self.device.type == "cuda")

    @property
    def device_index(self) -> int:
        """The index of the device, -1 on the CPU."""
        return -1 if self.device.index is None else self.device.index

    def synchronize(self) -> None:
        """Wait for all queued work."""
        _finish(self.device)

    def query(self) -> bool:
        """Whether all queued work is done (waits for it)."""
        self.synchronize()
        return True

    def wait_stream(self, stream: Stream) -> None:
        """Nothing to wait for: there is one queue."""

    def wait_event(self, event: Event) -> None:
        """Nothing to wait for: there is one queue."""

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event here."""
        event = Event(self.device, enable_timing=True) if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.device == self.device

    def __hash__(self) -> int:
        return hash(("stream", self.device))

    def __repr__(self) -> str:
        return (
            f"torch.Stream device_type={self.device.type}, device_index={self.device_index}, "
            f"stream_id={self.stream_id}"
        )


class Event:
    """A point in the queue of a device, with the time at which it was passed.

    Args:
        enable_timing: keep the time, for `elapsed_time`.
    """

    event_id = 0

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False,
        interprocess: bool = False,
    ) -> None:  # fmt: skip
        self.device = resolve(device)
        self.enable_timing = enable_timing
        self._time: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Note the time; waits for the queued work, since XLA tells no times of its own."""
        _finish(self.device if stream is None else stream.device)
        self._time = time.perf_counter()

    def synchronize(self) -> None:
        """Nothing to wait for: `record` waited."""

    def wait(self, stream: Stream | None = None) -> None:
        """Nothing to wait for: there is one queue."""

    def query(self) -> bool:
        """True: `record` waited."""
        return True

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds between two recorded events.

        Raises: ValueError for events without timing or not recorded.
        """
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError(
                "Both events must be created with argument 'enable_timing=True' before "
                "calculating elapsed time."
            )
        if self._time is None or end_event._time is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (end_event._time - self._time) * 1000.0

    def __repr__(self) -> str:
        index = -1 if self.device.index is None else self.device.index
        return (
            f"torch.Event device_type={self.device.type}, device_index={index}, "
            f"event_flag={int(self.enable_timing)}, event_id={self.event_id}"
        )


class CudaStream(Stream):
    """`torch.cuda.Stream`: the queue of a GPU."""

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        if isinstance(device, int):
            device = f"cuda:{device}"
        super().__init__("cuda" if device is None else device, priority)


class CudaEvent(Event):
    """`torch.cuda.Event`: a point in the queue of the current GPU."""

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        super().__init__("cuda", enable_timing=enable_timing)
