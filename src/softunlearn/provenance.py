"""Where a saved model comes from: library, time, what was asked for, the point taken, which data.

Data are told by their numbers of rows and columns and by a sha256 of what the head was given:
features, class and group codes, weights. A digest tells whether rows are the same ones and holds
none of them.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from softunlearn.fingerprint import digest, fingerprint
from softunlearn.head import LinearHead
from softunlearn.rows import Rows

if TYPE_CHECKING:
    from softunlearn.correction import Correction
    from softunlearn.report import Summary


def provenance(correction: "Correction", summary: "Summary") -> dict[str, Any]:
    """Return a correction's provenance, as JSON holds it.

    Parameters
    ----------
    correction : Correction
    summary : dict
        `summarise(correction)`.

    Returns
    -------
    dict
        `library`, `written` (UTC), `versions`, `model` (its type, and sha256 of its head `before`
        and `after`), `status`, `reason`, `metric` (each with its value `before` and `after`),
        `held`, `algorithm`, `scheme`, `path`, `point` (`index`, `points`, `step`) and `data` (by
        split: `rows`, `columns`, `sha256`, which is None where rows are not in memory).

    Examples
    --------
    >>> import softunlearn as su
    >>> from softunlearn.report import summarise
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> found = provenance(c, summarise(c))
    >>> found["algorithm"]["name"], found["point"]["index"] == c.chosen
    ('InfluenceUpdate', True)
    >>> found["data"]["train"]["rows"], len(found["data"]["train"]["sha256"])
    (600, 64)
    """
    kind = type(correction.model)
    settings, rows = summary["settings"], correction.session.rows
    return {
        "library": f"softunlearn {summary['versions']['softunlearn']}",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": summary["versions"],
        "model": {
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "before": _head_digest(correction.frontier[0].head),
            "after": _head_digest(correction.point.head),
        },
        "status": summary["status"],
        "reason": correction.reason,
        "metric": [{"name": one["name"], **one["validation"]} for one in summary["targets"]],
        "held": settings["held"],
        **{part: settings[part] for part in ("algorithm", "scheme", "path")},
        "point": {
            "index": correction.chosen,
            "points": len(correction.frontier),
            "step": correction.point.step,
        },
        "data": {name: _data(part) for name, part in rows.items()},
    }


def _data(rows: Rows) -> dict[str, Any]:
    """Return the size and digest of rows as the head was given them."""
    columns = int(rows.X.shape[1]) if rows.in_memory else None
    return {"rows": len(rows), "columns": columns, "sha256": fingerprint(rows)}


def _head_digest(head: LinearHead) -> str:
    """Return one name for a head's parameters and classes."""
    return digest(np.array([str(label) for label in head.classes]), head.W, head.b)
