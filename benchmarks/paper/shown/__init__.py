"""How the results are shown: tables in Markdown, and figures."""
