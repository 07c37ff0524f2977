"""Passes over lowered programs for the CPU: parts that torchish-cpu computes sooner than XLA."""
