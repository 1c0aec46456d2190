"""The report: summarise -> plots -> one self-contained HTML page.

`summarise` says everything in a plain dict, `render` shows it, `write_report` writes it. The page
asks for nothing from anywhere: style and figures are in it, and there are no scripts.
"""

from softunlearn.report.render import render, write_report
from softunlearn.report.summary import FORMAT, Summary, summarise

__all__ = ["FORMAT", "Summary", "render", "summarise", "write_report"]
