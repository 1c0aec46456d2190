"""What comes out of the cache is what was put in, whatever happened in between."""

import hashlib
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from softunlearn.array_cache import ArrayCache, key
from softunlearn.exceptions import FileError, SoftUnlearnWarning


@pytest.fixture
def cache(tmp_path):
    return ArrayCache(tmp_path / "made" / "on demand")


def entry(cache):
    (path,) = cache.directory.iterdir()
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (0, 3), (200, 70)])
def test_arrays_come_out_as_they_went_in(cache, rng, shape, dtype):
    array = rng.normal(size=shape).astype(dtype)
    assert cache.get("a") is None
    cache.put("a", array)
    cache.put("b", -array)
    np.testing.assert_array_equal(cache.get("a"), array)
    assert cache.get("a").dtype == dtype
    np.testing.assert_array_equal(ArrayCache(cache.directory).get("b"), -array)
    assert cache.get("c") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content.replace(b"(5, 3)", b"(3, 5)"),
        lambda content: b"not an array at all",
    ],
)
def test_a_damaged_entry_is_not_there_and_can_be_made_anew(cache, rng, damage):
    array = rng.normal(size=(5, 3))
    cache.put("a", array)
    content = entry(cache).read_bytes()
    entry(cache).write_bytes(damage(content))
    assert cache.get("a") is None
    cache.put("a", array)
    assert entry(cache).read_bytes() == content


def test_an_interrupted_write_leaves_what_was_there(cache, monkeypatch):
    cache.put("a", np.eye(2))

    def interrupted(file, array, **options):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.put("a", np.ones((2, 2)))
    np.testing.assert_array_equal(cache.get("a"), np.eye(2))
    assert entry(cache).name == "a.array"  # alone


def test_two_processes_may_write_the_same_entry(cache):
    """Readers see whole entries only, while two writers replace one all the time."""
    code = f"""
import numpy as np
from softunlearn.array_cache import ArrayCache
cache = ArrayCache({str(cache.directory)!r})
for _ in range(40):
    cache.put("a", np.full((100, 100), 7.0))
"""
    cache.put("a", np.full((100, 100), 7.0))
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        array = cache.get("a")
        assert array is not None
        assert (array == 7.0).all()
        reads += 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert reads > 10
    assert entry(cache).name == "a.array"


def test_objects_are_neither_written_nor_read(cache):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        cache.put("a", np.array([print], dtype=object))
    assert cache.get("a") is None
    assert list(cache.directory.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        ArrayCache(tmp_path / "file")
    with pytest.raises(FileError, match="cannot be made"):
        ArrayCache(tmp_path / "file" / "folder")


def test_arrays_that_cannot_be_kept_are_not_lost(cache):
    cache.directory.rmdir()
    with pytest.warns(SoftUnlearnWarning, match="not kept for next time"):
        cache.put("a", np.eye(2))


def test_keys_tell_parts_and_their_borders():
    keys = [
        key(parts)
        for parts in ([], [b""], [b"ab"], [b"a", b"b"], [b"b", b"a"], [b"", b"ab"], [b"ab", b""])
    ]
    assert len(set(keys)) == len(keys)
    assert key([b"ab"]) == key(iter([memoryview(b"ab")]))
    assert all(len(name) == 64 for name in keys)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x09\x00v\x00{",
        b"\x93NUMPY\x01\x00\x0b\x00{'shape': 0}",
        b"\x93NUMPY\x01\x00\x40\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (9"
        + b"9" * 8
        + b",)}\n",
        b"\x93NUMPY\x01\x00\x3b\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}     \ncos\nx",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"(" * 99999,
    ],
)
def test_an_entry_that_is_no_array_is_not_there_even_if_its_checksum_is_right(cache, content):
    cache.put("a", np.eye(2))
    entry(cache).write_bytes(hashlib.sha256(content).digest() + content)
    assert cache.get("a") is None


def test_pipes_and_links_are_no_entries(cache, tmp_path):
    cache.put("a", np.eye(2))
    path = entry(cache)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert cache.get("a") is None
    path.unlink()
    os.mkfifo(path)
    assert cache.get("a") is None  # and nobody waits for a writer


def test_what_killed_writers_left_goes_when_it_is_old(cache):
    for name, age in ((".a.array.1.partial", 0), (".b.array.2.partial", 2e5)):
        path = cache.directory / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    ArrayCache(cache.directory)
    assert entry(cache).name == ".a.array.1.partial"


def test_on_a_full_disk_what_was_computed_is_not_lost(cache):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.warns(SoftUnlearnWarning, match="not kept for next time: .*File too large"):
            cache.put("a", np.ones(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(cache.directory.iterdir()) == []
