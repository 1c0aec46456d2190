"""How numbers are written on the page."""

from collections.abc import Sequence
from math import floor, log10
from typing import Any

from softunlearn.report.plain import brief

MISSING = "\N{EN DASH}"
"""Stands for a figure that could not be measured."""

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fixed(x: float | None, digits: int = 4) -> str:
    """Return a figure with so many decimals."""
    return MISSING if x is None else f"{x:.{digits}f}".replace("-", MINUS)


def signed(x: float | None, digits: int = 4) -> str:
    """Return a change with its sign, and none where it is not to be seen in so many decimals.

    Examples
    --------
    >>> signed(0.0599), signed(-0.00001)
    ('+0.0599', '0.0000')
    """
    if x is None:
        return MISSING
    text = f"{x:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)


def span(low: float | None, high: float | None, digits: int = 4) -> str:
    """Return the interval of a change, or nothing where there is none.

    Examples
    --------
    >>> span(0.02, 0.1, 2), span(None, None)
    ('+0.02 to +0.10', '')
    """
    if low is None or high is None:
        return ""
    return f"{signed(low, digits)} to {signed(high, digits)}"


def between(interval: Sequence[float | None] | None, digits: int = 4) -> str:
    """Return the interval of a figure, or nothing where there is none.

    Examples
    --------
    >>> between([0.0, 0.25], 2)
    '0.00 to 0.25'
    """
    if interval is None or None in interval:
        return ""
    return " to ".join(fixed(end, digits) for end in interval)


def part(x: float, whole: float) -> str:
    """Return x as percent of the whole.

    Examples
    --------
    >>> part(1, 3), part(1, 3000), part(0, 3)
    ('33 %', '0.03 %', '0 %')
    """
    if not whole:
        return MISSING
    percent = 100 * x / whole
    return f"{percent:.0f} %" if percent == 0 or percent >= 1 else f"{percent:.1g} %"


def small(x: float | None, digits: int = 3) -> str:
    """Return a number of any size to so many significant digits, with a power of ten if needed.

    Examples
    --------
    >>> small(0.25), small(1.0006), small(1e-5, 1), small(0)
    ('0.250', '1.00', '10⁻⁵', '0')
    """
    if x is None:
        return MISSING
    if x == 0:
        return "0"
    sign, size = MINUS if x < 0 else "", float(f"{abs(x):.{digits - 1}e}")
    exponent = floor(log10(size) + 1e-9)
    if -3 <= exponent <= 3:
        return (
            f"{sign}{size:.{max(0, digits - 1 - exponent)}f}" if digits > 1 else f"{sign}{size:g}"
        )
    factor = f"{size / 10.0**exponent:.{digits - 1}f}"
    times = "" if digits == 1 and factor == "1" else factor + TIMES
    return f"{sign}{times}10{str(exponent).translate(_SUPERSCRIPTS)}"


def value(x: Any, length: int = 40) -> str:
    """Return a cell of the user's data: numbers to four digits, text cut to a length.

    Examples
    --------
    >>> value(36.4643258), value(True), value(1234567)
    ('36.46', 'True', '1234567')
    """
    if x is None:
        return MISSING
    if isinstance(x, float):
        return f"{x:.4g}".replace("-", MINUS)
    return brief(str(x), length)
