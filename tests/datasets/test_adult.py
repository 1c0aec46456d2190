import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from softunlearn import datasets


def test_incomplete_rows_remark_and_dots_are_dropped(local_adult):
    raw = datasets.load("adult", encoded=False)
    assert [len(rows) for rows in raw] == [12, 6, 6]
    assert set(raw.test.y) == set(raw.train.y) == {"<=50K", ">50K"}
    assert "fnlwgt" not in raw.train.X
    assert raw.train.X["age"].tolist() == list(range(30, 42))
    for rows in raw[1:]:  # three rows of each label and sex were there, to be cut in halves
        kinds = np.unique([f"{y} {g}" for y, g in zip(rows.y, rows.g, strict=True)])
        assert len(kinds) == 4


def test_encoding_keeps_one_column_for_sex(local_adult):
    train = datasets.load("adult").train
    sex = train.X[:, train.feature_names.index("sex=Male")]
    assert (sex[train.g == "Male"] > 0).all()
    assert (sex[train.g == "Female"] < 0).all()
    assert "sex=Female" not in train.feature_names


@pytest.mark.data
def test_rows_are_those_of_uci():
    splits = datasets.load("adult")
    assert [len(rows) for rows in splits] == [30_162, 7_530, 7_530]
    assert splits.train.X.shape[1] == 102
    # adult.names: 24.78 % of the rows without unknowns earn over 50K
    over_50k = sum(rows.y.sum() for rows in splits) / 45_222
    assert over_50k == pytest.approx(0.2478, abs=5e-5)


@pytest.mark.data
@pytest.mark.parametrize(
    ("fit_intercept", "accuracy", "gap"), [(True, 0.8491, 0.2037), (False, 0.8263, 0.2024)]
)
def test_published_protocol_gives_known_figures(fit_intercept, accuracy, gap):
    train, _, test = datasets.load("adult", protocol="paper")
    model = LogisticRegression(
        C=1 / 2.2622, tol=1e-8, max_iter=3000, fit_intercept=fit_intercept
    ).fit(train.X, train.y)
    over_50k = model.predict_proba(test.X)[:, 1]
    found = over_50k[test.g == "Male"].mean() - over_50k[test.g == "Female"].mean()
    # the figures are known to four digits
    assert model.score(test.X, test.y) == pytest.approx(accuracy, abs=5e-5)
    assert found == pytest.approx(gap, abs=5e-5)
