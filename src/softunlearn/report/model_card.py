"""The model card: what a corrected model is, was measured to do, and is not.

Markdown, with the metadata header and the sections that model hubs and skops' cards have. Figures
are the summary's; what only the model's owner can say is left as a line to fill in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softunlearn.fingerprint import fingerprint
from softunlearn.report.markdown import code, front_matter, table, text
from softunlearn.report.numbers import between, fixed, signed, span
from softunlearn.report.pairs import look_up
from softunlearn.report.summary import Summary, summarise
from softunlearn.report.tables import attack_lines, attacked, figure_lines
from softunlearn.report.writing import write_whole
from softunlearn.rows import Rows

if TYPE_CHECKING:
    from softunlearn.correction import Correction

TO_FILL_IN = "*More information needed.*"
"""Where only the owner of a model can say something."""

LOADING = {
    "sklearn": """import softunlearn as su

model = su.load("folder").model  # the folder that `c.save("folder")` wrote
model.predict(X)""",
    "pytorch": """import softunlearn as su

model = su.load("folder", module=module).model  # module: one of the same architecture
model(X)""",
    "transformers": """import softunlearn as su

model = su.load("folder", module=module).model  # module: the model that was corrected
model(**processor(texts, return_tensors="pt"))""",
}
"""How a model of each library is read back."""

NOT_MEANT = """* It is not a legal proof of fairness, and says nothing about causes.
* It is not a privacy deletion: re-weighting a row does not erase it.
* It says nothing about groups that were not measured, or about data unlike those below."""


def model_card(correction: "Correction") -> str:
    """Return the model card of a correction's model, in Markdown.

    Parameters
    ----------
    correction : Correction

    Returns
    -------
    str

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> print(model_card(c).splitlines()[1])
    library_name: "sklearn"
    """
    summary = summarise(correction)
    library = _library(correction.model)
    title = ", ".join(target["title"].lower() for target in summary["targets"])
    done = "corrected for" if summary["changed"] else "unchanged, measured for"
    sections = {
        "Model details": _details(correction, summary),
        "Intended use": f"{TO_FILL_IN} Say who the model is for, and what is decided by it.",
        "Out of scope": NOT_MEANT,
        "How to get started": f"```python\n{LOADING[library]}\n```",
        "Training data": _data(correction, summary),
        "Evaluation": "\n\n".join(_evaluation(summary)),
        "How it was corrected": _how(summary),
        "Bias, risks and limitations": _limitations(summary),
        "Authors and contact": TO_FILL_IN,
    }
    head = front_matter(_metadata(summary, library))
    body = "\n\n".join(f"## {name}\n\n{said}" for name, said in sections.items())
    return f"{head}\n\n# {text(_name(correction.model))}, {done} {text(title)}\n\n{body}\n"


def write_model_card(correction: "Correction", path: str | Path) -> None:
    """Write the model card; arguments and errors are those of `write_report`.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     card = pathlib.Path(folder, "model_card.md")
    ...     write_model_card(c, card)
    ...     card.read_text(encoding="utf-8").startswith("---")
    True
    """
    write_whole(path, lambda: model_card(correction))


def _library(model: Any) -> str:
    """Return the library that reads the model back, by its name on model hubs."""
    if hasattr(model, "save_pretrained"):
        return "transformers"
    return "pytorch" if hasattr(model, "state_dict") else "sklearn"


def _name(model: Any) -> str:
    """Return a model's class, and of a pipeline those of its steps."""
    steps = getattr(model, "steps", None)
    name = type(model).__name__
    return name if steps is None else " + ".join(type(step).__name__ for _, step in steps)


def _metadata(summary: Summary, library: str) -> dict[str, Any]:
    """Return the header: keys and names as model hubs read them."""
    tags = ["softunlearn", "fairness" if summary["data"]["groups"] else "robustness"]
    entries = {
        "library_name": library,
        "tags": [*tags, *["sklearn", "skops"] * (library == "sklearn")],
    }
    if library == "sklearn":
        entries |= {"model_format": "skops", "model_file": "model.skops"}
    results = [
        {
            "task": {"type": "classification"},
            "dataset": {"type": "private", "name": f"{name} rows"},
            "metrics": list(_measured(summary, figures)),
        }
        for name, figures in summary["figures"].items()
        if name != "train"
    ]
    name = f"corrected-{summary['targets'][0]['name']}"
    return entries | {"model-index": [{"name": name, "results": results}]}


def _measured(summary: Summary, figures: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the figures of the model as it is now: accuracy, loss and what was aimed at."""
    aimed = [target["figure"] for target in summary["targets"] if target["figure"]]
    for path in dict.fromkeys(("accuracy", "log_loss", *aimed)):
        value = look_up(figures, path)["after"]
        if value is not None:
            yield {"type": path.rsplit(".", 1)[-1] if "." not in path else path, "value": value}


def _details(correction: "Correction", summary: Summary) -> str:
    data, model = summary["data"], correction.model
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    parameters = final.get_params(deep=False) if hasattr(final, "get_params") else {}
    classes = ", ".join(text(name, 40) for name in data["classes"][:20])
    more = f" and {len(data['classes']) - 20} more" if len(data["classes"]) > 20 else ""
    positive = "none" if data["positive_class"] is None else text(data["positive_class"], 40)
    lines = {
        "Type": text(_name(model), 200),
        "Status": f"{code(summary['status'])}: {text(summary['message'], 2000)}",
        "Classes": f"{classes}{more}; the positive one: {positive}",
        "Last layer": f"{data['inputs']:,} inputs, {data['parameters']:,} parameters",
        "Versions": text(", ".join(f"{k} {v}" for k, v in summary["versions"].items()), 300),
        "License": TO_FILL_IN,
    }
    found = _items(lines)
    if not parameters:
        return found
    rows = [[code(name), code(repr(value))] for name, value in sorted(parameters.items())]
    return f"{found}\n\n### Hyperparameters\n\n{table(['parameter', 'value'], rows)}"


def _data(correction: "Correction", summary: Summary) -> str:
    """Return sizes and fingerprints; no row of the data."""
    data, session = summary["data"], correction.session
    rows = [[name, f"{n:,}", _fingerprint(session.rows[name])] for name, n in data["rows"].items()]
    groups = ", ".join(text(name, 40) for name in data["groups"][:20]) or "none"
    more = f" and {len(data['groups']) - 20} more" if len(data["groups"]) > 20 else ""
    said = (
        "The fingerprint is the sha256 of the features that enter the last layer, of the codes "
        "of labels and groups, and of the weights, in the order of the rows."
    )
    columns = ", ".join(text(name, 40) for name in data["sensitive_columns"])
    of = f" by {columns}" if len(data["sensitive_columns"]) > 1 else ""
    rows_table = table(["rows", "number", "fingerprint"], rows)
    said += f" Groups{of}: {groups}{more}."
    return f"{TO_FILL_IN} Say where the data come from.\n\n{rows_table}\n\n{said}"


def _fingerprint(rows: Rows) -> str:
    found = fingerprint(rows)
    return "not computed: the rows are read from files" if found is None else code(found)


def _evaluation(summary: Summary) -> Iterator[str]:
    """Yield a table for each set of rows that played no part in training, and one of groups."""
    changed = summary["changed"]
    header = ["", "before", "after", "change, 95 %"] if changed else ["", "value", "95 %"]
    splits = list(summary["figures"])
    lines = {name: [] for name in splits if name != "train"}
    for each, names in (
        (figure_lines(summary), splits),
        (attack_lines(summary), attacked(summary)),
    ):
        for line in each:
            for name, cell in zip(names, line.cells, strict=True):
                if name in lines and cell["before"] is not None:
                    mark = "**" if line.is_target else ""
                    title = f"{mark}{text(line.title, 120)}{mark}"
                    lines[name].append([title, *_cells(cell, changed)])
    for name, rows in reversed(lines.items()):
        figures = summary["figures"][name]
        part = "played no part in the correction" if name == "test" else "decided"
        yield f"### On {figures['rows']:,} {name} rows, which {part}\n\n{table(header, rows)}"
        if figures["groups"]:
            yield _groups(figures["groups"][:50])


def _cells(cell: dict[str, Any], changed: bool) -> list[str]:
    if not changed:
        return [fixed(cell["before"]), between(cell["interval"])]
    interval = span(cell["low"], cell["high"])
    change = f"{signed(cell['change'])} ({interval})" if interval else signed(cell["change"])
    return [fixed(cell["before"]), fixed(cell["after"]), change]


def _groups(groups: list[dict[str, Any]]) -> str:
    """Return what each group gets from the model as it is now, with intervals."""
    rates = {"positive_rate": "predicted positive", "accuracy": "accuracy"}
    known = [name for name in rates if groups[0][name]["after"] is not None]

    def cell(group: dict[str, Any], name: str) -> str:
        interval = between(group["intervals"].get(name, {}).get("after"), 3)
        return fixed(group[name]["after"], 3) + (f" ({interval})" if interval else "")

    rows = [
        [text(g["name"], 40), f"{g['rows']:,}", *(cell(g, name) for name in known)] for g in groups
    ]
    return table(["group, after", "rows", *(rates[name] for name in known)], rows)


def _how(summary: Summary) -> str:
    settings, weights, solver = summary["settings"], summary["weights"], summary["solver"]
    chosen = next(point for point in summary["frontier"] if point["chosen"])
    points = len(summary["frontier"])
    lines = {
        "Brought down": "; ".join(
            f"{text(one['title'])}: {text(one['meaning'], 300)}" for one in summary["targets"]
        ),
        "Held": ", ".join(text(one) for one in settings["held"]) or "nothing beside utility",
        "Algorithm, weights, path": ", ".join(
            code(settings[name]["name"]) for name in ("algorithm", "scheme", "path")
        ),
        "Point": f"{chosen['index']} of 0 to {points - 1}, {chosen['step']:.0%} of the way, "
        f"chosen on {summary['frontier_rows']}",
        "Training rows": f"{weights['up']:,} count more, {weights['down']:,} less, "
        f"{weights['unchanged']:,} the same",
        "Solver": f"{text(solver['name'])}, relative residual {solver['residual']:.1e}",
    }
    return _items(lines)


def _limitations(summary: Summary) -> str:
    conditions = summary["conditions"]
    failed = [one["title"].lower() for one in conditions["each"] if one["holds"] is False]
    promise = (
        "The conditions under which a correction is bound to be free of cost hold, as far as "
        "they were measured."
        if not failed
        else f"Not all conditions of a correction free of cost hold ({'; '.join(failed)}): the "
        "figures above were measured and stand, the promise is not given."
    )
    least = min((g["rows"] for f in summary["figures"].values() for g in f["groups"]), default=0)
    groups = f" The smallest group has {least:,} rows." if least else ""
    return (
        f"Intervals are of 95 %, for rows drawn as these were.{groups} {promise} "
        "Validation rows decided, so expect a little less elsewhere than on them."
    )


def _items(lines: dict[str, str]) -> str:
    return "\n".join(f"* **{name}**: {said}" for name, said in lines.items())
