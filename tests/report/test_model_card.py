"""The card as a Markdown reader and a YAML reader see it."""

import hashlib

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from softunlearn import FileError
from softunlearn.report import model_card, summarise
from softunlearn.report.markdown import code, front_matter, text
from tests.report.cases import HOSTILE

SECTIONS = [
    "Model details", "Intended use", "Out of scope", "How to get started", "Training data",
    "Evaluation", "How it was corrected", "Bias, risks and limitations", "Authors and contact",
]  # fmt: skip


def read(card):
    """Return the header's entries and the tokens of what follows, inline ones too."""
    assert card.startswith("---\n")
    _, header, body = card.split("---\n", 2)
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(body)
    return yaml.safe_load(header), [
        t for token in tokens for t in (token, *(token.children or ()))
    ]


def words(tokens):
    return [t.content for t in tokens if t.type in ("text", "code_inline", "text_special")]


def test_every_card_has_its_sections_and_nothing_but_text(any_correction):
    entries, tokens = read(model_card(any_correction))
    headings = [
        tokens[i + 1].content for i, t in enumerate(tokens) if t.tag == "h2" and t.nesting == 1
    ]
    assert headings == SECTIONS
    kinds = {t.type for t in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}
    assert entries["library_name"] == "sklearn"
    assert {"softunlearn", "skops"} <= set(entries["tags"])


def test_every_row_of_a_table_has_the_cells_of_its_header(hostile):
    lines = [line for line in model_card(hostile).splitlines() if line.startswith("| ")]
    _, tokens = read(model_card(hostile))
    assert sum(t.type == "tr_open" for t in tokens) == len(lines) - sum(":--" in x for x in lines)


def test_figures_are_the_corrections_own(corrected):
    entries, tokens = read(model_card(corrected))
    by_split = {r["dataset"]["name"]: r["metrics"] for r in entries["model-index"][0]["results"]}
    measured = {m["type"]: m["value"] for m in by_split["test rows"]}
    after = corrected.after.test
    assert measured["accuracy"] == after.accuracy
    assert measured["log_loss"] == after.log_loss
    gap = after.gaps["demographic_parity"].probabilities
    assert measured["gaps.demographic_parity.probabilities"] == gap
    change = corrected.change.test["accuracy"]
    shown = f"{change.value:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
    assert shown.replace("-", "\N{MINUS SIGN}") in " ".join(words(tokens))
    group = after.groups[0]
    rate = group.intervals["positive_rate"]
    assert f"{group.positive_rate:.3f} ({rate.low:.3f} to {rate.high:.3f})" in words(tokens)


def test_training_data_are_sizes_and_fingerprints(corrected):
    _, tokens = read(model_card(corrected))
    rows = corrected.session.rows["train"]
    digest = hashlib.sha256()
    assert rows.weight is None
    for part in (rows.X, rows.y, rows.g):
        shape = repr((part.shape, part.dtype.str)).encode()
        for content in (shape, np.ascontiguousarray(part).tobytes()):
            digest.update(len(content).to_bytes(8, "little") + content)
    digest.update((4).to_bytes(8, "little") + b"none")
    assert digest.hexdigest() in words(tokens)
    assert "120" in words(tokens)


def test_a_users_words_stay_words(hostile):
    card = model_card(hostile)
    assert "<script" not in card
    _, tokens = read(card)
    assert any(HOSTILE in word for word in words(tokens))


@pytest.mark.parametrize(
    "value",
    [
        "[a](javascript:x)", "![a](b)", "https://example.org", "www.example.org", "a|b", "`a`",
        "<b>", "&amp;", "**a**", "$x$", "# a", "a\n\n# b", "\\", "~~a~~", "a@example.org",
    ],
)  # fmt: skip
def test_text_is_read_as_it_was(value):
    inline = MarkdownIt("gfm-like", {"linkify": False}).parseInline(f"x {text(value)}")[0]
    assert {t.type for t in inline.children} <= {"text", "text_special"}
    assert "".join(t.content for t in inline.children) == "x " + " ".join(value.split())
    coded = MarkdownIt("gfm-like", {"linkify": False}).parseInline(code(value))[0].children
    assert [t.type for t in coded] == ["code_inline"]


@pytest.mark.parametrize(
    "value", ["a: b", "---", "\n---\n", "'\"", "!!python/object", "\x85\u2028"]
)
def test_metadata_of_any_text_is_read_back(value):
    header = front_matter({"name": value, "tags": [value]})
    assert header.count("\n") == 3
    assert yaml.safe_load(header[4:-3]) == {"name": value, "tags": [value]}


def test_a_model_that_is_unchanged_is_said_to_be(unchanged):
    card = model_card(unchanged)
    assert "unchanged, measured for demographic parity gap" in card
    summary = summarise(unchanged)
    low, high = summary["figures"]["validation"]["intervals"]["accuracy"]["before"]
    assert f"{low:.4f} to {high:.4f}" in card
    assert "| before |" not in card


def test_the_card_is_written_as_a_whole(corrected, tmp_path):
    corrected.to_model_card(tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == model_card(corrected)
    assert [path.name for path in tmp_path.iterdir()] == ["card.md"]
    with pytest.raises(FileError, match="does not exist"):
        corrected.to_model_card(tmp_path / "nowhere" / "card.md")
