"""Sorting, searching, counting, and results whose size the data decide."""
