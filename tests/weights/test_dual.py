"""The small quadratic problems of the dual: their optimality conditions, which are sufficient."""

import numpy as np
import pytest

from softunlearn.weights.dual import minimise_quadratic


@pytest.mark.parametrize("q", [1, 2, 5, 9])
def test_a_quadratic_within_bounds_is_least(q, rng):
    """Of so many problems some hold an entry at a bound that must be let go again."""
    for _ in range(60):
        A, g = rng.normal(size=(q + 2, q)), 3 * rng.normal(size=q)
        lower, upper = -rng.exponential(size=q), rng.exponential(size=q)
        lower[rng.random(q) < 0.4], upper[rng.random(q) < 0.2] = 0.0, 0.0
        upper[rng.random(q) < 0.2] = np.inf
        d = minimise_quadratic(A.T @ A, g, lower, upper)
        assert ((lower <= d) & (d <= upper)).all()
        gradient = g + A.T @ (A @ d)
        # what would fall further is at the bound that it would cross
        assert (gradient[d > lower] < 1e-10).all()
        assert (gradient[d < upper] > -1e-10).all()
