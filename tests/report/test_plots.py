import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from softunlearn.report import plots, scatter
from softunlearn.report.canvas import LEVELS


def texts(svg):
    return [(e.text or "").strip() for e in ET.fromstring(_named(svg)).iter() if "text" in e.tag]


def _named(svg):
    return svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)


def point(i, metric, accuracy, chosen=False, low=-0.02, high=0.01):
    change = {"value": accuracy - 0.8, "low": low, "high": high}
    found = {"index": i, "metric": metric, "accuracy": accuracy, "chosen": chosen}
    return found | {"accuracy_change": change}


def group(name, rows=5, rate=(0.1, 0.2), accuracy=(0.7, 0.8)):
    """A group whose every interval is 0.05 wide on both sides."""
    pairs = {"positive_rate": rate, "accuracy": accuracy}
    return {
        "name": name,
        "rows": rows,
        **{key: {"before": was, "after": now} for key, (was, now) in pairs.items()},
        "intervals": {
            key: {"before": [was - 0.05, was + 0.05], "after": [now - 0.05, now + 0.05]}
            for key, (was, now) in pairs.items()
            if was is not None
        },
    }


def test_frontier_says_original_and_chosen_in_words():
    svg = plots.frontier([point(0, 0.2, 0.8), point(1, 0.1, 0.79, chosen=True)], "Gap", "9 rows")
    assert "Original: 0.2000 at accuracy 0.8000. Chosen: 0.1000 at accuracy 0.7900 " in svg
    assert "(0.7800 to 0.8100)." in svg  # the original's 0.8 and the ends of the change
    assert {"original", "chosen"} <= set(texts(svg))


def test_frontier_whose_original_is_kept_marks_one_point():
    svg = plots.frontier([point(0, 0.2, 0.8, chosen=True), point(1, 0.1, 0.79)], "Gap", "9 rows")
    assert "original, kept" in texts(svg)
    assert "chosen" not in texts(svg)


def test_a_point_without_an_interval_has_no_bar():
    points = [point(0, 0.2, 0.8), point(1, 0.1, 0.79, chosen=True, low=None, high=None)]
    assert "accuracy 0.7900." in plots.frontier(points, "Gap", "9 rows")


def test_colours_are_the_pages_own():
    svg = plots.weights(np.linspace(-1, 1, 50))
    assert "var(--ink)" in svg
    assert "#0a0b" not in svg


@pytest.mark.parametrize(
    "eps",
    [
        np.array([-1.0, 0.0, 0.0]),
        np.linspace(-3, 2, 100),
        np.full(30, 1e-12),
        np.append(np.zeros(40), 1e6),
    ],
)
def test_weights_of_any_kind_can_be_drawn(eps):
    assert ET.fromstring(_named(plots.weights(eps))) is not None


def test_histogram_counts_every_row(rng):
    x = 1 + rng.standard_cauchy(5000)
    _, counts, _ = plots._histogram(x)
    assert counts.sum() == 5000


def test_scatter_keeps_the_extremes_and_counts_its_points(rng):
    a, u = rng.standard_cauchy((2, 20_000))
    shown = scatter.sample(a, u, a - u)
    assert len(shown) == len(set(shown.tolist())) == scatter.MAX_POINTS
    for x in (a, u, a - u):
        assert {int(x.argmin()), int(x.argmax())} <= set(shown.tolist())
    svg, drawn = scatter.influences(a, u, a - u, "Gap")
    assert drawn == scatter.MAX_POINTS
    assert svg.count("<use") >= drawn


def test_scatter_of_few_rows_draws_all(rng):
    a, u = rng.normal(size=(2, 50))
    assert scatter.influences(a, u, np.zeros(50), "Gap")[1] == 50


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e12])
def test_scatter_of_any_scale_has_ticks(scale, rng):
    a = scale * rng.normal(size=40)
    svg, _ = scatter.influences(a, np.zeros(40), a / scale, "Gap")
    assert "0" in texts(svg)


def test_colours_say_more_and_less_and_end_at_the_limit():
    middle, end = len(LEVELS) // 2, len(LEVELS) - 1
    eps = np.array([0.0, 0.1, -0.1, 1.0, -1.0, 50.0])
    assert scatter.levels(eps, limit=1.0).tolist() == [middle, middle + 1, middle - 1, end, 0, end]


def test_groups_drawn_are_the_largest():
    groups = [group(f"group {i}", rows=i + 1) for i in range(30)]
    names = [text for text in texts(plots.group_rates(groups)) if text.startswith("group")]
    assert names == [f"group {i}" for i in range(10, 30)]


def test_names_are_escaped_and_never_read_as_formulas():
    names = ("<script>", "$\\frac{", "\u6f22\u5b57")
    groups = [group(name, rate=(0.1, 0.1)) for name in names]
    svg = plots.group_rates(groups)
    assert "<script>" not in svg
    assert {"<script>", "$\\frac{", "\u6f22\u5b57"} <= set(texts(svg))


def test_groups_have_a_bar_before_and_one_after():
    svg = plots.group_rates([group("a"), group("b")])
    bars = re.findall(r'<path d="M [0-9.]+ [0-9.]+ L [0-9.]+ [0-9.]+ " clip-path', _flat(svg))
    horizontal = [bar for bar in bars if len(set(re.findall(r" ([0-9.]+) L .* \1 ", bar))) == 1]
    assert len(horizontal) == 4
    unchanged = plots.group_rates([group("a", rate=(0.1, 0.1)), group("b", rate=(0.2, 0.2))])
    assert "before and after" in texts(unchanged)


def test_groups_without_a_positive_class_are_drawn_by_accuracy():
    svg = plots.group_rates([group("a", rate=(None, None)), group("b", rate=(None, None))])
    assert "Accuracy" in texts(svg)
    assert "a: 0.7000 before, 0.8000 after" in svg


def _flat(svg):
    return " ".join(svg.split())
