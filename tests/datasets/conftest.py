import gzip
import hashlib
import io
import zipfile
from dataclasses import replace

import pytest

from softunlearn.datasets import DATASETS, DataFile, catalogue

_PERSON = (
    "{age}, {work}, 77516, Bachelors, 13, Divorced, Sales, Unmarried, White, {sex}, "
    "0, 0, 40, Cuba, {pay}"
)


def _people(dot: str) -> str:
    kinds = [(sex, pay) for sex in ("Male", "Female") for pay in ("<=50K", ">50K")]
    lines = [
        _PERSON.format(age=30 + i, work="Private", sex=kinds[i % 4][0], pay=kinds[i % 4][1] + dot)
        for i in range(12)
    ]
    return "\n".join([*lines, _PERSON.format(age=99, work="?", sex="Male", pay=">50K" + dot), ""])


def zipped(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive.getvalue()


@pytest.fixture
def tiny_adult():
    """Twelve complete people and an incomplete one in each file, as UCI writes them."""
    remark = "|1x3 Cross validator\n"
    return {"adult.data": _people("").encode(), "adult.test": (remark + _people(".")).encode()}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache directory, and no other place to look in."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(folder / name))
    monkeypatch.delenv("SOFTUNLEARN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")  # the site of these tests is this machine
    return folder / "softunlearn"


@pytest.fixture
def publish(tiny_adult, monkeypatch):
    """Make "adult" the tiny one, to be had at the given address."""

    def at(address: str) -> None:
        files = tuple(
            DataFile(
                file.name, hashlib.sha256(tiny_adult[file.names[-1]]).hexdigest(), file.members
            )
            for file in DATASETS["adult"].files
        )
        info = replace(DATASETS["adult"], files=files, archive=address)
        monkeypatch.setattr(catalogue, "DATASETS", {**DATASETS, "adult": info})

    return at


@pytest.fixture
def local_adult(tmp_path, monkeypatch, cache, tiny_adult, publish):
    """The tiny Adult in $SOFTUNLEARN_DATA, gzipped; nothing at its site."""
    publish("http://127.0.0.1:9/adult.zip")
    folder = tmp_path / "data" / "adult"
    folder.mkdir(parents=True)
    for name, member in (("train.csv.gz", "adult.data"), ("test.csv.gz", "adult.test")):
        (folder / name).write_bytes(gzip.compress(tiny_adult[member]))
    monkeypatch.setenv("SOFTUNLEARN_DATA", str(tmp_path / "data"))
    return folder
