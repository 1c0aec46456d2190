"""The rules by which sensitive columns become groups."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from softunlearn.exceptions import InputError
from softunlearn.models.groups import MIN_ROWS, OTHERS, group_of_row, read_groups


class Frame:
    """The least that a dataframe has."""

    def __init__(self, g):
        self.g, self.columns = g, list(g)

    def __getitem__(self, name):
        return self.g[name]


def columns(**counts):
    """Return two columns with so many rows of each combination, named by two letters."""
    rows = [tuple(cell) for cell, n in counts.items() for _ in range(n)]
    return {"first": [a for a, _ in rows], "second": [b for _, b in rows]}


def sizes(groups, g):
    codes = groups.codes(g)
    return {groups.names[code]: int(n) for code, n in enumerate(np.bincount(codes)) if n}


class TestOneColumn:
    def test_every_value_is_a_group_in_sorted_order_however_rare(self):
        groups = read_groups(["b", "a", "b"])
        assert groups.names == ("a", "b")
        assert groups.columns == ("0",)
        assert groups.pooled == ()
        assert groups.codes(np.array(["b", "a"])).tolist() == [1, 0]

    def test_values_of_other_sets_are_groups_too(self):
        groups = read_groups(["a", "b"], ["c"], pooled_by=["a", "b"])
        assert groups.names == ("a", "b", "c")

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ([1, 0], [1.0, 0.0]),
            ([1, 0], np.array([1.0, 0.0], dtype=np.float32)),
            ([True, False], [1, 0]),
            ([1.0, 0.0], [True, False]),
            (np.array([True, False]), np.array([1, 0], dtype=np.int8)),
            (["1", "0"], [1.0, 0.0]),
            (np.array(["a", "b"]), [np.str_("a"), "b"]),
            ([1, "a"], np.array([1.0, "a"], dtype=object)),
            (pd.Series([1, 0], dtype="Int64"), pd.Series([1.0, 0.0])),
            (torch.tensor([1, 0]), pd.Series([True, False], dtype="category")),
        ],
        ids=repr,
    )
    def test_equal_values_of_different_types_are_one_group(self, one, other):
        for sets in ((one, other), (other, one)):
            groups = read_groups(*sets)
            assert len(groups.names) == 2
            assert groups.codes(one).tolist() == groups.codes(other).tolist()
        assert read_groups(one).codes(other).tolist() == read_groups(other).codes(one).tolist()

    def test_names_are_the_values_own(self):
        assert read_groups([True, False]).names == ("False", "True")
        assert read_groups([True, False], [1, 0]).names == ("0", "1")
        assert read_groups([2.0, 0.5]).names == ("0.5", "2")

    def test_an_unknown_group_is_refused(self):
        with pytest.raises(InputError, match="1 groups are unknown, the first is 'c' in row 1"):
            read_groups(["a", "b"]).codes(["a", "c"])

    def test_a_series_gives_its_name_and_place_decides(self):
        groups = read_groups(pd.Series(["a", "b"], name="sex"))
        assert groups.columns == ("sex",)
        assert groups.of("sex").names == groups.names
        assert groups.codes(pd.Series(["b"], name="gender")).tolist() == [1]
        assert groups.codes(pd.DataFrame({"sex": ["b"]})).tolist() == [1]


class TestSeveralColumns:
    def test_combinations_of_enough_rows_are_groups(self):
        g = columns(ax=MIN_ROWS, ay=MIN_ROWS, bx=MIN_ROWS + 5)
        groups = read_groups(g)
        assert groups.names == ("a & x", "a & y", "b & x")
        assert groups.values == (("a", "b"), ("x", "y"))
        assert sizes(groups, g) == {"a & x": 30, "a & y": 30, "b & x": 35}

    def test_rare_ones_are_pooled(self):
        g = columns(ax=40, ay=29, bx=50, by=1)
        groups = read_groups(g)
        assert groups.names == ("a & x", "b & x", OTHERS)
        assert groups.pooled == ("a & y", "b & y")
        assert sizes(groups, g) == {"a & x": 40, "b & x": 50, OTHERS: 30}

    def test_the_smallest_joins_rare_ones_that_are_too_few(self):
        g = columns(ax=60, ay=40, bx=50, by=1)
        groups = read_groups(g)
        assert groups.pooled == ("a & y", "b & y")
        assert sizes(groups, g) == {"a & x": 60, "b & x": 50, OTHERS: 41}

    def test_all_may_end_in_one_group(self):
        assert read_groups(columns(ax=100, by=3)).names == (OTHERS,)
        assert read_groups(columns(ax=3, by=3)).names == (OTHERS,)

    def test_combinations_that_validation_rows_lack_are_others(self):
        validation, test = columns(ax=40, bx=40), columns(ax=5, ay=99)
        groups = read_groups(test, validation, pooled_by=validation)
        assert groups.names == ("a & x", "b & x", OTHERS)
        assert groups.pooled == ("a & y",)
        assert sizes(groups, validation) == {"a & x": 40, "b & x": 40}
        assert sizes(groups, test) == {"a & x": 5, OTHERS: 99}
        assert sizes(groups, columns(zz=2)) == {OTHERS: 2}  # never seen

    def test_without_others_what_was_never_seen_is_refused(self):
        with pytest.raises(InputError, match="the first is 'a & y' in row 0; known are 'a & x',"):
            read_groups(columns(ax=40, bx=40)).codes(columns(ay=1))

    def test_one_column_of_them_is_never_pooled(self):
        g = columns(ax=40, ay=29, bx=50, by=1)
        groups = read_groups(g)
        for column in ("second", 1):
            chosen = groups.of(column)
            assert (chosen.names, chosen.by, chosen.pooled) == (("x", "y"), "second", ())
            assert sizes(chosen, g) == {"x": 90, "y": 30}
        assert groups.of("second").of("first").names == ("a", "b")

    def test_any_container_will_do(self):
        g = columns(ax=40, ay=30, bx=50, by=35)
        groups, frame = read_groups(g), pd.DataFrame(g)
        expected = groups.codes(g)
        for other in (
            frame,
            frame.astype("category"),
            frame[["second", "first"]],
            frame.assign(more=1),
            Frame(g),
            pl.DataFrame(g),
            pa.table(g),
            pa.record_batch(g),
            frame.to_numpy(),
            frame.to_numpy().tolist(),
            frame.to_numpy(dtype="U1"),
        ):
            np.testing.assert_array_equal(groups.codes(other), expected)
        numbers = torch.tensor([[0, 1]] * 30 + [[1, 1]] * 30)
        assert read_groups(numbers).names == ("0 & 1", "1 & 1")
        assert read_groups(numbers).columns == ("0", "1")

    def test_values_are_one_across_types_in_every_column(self):
        groups = read_groups({"a": [True] * 30 + [False] * 30, "b": [1] * 60})
        assert groups.names == ("False & 1", "True & 1")
        assert groups.codes({"a": [1, 0.0], "b": ["1", True]}).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("g", "message"),
    [
        ({"first": ["a"]}, "must have the columns 'first', 'second', .* got 'first'"),
        (pd.DataFrame({"first": ["a"], "2nd": ["x"]}), "'first', 'second', .* got 'first', '2nd'"),
        (np.array(["a"]), "must have the columns 'first', 'second', .* got '0'"),
        ({"first": ["a"], "second": ["x", "y"]}, r"different lengths, \[1, 2\]"),
        ({"first": ["a", "b"], "second": ["x", None]}, "1 rows have no group, .* is row 1"),
        (pd.DataFrame([["a", "x"]], columns=["first", "first"]), "of the same name"),
        (np.full((2, 2, 2), "a"), r"got an array of shape \(2, 2, 2\)"),
        ({}, "has no columns"),
        ("a", r"array of shape \(\)"),
    ],
)
def test_columns_that_do_not_fit_are_refused(g, message):
    groups = read_groups(columns(ax=30, bx=30))
    with pytest.raises(InputError, match=message):
        groups.codes(g)


@pytest.mark.parametrize("column", ["sex", 2, -1, 0.0])
def test_a_wrong_column_lists_those_there_are(column):
    groups = read_groups(columns(ax=30, bx=30))
    with pytest.raises(InputError, match="`by` must name a sensitive column, 'first', 'second'"):
        groups.of(column)


def test_a_set_that_does_not_fit_is_left_for_coding_to_refuse():
    validation = columns(ax=30, bx=30)
    assert read_groups(validation, ["a"], None).names == ("a & x", "b & x")


def test_a_rows_group_is_what_its_column_holds_or_the_combination():
    assert group_of_row([3, 1], 0) == 3
    assert group_of_row({"a": ["x", "y"], "b": [1.0, 2.0]}, 1) == "y & 2"


CELLS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")),
    st.integers(1, 80),
    min_size=1,
)


@given(CELLS, st.randoms(use_true_random=False))
def test_every_group_has_enough_rows_and_no_more_is_pooled_than_must_be(counts, random):
    rows = [cell for cell, n in counts.items() for _ in range(n)]
    random.shuffle(rows)
    groups = read_groups(rows)
    found = Counter(groups.codes(rows).tolist())
    n_own, rare = len(groups.cells), {cell for cell, n in counts.items() if n < MIN_ROWS}
    assert sum(found.values()) == sum(counts.values())
    for code, cell in enumerate(groups.cells):
        assert found[code] == counts[cell] >= MIN_ROWS
    pooled = set(counts) - set(groups.cells)
    assert rare <= pooled
    assert groups.pooled == tuple(sorted(" & ".join(cell) for cell in pooled))
    if pooled and n_own:
        assert found[n_own] >= MIN_ROWS
    if joined := pooled - rare:
        largest = max(counts[cell] for cell in joined)
        assert rare
        assert sum(counts[cell] for cell in pooled) - largest < MIN_ROWS
        assert all(counts[cell] >= largest for cell in groups.cells)
