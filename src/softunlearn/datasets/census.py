"""Census: synthetic people and pay, with a bias whose mechanism is known.

Each row is drawn in the order of a life: age, sex, schooling, household, region, occupation,
sector, hours, pay. Schooling and every rule of pay are the same for women and men. History then
enters in three places, and nowhere else:

1. Steering. Of the women who would work in management, technical jobs or crafts, 35 to 45 % are
   placed in clerical or care work, and of the men who would do care work half are placed in manual
   work. Care and clerical work pay less at equal schooling.
2. Unpaid work. Married women are 20 percentage points more often employed part-time.
3. Records. Of the women who did earn over 50K, 35 % were recorded below it, at equal merit.

A model fitted to these records learns all three. Only the third is a wrong label; the first two
are true facts about unequal lives, which a model passes on through occupation and hours.

Everything is an integer or a comparison with a table, and the uniforms come from a raw bit
stream, so the same seed gives the same rows on every machine. Nobody in it exists.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from softunlearn.datasets.splits import uniforms
from softunlearn.datasets.table import Table, one_hot

_STREAM = 1
"""Keeps the rows' uniforms apart from those that shuffle a split by the same seed."""

_AGES = np.arange(17, 80)
_AGE_WEIGHTS = np.repeat([5, 11, 13, 12, 9, 5, 2, 1], [4, 5, 9, 10, 11, 9, 8, 7])

_SEXES = np.array(["Female", "Male"])
_FEMALE, _MALE = 0, 1

_EDUCATION = np.array(
    [
        "No diploma",
        "High school",
        "Some college",
        "Associate",
        "Bachelor",
        "Master",
        "Doctorate",
    ]
)
_EDUCATION_YEARS = np.array([10, 12, 13, 14, 16, 18, 21])
_EDUCATION_EARLIEST_AGE = np.array([17, 18, 19, 20, 22, 24, 27])
_EDUCATION_WEIGHTS = [11, 30, 19, 9, 20, 9, 2]

_MARITAL = np.array(["Never married", "Married", "Divorced", "Widowed"])
_MARITAL_FROM_AGE = np.array([0, 22, 30, 45, 65])
_MARITAL_WEIGHTS = [
    [97, 3, 0, 0],
    [68, 29, 3, 0],
    [28, 58, 13, 1],
    [13, 64, 19, 4],
    [6, 59, 14, 21],
]
_MARRIED = 1

_REGIONS = np.array(["Capital", "North", "South", "West"])
_REGION_WEIGHTS = [24, 28, 26, 22]
_REGION_POINTS = np.array([2, 1, 0, 0])

_OCCUPATIONS = np.array(
    ["Management", "Professional", "Technical", "Sales", "Clerical", "Care", "Craft", "Manual"]
)
_MANAGEMENT, _PROFESSIONAL, _TECHNICAL, _SALES, _CLERICAL, _CARE, _CRAFT, _MANUAL = range(8)
_OCCUPATION_POINTS = np.array([7, 6, 5, 3, 1, 0, 3, 0])
_SCHOOLING = np.array([0, 0, 1, 1, 2, 2, 2])  # of each education: low, middle, high
_OCCUPATION_WEIGHTS = [
    [4, 0, 3, 13, 14, 16, 22, 28],
    [12, 8, 14, 15, 17, 12, 13, 9],
    [25, 34, 17, 10, 8, 4, 1, 1],
]
_SENIOR_FROM_AGE = 22
# (sex, what they would do, what they are placed in, per cent of them)
_STEERING = (
    (_FEMALE, _MANAGEMENT, _CLERICAL, 45),
    (_FEMALE, _TECHNICAL, _CLERICAL, 45),
    (_FEMALE, _CRAFT, _CARE, 35),
    (_MALE, _CARE, _MANUAL, 50),
)

_SECTORS = np.array(["Private", "Public", "Self-employed", "Non-profit"])
_SECTOR_WEIGHTS = [66, 18, 11, 5]
_SECTOR_POINTS = np.array([1, 0, 1, -1])

_FULL_TIME = np.array([35, 36, 37, 38, 39, 40, 42, 43, 44, 45, 46, 48, 50, 52, 55, 60, 65, 70])
_FULL_TIME_WEIGHTS = [4, 3, 3, 5, 2, 44, 3, 2, 2, 9, 1, 3, 9, 1, 4, 4, 1, 1]
_PART_TIME = np.array([8, 10, 12, 15, 16, 18, 20, 24, 25, 28, 30, 32, 34])
_PART_TIME_WEIGHTS = [2, 4, 4, 8, 6, 4, 24, 9, 10, 4, 16, 7, 2]
_PART_TIME_PERCENT = 9
_PART_TIME_PERCENT_UNDER_22 = 50
_PART_TIME_PERCENT_OVER_64 = 40
_UNPAID_WORK_PERCENT = 20

_EDUCATION_POINTS = np.array([0, 3, 4, 5, 9, 11, 13])
_HOURS_FROM = np.array([0, 20, 35, 40, 45, 50, 60])
_HOURS_POINTS = np.array([-9, -6, 0, 1, 3, 4, 5])
_YEARS_PER_POINT, _MOST_YEARS = 3, 30
_PAY_FROM_POINTS = 10
# per cent of those with 10, 11, ... points, the last one for all with more, who earn over 50K
_PAY_PERCENT = np.array([2, 3, 5, 8, 12, 17, 24, 33, 43, 53, 63, 72, 80, 86, 91, 94, 96, 97])
_UNRECORDED_PERCENT = 35

_DRAWS = 12
"""Uniforms a row, so that a larger data set starts with the rows of a smaller one."""


def make(n_rows: int, *, seed: int) -> Table:
    """Return `n_rows` people; the first rows do not depend on how many there are."""
    draws = iter(uniforms(n_rows * _DRAWS, seed, _STREAM).reshape(n_rows, _DRAWS).T)
    age = _AGES[_pick(next(draws), _AGE_WEIGHTS)]
    sex = _pick(next(draws), [47, 53])
    allowed = np.searchsorted(_EDUCATION_EARLIEST_AGE, age, side="right") - 1
    education = np.minimum(_pick(next(draws), _EDUCATION_WEIGHTS), allowed)
    stage = np.searchsorted(_MARITAL_FROM_AGE, age, side="right") - 1
    marital = _pick_by(stage, next(draws), _MARITAL_WEIGHTS)
    region = _pick(next(draws), _REGION_WEIGHTS)
    occupation = _occupation(age, sex, education, next(draws), next(draws))
    sector = _pick(next(draws), _SECTOR_WEIGHTS)
    cares = (sex == _FEMALE) & (marital == _MARRIED)
    hours = _hours(age, cares, next(draws), next(draws))
    years = np.clip(age - _EDUCATION_YEARS[education] - 6, 0, _MOST_YEARS)
    points = (
        _EDUCATION_POINTS[education]
        + years // _YEARS_PER_POINT
        + _OCCUPATION_POINTS[occupation]
        + _HOURS_POINTS[np.searchsorted(_HOURS_FROM, hours, side="right") - 1]
        + _REGION_POINTS[region]
        + _SECTOR_POINTS[sector]
    )
    earned = _happens(next(draws), _pay_percent(points))
    unrecorded = (sex == _FEMALE) & _happens(next(draws), _UNRECORDED_PERCENT)
    raw = pd.DataFrame(
        {
            "age": age,
            "sex": _SEXES[sex],
            "education": _EDUCATION[education],
            "education_years": _EDUCATION_YEARS[education],
            "marital_status": _MARITAL[marital],
            "region": _REGIONS[region],
            "occupation": _OCCUPATIONS[occupation],
            "sector": _SECTORS[sector],
            "hours_per_week": hours,
        }
    )
    return Table(
        raw=raw,
        encoded=one_hot(raw, binary={"sex": "Male"}),
        y=(earned & ~unrecorded).astype(np.int64),
        g=_SEXES[sex],
        labels=("<=50K", ">50K"),
    )


def _occupation(
    age: np.ndarray, sex: np.ndarray, education: np.ndarray, would: np.ndarray, placed: np.ndarray
) -> np.ndarray:
    """Return where people work: where they would, unless they are steered elsewhere."""
    wanted = _pick_by(_SCHOOLING[education], would, _OCCUPATION_WEIGHTS)
    senior = (wanted == _MANAGEMENT) | (wanted == _PROFESSIONAL)
    wanted = np.where(senior & (age < _SENIOR_FROM_AGE), _SALES, wanted)
    occupation = wanted.copy()
    for whose, before, after, percent in _STEERING:
        steered = (sex == whose) & (wanted == before) & _happens(placed, percent)
        occupation[steered] = after
    return occupation


def _hours(
    age: np.ndarray, cares: np.ndarray, part_time: np.ndarray, how_many: np.ndarray
) -> np.ndarray:
    """Return weekly hours of paid work."""
    percent = np.select(
        [age < 22, age > 64],
        [_PART_TIME_PERCENT_UNDER_22, _PART_TIME_PERCENT_OVER_64],
        _PART_TIME_PERCENT,
    )
    percent = percent + _UNPAID_WORK_PERCENT * cares
    return np.where(
        _happens(part_time, percent),
        _PART_TIME[_pick(how_many, _PART_TIME_WEIGHTS)],
        _FULL_TIME[_pick(how_many, _FULL_TIME_WEIGHTS)],
    )


def _pay_percent(points: np.ndarray) -> np.ndarray:
    place = np.clip(points - _PAY_FROM_POINTS, 0, len(_PAY_PERCENT) - 1)
    return np.where(points < _PAY_FROM_POINTS, 0, _PAY_PERCENT[place])


def _happens(uniform: np.ndarray, percent: np.ndarray | int) -> np.ndarray:
    return 100 * uniform < percent


def _pick(uniform: np.ndarray, weights: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return, by the inverse of a distribution, which of `weights` each uniform falls in."""
    total = np.cumsum(weights)
    return np.searchsorted(total, uniform * total[-1], side="right")


def _pick_by(
    kind: np.ndarray, uniform: np.ndarray, weights: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return the same where each kind of row has weights of its own."""
    return np.choose(kind, [_pick(uniform, row) for row in weights])
