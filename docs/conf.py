"""Sphinx configuration. The build needs no network."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "xbinn"
author = "The xbinn developers"
copyright = "2026, The xbinn developers"
release = installed_version("xbinn")
version = release

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinxcontrib.katex",
    "xbinn_diagram",
    "xbinn_shapes",
    "xbinn_tables",
]
exclude_patterns = ["_build"]

# Links into the documentation of others need their inventories from the network.
if os.environ.get("XBINN_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "dask": ("https://docs.dask.org/en/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "xarray": ("https://docs.xarray.dev/en/stable", None),
    }

# Pages with cells are run in the build, on the embedded data and in a folder that is thrown away.
os.environ.pop("XBINN_DATA", None)
# Each page is a process, and loading compiled kernels takes longer than its small maps.
os.environ["XBINN_KERNELS"] = "eager"
# The cache knows the cells of a page, not the code of xbinn: it is for those who write prose.
nb_execution_mode = "cache" if os.environ.get("XBINN_DOCS_CACHE") else "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "remove"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # types stand in the signatures and in the docstrings
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Equations are shown by the browser itself, as MathML: without fonts or styles from the network.
# Room that browsers leave only where it is an element of its own.
katex_options = r"""output: "mathml", macros: {
    "\\,": "\\hspace{0.18em}", "\\ln": "\\operatorname{ln}\\hspace{0.18em}"
}"""
katex_css_path = "katex-math.css"  # of the extension, which bundles no other

html_theme = "pydata_sphinx_theme"
html_title = "xbinn"
html_static_path = ["_static"]
html_css_files = ["equations.css"]
html_show_sourcelink = False
html_sidebars = {"**": []}  # all pages stand in the menu; code gets their room
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
