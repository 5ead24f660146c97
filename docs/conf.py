"""The site: `make docs` builds it from docs/, notebooks/ and two pages of the top folder.

The top folder is the source, so that the links of a page lead to the same places here and in a
checkout.
"""

import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.writers.html5 import HTML5Translator

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

import gallery_parts  # noqa: E402  (beside this file)
import shown_notebooks  # noqa: E402

import snnviz  # noqa: E402

project = "snnviz"
author = "snnviz contributors"
copyright = "snnviz contributors"
version = release = snnviz.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "notebooks/class/lesson.ipynb",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [
    *("docs/_*", "docs/examples", "docs/gallery/*.ipynb"),
    # Folders without pages, which take long to look through.
    *(".*", "benchmarks", "build", "data", "dist", "runs", "snnviz", "tests"),
]
templates_path = [str(DOCS / "_templates")]
# The pages of the reference, which autosummary writes, have the first of these.
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}

# --- pages and notebooks ----------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_render_markdown_format = "myst"  # what a cell shows as Markdown; CommonMark has no tables
html_math_renderer = "mathml"  # which browsers draw by themselves; MathJax would be a download

# The notebooks run for the site, each in a smaller size (shown_notebooks.py), and only if they or
# the package have changed since.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / f"notebooks-{shown_notebooks.hash_package()}")
nb_execution_timeout = 300  # seconds, of a cell
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # progress bars
nb_mime_priority_overrides = [("html", shown_notebooks.WIDGET, None)]  # widgets need a kernel
nb_ipywidgets_js = {}

# --- reference --------------------------------------------------------------------------------

default_role = "code"  # docstrings write `names` in single backticks
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of torch and matplotlib are in another markup
autosummary_generate = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# --- gallery ----------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "docs/examples",
    "gallery_dirs": "docs/gallery",
    "filename_pattern": r"plot_\w+\.py",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("gallery_parts.scrape_picture",),
    "reset_modules": (),
    "capture_repr": (),
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1e6,
    "show_signature": False,
    "download_all_examples": False,
}

# --- looks ------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "snnviz"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_root"]  # the first page, which leads to docs/index.html
html_show_sourcelink = False
html_show_search_summary = False  # a page opened from disk cannot read others
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {page: [] for page in ("docs/index", "docs/method", "CHANGELOG", "CONTRIBUTING")}


def unlink_files(app: Sphinx, page: str, source: list[str]) -> None:
    """Links to folders and files of the checkout that are no pages become plain text.

    A link to nothing is left as it is: the build then fails.
    """
    top = Path(app.srcdir)
    folder = (top / page).parent

    def replace(found: re.Match[str]) -> str:
        target = (folder / found["target"]).resolve()
        name = target.relative_to(top).with_suffix("").as_posix() if top in target.parents else ""
        return found["text"] if target.exists() and name not in app.env.found_docs else found[0]

    link = r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<target>(?![a-z]+:)[^()\s#]+)(#[^()\s]*)?\)"
    if not page.startswith("notebooks/"):
        source[0] = re.sub(link, replace, source[0])


def skip_others(
    app: Sphinx, kind: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Members that a class has from torch or matplotlib are not described; None: no opinion."""
    made_in = getattr(getattr(member, "fget", member), "__module__", None) or "snnviz"
    # A named tuple's fields are described in its docstring, and Python's say "Alias for field 0".
    field = type(member).__name__ == "_tuplegetter"
    return None if made_in.partition(".")[0] == "snnviz" and not field else True


def simplify_defaults(
    app: Sphinx, kind: str, name: str, member: object, options: object, arguments: str, returns: str
) -> tuple[str, str] | None:
    """Defaults that are no valid Python would keep Sphinx from reading the rest of a signature."""
    if not arguments:
        return None
    arguments = arguments.replace("<factory>", "...")
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", arguments), returns


def keep_first_line(
    app: Sphinx, kind: str, name: str, member: object, options: object, lines: list[str]
) -> None:
    """Napoleon reads what stands before a colon in a property's first line as its type."""
    if kind == "property":
        lines[:0] = ["..", ""]  # an empty comment has none


def say_what_it_is(
    app: Sphinx, kind: str, name: str, member: object, options: object, lines: list[str]
) -> None:
    """A constant has its comment, and not what Python says of all strings or numbers."""
    if kind == "data":
        modules = ("snnviz.plots.fonts", "snnviz.plots.paper", "snnviz.structure.groups")
        found = [ModuleAnalyzer.for_module(module).find_attr_docs() for module in modules]
        comments = {key: comment for each in found for key, comment in each.items()}
        lines[:] = comments["", name.rpartition(".")[2]]


def visit_inline_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(visit_inline_math, None),
        block_renderers=(visit_math_block, None),
    )
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)  # before Napoleon
    app.connect("autodoc-process-docstring", say_what_it_is)
    app.connect("autodoc-process-signature", simplify_defaults)
    app.connect("autodoc-skip-member", skip_others)
    app.connect("source-read", unlink_files)
    shown_notebooks.answer_no_widget()
    app.connect("source-read", shown_notebooks.shrink)
    app.connect("doctree-read", shown_notebooks.drop_widgets)
    # Before the gallery's scripts, which draw these runs.
    app.connect("builder-inited", lambda app: gallery_parts.train_runs(), priority=100)
