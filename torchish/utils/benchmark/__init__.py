"""`torch.utils.benchmark`: timing statements, and tables of measurements."""

from .utils.common import (
    Measurement as Measurement,
    TaskSpec as TaskSpec,
    ordered_unique as ordered_unique,
    select_unit as select_unit,
    set_torch_threads as set_torch_threads,
    trim_sigfig as trim_sigfig,
    unit_to_english as unit_to_english,
)
from .utils.compare import Colorize as Colorize, Compare as Compare
from .utils.timer import Language as Language, Timer as Timer, timer as timer
