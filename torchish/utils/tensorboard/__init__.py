"""Logging for TensorBoard, through the `tensorboard` package (an optional dependency)."""

from .writer import FileWriter as FileWriter, SummaryWriter as SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
