"""Data pipes: datasets made of small steps, `IterableWrapper(x).map(f).shuffle().batch(4)`."""

from . import iter as iter, map as map
from .datapipe import (
    DataChunk as DataChunk,
    DFIterDataPipe as DFIterDataPipe,
    IterDataPipe as IterDataPipe,
    MapDataPipe as MapDataPipe,
    functional_datapipe as functional_datapipe,
)
