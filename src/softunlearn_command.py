"""What the command `softunlearn` runs: the command line, and a Ctrl-C that is one line.

Loading the library takes a second. It cannot guard its own loading, so that is guarded from out
here: until it is loaded there is nothing to tidy, and the process stops at once.
"""

import os
import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; its exit status is that of the process."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a job in the background
        from softunlearn import cli

        return cli.main()
    signal.signal(signal.SIGINT, _stop)
    from softunlearn import cli
    from softunlearn.cli import app  # noqa: F401  which cli.main needs: what takes the second

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    except SystemExit:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done but the interpreter's own end
        raise
    except KeyboardInterrupt:  # another one, while the first was being said
        _stop()


def _stop(*_: object) -> None:
    line = b"interrupted: nothing was written\n"
    os.write(sys.stderr.fileno(), b"\n" * sys.stderr.isatty() + line)  # below the ^C
    os._exit(INTERRUPTED)
