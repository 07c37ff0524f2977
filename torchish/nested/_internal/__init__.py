"""Nested tensors of the jagged layout, under the paths that libraries import them from."""
