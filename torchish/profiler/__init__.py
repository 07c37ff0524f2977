"""`torch.profiler`: traces by JAX's profiler, named blocks, schedules.

A profile is written to a folder that TensorBoard, XProf or Perfetto read; tables of operators in
Python (`key_averages`) do not exist, since XLA fuses operators into programs.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable
from typing import Any

from .._basics.errors import not_supported
from .._core.trace import flush_all

__all__ = [
    "ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerActivity(enum.Enum):
    """What is profiled; JAX's profiler always takes both."""

    CPU = 0
    CUDA = 2


class ProfilerAction(enum.Enum):
    """What a schedule asks for at a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """All of them."""
    return set(ProfilerActivity)


def kineto_available() -> bool:
    """False: JAX's profiler records."""
    return False


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0
) -> Callable[[int], ProfilerAction]:
    """A function of the step: skip some, then wait, warm up and record in turns."""
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        if step < 0 or (repeat > 0 and step // cycle >= repeat):
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == cycle - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """Says where traces go: give it to `profile(on_trace_ready=…)`."""

    def handler(prof: Any) -> None:
        """The trace is in the folder already."""

    handler.folder = dir_name  # type: ignore[attr-defined]
    return handler


class record_function:
    """A block (or decorated function) with a name in the profile."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args

    def __enter__(self) -> record_function:
        import jax

        more = {} if self.args is None else {"args": self.args}
        self._note = jax.profiler.TraceAnnotation(self.name, **more)
        self._note.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._note.__exit__(*exc)

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return func(*args, **kwargs)

        return wrapped


class profile:
    """Profile a block by JAX's profiler.

    Args:
        schedule: which steps (`step()` calls) are recorded; all without one.
        on_trace_ready: called after each recording; `tensorboard_trace_handler(folder)` says where
            traces go (else into a fresh folder, `prof.folder`).
        The others say what PyTorch's profiler collects; JAX's collects what it does in any case.
    Raises: NotSupportedError for observers and identifiers of traces.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[Any], None] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        use_cuda: bool | None = None,
        acc_events: bool = False,
        execution_trace_observer: Any = None,
        custom_trace_id_callback: Any = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        for name, value in (("execution_trace_observer", execution_trace_observer),
                            ("custom_trace_id_callback", custom_trace_id_callback)):  # fmt: skip
            if value is not None:
                raise not_supported(f"profile({name}=...)", "the trace that JAX writes")
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready = on_trace_ready
        self.folder: str | None = getattr(on_trace_ready, "folder", None)
        self.step_num = 0
        self._running = False

    def start(self) -> None:
        """Begin."""
        self._follow(self.schedule(0))

    def stop(self) -> None:
        """End; what is being recorded is written."""
        self._finish()

    def step(self) -> None:
        """The next step begins."""
        now = self.schedule(self.step_num)
        self.step_num += 1
        if now is ProfilerAction.RECORD_AND_SAVE:
            self._finish()
        self._follow(self.schedule(self.step_num))

    def _follow(self, action: ProfilerAction) -> None:
        wanted = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and not self._running:
            import tempfile

            import jax

            if self.folder is None:
                self.folder = tempfile.mkdtemp(prefix="torchish-profile-")
            flush_all("a profile begins")
            jax.profiler.start_trace(self.folder)
            self._running = True
        elif not wanted:
            self._finish()

    def _finish(self) -> None:
        if self._running:
            import jax

            flush_all("a profile ends")
            jax.profiler.stop_trace()
            self._running = False
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def key_averages(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: XLA's programs have no table of torch's operators."""
        raise not_supported(
            "tables of operators (key_averages)", f"open the trace in {self.folder} with Perfetto"
        )

    events = key_averages

    def export_chrome_trace(self, path: str) -> None:
        """Copy the last trace to `path` (gzipped JSON that chrome://tracing and Perfetto read)."""
        import shutil
        from pathlib import Path

        found = sorted(Path(self.folder or "").rglob("*.trace.json.gz"))
        if not found:
            raise RuntimeError("no trace was recorded yet: leave the block first")
        if path.endswith(".gz"):
            shutil.copyfile(found[-1], path)
        else:
            import gzip

            Path(path).write_bytes(gzip.decompress(found[-1].read_bytes()))
