import base64
import hashlib
import os
import re
from html import unescape
from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from softunlearn import FileError
from softunlearn.report import render, summarise, write_report
from softunlearn.report.sealed import sheet_of
from tests.report.cases import HOSTILE, Page

_PAGES: dict[int, str] = {}


def html_of(correction):
    """Render each correction of the session once."""
    if id(correction) not in _PAGES:
        _PAGES[id(correction)] = render(correction)
    return _PAGES[id(correction)]


@pytest.fixture(scope="module")
def page(any_correction):
    return Page(html_of(any_correction))


def test_page_is_well_formed(page):
    assert page.problems == []
    assert page.open == []


def test_page_asks_for_nothing_and_has_one_script(page):
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "form", "base"}
    assert page.all("script") == [{}]
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")


def test_policy_allows_this_style_and_this_script_alone(any_correction):
    html = html_of(any_correction)
    given = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert given is not None
    rules = dict(rule.split(" ", 1) for rule in unescape(given[1]).split("; "))
    assert rules.pop("default-src") == rules.pop("base-uri") == "'none'"
    assert rules.pop("form-action") == "'none'"
    for tag in ("style", "script"):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert rules == {}


def test_text_that_looks_like_a_style_is_left_as_text():
    figures, sheet = sheet_of({"a": '<g><text>} x style="} body { display: none }"</text></g>'})
    assert sheet == ""
    assert figures["a"] == '<g><text>} x style="} body { display: none }"</text></g>'


def test_headings_are_in_order(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_landmarks_are_there_once_and_regions_have_names(page):
    assert [len(page.all(tag)) for tag in ("header", "main", "footer", "nav")] == [1, 1, 1, 1]
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert all(section["aria-labelledby"] in ids for section in page.all("section"))


def luminance(colour):
    """WCAG 2's relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def mixed(a, b, part):
    """A part of a, and the rest of b."""
    channels = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (a, b)]
    mean = [round(part * one + (1 - part) * other) for one, other in zip(*channels, strict=True)]
    return "#" + "".join(f"{channel:02x}" for channel in mean)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_enough(corrected, scheme):
    """WCAG 2 AA: 4.5 of text, 3 of what carries meaning in a figure."""
    root = re.findall(r":root \{(.*?)\}", html_of(corrected), flags=re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", root))
    for name in ("ink", "muted", "link", "good", "bad"):
        for ground in ("page", "panel"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    assert "color-mix(in srgb, var(--after) 9%, var(--panel))" in html_of(corrected)
    marked = mixed(colours["after"], colours["panel"], 0.09)  # the row that was chosen
    for name in ("ink", "muted", "good", "bad"):
        assert contrast(colours[name], marked) >= 4.5, name
    for name in ("before", "after", "chosen", "warning", "weight-0", "weight-8"):
        assert contrast(colours[name], colours["panel"]) >= 3, name


def test_a_verdict_is_said_and_not_only_coloured(corrected):
    text = Page(html_of(corrected)).text
    assert "✓ better:" in text


def test_the_table_of_rows_has_every_row_once_from_the_most_harmful(lonely):
    html, shown = html_of(lonely), summarise(lonely)["rows"]
    listed = [int(i) for i in re.findall(r'<th scope="rowgroup"[^>]*data-value="(\d+)"', html)]
    keys = ("most_harmful", "most_helpful", "high_leverage")
    assert set(listed) == {row["row"] for key in keys for row in shown[key]}
    assert len(set(listed)) == len(listed)
    influence = lonely.influence.target[listed]
    assert (np.diff(influence) >= 0).all()


def test_the_table_needs_no_script(corrected):
    page = Page(html_of(corrected))
    assert not {"button", "select", "input", "label"} & {tag for tag, _ in page.tags}


def test_styles_ask_for_nothing(corrected):
    html = html_of(corrected)
    assert "@import" not in html
    assert all(inside.startswith("#") for inside in re.findall(r"url\(([^)]*)\)", html))
    addresses = set(re.findall(r"https?://[^\s\"'<]*", html))
    assert addresses <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a") + page.all("use"):
        assert (link.get("href") or link.get("xlink:href") or "")[1:] in ids


def test_page_can_be_read_on_a_phone_and_without_seeing_it(page):
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert page.all("html") == [{"lang": "en"}]
    for svg in page.all("svg"):
        if svg.get("aria-hidden") == "true":  # a card's gauge: its words stand below it
            continue
        assert svg["role"] == "img"
        assert svg["aria-labelledby"]
    tables = len(page.all("table"))
    assert tables == len(page.all("caption")) == page_boxes(page)
    assert all("scope" in header for header in page.all("th"))


def page_boxes(page):
    return sum("scroll" in (tag.get("class") or "").split() for tag in page.all("div"))


def test_every_section_is_there(page):
    headings = page.all("h2")
    assert [tag["id"] for tag in headings] == [
        "verdict", "frontier", "influence", "weights", "rows",
        "groups", "robustness", "figures", "conditions", "computation",
    ]  # fmt: skip


def test_numbers_on_the_page_are_those_of_the_correction(corrected):
    text = Page(html_of(corrected)).text
    gap = "demographic_parity"
    for figures in (corrected.before.test, corrected.after.test):
        assert f"{figures.accuracy:.4f}" in text
        assert f"{figures.log_loss:.4f}" in text
        assert f"{figures.gaps[gap].probabilities:.4f}" in text
        assert f"{figures.gaps[gap].labels:.4f}" in text
        assert f"{figures.adversarial_loss:.4f}" in text
        for group in figures.groups:
            rate = group.intervals["positive_rate"]
            assert f"{group.positive_rate:.4f} {rate.low:.3f} to {rate.high:.3f}" in text
    assert corrected.message in text
    assert "CORRECTED" in text
    a, u = corrected.influence.target, corrected.influence.utility
    assert f"{((a < 0) & (u > 0)).sum()} of the {(a < 0).sum()} rows" in text


def test_status_and_message_come_first(page, any_correction):
    assert str(any_correction.status) in page.text
    assert page.text.index(any_correction.message) < page.text.index("What could be had")


def test_hostile_names_and_values_are_text(hostile):
    html = html_of(hostile)
    assert HOSTILE not in html
    page = Page(html)
    assert page.text.count(HOSTILE) > 2
    assert "<b>yes</b>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert not set("\x00\x1b\u202e") & set(html)


def test_long_values_are_cut(hostile):
    assert "long " * 40 not in html_of(hostile)
    values = [item for row in summarise(hostile)["rows"]["most_harmful"] for item in row["values"]]
    assert max(len(str(item["value"])) for item in values) <= 200


def test_two_renders_are_the_same_whatever_matplotlib_is_set_to(corrected):
    html = html_of(corrected)
    with matplotlib.rc_context({"svg.fonttype": "path", "axes.facecolor": "red", "font.size": 30}):
        assert render(corrected) == html
        assert matplotlib.rcParams["font.size"] == 30


def test_unchanged_model_has_no_frontier_and_no_weights_drawn(unchanged):
    page = Page(html_of(unchanged))
    assert "The model is unchanged" in page.text
    assert "no correction was tried" in page.text
    assert "before after" not in page.text
    assert "keep the weight they had" in page.text
    assert "There were no test rows" in page.text


def test_rows_without_groups_are_said_to_have_none(without_groups):
    page = Page(html_of(without_groups))
    assert "The rows were given without groups." in page.text
    assert "parity" not in page.text


def test_classes_without_a_positive_one_are_compared_by_accuracy(multiclass):
    text = Page(html_of(multiclass)).text
    assert "3 classes" in text
    assert "None of the classes was named the positive one" in text
    assert "Predicted positive" not in text
    for group in multiclass.after.test.groups:
        low, high = group.intervals["accuracy"].low, group.intervals["accuracy"].high
        assert f"{group.accuracy:.4f} {low:.3f} to {high:.3f}" in text


def test_metric_that_test_rows_cannot_show_is_shown_on_validation_rows(groupless_test):
    text = Page(html_of(groupless_test)).text
    assert "measured on validation rows" in text
    assert "Each group before and after, validation rows" in text
    assert (
        f"{groupless_test.after.validation.gaps['demographic_parity'].probabilities:.4f}" in text
    )


def test_report_is_written_as_a_whole(corrected, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("earlier")
    write_report(corrected, path)
    assert path.read_text(encoding="utf-8") == html_of(corrected)
    assert os.listdir(tmp_path) == ["report.html"]


def test_correction_writes_its_report(corrected, tmp_path):
    corrected.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_folder_that_is_not_there_is_said(corrected, tmp_path):
    with pytest.raises(FileError, match=r"the folder .*nowhere does not exist"):
        write_report(corrected, tmp_path / "nowhere" / "report.html")


def test_path_of_a_folder_is_said(corrected, tmp_path):
    with pytest.raises(FileError, match="it is a folder"):
        write_report(corrected, tmp_path)


def test_failure_to_write_leaves_what_was_there(corrected, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("earlier")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileError, match="No space left on device") as error:
        write_report(corrected, path)
    assert "\n" not in str(error.value)
    assert path.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["report.html"]


def test_table_of_all_figures_has_each_split_under_its_own_heading(corrected):
    text = Page(html_of(corrected)).text
    before, after = corrected.before.test, corrected.after.test
    row = f"Accuracy {before.accuracy:.4f} {after.accuracy:.4f}"
    assert text.index("test, 60 rows") < text.index("train, 120 rows") < text.index(row)


def signed(x):
    return f"{x:+.4f}".replace("-", "\N{MINUS SIGN}")


def test_every_change_has_its_interval(corrected):
    text = Page(html_of(corrected)).text
    for path in ("accuracy", "gaps.demographic_parity.labels", "robustness.l2_ball.adaptive.loss"):
        change = corrected.change.test[path]
        assert f"{signed(change.value)} {signed(change.low)} to {signed(change.high)}" in text
    for point in list(corrected.frontier)[1:]:
        change = point.accuracy_change
        assert f"{signed(change.low)} to {signed(change.high)}" in text


def test_protocols_and_attacks_are_told_apart(corrected):
    text = Page(html_of(corrected)).text
    assert "Boundary attack, transfer: accuracy" in text
    assert "Boundary attack, adaptive: loss" in text
    assert "Boundary attack, adaptive: accuracy" not in text
    assert "flips every prediction of any model: only its loss means anything" in text
    radius = corrected.session.evaluator.attacks["linf_ball"].epsilon
    assert f"limit {radius:.4g}" in text


def test_colour_is_for_what_is_certain(corrected):
    """In the table of all figures, by the correction's own intervals."""
    html = html_of(corrected)
    for path, line in (("accuracy", "Accuracy"), ("log_loss", "Log loss, mean")):
        row = html[html.index(f'<th scope="row">{line}</th>') :].split("</tr>")[0]
        change = corrected.change.test[path]
        shown = re.findall(r'<td class="(better|worse|uncertain|same)">', row)[0]
        assert (shown in ("better", "worse")) == change.clear


def test_several_targets_have_a_column_each(several):
    page = Page(html_of(several))
    assert "Largest part left" in page.text
    assert "Demographic parity gap by age, held" in page.text
    for point in several.frontier:
        assert " ".join(f"{x:.4f}" for x in (*point.metrics, point.metric)) in page.text
    assert "Held Demographic parity gap by age" in page.text
    assert "Path Relinearised (" in page.text


def test_pooled_combinations_are_on_the_page(several):
    pooled = several.session.coding.pooled
    assert f"pooled as (others) : {', '.join(pooled)}." in Page(html_of(several)).text


def test_rows_of_high_leverage_are_named(lonely, corrected):
    text = Page(html_of(lonely)).text
    assert (
        f"1 training row has a leverage above 0.5: row 7 ({lonely.influence.leverage[7]:.2f})"
        in text
    )
    assert "No training row has a leverage above 0.5" in Page(html_of(corrected)).text


def test_a_page_of_noise_says_why_nothing_was_done(noise):
    text = Page(html_of(noise)).text
    assert "Nothing to correct: the model is unchanged" in text
    assert "There was nothing to correct, so no correction was tried" in text
    gap = noise.before.test.intervals["gaps.demographic_parity.probabilities"]
    assert f"{gap.low:.4f} to {gap.high:.4f}" in text
