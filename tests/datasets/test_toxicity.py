import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from softunlearn import datasets

pytestmark = pytest.mark.data


@pytest.mark.parametrize(("name", "rows"), [("toxicity", 24_783), ("toxicity_comments", 12_180)])
def test_rows_are_unit_embeddings(name, rows):
    splits = datasets.load(name)
    assert sum(map(len, splits)) == rows
    assert splits.train.X.shape[1] == 384
    # half precision keeps about three digits
    assert np.linalg.norm(splits.test.X, axis=1) == pytest.approx(1, abs=1e-3)


def test_readable_form_is_the_text():
    raw = datasets.load("toxicity", encoded=False)
    assert raw.test.feature_names == ("text",)
    assert raw.test.X["text"].str.len().min() > 0
    assert (raw.test.y == datasets.load("toxicity").test.y).all()


def test_classifier_of_tweets_has_the_known_accuracy_and_gap():
    train, _, test = datasets.load("toxicity", protocol="paper")
    model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    toxic = model.predict_proba(test.X)[:, 1]
    gap = toxic[test.g == "African-American"].mean() - toxic[test.g == "Other"].mean()
    # known to the digits given; texts and embeddings in different order would give 0.83 and 0
    assert model.score(test.X, test.y) == pytest.approx(0.929, abs=1e-3)
    assert gap == pytest.approx(0.26, abs=5e-3)
