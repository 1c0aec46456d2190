"""Folders by a stranger, who wrote a manifest to match: refused with the file's name, or inert.

What is refused is one line that names the file. Nothing in a file is ever run.
"""

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
import torch
from scipy.sparse import csr_matrix, save_npz
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import softunlearn as su
from softunlearn import manifest, saving
from softunlearn.models import skops_files
from softunlearn.models.skops_files import read_model

DEEP = "[" * 200_000


@pytest.fixture(scope="module")
def original(census, census_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "out"
    su.correct(census_model, train=census.train, validation=census.validation).save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(original, tmp_path):
    """A saved folder, to be spoiled."""
    (tmp_path / "out").mkdir()
    for name, content in original.items():
        (tmp_path / "out" / name).write_bytes(content)
    return tmp_path / "out"


def forged(folder, **files):
    """Put files into a folder, each with its size and sha256 in the manifest."""
    found = json.loads((folder / "manifest.json").read_text())
    for key, content in files.items():
        name = key.replace("_", ".")
        (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        found["files"][name] = {"bytes": len(content), "sha256": sha256}
    (folder / "manifest.json").write_text(json.dumps(found))


def refused(folder, *words, **options):
    with pytest.raises(su.FileError) as caught:
        su.load(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    for word in (str(folder), *words):
        assert word in message
    return message


# the manifest


@pytest.mark.parametrize(
    "name",
    [
        "../elsewhere",
        "/etc/passwd",
        "model.skops/../../elsewhere",
        "notes.txt",
        "",
        "C:x",
        "x" * 999,
    ],
)
def test_a_manifest_names_known_files_alone(name, folder):
    (folder.parent / "elsewhere").write_bytes(b"secret")
    found = json.loads((folder / "manifest.json").read_text())
    found["files"][name] = {"bytes": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(found))
    refused(folder, "manifest.json names", "holds only")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe\x00",
        b'{"format": NaN}',
        b'{"format": 1, "format": 1}',
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": 2}',
        b'{"format": 1}',
        b'{"format": 1, "files": [], "provenance": {}}',
        b'{"format": 1, "files": {}, "provenance": []}',
        b'{"format": 1, "files": {}, "provenance": {}}',
        b'{"format": 1, "files": {"metrics.json": 3}, "provenance": {}}',
        b'{"format": 1, "files": {"metrics.json": {"bytes": true, "sha256": ""}}}',
        b'{"format": 1, "files": {"metrics.json": {"bytes": 1, "sha256": 1}}, "provenance": {}}',
        b'{"format": 1, "files": {"metrics.json": {"bytes": -1, "sha256": ""}}, "provenance": {}}',
        DEEP.encode(),
        b'{"a":' * 100_000,
    ],
    ids=lambda text: text[:24].decode("latin-1"),
)
def test_what_is_no_manifest_is_refused(text, folder):
    (folder / "manifest.json").write_bytes(text)
    refused(folder)


def test_a_json_file_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(manifest, "MAX_JSON_BYTES", 100)
    refused(folder, "manifest.json has more than 100 bytes")


# files that are not as the manifest says


@pytest.mark.parametrize("name", ["model.skops", "weights.parquet", "metrics.json", "report.html"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-1], "was cut short"),
        (lambda content: b"", "was cut short"),
        (lambda content: content + b"\0", "was changed"),
        (lambda content: bytes([content[0] ^ 1]) + content[1:], "sha256"),
        (lambda content: None, "is missing"),
    ],
    ids=["cut", "emptied", "longer", "altered", "missing"],
)
def test_a_file_that_is_not_the_one_saved_is_refused(name, damage, said, folder):
    changed = damage((folder / name).read_bytes())
    (folder / name).unlink()
    if changed is not None:
        (folder / name).write_bytes(changed)
    refused(folder, str(folder / name), said, "copy the whole folder")


@pytest.mark.parametrize("name", ["manifest.json", "model.skops", "metrics.json"])
def test_links_folders_and_pipes_are_no_files(name, folder):
    path = folder / name
    path.rename(folder.parent / "moved")
    path.symlink_to(folder.parent / "moved")
    refused(folder, f"{path} cannot be read: it is a link")
    path.unlink()
    path.mkdir()
    refused(folder, f"{path} is not a plain file")
    path.rmdir()
    os.mkfifo(path)
    refused(folder, f"{path} is not a plain file")  # and does not wait for a writer


def test_what_the_manifest_does_not_list_is_never_read(folder):
    (folder / "model.safetensors").write_bytes(b"nobody reads me")
    (folder / "model.pkl").write_bytes(b"nor me")
    assert su.load(folder).model is not None


def test_the_report_is_not_needed_and_figures_are(folder):
    found = json.loads((folder / "manifest.json").read_text())
    del found["files"]["report.html"]
    (folder / "manifest.json").write_text(json.dumps(found))
    assert su.load(folder).model is not None
    del found["files"]["metrics.json"]
    (folder / "manifest.json").write_text(json.dumps(found))
    refused(folder, "does not list metrics.json")


# figures and weights


@pytest.mark.parametrize("text", [DEEP.encode(), b"[]", b'{"a": Infinity}', b"\x80\x04K\x01."])
def test_figures_that_are_none_are_refused(text, folder):
    forged(folder, metrics_json=text)
    refused(folder, "metrics.json")


def parquet(table, **options):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def test_weights_that_are_no_numbers_are_refused(folder):
    forged(folder, weights_parquet=parquet(pa.table({"row": [0], "eps": ["a word"]})))
    refused(folder, "weights.parquet", "holds no numbers")
    forged(folder, weights_parquet=b"PAR1" + struct.pack("<I", 2**31 - 1) + b"PAR1")
    refused(folder, "weights.parquet")
    forged(folder, weights_parquet=pickle.dumps(pd.DataFrame({"eps": [0.0]})))
    refused(folder, "weights.parquet")


def test_weights_that_would_fill_the_memory_are_refused(folder, monkeypatch):
    zeros = pa.table({"row": pa.array(np.zeros(1_000_000, int)), "eps": np.zeros(1_000_000)})
    content = parquet(zeros)
    assert len(content) < 16_000_000 / 100
    forged(folder, weights_parquet=content)
    assert len(su.load(folder).weights) == 1_000_000
    monkeypatch.setattr(saving, "ALWAYS_BYTES", 1000)
    refused(folder, "weights.parquet", "it would take 16,000,000 bytes")


def test_a_table_with_a_huge_footer_is_refused(folder):
    table = pa.table({"eps": [0.0]}).replace_schema_metadata({"x": "y" * 2 * saving.MAX_FOOTER})
    forged(folder, weights_parquet=parquet(table))
    refused(folder, "weights.parquet")


# archives of models


def archive(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return buffer.getvalue()


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return [(name, opened.read(name)) for name in opened.namelist()]


@pytest.mark.parametrize(
    "name",
    ["../../../tmp/evil", "/tmp/evil", "a/b.npy", "..\\evil", "C:evil", ".hidden", "a\0b", "x/"],
)
def test_an_archive_holds_plain_names_alone(name, folder):
    (member, content), *rest = members_of((folder / "model.skops").read_bytes())
    forged(folder, model_skops=archive([(member, content), *rest, ("0" * len(name), b"")]))
    raw = (folder / "model.skops").read_bytes().replace(b"0" * len(name), name.encode())
    forged(folder, model_skops=raw)
    refused(folder, "model.skops", "not the plain name of a file")
    assert not os.path.exists("/tmp/evil")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_holds_every_name_once(folder):
    members = members_of((folder / "model.skops").read_bytes())
    forged(folder, model_skops=archive([*members, ("schema.json", b"{}")]))
    refused(folder, "holds 'schema.json' twice")


def test_an_archive_that_unpacks_to_far_more_is_refused(folder, monkeypatch):
    members = members_of((folder / "model.skops").read_bytes())
    bomb = archive([*members, ("zeros.npy", bytes(8_000_000))])
    forged(folder, model_skops=bomb)
    assert su.load(folder).model is not None  # a small one is never unpacked: nothing asks for it
    monkeypatch.setattr(skops_files, "ALWAYS_BYTES", 1000)
    monkeypatch.setattr(skops_files, "MAX_EXPANSION", 10)
    refused(folder, "model.skops", "unpacked it would take")


def test_an_archive_in_an_archive_counts_too(folder, monkeypatch):
    buffer = io.BytesIO()
    save_npz(buffer, csr_matrix((1000, 1000)))
    matrix = archive([("data.npy", bytes(2_000_000))])
    members = members_of((folder / "model.skops").read_bytes())
    forged(
        folder, model_skops=archive([*members, ("a.npz", matrix), ("b.npz", buffer.getvalue())])
    )
    monkeypatch.setattr(skops_files, "ALWAYS_BYTES", 1_000_000)
    refused(folder, "model.skops", "unpacked it would take")


def test_a_sparse_matrix_in_a_model_is_read(tmp_path):
    skops.io.dump(csr_matrix(np.eye(3)), tmp_path / "matrix.skops")
    known = ["scipy.sparse._csr.csr_matrix"]
    matrix = read_model(tmp_path / "matrix.skops", trusted=known)
    np.testing.assert_array_equal(matrix.toarray(), np.eye(3))


def test_an_encrypted_archive_is_refused(folder):
    content = bytearray((folder / "model.skops").read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 8] |= 1
    forged(folder, model_skops=bytes(content))
    refused(folder, "model.skops", "it is encrypted")


@pytest.mark.parametrize(
    "schema",
    [DEEP, "{}", "null", '{"protocol": 0}', '{"protocol": -1}', '{"protocol": 1e99}', "\udcff"],
)
def test_a_schema_that_is_none_is_refused(schema, folder):
    text = schema.encode(errors="surrogatepass")
    forged(folder, model_skops=archive([("schema.json", text)]))
    refused(folder, "model.skops is not a skops file, or is damaged")


def test_a_schema_nested_in_itself_is_refused(folder):
    node = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
    inside: dict = {**node, "content": [], "protocol": 2}
    for _ in range(400):
        inside = {**node, "content": [inside], "protocol": 2}
    forged(folder, model_skops=archive([("schema.json", json.dumps(inside))]))
    refused(folder, "model.skops")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_is_unpickled(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forged(folder, model_skops=pickle.dumps(Evil()))
    refused(folder, "model.skops")
    objects = io.BytesIO()
    np.save(objects, np.array([Evil()], dtype=object), allow_pickle=True)
    node = {
        "__class__": "ndarray",
        "__module__": "numpy",
        "__loader__": "NdArrayNode",
        "type": "numpy",
        "file": "0.npy",
        "protocol": 2,
    }
    members = [("schema.json", json.dumps(node)), ("0.npy", objects.getvalue())]
    forged(folder, model_skops=archive(members))
    refused(folder, "model.skops")
    forged(folder, model_safetensors=pickle.dumps(Evil()), weights_parquet=pickle.dumps(Evil()))
    refused(folder, "weights.parquet")
    assert not (tmp_path / "executed").exists()


def test_a_function_is_refused_by_its_name(folder, tmp_path):
    skops.io.dump(FunctionTransformer(os.system), tmp_path / "evil.skops")
    forged(folder, model_skops=(tmp_path / "evil.skops").read_bytes())
    refused(folder, "holds types that are not trusted: posix.system")


def test_an_array_that_says_it_is_huge_is_refused(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    )
    members = members_of((folder / "model.skops").read_bytes())
    changed = [(n, header.getvalue() if n.endswith(".npy") else c) for n, c in members]
    forged(folder, model_skops=archive(changed))
    refused(folder, "model.skops")


# parameters of torch modules


def tensors(header, length=None, data=bytes(8)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


WEIGHT = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        tensors({"weight": WEIGHT}, length=2**63),
        tensors({"weight": WEIGHT}, length=200_000_000),
        tensors(DEEP.encode()),
        tensors(b"\xff\xff"),
        tensors({"weight": {**WEIGHT, "data_offsets": [0, 2**60]}}),
        tensors({"weight": {**WEIGHT, "data_offsets": [8, 0]}}),
        tensors({"weight": {**WEIGHT, "shape": [2**40, 2**40]}}),
        tensors({"weight": {**WEIGHT, "shape": [2, 1]}}),
        tensors({"weight": {**WEIGHT, "dtype": "object"}}),
        tensors({"weight": WEIGHT, "other": {**WEIGHT, "data_offsets": [0, 8]}}),
        tensors({"weight": WEIGHT}, data=bytes(3)),
        tensors({"weight": WEIGHT}, data=bytes(9)),
        tensors(b'{"weight":' + json.dumps(WEIGHT).encode() + b',"weight":{}}'),
        pickle.dumps({"weight": torch.zeros(1, 2)}),
    ],
)
def test_tensors_that_are_none_are_refused(content, folder):
    found = json.loads((folder / "manifest.json").read_text())
    del found["files"]["model.skops"]
    (folder / "manifest.json").write_text(json.dumps(found))
    module = nn.Linear(2, 1, bias=False)
    forged(folder, model_safetensors=tensors({"weight": WEIGHT}))
    assert not su.load(folder, module=module).model.weight.any()
    forged(folder, model_safetensors=content)
    refused(folder, "model.safetensors", module=module)
