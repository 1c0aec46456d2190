"""The command line: demo, audit, correct, datasets."""

from softunlearn.cli.main import main

__all__ = ["main"]
