"""Runs all of them; `torch` is whichever library the process was started with."""

import warnings

warnings.simplefilter("ignore")

from tests.e2e.classics import agents, graphs, graphs_of_code, hogwild, words  # noqa: E402

if __name__ == "__main__":
    hogwild.main()
    for program in (graphs, words, agents, graphs_of_code):
        program.main()
