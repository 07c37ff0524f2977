"""The old names of products with sparse matrices."""

from __future__ import annotations

from ..sparse import addmm as saddmm, mm as spmm

smm = dsmm = hsmm = hspmm = spmm
sspaddmm = saddmm

__all__ = ["dsmm", "hsmm", "hspmm", "saddmm", "smm", "spmm", "sspaddmm"]
