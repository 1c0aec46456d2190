"""
Robustness: attacks that stay and attacks that adapt
====================================================

A model can be made to look robust against rows that were perturbed once, against its former self.
An attacker does not oblige. Both kinds are measured for every model.
"""

# %%
# "adversarial_loss" is the paper's metric: rows moved across the original model's boundary, and
# kept. "adaptive_loss" perturbs them anew against every model along the way, within a ball.

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import softunlearn as su

train, validation, test = su.datasets.load("census", n_rows=10_000)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train.X, train.y)

corrections = {
    name: su.correct(model, train=train, validation=validation, test=test, metric=name)
    for name in ("adversarial_loss", "adaptive_loss")
}
for name, c in corrections.items():
    print(f"{name}: {c.message}")

# %%
# Left, the boundary attack. On rows perturbed once the first correction looks like a great
# success; perturbed anew, against the corrected model, most of it is gone. Right, an attack within
# a ball whose radius is the same for every model, perturbed anew: correcting for that does more.

once, anew = corrections["adversarial_loss"], corrections["adaptive_loss"]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
for i, how in enumerate(("transfer", "adaptive")):
    losses = [
        getattr(f.robustness["boundary"], how).loss for f in (once.before.test, once.after.test)
    ]
    label = "perturbed once" if how == "transfer" else "perturbed anew"
    bars = left.bar([i * 0.36, 1 + i * 0.36], losses, width=0.34, label=label)
    left.bar_label(bars, fmt="%.2f")
left.set_xticks([0.18, 1.18], ["original", "corrected for\nadversarial_loss"])
left.set(title="boundary attack", ylabel="log loss, attacked test rows", ylim=(0, 1.5))
left.legend(loc="upper left", ncols=2)

figures = (once.before.test, once.after.test, anew.after.test)
bars = right.bar(range(3), [f.robustness["l2_ball"].adaptive.loss for f in figures], width=0.6)
right.bar_label(bars, fmt="%.2f")
right.set_xticks(range(3), ["original", "adversarial_\nloss", "adaptive_\nloss"])
right.set(title="l2 ball, perturbed anew", ylim=(0, 0.8))
plt.show()
