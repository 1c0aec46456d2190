"""So that `python -m softunlearn.cli` works where the script is not on the path."""

from softunlearn.cli import main

main()
