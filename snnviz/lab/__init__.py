"""The lab: a trainer run by hand in a notebook; imports every folder but `cli`."""

try:
    import ipywidgets as _ipywidgets
except ImportError as error:
    raise ImportError(
        "The lab needs ipywidgets, which is not installed: pip install 'snnviz[lab]'."
    ) from error

from snnviz.lab.assembly import Lab
from snnviz.lab.report import export_html

__all__ = ["Lab", "export_html"]

del _ipywidgets
