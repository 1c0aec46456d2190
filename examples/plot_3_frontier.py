"""
The frontier: what could be had, and at what price
==================================================

A correction is not one model. It is a path from the original towards a gap of zero, measured on
validation rows at every point; one point is chosen, and any other can be had without computing
anything again.
"""

# %%
# The default choice is the smallest gap that costs at most 0.002 of accuracy on validation rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

import softunlearn as su

train, validation, test = su.datasets.load("census")
model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
c = su.correct(model, train=train, validation=validation, test=test)
print(c.status, c.message)

# %%
# Other choices are rules, or a point by its number: at most half of the gap; a quarter of it.

start = c.frontier[0].metric
half = su.Select(metric_at_most=start / 2).choose(c.frontier).index
quarter = su.Select(metric_at_most=start / 4).choose(c.frontier).index

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
points = c.frontier.points
gap, accuracy = ([getattr(point, name) for point in points] for name in ("metric", "accuracy"))
changes = [point.accuracy_change for point in points]
ax.fill_between(
    gap,
    [accuracy[0] + change.low for change in changes],
    [accuracy[0] + change.high for change in changes],
    color="0.88",
    label="95 % interval of the change of accuracy",
)
ax.plot(gap, accuracy, ".-", color="0.35", linewidth=1, label="frontier")
for name, index, colour in (
    ("original", 0, "tab:red"),
    ("default choice", c.chosen, "tab:blue"),
    ("half of the gap", half, "tab:green"),
    ("a quarter of the gap", quarter, "tab:purple"),
):
    ax.scatter(gap[index], accuracy[index], s=60, color=colour, zorder=3, label=name)
ax.set(xlabel="gap in mean probability, validation rows", ylabel="accuracy, validation rows")
ax.legend(loc="lower right")
plt.show()

# %%
# Validation rows chose, so they flatter the choice. Test rows played no part: these are the
# figures to report, with their intervals.

names = ("original", "default", "half", "quarter")
parity = "gaps.demographic_parity.probabilities"
figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.6), sharey=True, layout="constrained")
for ax, path, title in ((axes[0], parity, "gap"), (axes[1], "accuracy", "accuracy")):
    for row, index in enumerate((0, c.chosen, half, quarter)):
        figures = c.at(index).after.test
        value = (
            figures.accuracy
            if path == "accuracy"
            else figures.gaps["demographic_parity"].probabilities
        )
        interval = figures.intervals[path]
        ax.plot([interval.low, interval.high], [row, row], color="0.6")
        ax.plot(value, row, "o", color="tab:blue")
    ax.set(title=f"{title}, test rows, 95 %", yticks=range(4), yticklabels=names)
axes[0].invert_yaxis()
plt.show()

# %%
# Which rows moved most? Weights are there for every point.

eps = c.at(half).weights
print(f"{np.mean(np.abs(eps) > 0.1):.0%} of the rows changed by more than 0.1;")
print(f"the largest change is {np.abs(eps).max():.2f}.")
