"""The command line: `torchish script.py`, `python -m torchish`.

`options.py` reads the arguments, `session.py` does what they ask for before and after the program,
`running.py` runs it as Python would, `check/` looks at programs without running them, `kernel.py`
and `notebook.py` are Jupyter's ways in.
"""
