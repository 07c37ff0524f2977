"""What `torchish` itself exports: functions, dtypes, limits of dtypes, switches of the process.

May import everything that `import torchish` loads.
"""
