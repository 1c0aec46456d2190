"""A coverage-guided fuzz of everything that reads a stranger's bytes: files, and the command line.

Each target takes bytes, makes of them what a user might be sent, and lets nothing pass but this
library's own errors; for the command line, an exit code and no traceback. Inputs begin with files
that are right. atheris counts what of `softunlearn` and `skops` is reached and mutates
accordingly.

    python -m benchmarks.fuzz TARGET SECONDS    one target; what crashes it stays in build/fuzz
    python -m benchmarks.fuzz all SECONDS       every target in turn, in equal shares
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from torch import nn

atheris: Any = import_module("atheris")  # which is here for `make fuzz` alone
with atheris.instrument_imports(include=["softunlearn", "skops"]):
    import softunlearn as su
    from softunlearn import cli, saving
    from softunlearn.cli.files import read_rows
    from softunlearn.datasets import adult  # noqa: F401  loaded when it is needed, as these are
    from softunlearn.models.torch_files import read_module
    from softunlearn.streams import from_parquet

KEPT = Path(__file__).parents[1] / "build" / "fuzz"
LIMITS = ("-timeout=60", "-rss_limit_mb=4096", "-max_len=131072", "-verbosity=1")

Target = Callable[[bytes], None]


class Given:
    """A folder with a saved correction and tables, which a target spoils."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        X, g = rng.normal(size=(120, 2)), rng.choice(["a", "b"], size=120)
        X[:, 0] += g == "a"
        y = (X.sum(1) + rng.logistic(size=120) > 0).astype(int)
        self.table = pd.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "g": g, "y": y})
        self.model = LogisticRegression().fit(self.table[["x0", "x1"]], y)
        half = self.table[:60]
        rows = su.Rows(half[["x0", "x1"]], half.y, half.g)
        su.correct(self.model, train=rows, validation=rows, insist=True).save(folder / "out")
        self.manifest = json.loads(self.path("manifest.json").read_text())
        half.to_csv(folder / "rows.csv", index=False)
        half.to_parquet(folder / "rows.parquet", index=False)

    def path(self, name: str) -> Path:
        """Return where a file of the saved correction is."""
        return self.folder / "out" / name

    def forge(self, name: str, content: bytes) -> None:
        """Put a file into the saved correction, with a manifest to match."""
        self.path(name).write_bytes(content)
        mark = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        forged = {**self.manifest, "files": {**self.manifest["files"], name: mark}}
        self.path("manifest.json").write_text(json.dumps(forged))


def of_saved(name: str) -> Callable[[Given], tuple[Target, list[bytes]]]:
    """Return the target that reads a saved correction with this file in it."""

    def prepare(given: Given) -> tuple[Target, list[bytes]]:
        def target(content: bytes) -> None:
            if name == "manifest.json":
                given.path(name).write_bytes(content)
            else:
                given.forge(name, content)
            repr(su.load(given.folder / "out"))

        return target, [given.path(name).read_bytes()]

    return prepare


def schema(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that reads a model whose schema is spoiled and whose arrays are not."""
    with zipfile.ZipFile(given.path("model.skops")) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    # short names, so that mutations hit what is between them
    text = members.pop("schema.json").decode()
    for i, long in enumerate(dict.fromkeys(re.findall(r"\d{9,}", text))):
        text = text.replace(long, str(i + 1))
        if f"{long}.npy" in members:
            members[f"{i + 1}.npy"] = members.pop(f"{long}.npy")
    text = json.dumps(json.loads(text))

    def target(content: bytes) -> None:
        path = given.folder / "fuzzed.skops"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", content)
            for name, member in members.items():
                archive.writestr(name, member)
        saving.read_model(path)

    return target, [text.encode()]


def tensors(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that reads a module's parameters."""
    from safetensors.torch import save

    module = nn.Linear(2, 1)

    def target(content: bytes) -> None:
        path = given.folder / "fuzzed.safetensors"
        path.write_bytes(content)
        read_module(module, path)

    return target, [save(module.state_dict())]


def tables(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that reads a table as the command line does: the first byte says which."""
    endings = (".csv", ".parquet", ".csv.gz")

    def target(content: bytes) -> None:
        path = given.folder / f"fuzzed{endings[content[0] % 3 if content else 0]}"
        path.write_bytes(content[1:])
        read_rows(path, given.model, label="y", sensitive=["g"], need_sensitive=True)

    csv, parquet = ((given.folder / f"rows{ending}").read_bytes() for ending in endings[:2])
    return target, [b"\0" + csv, b"\1" + parquet]


def streams(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that reads rows from a Parquet file, chunk by chunk."""

    def target(content: bytes) -> None:
        path = given.folder / "fuzzed.parquet"
        path.write_bytes(content)
        from_parquet(path, label="y", sensitive="g").read()

    return target, [(given.folder / "rows.parquet").read_bytes()]


def arrays(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that reads an array cache's entry whose checksum is right."""
    cache = su.ArrayCache(given.folder / "cache")

    def target(content: bytes) -> None:
        checksum = hashlib.sha256(content).digest()
        (given.folder / "cache" / "a.array").write_bytes(checksum + content)
        cache.get("a")

    buffer = io.BytesIO()
    np.save(buffer, np.eye(2))
    return target, [buffer.getvalue()]


def datasets(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that reads a data set's file from $SOFTUNLEARN_DATA."""
    folder = given.folder / "adult"
    folder.mkdir()
    (folder / "test.csv.gz").write_bytes(b"")
    os.environ["SOFTUNLEARN_DATA"] = str(given.folder)

    def target(content: bytes) -> None:
        (folder / "train.csv.gz").write_bytes(content)
        su.datasets.load("adult")

    return target, [b"39, State-gov, 77516\n", b"\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0"]


def arguments(given: Given) -> tuple[Target, list[bytes]]:
    """Return the target that runs the command line with any words, which begin with right ones.

    Bytes are lines: a word each, of which a number stands for a known word.
    """
    here = given.folder
    right = ["audit", "--model", str(given.path("model.skops")), "--label", "y"]
    right += ["--train", str(here / "rows.csv"), "--validation", str(here / "rows.parquet")]
    right += ["--sensitive", "g", "--insist", "--json"]
    options = ("--metric", "--hold", "--by", "--test", "--out", "--positive", "--point", "--path")
    options += ("--select", "--algorithm", "--scheme", "--seed", "--only-above", "--trust")
    options += ("--metric-at-most", "--utility-loss-at-most", "--help", "--data")
    values = (
        "correct",
        "demo",
        "datasets",
        "list",
        "fetch",
        "where",
        "census",
        "adult",
        "x0",
        "1",
    )
    values += (
        "demographic_parity",
        "equalized_odds",
        "adversarial_loss",
        "hard",
        "bounded",
        "nan",
    )
    values += ("straight", "relinearised", "full", "none", "-1", "1e999", "fisher", "scrub", "")
    known = [*right, *options, *values, str(here / "new"), "/dev/null/x", "/proc", "/dev/zero"]

    def target(content: bytes) -> None:
        words = []
        for line in content.split(b"\n")[:40]:
            word = line.decode("utf-8", "surrogateescape").replace("\0", "")
            words.append(known[int(word) % len(known)] if re.fullmatch(r"\d{1,3}", word) else word)
        said = io.StringIO()
        argv = patch("sys.argv", ["softunlearn", *words])
        with argv, redirect_stdout(said), redirect_stderr(said), suppress(SystemExit):
            cli.main()
        if "Traceback" in said.getvalue():
            raise RuntimeError(said.getvalue())

    n = len(right)
    lines = ["\n".join(map(str, range(n)))]
    lines += [f"{lines[0]}\n{option}\n{n + len(options) + i}" for i, option in enumerate(options)]
    return target, [text.encode() for text in [*lines, "--help", "datasets\nlist"]]


TARGETS: dict[str, Callable[[Given], tuple[Target, list[bytes]]]] = {
    "manifest": of_saved("manifest.json"),
    "figures": of_saved("metrics.json"),
    "weights": of_saved("weights.parquet"),
    "model": of_saved("model.skops"),
    "schema": schema,
    "tensors": tensors,
    "tables": tables,
    "streams": streams,
    "arrays": arrays,
    "datasets": datasets,
    "arguments": arguments,
}


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target; does not return."""
    warnings.simplefilter("ignore")
    scratch = Path(
        tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    )
    os.chdir(scratch)
    target, seeds = TARGETS[name](Given(scratch))
    corpus = scratch / "corpus"
    corpus.mkdir()
    for i, seed in enumerate(seeds):
        (corpus / str(i)).write_bytes(seed)

    def lenient(content: bytes) -> None:
        with suppress(su.SoftUnlearnError):
            target(content)

    KEPT.mkdir(parents=True, exist_ok=True)
    time_and_place = (
        f"-max_total_time={seconds}",
        f"-artifact_prefix={KEPT}/{name}-",
        str(corpus),
    )
    atheris.Setup([sys.argv[0], *LIMITS, *time_and_place], lenient)
    atheris.Fuzz()


def main(name: str = "all", seconds: str = "1800") -> None:
    """Fuzz one target, or each in a process of its own."""
    if name != "all":
        return fuzz(name, int(seconds))
    failed = []
    for each in TARGETS:
        run = [sys.executable, "-m", "benchmarks.fuzz", each, str(int(seconds) // len(TARGETS))]
        ended: Any = subprocess.run(run, capture_output=True, text=True, errors="replace")
        done = re.findall(r"Done (\d+) runs in (\d+) second", ended.stderr)
        print(f"{each}: {f'{done[-1][0]} inputs in {done[-1][1]} s' if done else 'crashed'}")
        if ended.returncode != 0:
            print(ended.stderr[-4000:])
            failed.append(each)
    sys.exit(f"crashed: {', '.join(failed)}; the inputs are in {KEPT}" if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
