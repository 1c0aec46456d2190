"""
Why soft weights
================

Removing the rows that harm fairness is a blunt tool: many of them help accuracy. Soft weights turn
every row a little instead, and can turn each in the direction that pays. Synthetic census, gap
between women and men.
"""

# %%
# Two influences for every row: on the gap, and on the log loss of validation rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

import softunlearn as su

train, validation, test = su.datasets.load("census", n_rows=10_000)
model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
soft = su.correct(model, train=train, validation=validation, test=test)

on_gap, on_loss = soft.influence.target, soft.influence.utility
harm, help_ = on_gap < 0, on_loss > 0
print(f"{harm.mean():.0%} of the rows harm fairness;")
print(f"{(harm & help_).sum() / harm.sum():.0%} of these help accuracy.")

figure, ax = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
for some, colour, label in (
    (harm & help_, "tab:orange", "harm fairness, help accuracy"),
    (harm & ~help_, "tab:red", "harm both"),
    (~harm, "0.75", "do not harm fairness"),
):
    ax.scatter(on_gap[some], on_loss[some], s=5, color=colour, label=label)
ax.axhline(0, color="0.4", linewidth=0.8)
ax.axvline(0, color="0.4", linewidth=0.8)
x, y = (np.quantile(np.abs(values), 0.995) for values in (on_gap, on_loss))
ax.set(xlim=(-x, x), ylim=(-y, y))
ax.set(xlabel="influence on the gap", ylabel="influence on the log loss")
ax.legend(markerscale=3, loc="upper left")
plt.show()

# %%
# Hard weights remove the rows that harm most, as many as it takes. Soft ones are small changes,
# up and down, of nearly every row. Both along the same path, at a quarter of the gap:

settings = {"path": "straight", "select": su.Select(metric_at_most=soft.frontier[0].metric / 4)}
by_scheme = {
    scheme: su.correct(
        model, train=train, validation=validation, test=test, scheme=scheme, **settings
    )
    for scheme in ("soft", "hard")
}

figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.2), sharey=True, layout="constrained")
for ax, (scheme, c) in zip(axes, by_scheme.items(), strict=True):
    ax.hist(1 + c.weights, bins=np.linspace(-0.5, 2.5, 61))
    ax.set(yscale="log", title=f"{scheme} weights", xlabel="weight of a row, 1 + eps")
axes[0].set_ylabel("rows")
plt.show()

# %%
# What each costs, on validation rows. The third line is the default of `su.correct`: soft weights
# with new influences at every point.

figure, ax = plt.subplots(figsize=(5.6, 4.0), layout="constrained")
for name, frontier, style in (
    ("hard, straight path", by_scheme["hard"].frontier, "s--"),
    ("soft, straight path", by_scheme["soft"].frontier, "^-."),
    ("soft, re-linearised (default)", soft.frontier, "o-"),
):
    points = [(point.metric, point.log_loss) for point in frontier]
    ax.plot(*np.transpose(points), style, markersize=3, linewidth=1, label=name)
ax.set(xlabel="gap between women and men", ylabel="log loss, validation rows")
ax.legend()
plt.show()
