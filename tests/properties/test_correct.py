"""The whole path on data with oddities: a right answer or a clear error, and its symmetries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import softunlearn as su

from .cases import USUAL, Case, cases, outcome

seeds = st.integers(0, 2**32 - 1)
MILD = frozenset({"not trained", "repeated rows", "weighted", "balanced", "no intercept"})
"""Oddities under which the Hessian is well conditioned, so that sums in another order agree."""

mild = st.frozensets(st.sampled_from(sorted(MILD)), max_size=3)
plain = st.fixed_dictionaries(
    {
        "metric": st.sampled_from(["demographic_parity", "adversarial_loss"]),
        "insist": st.just(True),
        "select": st.just("full"),
    }
)


@pytest.mark.slow
@USUAL
@given(cases())
def test_an_answer_is_finite_and_true_or_a_clear_error_says_why_there_is_none(case: Case):
    outcome(case)


def assert_same(one: su.Correction | None, other: su.Correction | None, **tolerance):
    """Fail where two corrections did not start alike and find influences alike."""
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    for a, b in zip(one.frontier[0].metrics, other.frontier[0].metrics, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(one.frontier[0].log_loss, other.frontier[0].log_loss, rtol=1e-9)
    np.testing.assert_allclose(one.frontier[0].accuracy, other.frontier[0].accuracy, rtol=1e-12)


@pytest.mark.slow
@USUAL
@given(cases(options=plain, odd=mild, scales=st.just(1.0)), seeds)
def test_neither_names_of_groups_nor_the_order_of_rows_matter(case: Case, seed: int):
    rng = np.random.default_rng(seed)
    n, m = len(case.y), len(case.yv)
    rows, rows_v = rng.permutation(n), rng.permutation(m)
    names = rng.permutation([f"group {i}" for i in range(case.g.max() + 1)])
    weight = None if case.weight is None else case.weight[rows]
    other = case.but(
        X=case.X[rows],
        y=case.y[rows],
        weight=weight,
        Xv=case.Xv[rows_v],
        yv=case.yv[rows_v],
        g=names[case.g][rows_v],
    )
    one, two = outcome(case), outcome(other)
    assert_same(one, two)
    if one is None or two is None:
        return
    assert_close(one.influence.targets[rows], two.influence.targets)
    assert_close(one.influence.utility[rows], two.influence.utility)
    assert_same_way(one, two)


@pytest.mark.slow
@USUAL
@given(cases(options=plain, odd=mild, scales=st.just(1.0), groups=st.just(2)))
def test_swapping_the_attribute_changes_nothing(case: Case):
    one, two = outcome(case), outcome(case.but(g=1 - case.g))
    assert_same(one, two)
    if one is not None and two is not None:
        assert_close(one.influence.targets, two.influence.targets)
        assert_same_way(one, two)


@pytest.mark.slow
@USUAL
@given(
    cases(options=plain, odd=mild.map(lambda odd: odd | {"no penalty"}), scales=st.just(1.0)),
    st.integers(-300, 300),
)
def test_the_unit_of_a_feature_does_not_matter(case: Case, power: int):
    """Where there is no penalty; by a power of two, so that nothing is rounded."""
    unit = 2.0**power
    model = case.but().model
    scaled = type(model)(**model.get_params())
    scaled.__dict__.update(model.__dict__)
    scaled.coef_ = model.coef_ / unit
    one, two = outcome(case), outcome(case.but(model=scaled, X=case.X * unit, Xv=case.Xv * unit))
    assert_same(one, two)
    if one is not None and two is not None and well_conditioned(one):
        assert_close(one.influence.utility, two.influence.utility)
        if case.options["metric"] == "demographic_parity":
            assert_close(one.influence.targets, two.influence.targets)
            assert_same_way(one, two)


@pytest.mark.slow
@USUAL
@given(cases(options=plain, odd=mild, scales=st.just(1.0)))
def test_rows_given_twice_are_rows_of_weight_two(case: Case):
    weight = np.ones(len(case.y)) if case.weight is None else case.weight
    twice = case.but(X=np.tile(case.X, (2, 1)), y=np.tile(case.y, 2), weight=np.tile(weight, 2))
    one, two = outcome(case.but(weight=2 * weight)), outcome(twice)
    assert_same(one, two)
    if one is not None and two is not None:
        n = len(case.y)
        # a row of weight two removed is both of its copies removed
        assert_close(one.influence.targets, two.influence.targets[:n] + two.influence.targets[n:])
        assert_same_way(one, two)


def well_conditioned(correction: su.Correction) -> bool:
    """Return whether what is solved is told apart from rounding."""
    return correction.session.scores.damping == 0 and correction.conditions.condition < 1e8


def assert_close(one: np.ndarray, other: np.ndarray):
    """Fail where two vectors differ by more than rounding, relative to their largest entry."""
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(one).max() + 1e-300)


def assert_same_way(one: su.Correction, two: su.Correction):
    """Fail where two corrections take other ways."""
    for a, b in zip(one.frontier, two.frontier, strict=True):
        np.testing.assert_allclose(a.metric, b.metric, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(a.log_loss, b.log_loss, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("weight", "said"),
    [(1e300, r"is 1e\+300, and at most 1e\+100"), (np.nan, "is nan, and at most")],
)
def test_a_model_whose_weights_cannot_be_squared_is_refused(weight, said):
    X, y = np.array([[-1.0], [1.0], [2.0], [-2.0]]), np.array([0, 1, 0, 1])
    model = LogisticRegression().fit(X, y)
    model.coef_[:] = weight
    with pytest.raises(su.ModelError, match=said):
        su.correct(model, train=(X, y), validation=(X, y, y))


def test_where_a_group_has_no_row_to_compare_the_rows_are_said_to_be_wrong():
    X, y = np.array([[-1.0], [1.0], [2.0], [-2.0]]), np.array([0, 1, 1, 0])
    model = LogisticRegression().fit(X, y)
    with pytest.raises(su.InputError, match="for class number 1, group number 0"):
        su.correct(model, train=(X, y), validation=(X, y, y), metric="equal_opportunity")


def test_where_no_boundary_is_in_reach_an_attack_without_a_budget_says_so():
    X, y = np.zeros((4, 1)), np.array([0, 1, 1, 0])
    model = LogisticRegression().fit(X, y)
    with pytest.raises(su.InputError, match="sets no budget; give `epsilon`"):
        su.correct(model, train=(X, y), validation=(X, y), metric="adaptive_loss")
