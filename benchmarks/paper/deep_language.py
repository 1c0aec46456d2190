"""A language model's gap between two groups of prompts (Eq. 9), hard against soft weights.

The language and the model are those of `examples/language_gap.py`. Soft weights take new
influences every two epochs; without that ("once", as in the paper) they go less far.
"""

from typing import Any

import numpy as np
from benchmarks.paper.deep_images import where
from benchmarks.paper.kept import Job
from benchmarks.paper.setting import MODELS  # noqa: F401 - makes the examples importable

SIZES = {
    "tiny": {"n": 60, "width": 8, "epochs": 2},
    "small": {"n": 900, "width": 32, "epochs": 12},
    "full": {"n": 9000, "width": 128, "epochs": 12},
}
SCHEMES = {"hard": ("hard", None), "soft": ("soft", 2), "soft, once": ("soft", None)}


DIMENSIONS = (256, 1024, 4096)
"""To which gradients are projected."""


def jobs(size: str, seed: int) -> list[Job]:
    """Return one experiment an algorithm."""
    algorithms = ("ga_ft", "npo") if size != "tiny" else ("ga_ft",)
    return [
        Job(
            f"deep/{size}/language {name}/seed {seed}",
            language,
            {"size": size, "algorithm": name, "seed": seed},
        )
        for name in algorithms
    ]


def language(size: str, algorithm: str, seed: int) -> dict[str, Any]:
    """Return what each kind of weights does to the gap and the loss on test texts.

    A seed is that of the texts, the model and its training; the language is always the same.
    """
    from language_gap import corrected, make_setting

    from softunlearn.generative import Sketch, dot_products

    setting = make_setting(**SIZES[size], seed=seed)
    figures, status, seconds = {}, {}, {}
    for name, (scheme, refresh) in SCHEMES.items():
        c = corrected(setting, scheme, algorithm, refresh=refresh)
        for key, of in (("before", c.before), (name, c.after)):
            figures[key] = {
                "target": of.reported["gap"],
                "loss": of.reported["loss"],
                "validation loss": of.loss,
            }
        status[name], seconds[name] = str(c.status), c.timings
    train, gap = setting.train.ids, setting.validation.gap()
    exact = dot_products(setting.model, train, gap)

    def projected(k: int) -> np.ndarray:
        return dot_products(setting.model, train, gap, sketch=Sketch(dimension=k))

    return {
        "size": SIZES[size],
        "correlation": {str(k): float(np.corrcoef(exact, projected(k))[0, 1]) for k in DIMENSIONS},
        "figures": figures,
        "status": status,
        "seconds": seconds,
        "where": where(),
    }
