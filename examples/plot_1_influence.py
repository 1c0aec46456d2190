"""
What a row's influence is
=========================

Two features, two groups, and a logistic regression that favours one of the groups. The influence
of a training row on the gap between the groups is the change of the gap if that row were removed.
It comes from one pass over the rows and one solve, without training anything again; here it is
held against the truth, a model trained again without the row, for every row.
"""

# %%
# The data: a second feature that says a good deal about the group, and labels that were recorded
# with a bias. 240 people of one group and 160 of the other.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

import softunlearn as su


def people(n, rng):
    """Return n people: merit and hobby, whether they were hired, and their group."""
    g = (rng.random(n) < 0.4).astype(int)
    merit = rng.normal(size=n)
    hobby = rng.normal(size=n) - 1.5 * g
    y = (merit + 0.5 * rng.normal(size=n) - 0.6 * g > 0).astype(int)
    return su.Rows(np.column_stack([merit, hobby]), y, g)


rng = np.random.default_rng(0)
train, validation = people(400, rng), people(2000, rng)
model = LogisticRegression(tol=1e-8).fit(train.X, train.y)

# %%
# The target is demographic parity on validation rows, the gap in mean predicted probability.
# Below zero, the row harms: without it the gap would be smaller.

target = su.Target(su.metrics.DemographicParity(), validation)
influence = su.influence_scores(model, train, target)[:, 0]

figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
edge = np.abs(influence).max()
for group, marker in ((0, "o"), (1, "^")):
    some = train.g == group
    points = ax.scatter(
        *train.X[some].T,
        c=influence[some],
        cmap="RdBu",
        vmin=-edge,
        vmax=edge,
        marker=marker,
        s=24,
        edgecolor="0.4",
        linewidth=0.3,
        label=f"group {group}",
    )
merit = np.array([-3.0, 3.0])
(w0, w1), (b,) = model.coef_[0], model.intercept_
ax.plot(merit, -(w0 * merit + b) / w1, color="0.2", linewidth=1, label="model's boundary")
ax.set(xlim=(-3, 3), ylim=(-5, 3.5), xlabel="merit", ylabel="hobby")
ax.legend(loc="upper right")
figure.colorbar(points, label="influence on the gap (red: the row harms)")
plt.show()

# %%
# Most rows do next to nothing. An influence is a product, (p - y) (phi . s): how surprising the
# row's label is to the model, times how far the row lies along one direction, here mostly the
# hobby's, which tells the groups apart. So rows that harm and rows that help lie side by side, and
# differ in their labels.
#
# And the truth? `su.leave_one_out` trains a model without each row, exactly.

exact = su.leave_one_out(model, train, target)[:, 0]
print(f"correlation {np.corrcoef(influence, exact)[0, 1]:.4f}")

figure, ax = plt.subplots(figsize=(4.4, 4.4), layout="constrained")
ax.axline((0, 0), slope=1, color="0.7", linewidth=1)
ax.scatter(influence, exact, s=10)
ax.set(xlabel="influence", ylabel="exact change of the gap without the row")
plt.show()
