"""``python -m task2sim``: the command line."""

from task2sim.cli import main

main()
