"""The few torchvision names that the examples use, for running them with PyTorch in tests.

torchvision's wheels are compiled against one build of torch each, so the tests do without it.
"""
