"""The paper's figures and tables, computed again: `python -m benchmarks.paper`.

One file a table or figure: what is run, and how the result is shown. `setting.py` says which
models and rows there are, `kept.py` remembers what was computed, `published.py` holds the paper's
own figures, and `page.py` puts all results beside them.
"""
