"""Running jaxprs in numpy, without a compiler: what cold code goes through.

`table.py` holds the rules of primitives, one function of numpy arrays each; the other files are
families of rules, which `rules.py` loads; `plan.py` turns a jaxpr into a flat list of calls;
`fallback.py` runs the few primitives without a rule by XLA. To add a rule: one function under
`@rule("primitive")` in the file of its family. May import `_basics`.
"""
