"""What the report's tests share: small rows, corrections of them, and a page taken apart."""

from html.parser import HTMLParser

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import softunlearn as su

HOSTILE = "<script>alert(1)</script>"
LOADS = '<img src=x onerror="document.title=1">'

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """What a test asks of a page: its tags with their attributes, its text, its balance."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.problems: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def make(n=240, d=3, classes=2, seed=0):
    """Rows whose first feature depends on the group: a gap that can be corrected."""
    rng = np.random.default_rng(seed)
    g = rng.choice(["a", "b"], size=n)
    X = rng.normal(size=(n, d))
    X[:, 0] += 1.5 * (g == "a")
    z = X[:, 0] + 0.8 * X[:, 1] - 0.7 + rng.logistic(size=n)
    y = np.digitize(z, np.quantile(z, np.linspace(0, 1, classes + 1)[1:-1]))
    return X, y, g


def parts(X, y, g):
    """Half to train on, a quarter to validate, a quarter to test."""
    n = len(y)
    names = ("train", "validation", "test")
    slices = (slice(0, n // 2), slice(n // 2, 3 * n // 4), slice(3 * n // 4, n))
    return {name: (X[s], y[s], g[s]) for name, s in zip(names, slices, strict=True)}


def fit(X, y, *steps):
    model = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000)
    return (make_pipeline(*steps, model) if steps else model).fit(X, y)


def correction(rows, *, model=None, **options):
    model = model or fit(*rows["train"][:2])
    return su.correct(model, **rows, **options)
