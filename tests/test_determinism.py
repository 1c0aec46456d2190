"""Same inputs, same bytes, in one process and another.

A product that BLAS shares out to threads may be added up in another order, so across numbers of
threads figures agree to `TOLERANCE`, relative to the largest; in bytes while BLAS uses one thread.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

TOLERANCE = 1e-9
"""Rounding, 1e-16, times the condition number of a Hessian, about 1e3, in some twenty steps."""

CODE = """
import sys
import numpy as np
import softunlearn as su
from sklearn.linear_model import LogisticRegression

def correct(name, rows, **options):
    model = LogisticRegression(tol=1e-8, max_iter=1000).fit(rows["train"].X, rows["train"].y)
    # the same inputs, however many threads scikit-learn trained with
    model.coef_, model.intercept_ = model.coef_.round(6), model.intercept_.round(6)
    c = su.correct(model, **rows, select="full", insist=True, **options)
    found[f"{name}: weights"] = c.weights
    found[f"{name}: head"] = np.append(c.model.coef_, c.model.intercept_)
    found[f"{name}: influence"] = c.influence.target


found = {}
census = su.datasets.load("census", n_rows=6000)._asdict()
correct("default", census)
correct("hard", census, scheme="hard")
correct("bounded", census, scheme="bounded")
correct("trained", census, algorithm="ga_ft", random_state=3)
correct("fisher", census, algorithm="fisher")
rng = np.random.default_rng(0)
X, g = rng.normal(size=(8000, 400)), rng.integers(2, size=8000)
X[:, 0] += g
y = (X[:, 0] + X[:, 1] + rng.logistic(size=8000) > 0).astype(int)
halves = {"train": slice(4000), "validation": slice(4000, 8000)}
correct("wide", {name: su.Rows(X[part], y[part], g[part]) for name, part in halves.items()})
np.savez(sys.argv[1], **found)
"""


def run(path, threads, seed="random"):
    variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, str(threads)), "PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, "-W", "ignore", "-c", CODE, path], env=environment, check=True)
    return dict(np.load(path))


@pytest.mark.slow
def test_same_inputs_give_the_same_bytes(tmp_path):
    one, again = (run(tmp_path / "found.npz", 1, seed) for seed in ("1", "2"))
    two, twice = (run(tmp_path / "found.npz", 2, seed) for seed in ("1", "2"))
    for name, values in one.items():
        assert values.any()
        assert again[name].tobytes() == values.tobytes(), name
        assert twice[name].tobytes() == two[name].tobytes(), name
        np.testing.assert_allclose(
            two[name], values, rtol=0, atol=TOLERANCE * np.abs(values).max(), err_msg=name
        )
