"""Other looks at the same memory, and copies of such looks."""
