"""A Ctrl-C of the command itself, at any moment of its life: the first second, most of all."""

import signal
import subprocess
import sys
import time

import pytest

import softunlearn_command

START = "import sys; sys.argv[0] = 'softunlearn'; import softunlearn_command as c; c.main()"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")


def started(folder, before, *words):
    """Start a correction whose SIGINT is what `before` makes of it."""
    return subprocess.Popen(
        [sys.executable, "-c", START, *(words or ("demo", "--data", "census", "--out", "out"))],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, before),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4, 2.0])
def test_ctrl_c_is_one_line_whenever_it_comes(seconds, tmp_path):
    process = started(tmp_path, signal.default_int_handler)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted: nothing was written\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_job_in_the_background_ignores_it(tmp_path):
    process = started(tmp_path, signal.SIG_IGN, "datasets", "where", "census")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("census is made by the library")


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
