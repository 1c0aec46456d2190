"""From the words on the line to an exit status: what goes wrong is one line, with `--debug` more.

0 done (also where there was nothing to correct), 2 bad input, 3 the correction that was asked for
cannot be had, 1 a failure that is none of the input's, 130 interrupted with Ctrl-C.
"""

import os
import sys
import traceback
from contextlib import suppress
from typing import Any

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

DEBUG = "--debug"


def main() -> None:
    """Run the command line; a bad input is one line on standard error.

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch("sys.argv", ["softunlearn", "datasets", "where", "census"]):
    ...     try:
    ...         main()
    ...     except SystemExit as done:
    ...         print(done.code)
    census is made by the library; it has no files.
    0
    """
    words = sys.argv[1:]
    debug = DEBUG in words
    try:
        # what is loaded here takes a second, in which a Ctrl-C is one as well
        from softunlearn.cli.app import app

        words = [DEBUG] * debug + [word for word in words if word != DEBUG]
        code = app(words, prog_name="softunlearn", standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt  # which typer has taken for itself
        sys.stdout.flush()
    except BaseException as error:
        if debug and not isinstance(error, SystemExit):
            traceback.print_exc()
        code = _said(error)
    sys.exit(code if isinstance(code, int) else 0)


def _said(error: BaseException) -> int:
    """Say what went wrong, in a line for each problem, and return the exit status."""
    import typer

    usage: Any = typer.BadParameter.__base__  # typer gives it no name of its own
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        _print("interrupted: nothing was written")  # below the ^C, whose line typer ended
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # whoever read the output has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if isinstance(error, usage):
        said: Any = error
        if type(error).__name__ == "NoArgsIsHelpError":
            said.show()
        else:
            words = said.format_message().rstrip(".")
            _print(f"error: {words}{'' if words.endswith('?') else '.'} See --help.")
        return BAD_INPUT
    return _of_ours(error)


def _of_ours(error: BaseException) -> int:
    from softunlearn.exceptions import SoftUnlearnError

    expected = isinstance(error, SoftUnlearnError | ValueError | TypeError | ImportError)
    lines = [line for line in str(error).splitlines() if line.strip()]
    if expected:
        for line in lines or [type(error).__name__]:
            _print(f"error: {line}")
        return BAD_INPUT
    if isinstance(error, MemoryError):
        lines = ["there is not enough memory; see --dry-run and --stream"]
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    _print(f"error: {said} (a traceback: {DEBUG})")
    return FAILED


def _print(line: str) -> None:
    from softunlearn.cli import screen

    line = "".join(c if c.isprintable() else "?" for c in line)  # of the user's data, too
    with suppress(OSError):  # standard error may be closed
        screen.err.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
