"""The documentation's pages: their Python runs, page by page, as a reader would type it."""

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [
    *(DOCS / f"{name}.md" for name in ("start", "which")),
    *sorted((DOCS / "howto").glob("*.md")),
    *sorted((DOCS / "adding").glob("*.md")),
]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return the page's Python, with the line that each block begins at."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(text[: one.start(1)].count("\n"), one[1]) for one in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_pages_python_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "page"}
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for line, code in blocks(page):
        if not code.startswith(">>>"):
            exec(compile("\n" * line + code, str(page), "exec"), names)
            continue
        parsed = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
        runner.run(parsed, clear_globs=False)
        names = parsed.globs
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out
