"""Modules whose inputs are quantised at each call."""

from .linear import Linear as Linear
