"""Files and folders are whole or absent, whatever ends the process that writes them."""

import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest

import softunlearn as su
from softunlearn import disk


def tree(folder):
    """Return the files below a folder, hidden ones too, with their content."""
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def read_in(folder, name):
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=folder)) as file:
        return file.read()


def put(directory, text):
    with disk.placed_folder(directory) as place:
        (place / "a").write_text(text)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    with disk.placed_file(tmp_path / "a") as unfinished:
        unfinished.write_text("new")
        assert not (tmp_path / "a").exists()
    assert tree(tmp_path) == {"a": "new"}
    with suppress(KeyboardInterrupt), disk.placed_file(tmp_path / "a") as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert tree(tmp_path) == {"a": "new"}


@pytest.mark.parametrize("at_once", [True, False], ids=["exchanged", "moved twice"])
def test_a_folder_is_replaced_as_a_whole(at_once, tmp_path, monkeypatch):
    if not at_once:
        monkeypatch.setattr(disk, "_exchanged", lambda a, b: False)
    for text in ("first", "second"):
        put(tmp_path / "out", text)
        assert tree(tmp_path) == {"out/a": text}
    with suppress(KeyboardInterrupt), disk.placed_folder(tmp_path / "out") as place:
        (place / "a").write_text("half")
        raise KeyboardInterrupt
    assert tree(tmp_path) == {"out/a": "second"}


def test_what_was_there_comes_back_where_it_cannot_be_replaced(tmp_path, monkeypatch):
    put(tmp_path / "out", "first")
    monkeypatch.setattr(disk, "_exchanged", lambda a, b: False)
    rename = type(tmp_path).rename
    moves = []

    def failing(self, target):
        moves.append(target)
        if len(moves) == 3:  # refused, moved away, and now in its place
            raise OSError(5, os.strerror(5))
        return rename(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        put(tmp_path / "out", "second")
    assert tree(tmp_path) == {"out/a": "first"}


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    put(tmp_path / "out", "first")
    assert tree(tmp_path) == {"out/a": "first"}


def test_leftovers_go_when_they_are_old(tmp_path):
    old, young, other = (tmp_path / f".{name}.partial" for name in ("out.1", "out.2", "in.3"))
    for path in (old, young, other):
        path.mkdir()
        (path / "a").write_text("half")
    (tmp_path / ".out.4.partial").write_text("half")
    before = time.time() - 2 * disk.LEFTOVER_SECONDS
    for path in (old, other, tmp_path / ".out.4.partial"):
        os.utime(path, (before, before))
    (tmp_path / ".out.5.partial").symlink_to(other)
    os.utime(tmp_path / ".out.5.partial", (before, before), follow_symlinks=False)
    disk.remove_leftovers(tmp_path, "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, young.name]
    assert list(other.iterdir())  # a link goes; what it leads to stays


def test_of_two_processes_each_leaves_a_whole_folder(tmp_path):
    """Readers see one or the other, never a mixture, and never none."""
    code = f"""
import sys
from pathlib import Path
from softunlearn.disk import placed_folder
for _ in range(20):
    with placed_folder(Path({str(tmp_path / "out")!r})) as place:
        for name in "ab":
            (place / name).write_text(sys.argv[1])
"""
    with disk.placed_folder(tmp_path / "out") as place:
        for name in "ab":
            (place / name).write_text("0")
    writers = [subprocess.Popen([sys.executable, "-c", code, which]) for which in "12"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        folder = os.open(tmp_path / "out", os.O_RDONLY)
        with suppress(FileNotFoundError):  # replaced, and removed, after it was opened
            texts = {read_in(folder, name) for name in "ab"}
            assert len(texts) == 1
            seen |= texts
        os.close(folder)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen & {"1", "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_no_plain_file_is_not_opened(tmp_path):
    (tmp_path / "a").write_text("text")
    with disk.opened(tmp_path / "a") as file:
        assert file.read() == b"text"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for name in ("pipe", "link", "missing", "."):
        with pytest.raises(su.FileError, match=r"is not a plain|is a link|is missing"):
            disk.opened(tmp_path / name)
