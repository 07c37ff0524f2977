"""Tensors from sizes, numbers, data, files and other memories."""
