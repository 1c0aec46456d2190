import re

import pytest

from softunlearn import datasets
from softunlearn.datasets import registry


def test_names_are_those_of_the_table():
    assert datasets.names() == tuple(datasets.DATASETS)
    assert all(info.name == name for name, info in datasets.DATASETS.items())


def test_every_data_set_with_files_has_a_reader():
    with_files = {name for name, info in datasets.DATASETS.items() if info.files}
    assert set(registry._readers()) == with_files


@pytest.mark.parametrize("info", datasets.DATASETS.values(), ids=datasets.names())
def test_entry_is_complete(info):
    assert all((info.description, info.label, info.groups, info.licence, info.source, info.rows))
    assert bool(info.files) == bool(info.folder)
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in info.files)
    if info.archive is not None:
        assert info.archive.startswith("https://")
        assert all(file.members for file in info.files)


def test_table_cannot_be_changed():
    with pytest.raises(TypeError):
        datasets.DATASETS["mine"] = datasets.DATASETS["census"]  # type: ignore[index]
