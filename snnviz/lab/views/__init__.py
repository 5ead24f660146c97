"""The figures beside the neurons, on the page and in files; may import session and page."""

from snnviz.lab.views.cards import Views
from snnviz.lab.views.image import ImageCard
from snnviz.lab.views.portrait import Portrait
from snnviz.lab.views.shown import Shown, in_colours

__all__ = ["ImageCard", "Portrait", "Shown", "Views", "in_colours"]
