"""The words of a command, and what it writes."""

CARD = "model_card.md"
FILES = {"manifest.json", "model.skops", CARD, "weights.parquet", "metrics.json", "report.html"}


def arguments(folder, command="correct", **changes):
    options = {
        "model": folder / "model.skops",
        "train": folder / "train.csv",
        "validation": folder / "validation.csv",
        "label": "income",
        "sensitive": "sex",
        "out": folder / "out",
    } | changes
    given = [
        (key, each)
        for key, value in options.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
    ]
    return [command, *(text for key, value in given for text in (f"--{key}", str(value)))]
