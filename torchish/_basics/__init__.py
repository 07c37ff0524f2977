"""What all of the package stands on: dtypes, devices, settings, state, errors, and the process.

May import nothing else of torchish. Every environment variable is read in `settings.py`, every
field that a thread or the process carries is declared in `state.py`.
"""
