"""For torchish on x86-64 CPUs: oneDNN behind handlers for XLA's programs, and a call path in C.

torchish finds this package by itself; `TORCHISH_ONEDNN=0` and `TORCHISH_RECORDER=0` leave
parts out.
"""

from pathlib import Path

LIBRARY = Path(__file__).with_name("libtorchish_cpu.so")
