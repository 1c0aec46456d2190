"""MiniLM on toxic language, corrected for dialect and for identities, hard against soft weights.

What is run is `examples/toxicity_text.py`: texts in, a Hugging Face model out.
"""

from typing import Any

from benchmarks.paper.deep_images import where
from benchmarks.paper.kept import OUT, Job
from benchmarks.paper.setting import MODELS  # noqa: F401 - makes the examples importable

import softunlearn as su

ROWS = {"tiny": 300, "small": 3000, "full": None}


def jobs(size: str, seed: int) -> list[Job]:
    """Return one experiment a data set where there are the texts; they are the same for all seeds.

    `seed` plays no part.
    """
    names = ("toxicity", "toxicity_comments")
    here = [name for name in names if su.datasets.locate(name) is not None]
    return [Job(f"deep/{size}/text {name}", text, {"size": size, "data": name}) for name in here]


def text(size: str, data: str) -> dict[str, Any]:
    """Return what each kind of weights does to the gap and to accuracy on test texts."""
    from toxicity_text import corrected, row_of, train_classifier

    cache = su.ArrayCache(OUT / "deep" / "features")
    classifier = train_classifier(data, ROWS[size], cache)
    figures, status, seconds = {}, {}, {}
    for scheme in ("hard", "soft"):
        c = corrected(classifier, scheme)
        for key, of in (("before", c.before.test), (scheme, c.after.test)):
            accuracy, gap, decisions = row_of(of)
            figures[key] = {"accuracy": accuracy, "target": gap, "decisions": decisions}
        status[scheme], seconds[scheme] = str(c.status), c.timings
    return {
        "size": {"rows": ROWS[size], "pretrained": classifier.pretrained},
        "figures": figures,
        "status": status,
        "seconds": seconds,
        "where": where(),
    }
