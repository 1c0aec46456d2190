"""The models and rows of the experiments, under either protocol.

`clean`: heads with an intercept where the model is a logistic regression; everything is chosen on
validation rows, every figure is of test rows. `paper`: as published, flaws included: no intercept,
one split whatever the seed, figures of the very rows that influence was computed on.

Under `clean` a seed is another split of 60/20/20; Adult's training rows are official, and its
other rows are halved anew. CelebA's official split has no seed: seed s takes every fifth row of
each part, beginning with row s, so that five seeds are five samples without a common row.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from benchmarks.paper.kept import ROOT
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.aims import on_head
from softunlearn.attacks import Boundary
from softunlearn.curvature import Cholesky
from softunlearn.influence import leverage
from softunlearn.models import adapt

sys.path.insert(0, str(ROOT / "examples"))

DATA = ("adult", "bank", "celeba", "toxicity")
EXTREMES = "bank_age_extremes"
"""Bank with groups that differ, under 25 or over 60 against the rest; over 36 or not do not."""

L2 = {"adult": 2.2622, "bank": 1.1622, EXTREMES: 1.1622, "celeba": 15.1622, "toxicity": 5.1622}
"""The published penalties, 1/C."""

EXTRACTOR_PART = {"celeba": 0.2}
"""Part of the training rows that the network's extractor is trained on; 1 % elsewhere."""

CELEBA_PARTS = 5

MODELS = tuple(
    {"data": data, "model": model} for data in (*DATA, EXTREMES) for model in ("lr", "nn")
)
"""Every data set with either kind of model: settings of seed 0 under `clean`."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A model with its training rows, and the rows to choose and to measure on."""

    model: Any
    train: su.Rows
    validation: su.Rows
    test: su.Rows


@dataclass(frozen=True)
class Setting:
    """A data set, a kind of model, a seed and a protocol.

    Parameters
    ----------
    data : str
    model : "lr" or "nn"
        Logistic regression, or the last layer of the paper's network.
    seed : int, default=0
    protocol : "clean" or "paper", default="clean"
    whole : bool, default=False
        Whether CelebA's parts are whole, whatever the seed.
    """

    data: str
    model: str
    seed: int = 0
    protocol: str = "clean"
    whole: bool = False

    def rows(self) -> su.datasets.Splits:
        """Return the data set's three parts."""
        splits = su.datasets.load(self.data, protocol=self.protocol, seed=self.seed)
        if self.data != "celeba" or self.whole or self.protocol == "paper":
            return splits
        return type(splits)(*(_every(part, CELEBA_PARTS, self.seed) for part in splits))

    def trained(self) -> Trained:
        """Return the model on its rows. Under `paper`, test rows are the validation rows."""
        splits = self.rows()
        test = splits.validation if self.protocol == "paper" else splits.test
        if self.model == "lr":
            intercept = self.protocol == "clean"
            fitted = _fitted(splits.train, C=1 / L2[self.data], fit_intercept=intercept)
            return Trained(fitted, splits.train, splits.validation, test)
        return self._last_layer(splits.train, splits.validation, test)

    def _last_layer(self, train: su.Rows, validation: su.Rows, test: su.Rows) -> Trained:
        """Return the network's last layer as a model of its own, on the features that enter it."""
        from paper_network import L2, split, train_network  # needs torch

        part = EXTRACTOR_PART.get(self.data, 0.01)
        network = su.models.TorchModule(train_network(train, part=part, seed=self.seed), l2=L2)
        _, others = split(train, part=part, seed=self.seed)

        def features(rows: su.Rows) -> su.Rows:
            return replace(rows, X=network.features(np.asarray(rows.X)), feature_names=None)

        on_features = features(others)
        fitted = _fitted(on_features, C=1 / L2, fit_intercept=False)
        return Trained(fitted, on_features, features(validation), features(test))


def _fitted(rows: su.Rows, **options: Any) -> LogisticRegression:
    return LogisticRegression(solver="newton-cholesky", tol=1e-8, **options).fit(rows.X, rows.y)


def targets_of(trained: Trained) -> dict[str, su.Target]:
    """Return the paper's metrics on test rows, attacked once against the original model."""
    test = trained.test
    X = np.asarray(test.X)
    head = adapt(trained.model, X).head(len(trained.train))
    attacked = test.with_features(Boundary().perturb(head, X))
    return {
        "utility": su.Target(su.metrics.LogLoss(), test),
        "robustness": su.Target(su.metrics.LogLoss(), attacked),
        "fairness": su.Target(su.metrics.DemographicParity(), test),
        "equal opportunity": su.Target(su.metrics.EqualOpportunity(), test),
    }


def leverages(trained: Trained) -> np.ndarray:
    """Return every training row's leverage."""
    objective, _ = on_head(trained.model, trained.train, list(targets_of(trained).values()))
    h = leverage(objective, Cholesky().factor(objective))
    assert h is not None  # H is held whole
    return h


def _every(rows: su.Rows, step: int, first: int) -> su.Rows:
    part = slice(first % step, None, step)
    return replace(rows, X=np.asarray(rows.X)[part], y=rows.y[part], g=np.asarray(rows.g)[part])
