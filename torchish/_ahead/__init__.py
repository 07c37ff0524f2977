"""Programs that run before the script asks for them (`forecast.py`)."""

from __future__ import annotations

from .._core.running import forecasters
from .forecast import Forecast

forecasters.append(Forecast)
