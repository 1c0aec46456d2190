"""The report: summarise -> plots -> one self-contained HTML page; and the model card.

`summarise` says everything in a plain dict, `render` shows it, `write_report` writes it. The page
asks for nothing from anywhere: style, figures and a small script that sorts and filters one table
are in it, and its policy lets a browser run and load nothing else. `model_card` says the main
things in Markdown.
"""

from softunlearn.report.model_card import model_card, write_model_card
from softunlearn.report.render import render, write_report
from softunlearn.report.summary import FORMAT, Summary, summarise

__all__ = [
    "FORMAT",
    "Summary",
    "model_card",
    "render",
    "summarise",
    "write_model_card",
    "write_report",
]
