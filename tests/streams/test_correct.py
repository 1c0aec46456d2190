"""A correction of rows that are read in chunks, against the same of rows in memory."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import softunlearn as su
from softunlearn.curvature import ConjugateGradients
from softunlearn.paths import Relinearised
from softunlearn.streams.streamed import StreamedRows

SMALL = 20_000
"""Bytes of a chunk: some tens of chunks, so that borders fall inside of files and row groups."""


def features(n_columns):
    return [f"x{j}" for j in range(n_columns)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Training rows in two files, and validation and test rows, of three classes."""
    rng, n = np.random.default_rng(0), 9000
    X = rng.normal(size=(n, 5))
    g = rng.integers(2, size=n)
    X[:, 0] += 0.8 * g
    towards = [[0.8, -0.6, 0.0], [0.3, 0.1, -0.5], [0.0, 0.9, 0.2], [0.6, -0.4, 0.1], [0.0] * 3]
    z = X @ towards + rng.gumbel(size=(n, 3))
    frame = pd.DataFrame(X, columns=features(5))
    frame["three"], frame["two"] = z.argmax(axis=1), z[:, 0] > z[:, 1]
    frame["words"] = np.array(["no", "yes"])[frame.two.to_numpy().astype(int)]
    frame["w"], frame["g"] = rng.uniform(0.5, 2.0, size=n), g
    folder = tmp_path_factory.mktemp("rows")
    frame.iloc[:2503].to_parquet(folder / "0.parquet", row_group_size=600)
    frame.iloc[2503:6000].to_parquet(folder / "1.parquet")
    return frame, folder


def corrected(data, model, label, *, weight=None, streamed, chunk_bytes=SMALL, **options):
    frame, folder = data
    own = {"label": label, "features": features(5), "weight": weight}
    if streamed:
        train = su.Rows.from_parquet(folder, **own, chunk_bytes=chunk_bytes)
    else:
        part = frame.iloc[:6000]
        train = su.Rows(
            part[features(5)].to_numpy(),
            part[label],
            weight=None if weight is None else part[weight].to_numpy(),
        )
    some = [frame.iloc[s] for s in (slice(6000, 7500), slice(7500, 9000))]
    validation, test = ((p[features(5)].to_numpy(), p[label], p.g) for p in some)
    return su.correct(model, train=train, validation=validation, test=test, **options)


def logistic(data, label, *, weight=None, **options):
    frame = data[0].iloc[:6000]
    model = LogisticRegression(tol=1e-8, max_iter=2000, **options)
    return model.fit(
        frame[features(5)].to_numpy(), frame[label], sample_weight=weight and frame[weight]
    )


CASES = {
    "two classes": ("two", {}),
    "words": ("words", {}),
    "no intercept": ("two", {"fit_intercept": False}),
    "weights": ("two", {"weight": "w"}),
    "balanced": ("two", {"class_weight": "balanced", "weight": "w"}),
    "classes weighted": ("words", {"class_weight": {"yes": 2.0}}),
    "three classes": ("three", {}),
    "three, no intercept": ("three", {"fit_intercept": False, "weight": "w"}),
}


@pytest.mark.parametrize("path", [Relinearised(refresh=None), Relinearised("weights"), "straight"])
@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_rows_in_memory(case, path, data):
    label, options = CASES[case]
    model = logistic(data, label, **options)
    weight = options.get("weight")
    one, other = (
        corrected(
            data,
            model,
            label,
            weight=weight,
            streamed=streamed,
            path=path,
            select="full",
        )
        for streamed in (False, True)
    )
    assert other.status is one.status is su.Status.CORRECTED
    assert [p.step for p in other.frontier] == [p.step for p in one.frontier]
    for mine, theirs in zip(other.frontier, one.frontier, strict=True):
        np.testing.assert_allclose(mine.head.theta, theirs.head.theta, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(mine.predicted, theirs.predicted, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(other.influence.target, one.influence.target, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.influence.leverage, one.influence.leverage, rtol=1e-9)
    np.testing.assert_allclose(other.stationarity, one.stationarity, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(other.drift, one.drift, rtol=1e-6, atol=1e-12)
    assert other.conditions.rank == one.conditions.rank
    assert other.after.test.log_loss == pytest.approx(one.after.test.log_loss, rel=1e-9)
    assert other.before.train.log_loss == pytest.approx(one.before.train.log_loss, rel=1e-12)
    assert other.before.train.gaps == {}
    assert other.message.startswith(one.reason)


@pytest.mark.parametrize("chunk_bytes", [1, 10_000, 2**24])
def test_the_size_of_a_chunk_does_not_matter(chunk_bytes, data):
    model = logistic(data, "two")
    one = corrected(data, model, "two", streamed=True)
    other = corrected(data, model, "two", streamed=True, chunk_bytes=chunk_bytes)
    np.testing.assert_allclose(other.model.coef_, one.model.coef_, rtol=1e-11)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-8, atol=1e-12)


@pytest.fixture
def passes(monkeypatch):
    """How often the rows are read."""
    begun = []
    parts = StreamedRows._parts

    def counted(rows):
        begun.append(rows)
        return parts(rows)

    monkeypatch.setattr(StreamedRows, "_parts", counted)
    return begun


@pytest.mark.parametrize(("path", "for_weights"), [(None, 2), ("straight", 1)])
def test_one_pass_corrects_and_weights_take_their_own(path, for_weights, data, passes):
    c = corrected(data, logistic(data, "two"), "two", streamed=True, path=path)
    assert c.status is su.Status.CORRECTED
    assert len(c.frontier) > 10
    assert all(map(bool, (c.message, c.after.test, c.change.test)))
    assert abs(c.drift) < 1e-3
    assert len(passes) == 1
    assert len(c.weights) == 6000
    assert len(passes) == 1 + for_weights


@pytest.mark.parametrize("path", ["relinearised", "straight"])
@pytest.mark.parametrize("streamed", [False, True])
def test_weights_are_written_as_they_are_computed(path, streamed, data, tmp_path):
    c = corrected(data, logistic(data, "two"), "two", streamed=streamed, path=path)
    file = tmp_path / "weights.parquet"
    c.weights_to_parquet(file)
    written = pd.read_parquet(file)
    np.testing.assert_array_equal(written.row, np.arange(6000))
    np.testing.assert_array_equal(written.eps, c.weights)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.parquet"]


def test_weights_of_other_schemes_are_written_too(data, tmp_path):
    c = corrected(data, logistic(data, "two"), "two", streamed=False, scheme="hard")
    c.weights_to_parquet(tmp_path / "weights.parquet")
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "weights.parquet").eps, c.weights)


def test_a_failure_while_writing_leaves_what_was_there(data, tmp_path, monkeypatch):
    c = corrected(data, logistic(data, "two"), "two", streamed=True, path="straight")
    file = tmp_path / "weights.parquet"
    file.write_text("before")

    def failing(rows):
        yield from ()
        raise su.FileError("the disk is gone")

    monkeypatch.setattr(StreamedRows, "_parts", failing)
    with pytest.raises(su.FileError, match="the disk is gone"):
        c.weights_to_parquet(file)
    assert file.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
    for wrong in (tmp_path, tmp_path / "gone" / "weights.parquet"):
        with pytest.raises(su.FileError, match="cannot be written"):
            c.weights_to_parquet(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "hard"},
        {"scheme": "bounded"},
        {"algorithm": "fisher"},
        {"algorithm": "ntk"},
        {"metric": ["demographic_parity", "equal_opportunity"]},
        {"metric": ["demographic_parity", "equal_opportunity"], "path": "straight"},
        {"hold": "adversarial_loss", "path": "straight"},
        {"scheme": su.weights.ClosedForm(lam=1.0)},
    ],
    ids=str,
)
def test_what_needs_every_rows_weight_works_too(options, data):
    model = logistic(data, "two")
    soft = set(options) == {"metric"}
    same = {"path": Relinearised(refresh=None) if soft else su.paths.Straight((0.5, 1.0))}
    one, other = (
        corrected(data, model, "two", streamed=streamed, **{**same, **options})
        for streamed in (False, True)
    )
    assert other.status is one.status
    np.testing.assert_allclose(other.model.coef_, one.model.coef_, rtol=1e-8)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-7, atol=1e-9)


def test_influence_scores_are_those_of_rows_in_memory(data):
    frame, folder = data
    model = logistic(data, "two")
    part = frame.iloc[6000:]
    target = su.Target(su.metrics.LogLoss(), (part[features(5)].to_numpy(), part.two))
    train = frame.iloc[:6000]
    rows = su.Rows.from_parquet(folder, label="two", features=features(5), chunk_bytes=SMALL)
    one = su.influence_scores(
        model, (train[features(5)].to_numpy(), train.two), target, leverage=True
    )
    np.testing.assert_allclose(
        su.influence_scores(model, rows, target, leverage=True), one, rtol=1e-9, atol=1e-12
    )


def test_a_pipeline_on_words_transforms_chunk_by_chunk(census, tmp_path):
    data = su.datasets.load("census", n_rows=3000, encoded=False)
    words = [c for c in data.train.X if not pd.api.types.is_numeric_dtype(data.train.X[c])]
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), words),
            remainder=make_pipeline(SimpleImputer(), StandardScaler()),
        ),
        LogisticRegression(max_iter=2000),
    ).fit(data.train.X, data.train.y)
    data.train.X.assign(label=np.asarray(data.train.y)).to_parquet(tmp_path / "train.parquet")
    train = su.Rows.from_parquet(tmp_path, label="label", chunk_bytes=30_000)
    rows = {"validation": data.validation, "test": data.test, "path": Relinearised(refresh=None)}
    one, other = (su.correct(model, train=t, **rows) for t in (data.train, train))
    np.testing.assert_allclose(other.model[-1].coef_, one.model[-1].coef_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-6, atol=1e-9)


def test_a_model_that_knows_its_columns_takes_them_by_name(data):
    frame, folder = data
    model = LogisticRegression(max_iter=1000).fit(frame[features(5)], frame.two)
    part = frame.iloc[6000:]
    rows = su.Rows.from_parquet(folder, label="two", features=features(5))
    validation = part[features(5)], part.two, part.g
    c = su.correct(model, train=rows, validation=validation)
    assert c.status is su.Status.CORRECTED
    turned = su.Rows.from_parquet(folder, label="two", features=features(5)[::-1])
    with pytest.raises(su.InputError, match="`train`: the model cannot take these rows"):
        su.correct(model, train=turned, validation=validation)


def test_a_torch_module_takes_rows_chunk_by_chunk(data):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    one, other = (
        corrected(
            data,
            module.double(),
            "three",
            streamed=streamed,
            path="straight",
            insist=True,
            select="full",
        )
        for streamed in (False, True)
    )
    for mine, theirs in zip(other.model.parameters(), one.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


def test_validation_rows_from_files_are_read_into_memory(data, tmp_path):
    frame, folder = data
    frame.iloc[6000:].to_parquet(tmp_path / "validation.parquet")
    columns = {"label": "two", "features": features(5)}
    c = su.correct(
        logistic(data, "two"),
        train=su.Rows.from_parquet(folder, **columns),
        validation=su.Rows.from_parquet(tmp_path, **columns, sensitive="g"),
    )
    assert c.status is su.Status.CORRECTED
    assert c.before.validation.rows == 3000


def bad(folder, tmp_path, change):
    """The first file as it is, and the second with something wrong."""
    pd.read_parquet(folder / "0.parquet").to_parquet(tmp_path / "0.parquet")
    frame = pd.read_parquet(folder / "1.parquet")
    change(frame)
    frame.to_parquet(tmp_path / "1.parquet")
    return tmp_path


def set_at(column, value):
    def change(frame):
        frame.loc[frame.index[3000], column] = value

    return change


@pytest.mark.parametrize(
    ("label", "column", "value", "message"),
    [
        ("three", "three", 7, r"1.parquet: `train`: 1 labels are unknown .* is 7 in row 3000; "),
        ("two", "x2", np.nan, r"1.parquet: `train`: feature 2 is missing \(NaN\) in row 3000,"),
        ("two", "x2", np.inf, r"1.parquet: `train`: feature 2 is infinite in row 3000,"),
        ("words", "words", None, r"1.parquet: column 'words' has 1 missing .* in row 3000;"),
        ("two", "w", -1.0, r"1.parquet: `train`: weight must be finite, at least 0"),
    ],
)
def test_bad_rows_are_named_with_file_and_row(label, column, value, message, data, tmp_path):
    frame, folder = data
    model = logistic(data, label)
    there = frame, bad(folder, tmp_path, set_at(column, value))
    with pytest.raises(su.InputError, match=message) as caught:
        corrected(there, model, label, streamed=True, weight="w")
    assert "\n" not in str(caught.value)


def test_a_bad_row_at_the_beginning_is_named_too(data, tmp_path):
    frame, folder = data
    first = pd.read_parquet(folder / "0.parquet")
    first.loc[first.index[2], "three"] = 7
    first.to_parquet(tmp_path / "0.parquet")
    there = frame, tmp_path
    with pytest.raises(su.InputError, match=r"0\.parquet: `train`: 1 labels .* is 7 in row 2;"):
        corrected(there, logistic(data, "three"), "three", streamed=True)


def test_a_pass_says_how_far_it_has_come(data):
    told = []

    def progress(what, part):
        if what == "reading training rows":
            told.append(part)

    corrected(data, logistic(data, "two"), "two", streamed=True, progress=progress)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_words_in_a_model_without_an_encoder_are_refused(data):
    frame, folder = data
    columns = [*features(4), "words"]
    rows = su.Rows.from_parquet(folder, label="two", features=columns)
    part = frame.iloc[6000:]
    validation = part[features(5)].to_numpy(), part.two, part.g
    with pytest.raises(su.InputError, match="`train`: the model cannot take these rows"):
        su.correct(logistic(data, "two"), train=rows, validation=validation)


def test_what_takes_rows_in_random_order_is_refused(data):
    model = logistic(data, "two")
    with pytest.raises(ValueError, match="Scrub takes training rows in random order"):
        corrected(data, model, "two", streamed=True, algorithm="scrub")
    frame, folder = data
    part = frame.iloc[6000:]
    target = su.Target(su.metrics.LogLoss(), (part[features(5)].to_numpy(), part.two))
    rows = su.Rows.from_parquet(folder, label="two", features=features(5))
    with pytest.raises(su.InputError, match="read in chunks, and `X` is never held whole"):
        rows.with_features(frame)
    with pytest.raises(su.InputError, match="read in chunks, and `X` is never held whole"):
        su.leave_one_out(model, rows, target, rows=[0])


def test_a_report_and_a_folder_can_be_had(data, tmp_path):
    """They need every row's influence, which is computed for them."""
    from softunlearn.report import summarise

    model = logistic(data, "two")
    one, other = (
        corrected(data, model, "two", streamed=streamed, path="straight")
        for streamed in (False, True)
    )
    expected, found = summarise(one), summarise(other)
    assert found["data"]["rows"] == expected["data"]["rows"]
    for mine, theirs in zip(
        found["rows"]["most_harmful"], expected["rows"]["most_harmful"], strict=True
    ):
        assert (mine["row"], mine["label"]) == (theirs["row"], theirs["label"])
        assert mine["values"] == theirs["values"]
    other.save(tmp_path / "corrected")
    saved = su.load(tmp_path / "corrected")
    np.testing.assert_allclose(saved.weights.eps, one.weights, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("weight", [None, "w"])
def test_conjugate_gradients_read_the_rows_for_every_product(data, weight):
    """A head too wide for a dense H is corrected all the same."""
    model = logistic(data, "three", weight=weight)
    solver = ConjugateGradients(tolerance=1e-9)
    found, exact = (
        corrected(data, model, "three", weight=weight, streamed=True, curvature=how, insist=True)
        for how in (solver, None)
    )
    assert found.influence.solver == "conjugate gradients"
    assert [p.step for p in found.frontier] == [p.step for p in exact.frontier]
    theta, expected = found.frontier[-1].head.theta, exact.frontier[-1].head.theta
    np.testing.assert_allclose(theta, expected, rtol=1e-5, atol=1e-6)
