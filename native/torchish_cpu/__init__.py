"""oneDNN for torchish on x86-64 CPUs: one shared library with handlers for XLA's programs.

torchish finds this package by itself; `TORCHISH_ONEDNN=0` leaves it out.
"""

from pathlib import Path

LIBRARY = Path(__file__).with_name("libtorchish_cpu.so")
