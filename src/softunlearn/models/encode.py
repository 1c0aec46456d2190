"""From the user's rows to the head's: features, class codes and group codes, checked once.

The public edge. Whatever is wrong with a set of rows is found here, all of it, and said in one
line each; behind it every array is trusted.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from softunlearn.exceptions import InputError, ModelError
from softunlearn.head import LinearHead
from softunlearn.models.adapter import ModelAdapter
from softunlearn.models.groups import MIN_ROWS, Groups, read_columns, read_groups, rows_array
from softunlearn.rows import Chunk, Rows, take

AGREEMENT = 1e-4
"""Largest difference, relative to their size, between the head's logits and the model's own."""

LARGEST = 1e100
"""Largest feature or weight: products of three in a row stay finite in float64."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Turns rows as the user has them into rows as the head sees them.

    Parameters
    ----------
    adapter : ModelAdapter
    head : LinearHead
        The adapter's head.
    coding : Groups, optional
        How groups are coded; while it is not known, groups are dropped.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> adapter = su.models.adapt(model)
    >>> encoder = su.models.Encoder(adapter, adapter.head(len(train))).with_groups_of(train)
    >>> rows = encoder.encode(train, "train", train=True)
    >>> encoder.groups, rows.X.shape[1] == model.coef_.shape[1], rows.g[:3].tolist()
    (('Female', 'Male'), True, [1, 0, 1])
    """

    adapter: ModelAdapter
    head: LinearHead
    coding: Groups | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the groups' names, in the order of their codes."""
        return () if self.coding is None else self.coding.names

    def with_groups_of(self, *sets: Rows, pooled_by: Rows | None = None) -> "Encoder":
        """Return the encoder that knows the groups of all these rows, in sorted order.

        Parameters
        ----------
        *sets : Rows
            Those without groups, or with groups that cannot be read, add nothing.
        pooled_by : Rows, optional
            The validation rows: those whose numbers decide which combinations of several columns
            are pooled. Default: the first that have groups.
        """
        first = sets if pooled_by is None else (pooled_by, *sets)
        given = [rows.g for rows in first if rows.g is not None and _readable(rows.g)]
        return replace(self, coding=read_groups(*given) if given else None)

    def by(self, column: str | int | None) -> "Encoder":
        """Return the encoder whose groups are of one sensitive column alone; of all for None.

        Raises
        ------
        InputError
            There is no such column.
        """
        if column is None or self.coding is None:
            return self
        return replace(self, coding=self.coding.of(column))

    def encode(
        self,
        rows: Rows,
        name: str,
        *,
        groups: bool = False,
        train: bool = False,
        one_class: bool = False,
    ) -> Rows:
        """Return features, codes and weights.

        Parameters
        ----------
        rows : Rows
        name : str
            What the caller calls these rows; used in messages.
        groups : bool, default=False
            Whether a group of every row is needed.
        train : bool, default=False
            Whether these are training rows: then the weights by class are those of training.
        one_class : bool, default=False
            Whether they may all be of one class.

        Raises
        ------
        InputError
            With one line for each thing that is wrong with the rows.
        ModelError
            The model's logits are not those of its head.
        """
        if not rows.in_memory:
            return self._encode_elsewhere(rows, name)
        problems: list[str] = []
        for part, values in (("X", rows.X), ("y", rows.y)):
            if values is None:
                raise InputError(f"`{name}` has no {part}: it is None.")
        n = len(rows)
        if n == 0:
            raise InputError(f"`{name}` has no rows; give some.")
        if rows.weight is not None and not train:
            problems.append(
                f"`{name}` has weights, and only training rows can: a figure counts every row "
                "once. Leave them out, or repeat the rows."
            )
        for part, values in (("y", rows.y), ("weight", rows.weight)):
            if values is not None and len(values) != n:
                problems.append(_length(name, part, len(values), n))
        y = self._labels(rows.y, name, problems, one_class=one_class)
        g = self._groups(rows.g, n, name, problems, needed=groups)
        weight = _weights(rows.weight, name, problems)
        phi = self._features(rows.X, name, problems)
        if problems:
            raise InputError(problems)
        self._check_logits(rows.X, min(50, n), name)
        if train:
            counts = np.bincount(y, minlength=len(self.head.classes))
            weight = _times(self.adapter.class_weight(counts), y, weight)
        return Rows(phi, y, g, weight, self.adapter.feature_names() or rows.feature_names)

    def _encode_elsewhere(self, rows: Rows, name: str) -> Rows:
        """Return training rows that are not in memory, encoded whenever they are read.

        Their groups are left out. A few rows are looked at beforehand.
        """
        encode = partial(self._chunk, name=name, columns=rows.feature_names)
        few = np.arange(min(50, len(rows)))
        rows.converted(encode).take(few)
        X = self._as_the_model_takes(rows.take(few).X, rows.feature_names)
        self._check_logits(X, len(few), name)
        n_classes = len(self.head.classes)
        if self.adapter.class_weight(np.ones(n_classes)) is not None:
            codes = partial(self._codes, name=name)
            counts = (
                rows.labels_only()
                .converted(codes)
                .sum(lambda chunk: np.bincount(chunk.y, minlength=n_classes))
            )
            encode = partial(encode, by_class=self.adapter.class_weight(counts))
        return rows.converted(encode, self.adapter.feature_names())

    def _chunk(
        self,
        chunk: Chunk,
        first_row: int,
        *,
        name: str,
        columns: tuple[str, ...] | None,
        by_class: np.ndarray | None = None,
    ) -> Chunk:
        """Return some training rows as the head sees them."""
        problems: list[str] = []
        y = self._labels(chunk.y, name, problems, first_row)
        weight = _weights(chunk.weight, name, problems, part=True)
        X = self._as_the_model_takes(chunk.X, columns)
        phi = self._features(X, name, problems, first_row)
        if problems:
            raise InputError(problems)
        return Chunk(phi, y, None, _times(by_class, y, weight))

    def _codes(self, chunk: Chunk, first_row: int, *, name: str) -> Chunk:
        """Return some rows with their labels alone encoded."""
        problems: list[str] = []
        y = self._labels(chunk.y, name, problems, first_row)
        if problems:
            raise InputError(problems)
        return chunk._replace(y=y)

    def _as_the_model_takes(self, X: Any, columns: tuple[str, ...] | None) -> Any:
        """Return features as a dataframe if the model knows its columns by name, else as a matrix.

        For rows that were read by column, where both are at hand.
        """
        by_name = getattr(getattr(self.adapter, "model", None), "feature_names_in_", None)
        if by_name is None:
            return X.to_numpy() if hasattr(X, "iloc") else X
        if hasattr(X, "iloc"):
            return X
        import pandas as pd

        return pd.DataFrame(X, columns=pd.Index(columns or by_name), copy=False)

    def _labels(
        self,
        values: Any,
        name: str,
        problems: list[str],
        first_row: int | None = None,
        *,
        one_class: bool = False,
    ) -> np.ndarray:
        """Return class codes; of a part of the rows, which begins with `first_row`, or of all."""
        y = rows_array(values)
        if y.ndim != 1:
            problems.append(f"`{name}`: y must be one column of labels, got shape {y.shape}.")
            return np.zeros(len(y), dtype=np.int64)
        codes = _codes(y, self.head.classes)
        if (unknown := codes < 0).any():
            first = int(unknown.argmax())
            known = ", ".join(repr(c) for c in self.head.classes[:6])
            problems.append(
                f"`{name}`: {int(unknown.sum()):,} labels are unknown to the model, the first "
                f"is {y[[first]].tolist()[0]!r} in row {(first_row or 0) + first}; it knows "
                f"{known}."
            )
        elif first_row is None and not one_class and len(np.unique(codes)) < 2:
            problems.append(
                f"`{name}`: all labels are {y[[0]].tolist()[0]!r}; give rows of at least two "
                "classes."
            )
        return codes

    def _groups(
        self, values: Any, n: int, name: str, problems: list[str], *, needed: bool
    ) -> np.ndarray | None:
        if values is None or (self.coding is None and not needed):
            if needed:
                problems.append(
                    f"`{name}` has no groups, and the metric compares groups: give (X, y, g)."
                )
            return None
        try:
            coding = self.coding or read_groups(values)
            codes = coding.codes(values)
        except InputError as error:
            problems.extend(f"`{name}`: {line}" for line in error.problems)
            return None
        if len(codes) != n:
            problems.append(_length(name, "g", len(codes), n))
        if needed and len(np.unique(codes)) < 2:
            rare = (
                f"; combinations of fewer than {MIN_ROWS} rows are pooled, so give more rows, or "
                f"choose one column, such as by={coding.columns[0]!r}"
            )
            problems.append(
                f"`{name}`: all rows are of group {coding.names[codes[0]]!r}; "
                f"a gap needs at least two groups{rare if coding.pooled else ''}."
            )
        return codes

    def _features(self, X: Any, name: str, problems: list[str], first_row: int = 0) -> np.ndarray:
        try:
            phi = self.adapter.features(X)
        except InputError as error:
            problems.extend(f"`{name}`: {line.rstrip('.')}." for line in error.problems)
            return np.zeros((0, 0))
        if phi.dtype.kind not in "fiub":
            problems.append(
                f"`{name}`: the features that enter the last layer are not numbers but "
                f"{phi.dtype}; encode words in the model's pipeline."
            )
            return phi
        # NaN passes through a maximum
        if phi.size and not max(float(phi.max()), -float(phi.min())) <= LARGEST:
            problems.append(f"`{name}`: {self._unusable(phi, first_row)}")
        return phi

    def _unusable(self, phi: np.ndarray, first_row: int) -> str:
        """Return which features are not finite, or else too large, and what to do."""
        wrong = ~np.isfinite(phi)
        finite = not wrong.any()
        if finite:
            wrong = np.abs(phi) > LARGEST
        row, column = np.argwhere(wrong)[0]
        names, value = self.adapter.feature_names(), phi[row, column]
        where = f"{names[column]!r}" if names else f"{column}"
        if finite:
            kind, remedy = f"{value:.3g}, above {LARGEST:g},", "scale the features"
        else:
            kind = "missing (NaN)" if np.isnan(value) else "infinite"
            remedy = "fill them in or drop the rows"
        return (
            f"feature {where} is {kind} in row {first_row + row}, and "
            f"{int(wrong.any(axis=1).sum()):,} rows have such values; {remedy}."
        )

    def _check_logits(self, X: Any, n_rows: int, name: str) -> None:
        # features anew: a network's last digits depend on the batch that a row is in
        some = take(X, np.arange(n_rows))
        ours = self.head.logits(self.adapter.features(some).astype(np.float64))
        try:
            theirs = self.adapter.logits(some)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"`{name}`: the model cannot take these rows: {reason}") from error
        scale = 1.0 + np.abs(theirs).max()
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > AGREEMENT * scale:
            raise ModelError(
                "The model's own predictions are not those of its last linear layer, so "
                "correcting that layer would not correct the model."
            )


def _readable(g: Any) -> bool:
    try:
        read_columns(g)
    except InputError:
        return False
    return True


def _length(name: str, part: str, got: int, n: int) -> str:
    return f"`{name}`: {part} has {got:,} entries and X has {n:,} rows; give one entry a row."


def _codes(values: np.ndarray, known: tuple) -> np.ndarray:
    """Return each value's position among the known ones, -1 where it is none of them."""
    position = {value: i for i, value in enumerate(known)}
    if values.dtype.kind in "biuf":  # few different numbers: looked up once each
        different, which = np.unique(values, return_inverse=True)
        return np.array([position.get(v, -1) for v in different.tolist()])[which]
    given = values.tolist()
    return np.fromiter((position.get(v, -1) for v in given), dtype=np.int64, count=len(given))


def _times(
    by_class: np.ndarray | None, y: np.ndarray, weight: np.ndarray | None
) -> np.ndarray | None:
    """Return the rows' weights times those of their classes."""
    if by_class is None:
        return weight
    return by_class[y] if weight is None else weight * by_class[y]


def _weights(
    values: Any, name: str, problems: list[str], *, part: bool = False
) -> np.ndarray | None:
    """Return training weights; all those of a `part` of the rows may be 0."""
    if values is None:
        return None
    try:
        weight = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        problems.append(f"`{name}`: weight must be numbers, got {type(values).__name__}.")
        return None
    if weight.ndim != 1:
        problems.append(f"`{name}`: weight must be one column, got shape {weight.shape}.")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and (part or weight.any())):
        problems.append(f"`{name}`: weight must be finite, at least 0, and not 0 everywhere.")
    return weight
