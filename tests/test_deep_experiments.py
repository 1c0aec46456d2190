"""The deep models' experiments and the example of texts, at their smallest."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")
deep = pytest.importorskip("benchmarks.paper.deep", reason="benchmarks are not in the sdist")

from benchmarks.paper import kept  # noqa: E402

import softunlearn as su  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tiny_experiments_run_and_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kept, "OUT", tmp_path)
    deep.main(["--size", "tiny", "--only", "language", "images"])
    said = capsys.readouterr().out
    assert said.count("Soft weights") == 3
    for name in ("language ga_ft", "robustness", "fairness"):
        path = tmp_path / f"deep/tiny/{name}/seed 0.json"
        result = json.loads(path.read_text())["result"]
        assert result["where"]["cores"] >= 1
        assert {"before", "hard", "soft"} <= set(result["figures"])
        assert deep.PARTS  # the default experiments of the paper know none of these
    began = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    deep.main(["--size", "tiny", "--only", "language", "images"])
    assert capsys.readouterr().out == said
    assert began == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}


@pytest.mark.parametrize(
    ("hard", "soft", "said"),
    [
        ((0.8, 0.2), (0.8, 0.1), "do better on the target, and no worse"),
        ((0.8, 0.2), (0.7, 0.1), "do better on the target and pay for it"),
        ((0.8, 0.2), (0.9, 0.3), "stopped at a higher target"),
        ((0.8, 0.2), (0.7, 0.3), "do no better here"),
    ],
)
def test_the_verdict_is_that_of_the_figures(hard, soft, said):
    figures = {
        name: dict(zip(("accuracy", "target"), values, strict=True))
        for name, values in (("before", (0.8, 0.4)), ("hard", hard), ("soft", soft))
    }
    assert said in deep.verdict(figures)


def test_means_over_seeds_are_of_pairs():
    each = [
        {"before": {"target": 0.5}, "hard": {"target": h}, "soft": {"target": h - 0.1}}
        for h in (0.2, 0.4, 0.6)
    ]
    said = deep.over_seeds("deep/small/x", each)
    assert "| hard | 0.4000 ± 0.2000 |" in said
    assert "| soft | 0.3000 ± 0.2000 |" in said
    # the difference is the same for every seed, so its interval has no width
    assert "Soft less hard, target: -0.1000 (95 %: -0.1000 to -0.1000)" in said


def made_up_texts(name, n_rows):
    """Texts whose label goes with a word that one group uses more."""
    rng, parts = np.random.default_rng(0), []
    for n in (300, 200, 200):
        g = rng.integers(0, 2, size=n)
        y = (rng.random(n) < np.where(g == 1, 0.7, 0.3)).astype(int)
        said, other = np.where(y == 1, "bad", "good"), np.where(g == 1, "film", "book")
        texts = [
            f"the {b} is {a if rng.random() < 0.8 else 'fine'}"
            for a, b in zip(said, other, strict=True)
        ]
        parts.append(su.Rows(texts, y, g))
    return su.datasets.Splits(*parts)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_example_goes_from_text_to_a_saved_model(tmp_path, monkeypatch, capsys):
    import toxicity_text

    monkeypatch.setattr(toxicity_text, "texts_of", made_up_texts)
    monkeypatch.setattr(toxicity_text, "find_spec", lambda name: None)
    monkeypatch.setattr(
        sys, "argv", ["toxicity_text", "--out", str(tmp_path), "--data", "toxicity"]
    )
    toxicity_text.main()
    said = capsys.readouterr().out
    assert "is not installed: a tiny encoder with random weights stands in" in said
    assert "CORRECTED" in said
    assert "logits differ by at most 0.0e+00; changed: classifier.bias, classifier.weight" in said
    assert (tmp_path / "toxicity" / "model" / "model.safetensors").is_file()
    assert (tmp_path / "frontiers.svg").stat().st_size > 1000
