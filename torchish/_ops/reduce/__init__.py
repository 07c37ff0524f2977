"""Many elements to fewer: sums, norms, order statistics, scans, segments."""
