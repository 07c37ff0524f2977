"""Pooling, resizing and sampling over spatial dimensions."""
