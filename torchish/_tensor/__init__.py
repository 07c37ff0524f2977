"""`torch.Tensor`: its attributes, Python's protocols, printing, and its ways in and out of numpy.

May import `_ops` and what lies below it.
"""
