"""The engine below tensors: values, kernels, recorded traces, programs and storages.

Knows neither operators nor gradients by name. May import `_basics` and `_interpret`.
"""
