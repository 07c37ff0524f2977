"""Modules whose inputs are quantised at each call."""

from .modules import Linear as Linear
