"""The documentation's settings: `make docs` builds it, every warning an error."""

import warnings

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

import softunlearn

project = "softunlearn"
author = "The softunlearn developers"
copyright = author
release = version = softunlearn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["gallery/*.ipynb", "gallery/*.py"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_allow_labels = False

default_role = "py:obj"  # `name` in a docstring: a link where there is such a name
autosummary_generate = True
autodoc_typehints = "none"  # the parameters' types are in the docstrings
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}  # sklearn's
numpydoc_show_class_members = False  # autodoc shows them, with their docstrings

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "plot_gallery": True,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "reference_url": {"softunlearn": None},
}
warnings.filterwarnings("error", module="softunlearn")

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "softunlearn"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
ALONE = ("index", "start", "guide", "which", "limits", "metrics", "notation", "design")
ALONE += ("command_line", "files", "deep", "frontier", "paper", "speed", "scaling", "deprecation")
html_sidebars = {page: [] for page in ALONE}  # pages that have none below them


def _visit_math(writer, node):
    """Write a formula as MathML, which browsers show by themselves: no script, no request."""
    writer.body.append(tex2mathml(node.astext(), as_block=node.tagname == "math_block"))
    raise SkipNode


def setup(app):
    """Tell Sphinx how formulas are written."""
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math, None))
