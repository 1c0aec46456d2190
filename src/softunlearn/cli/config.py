"""A file of options: `softunlearn correct run.toml`.

Its keys are the options' names, without dashes in front. Options given on the line win; paths are
relative to the file, so that a folder can be moved with it.
"""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from softunlearn.exceptions import FileError, InputError

WAYS_TO_CHOOSE = ("select", "point", "metric_at_most", "utility_loss_at_most")
"""Parameters of which one on the line replaces all in the file."""

_FILES = ("model", "train", "validation", "choose_on", "test", "out")
"""Parameters that are paths."""

_NOT_IN_A_FILE = ("config", "help")

MAX_BYTES = 2**20
"""Of a file of options."""


def read(context: typer.Context, path: Path | None) -> Path | None:
    """Take a file's options as the defaults of the command that is being read.

    Raises
    ------
    FileError
        The file cannot be read, or is not TOML.
    InputError
        A key is no option of the command, or a value cannot be one; all problems are named.
    """
    if path is not None:
        given, known = _parsed(path), _parameters(context)
        problems: list[str] = []
        values: dict[str, Any] = {}
        for key, value in given.items():
            if key not in known:
                problems.append(_unknown(path, key, known, context))
                continue
            try:
                values[known[key].name] = _value(path, known[key], value)
            except ValueError as error:
                problems.append(f"{path}: {key} {error}")
        if problems:
            raise InputError(problems)
        context.default_map = values
    return path


def chosen_on_the_line(context: typer.Context, values: dict[str, Any]) -> dict[str, Any]:
    """Return the ways to choose a point, without the file's where the line has one."""
    from_line = {
        name
        for name in values
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    return {name: v if not from_line or name in from_line else None for name, v in values.items()}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:  # a pipe too; a device may have no end
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > MAX_BYTES:
        raise FileError(f"{path} has over {MAX_BYTES:,} bytes, too many for a file of options.")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise FileError(f"{path} is not a TOML file: {reason}.") from error


def _parameters(context: typer.Context) -> dict[str, Any]:
    """Return the command's parameters by the names that a file may use."""
    return {
        option.lstrip("-"): parameter
        for parameter in context.command.params
        if parameter.name not in _NOT_IN_A_FILE
        for option in parameter.opts
    }


def _unknown(path: Path, key: str, known: Iterable[str], context: typer.Context) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(key.replace("_", "-"), names, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names)}."
    return f"{path}: {key!r} is no option of {context.command.name}; {meant}"


def _value(path: Path, parameter: Any, value: Any) -> Any:
    """Return a value as the command line would have it: lists where it is repeatable."""
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not parameter.multiple:
        raise ValueError("takes one value, got a list.")
    if any(isinstance(item, dict | list) for item in values):
        raise ValueError("takes a plain value, got a table or a list of lists.")
    is_flag = getattr(parameter, "is_flag", False)
    if is_flag != isinstance(value, bool):
        wanted = "true or false" if is_flag else "no truth value"
        raise ValueError(f"takes {wanted}, got {value!r}.")
    if parameter.name in _FILES:
        values = [str(path.parent / str(item)) for item in values]
    return values if parameter.multiple else values[0]
