"""Helpers for parameters: clipping, flattening, reparametrization, packed sequences."""

from __future__ import annotations

from . import rnn as rnn
