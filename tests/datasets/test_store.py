import gzip
import http.server
import pwd
import tempfile
import threading
from dataclasses import replace

import pytest

from softunlearn import datasets
from softunlearn.datasets import catalogue, store
from softunlearn.exceptions import DataUnavailableError, FileError

from .conftest import zipped


@pytest.fixture
def site(tmp_path):
    """A web server on this machine: the folder it serves and its address."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, format, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def published(site, publish, files):
    folder, address = site
    (folder / "adult.zip").write_bytes(zipped(files))
    publish(f"{address}/adult.zip")


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def one_line(error):
    return "\n" not in str(error.value)


def test_fetch_puts_checked_files_into_the_cache(site, publish, tiny_adult, cache):
    published(site, publish, tiny_adult)
    assert datasets.locate("adult") is None
    folder = datasets.fetch("adult")
    assert folder == datasets.locate("adult") == cache / "adult"
    assert gzip.decompress((folder / "train.csv.gz").read_bytes()) == tiny_adult["adult.data"]
    assert sorted(path.name for path in files_below(cache)) == ["test.csv.gz", "train.csv.gz"]


def test_load_downloads_once(site, publish, tiny_adult, cache):
    published(site, publish, tiny_adult)
    first = datasets.load("adult")
    (site[0] / "adult.zip").unlink()
    assert (datasets.load("adult").train.X == first.train.X).all()


def test_archive_inside_an_archive_is_opened(tmp_path, monkeypatch, cache):
    content = b'"age";"y"\n'
    inner = zipped({"bank-additional/bank-additional-full.csv": content})
    path = tmp_path / "bank.zip"
    path.write_bytes(zipped({"bank.zip": b"", "bank-additional.zip": inner}))
    info = datasets.DATASETS["bank"]
    file = replace(info.files[0], sha256=store._sha256(content))
    info = replace(info, files=(file,), archive=path.as_uri())
    monkeypatch.setattr(catalogue, "DATASETS", {"bank": info})
    assert datasets.fetch("bank") == cache / "bank"
    assert store.contents(info) == {"bank-additional-full.csv.gz": content}


@pytest.mark.parametrize(
    "damage",
    [
        lambda files: {**files, "adult.test": files["adult.test"] + b"\n"},
        lambda files: {"adult.data": files["adult.data"]},
    ],
    ids=["wrong checksum", "missing member"],
)
def test_wrong_archive_is_refused_and_leaves_nothing(damage, site, publish, tiny_adult, cache):
    published(site, publish, damage(tiny_adult))
    with pytest.raises(DataUnavailableError, match=r"put adult\.data and adult\.test") as error:
        datasets.load("adult")
    assert one_line(error)
    assert files_below(cache) == []


def test_what_is_no_archive_is_refused(site, publish, cache):
    folder, address = site
    (folder / "adult.zip").write_text("moved elsewhere")
    publish(f"{address}/adult.zip")
    with pytest.raises(DataUnavailableError, match="is not the archive expected"):
        datasets.fetch("adult")
    assert files_below(cache) == []


@pytest.mark.parametrize("bytes_allowed", [100, 1000], ids=["archive", "member"])
def test_download_is_bounded(bytes_allowed, site, publish, tiny_adult, cache, monkeypatch):
    published(site, publish, tiny_adult)
    # deflated, the archive has fewer than 1000 bytes and each file in it has more
    assert 100 < (site[0] / "adult.zip").stat().st_size < 1000 < len(tiny_adult["adult.data"])
    monkeypatch.setattr(store, "MAX_DOWNLOAD_BYTES", bytes_allowed)
    with pytest.raises(DataUnavailableError, match=f"more than {bytes_allowed} bytes"):
        datasets.fetch("adult")
    assert files_below(cache) == []


def test_failed_write_leaves_nothing(site, publish, tiny_adult, cache, monkeypatch):
    published(site, publish, tiny_adult)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(store.os, "replace", full)
    with pytest.raises(DataUnavailableError, match="No space left"):
        datasets.fetch("adult")
    assert files_below(cache) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/adult.zip", "{site}/none.zip"])
def test_offline_says_what_to_put_where(address, site, publish, cache):
    publish(address.format(site=site[1]))
    with pytest.raises(DataUnavailableError) as error:
        datasets.load("adult")
    message = str(error.value)
    assert one_line(error)
    for part in ("adult.data and adult.test", "$SOFTUNLEARN_DATA/adult", str(cache / "adult")):
        assert part in message


@pytest.mark.parametrize("name", ["celeba", "toxicity", "toxicity_comments"])
def test_restricted_data_are_never_downloaded(name, cache, monkeypatch):
    monkeypatch.setattr(store, "_download", None)
    with pytest.raises(DataUnavailableError, match="not downloaded automatically") as error:
        datasets.fetch(name)
    assert one_line(error)
    assert all(file.name in str(error.value) for file in datasets.DATASETS[name].files)


def test_synthetic_data_have_nothing_to_fetch(cache):
    with pytest.raises(ValueError, match="nothing to download"):
        datasets.fetch("census")
    assert datasets.locate("census") is None


def test_own_folder_comes_before_the_cache(local_adult, cache):
    cached = cache / "adult"
    cached.mkdir(parents=True)
    for path in local_adult.iterdir():
        (cached / path.name).write_bytes(path.read_bytes())
    assert datasets.locate("adult") == local_adult
    (local_adult / "test.csv.gz").unlink()
    assert datasets.locate("adult") == cached


def test_files_as_their_site_names_them_are_found(local_adult, tiny_adult):
    before = datasets.load("adult")
    for path in local_adult.iterdir():
        path.unlink()
    for name, content in tiny_adult.items():
        (local_adult / name).write_bytes(content)
    assert (datasets.load("adult").train.X == before.train.X).all()


def test_local_file_with_wrong_content_is_refused_by_name(local_adult, tiny_adult):
    path = local_adult / "train.csv.gz"
    path.write_bytes(gzip.compress(tiny_adult["adult.data"].replace(b"Cuba", b"Peru")))
    with pytest.raises(FileError, match="is not the file of 'adult'") as error:
        datasets.load("adult")
    assert str(path) in str(error.value)
    assert one_line(error)
    assert path.exists()


def test_damaged_local_file_is_refused_by_name(local_adult):
    path = local_adult / "train.csv.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match="cannot be read") as error:
        datasets.load("adult")
    assert str(path) in str(error.value)


def test_without_a_home_directory_files_go_to_a_temporary_folder(
    site, publish, tiny_adult, tmp_path, monkeypatch
):
    published(site, publish, tiny_adult)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("HOME", "XDG_CACHE_HOME", "SOFTUNLEARN_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    assert datasets.fetch("adult") == tmp_path / "softunlearn" / "adult"
    assert not (tmp_path / "~").exists()
    monkeypatch.setenv("SOFTUNLEARN_DATA", "~/data")
    assert datasets.locate("adult") == tmp_path / "softunlearn" / "adult"


def test_a_local_file_that_unpacks_to_far_more_is_refused(local_adult, monkeypatch):
    monkeypatch.setattr(store, "MAX_FILE_BYTES", 2000)
    (local_adult / "train.csv.gz").write_bytes(gzip.compress(bytes(2001)))
    with pytest.raises(
        FileError, match=r"train\.csv\.gz cannot be read: it holds more than 2,000"
    ):
        datasets.load("adult")


@pytest.mark.parametrize("function", [datasets.load, datasets.fetch, datasets.locate])
def test_unknown_name_says_which_there_are(function):
    with pytest.raises(ValueError, match=r"one of adult, bank, .*, got 'adlut'"):
        function("adlut")
