"""A Ctrl-C of the command itself, at any moment of its life: the first second, most of all."""

import signal
import subprocess
import sys

import pytest

import softunlearn_command

START = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

import softunlearn_command
sys.meta_path.insert(0, Interrupting())
sys.argv = {words!r}
softunlearn_command.main()
"""

MOMENTS = ("softunlearn", "numpy", "scipy.linalg", "softunlearn.correct", "typer", "rich.table")
MOMENTS += ("softunlearn.cli.demo", "sklearn.linear_model", "matplotlib.figure", "jinja2")
"""Modules in the order they are loaded: the library, the command line, and what a demo needs."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")


def run(folder, before, module, *words):
    """Run a command that is sent SIGINT when it loads a module."""
    code = START.format(module=module, words=["softunlearn", *words])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        preexec_fn=lambda: signal.signal(signal.SIGINT, before),
    )


@pytest.mark.slow
@pytest.mark.parametrize("module", MOMENTS)
def test_ctrl_c_is_one_line_whenever_it_comes(module, tmp_path):
    words = ("demo", "--data", "census", "--out", "out")
    done = run(tmp_path, signal.default_int_handler, module, *words)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "interrupted: nothing was written"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_job_in_the_background_ignores_it(tmp_path):
    done = run(tmp_path, signal.SIG_IGN, "numpy", "datasets", "where", "census")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("census is made by the library")


@pytest.fixture
def handlers(monkeypatch):
    """Give what becomes of SIGINT, and put it back."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, kept)


def test_the_exit_status_is_the_command_lines(handlers, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softunlearn", "datasets", "where", "census"])
    with pytest.raises(SystemExit) as ended:
        softunlearn_command.main()
    assert ended.value.code == 0
    assert handlers() is signal.SIG_IGN  # the interpreter's own end is not to be interrupted


def test_a_second_ctrl_c_is_one_line_too(handlers, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    left = []
    monkeypatch.setattr("softunlearn.cli.main", interrupted)
    monkeypatch.setattr(softunlearn_command, "_stop", lambda *_: left.append("stopped"))
    softunlearn_command.main()
    assert left == ["stopped"]
