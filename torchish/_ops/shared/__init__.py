"""What several families use: questions about dtypes, dimensions, windows, strides and ranges."""
