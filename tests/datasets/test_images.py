"""CIFAR's binary format, written byte by byte here and read back."""

import os

import numpy as np
import pytest

from softunlearn.datasets import load_images
from softunlearn.exceptions import DataUnavailableError, FileError

NAMES = {
    "cifar10": [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"],
    "cifar100": ["train.bin", "test.bin"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SOFTUNLEARN_DATA", str(tmp_path))
    return tmp_path


def written(folder, name, n=20, n_labels=1):
    """Files of random images; returns the records of each."""
    rng = np.random.default_rng(0)
    (folder / name).mkdir()
    records = {}
    for file in NAMES[name]:
        own = rng.integers(0, 256, size=(n, n_labels + 3072), dtype=np.uint8)
        own[:, :n_labels] %= 10
        (folder / name / file).write_bytes(own.tobytes())
        records[file] = own
    return records


def test_records_are_labels_then_three_planes(folder):
    records = written(folder, "cifar100", n=50, n_labels=2)
    train, validation, test = load_images("cifar100")
    own = records["test.bin"]
    np.testing.assert_array_equal(test.y, own[:, 1])
    np.testing.assert_array_equal(test.g, own[:, 0])
    np.testing.assert_array_equal(test.X[3, 1, 2, 5], own[3, 2 + 1024 + 2 * 32 + 5])
    assert (len(train), len(validation)) == (40, 10)
    both = np.concatenate([train.X, validation.X]).reshape(50, -1)
    assert {row.tobytes() for row in both} == {row[2:].tobytes() for row in records["train.bin"]}


def test_a_part_has_the_same_proportions(folder):
    written(folder, "cifar10", n=100)
    parts = load_images("cifar10", n_rows=60)
    assert [len(part) for part in parts] == [40, 10, 10]
    again = load_images("cifar10", n_rows=60)
    np.testing.assert_array_equal(parts.train.X, again.train.X)
    assert parts.train.g is None


def test_what_is_wrong_is_told(folder):
    with pytest.raises(DataUnavailableError, match=r"put train.bin and test.bin \(the binary"):
        load_images("cifar100")
    written(folder, "cifar100", n_labels=2)
    (folder / "cifar100" / "train.bin").write_bytes(b"1234")
    with pytest.raises(FileError, match="has 4 bytes, which is no number of records of 3,074"):
        load_images("cifar100")
    with pytest.raises(ValueError, match="`name` must be one of 'cifar10', 'cifar100', got 'mn"):
        load_images("mnist")


@pytest.mark.data
def test_the_jpeg_images_have_the_official_split():
    train, validation, test = load_images("cifar10", n_rows=600)
    assert [len(part) for part in (train, validation, test)] == [400, 100, 100]
    assert train.X.dtype == np.uint8
    assert train.X.shape[1:] == (3, 32, 32)
    assert set(np.unique(test.y)) == set(range(10))
    assert os.environ["SOFTUNLEARN_DATA"]
