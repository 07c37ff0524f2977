"""PyTorch's OpInfo database through both libraries."""
