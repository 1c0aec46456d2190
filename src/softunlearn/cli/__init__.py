"""The command line: demo, audit, correct, datasets."""

from softunlearn.cli.app import main

__all__ = ["main"]
