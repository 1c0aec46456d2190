import numpy as np

from softunlearn.head import LinearHead
from softunlearn.intervals import Change
from softunlearn.paths.frontier import Point, frontier
from softunlearn.unlearning import Unlearned

HEAD = LinearHead(np.zeros((1, 1)), None)


def point(step, metric, accuracy, log_loss, held=()):
    return Point(
        step=step,
        metric=metric,
        accuracy=accuracy,
        log_loss=log_loss,
        predicted=metric,
        metrics=(metric,),
        held=held,
        accuracy_change=Change(0.0, 0.0, 0.0),
        log_loss_change=Change(0.0, 0.0, 0.0),
        changed_rows=0,
        reached=Unlearned(HEAD),
        weigh=lambda: np.zeros(1),
    )


def test_a_point_that_another_surpasses_in_everything_is_left_out():
    origin = point(0.0, 0.2, 0.85, 0.30)
    good, better, worse = (
        point(0.1, 0.10, 0.84, 0.31),
        point(0.2, 0.05, 0.84, 0.31),
        point(0.3, 0.30, 0.80, 0.50),
    )
    costly = point(0.4, 0.01, 0.80, 0.60)
    kept = frontier(origin, [good, better, worse, costly])
    assert [p.step for p in kept] == [0.0, 0.2, 0.4]


def test_points_that_are_best_in_something_stay():
    origin = point(0.0, 0.2, 0.85, 0.30)
    points = [
        point(0.1, 0.19, 0.85, 0.32),  # metric
        point(0.2, 0.30, 0.86, 0.32),  # accuracy
        point(0.3, 0.30, 0.80, 0.29),  # loss
    ]
    assert len(frontier(origin, points)) == 4


def test_what_is_held_counts_too():
    origin = point(0.0, 0.2, 0.85, 0.30, held=(1.0,))
    points = [point(0.1, 0.10, 0.84, 0.3, (0.9,)), point(0.2, 0.10, 0.84, 0.3, (1.1,))]
    assert [p.step for p in frontier(origin, points)] == [0.0, 0.1]


def test_the_original_stays_even_where_it_is_surpassed():
    origin = point(0.0, 0.2, 0.85, 0.30)
    assert len(frontier(origin, [point(0.1, 0.1, 0.86, 0.29)])) == 2
