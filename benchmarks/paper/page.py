"""The page."""


def text(out):
    """Return it."""
    return ""
