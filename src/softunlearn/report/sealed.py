"""A page that a browser lets load nothing: all styles in one sheet, and a policy with its hash.

A Content-Security-Policy that allows styles by their hash refuses `style` attributes, of which
matplotlib writes thousands. They become classes, which makes a figure smaller, too.
"""

import base64
import hashlib
import re
from collections.abc import Mapping

# From "<" on there is no ">": what is matched is inside of a tag, never in a text of the user's.
_STYLED = re.compile(r'(<[a-zA-Z][^<>]*?) style="([^"<>]*)"')


def sheet_of(drawn: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return figures whose styles are classes, and the sheet that holds the styles.

    Parameters
    ----------
    drawn : mapping of str to str
        SVG elements by name, written by matplotlib; text in them is escaped.

    Examples
    --------
    >>> sheet_of({"plot": '<path d="M 0 0" style="fill: none"/><text>style="a"</text>'})
    ({'plot': '<path d="M 0 0" class="s0"/><text>style="a"</text>'}, '.s0 { fill: none }')
    """
    names: dict[str, str] = {}

    def classed(found: re.Match[str]) -> str:
        name = names.setdefault(found[2], f"s{len(names)}")
        return f'{found[1]} class="{name}"'

    figures = {name: _STYLED.sub(classed, svg) for name, svg in drawn.items()}
    return figures, "\n".join(f".{name} {{ {style} }}" for style, name in names.items())


def policy(style: str, script: str) -> str:
    """Return the policy under which a page holds this style and this script, and nothing else.

    Parameters
    ----------
    style, script : str
        What stands between the tags, to the letter.

    Examples
    --------
    >>> policy("", "").split("; ")[:2]
    ["default-src 'none'", "style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"]
    """
    rules = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
