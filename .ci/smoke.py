"""What a release must pass: the files it holds, and a correction in an environment of its own.

    python .ci/smoke.py dist

Looks into the wheel and the sdist, then installs each into a new virtual environment and runs
`USE` there, away from the sources.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
STRAY = re.compile(r"(^|/)(build|dist|gallery|api|\.venv|__pycache__|\.[^/]*)/|\.pyc$|\.ipynb$")
NEEDED = (
    "softunlearn/__init__.py",
    "softunlearn/py.typed",
    "softunlearn/report/page.css",
    "softunlearn_command.py",
)

USE = """
import softunlearn as su
from importlib.metadata import version
from sklearn.linear_model import LogisticRegression

assert version("softunlearn") == su.__version__
train, validation, test = su.datasets.load("census", n_rows=4000)
model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
c = su.correct(model, train=train, validation=validation, test=test)
assert c.status == "CORRECTED", c.message
c.save("corrected")
saved = su.load("corrected")
assert (saved.model.predict(test.X) == c.model.predict(test.X)).all()
print(su.__version__, c.message)
"""


def names(archive: Path) -> list[str]:
    """Return the names in an archive, of an sdist without its top folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            return file.namelist()
    with tarfile.open(archive) as file:
        return [name.partition("/")[2] for name in file.getnames()]


def check_names(archive: Path) -> None:
    """Raise where something is missing from an archive, or should not be in it."""
    held = names(archive)
    inside = "" if archive.suffix == ".whl" else "src/"
    missing = [name for name in NEEDED if inside + name not in held]
    if not any(name.endswith("LICENSE") for name in held):
        missing.append("LICENSE")
    stray = [name for name in held if STRAY.search(name)]
    if archive.suffix == ".whl":
        stray += [
            name
            for name in held
            if not re.match(r"softunlearn(_command\.py$|(-[^/]+\.dist-info)?/)", name)
        ]
    if missing or stray:
        raise SystemExit(f"{archive.name}: missing {missing}, stray {stray}.")
    print(f"{archive.name}: {len(held)} files, {archive.stat().st_size / 2**10:.0f} KiB")


def install_and_use(archive: Path) -> None:
    """Install an archive into a new environment, and correct a model there."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", archive], check=True)
        subprocess.run([python, "-I", "-c", USE], check=True, cwd=folder)
        command = Path(folder) / "bin" / "softunlearn"
        subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Check the one wheel and the one sdist of a folder."""
    folder = Path(sys.argv[1]).resolve()
    for pattern in ("*.whl", "*.tar.gz"):
        (archive,) = folder.glob(pattern)
        check_names(archive)
        install_and_use(archive)


if __name__ == "__main__":
    main()
