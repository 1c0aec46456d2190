"""How the command line ends: interrupted, piped, with an error of its own; colours; completion."""

import os
import re
import signal
import subprocess
import sys

import pytest

from softunlearn.cli import app as commands
from tests.cli.cases import FILES, arguments

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")


def start(*words, **more):
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "softunlearn.cli", *words],
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        | more,
    )


def interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["correct", "at_point"])
def test_ctrl_c_is_one_line_and_leaves_nothing(where, folder, run, monkeypatch):
    monkeypatch.setattr(commands, where, interrupted)
    before = sorted(folder.rglob("*"))
    code, out, err = run(*arguments(folder))
    assert (code, out) == (130, "")
    assert err.strip() == "interrupted: nothing was written"
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("what", ["weights_table", "render", "model_card", "write_manifest"])
def test_ctrl_c_while_files_are_written_keeps_what_was_there(what, folder, run, monkeypatch):
    code, _, err = run(*arguments(folder))
    assert code == 0, err
    before = {path: path.read_bytes() for path in (folder / "out").iterdir()}
    monkeypatch.setattr(f"softunlearn.saving.{what}", interrupted)
    code, out, err = run(*arguments(folder, select="full"))
    assert (code, out, err.strip()) == (130, "", "interrupted: nothing was written")
    assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
def test_ctrl_c_in_a_process_of_its_own(folder):
    """The signal itself, at a moment that is known: the file of options is being read."""
    os.mkfifo(folder / "run.toml")
    words = ("correct", str(folder / "run.toml"), "--out", str(folder / "out"))
    process = start(*words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    with open(folder / "run.toml", "w"):  # until the other side is opened, too
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip() == "interrupted: nothing was written"
    assert not (folder / "out").exists()


@pytest.mark.slow
def test_output_that_nobody_reads_to_its_end_is_no_error(tmp_path):
    read, write = os.pipe()
    os.close(read)
    process = start("datasets", "list", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert err == ""
    assert process.returncode == 1


def broken(*_, **__):
    raise RuntimeError("the third line\nis not shown")


def test_a_failure_of_ours_is_one_line_and_a_traceback_is_to_be_had(folder, run, monkeypatch):
    monkeypatch.setattr(commands, "correct", broken)
    code, out, err = run(*arguments(folder))
    assert (code, out) == (1, "")
    assert err == "error: RuntimeError: the third line (a traceback: --debug)\n"
    for words in (["--debug", *arguments(folder)], [*arguments(folder), "--debug"]):
        code, _, err = run(*words)
        assert code == 1
        assert err.startswith("Traceback (most recent call last)")
        assert "in broken" in err


def test_too_little_memory_says_what_to_do(folder, run, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(commands, "correct", full)
    code, _, err = run(*arguments(folder))
    assert (code, len(err.splitlines())) == (1, 1)
    assert "--dry-run and --stream" in err


def on_a_terminal(*words, **environment):
    """Return what the command shows on a terminal."""
    import pty

    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    kept |= {"TERM": "xterm-256color", "COLUMNS": "120"} | environment
    process = start(*words, stdout=theirs, stderr=theirs, env=kept)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux's end of a terminal whose other side is closed
            break
        if not part:
            break
        shown += part
    process.wait(60)
    os.close(ours)
    return shown.decode()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_colours_are_for_terminals_that_want_them():
    words = ("datasets", "where", "nothing")
    assert COLOUR.search(on_a_terminal(*words))
    assert not COLOUR.search(on_a_terminal(*words, NO_COLOR="1"))
    assert "\x1b" not in on_a_terminal(*words, TERM="dumb")
    out, err = start(*words).communicate(timeout=60)
    assert "\x1b" not in out + err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_progress_is_shown_on_a_terminal_alone(folder):
    shown = on_a_terminal(*arguments(folder))
    assert "step 3: correction" in shown or "writing files" in shown
    assert {path.name for path in (folder / "out").iterdir()} == FILES
    _, err = start(*arguments(folder)).communicate(timeout=120)
    assert err == ""


def completed(run, monkeypatch, *words):
    """Return what bash is offered for the last word."""
    monkeypatch.setenv("_SOFTUNLEARN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(("softunlearn", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    return run()[1].split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["cor"], ["correct"]),
        (["correct", "--metric", "equal"], ["equal_opportunity", "equalized_odds"]),
        (["correct", "--scheme", "so"], ["soft"]),
        (["correct", "--path", ""], ["relinearised", "straight"]),
        (["correct", "--utility"], ["--utility-loss-at-most"]),
        (["datasets", "where", "cen"], ["census"]),
    ],
)
def test_the_shell_completes_commands_options_and_names(words, offered, run, monkeypatch):
    assert completed(run, monkeypatch, *words) == offered


def test_completion_can_be_shown_for_every_shell(run, monkeypatch):
    for shell in ("bash", "zsh", "fish", "powershell"):
        monkeypatch.setenv("_SOFTUNLEARN_COMPLETE", f"source_{shell}")
        assert "softunlearn" in run()[1].lower()
