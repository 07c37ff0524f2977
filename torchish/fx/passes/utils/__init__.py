"""Helpers of the passes."""
