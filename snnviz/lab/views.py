"""The lab's figures: drawn to PNG away from the training thread, and no more often than needed."""

import io
import time
from collections.abc import Callable, Hashable
from html import escape
from pathlib import Path

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnviz import figures, plots
from snnviz.history import History
from snnviz.lab.status import Status

WIDTH, LEAST_HEIGHT = 3.0, 2.6  # inches, so that the cards of a row are alike
DPI = 270  # about twice the pixels of the place that a card has

# Drawing takes Python from the training thread, so it gets this share of the time that training
# takes, of which it may save up so many seconds: then an epoch's figures come at once.
DRAWING_SHARE = 0.025
DRAWING_SAVED = 0.5
CURVES_EVERY = 2.0  # seconds, while training


class Card:
    """One figure under its title, which is drawn again when what it shows has changed."""

    def __init__(
        self, name: str, title: str, draw: Callable[[History], Axes], by_step: bool
    ) -> None:
        self.name, self.draw, self.by_step = name, draw, by_step
        self.image = widgets.Image(format="png").add_class(f"snnviz-{name.replace('_', '-')}")
        head = widgets.HTML(title).add_class("snnviz-title")
        self.trouble = widgets.HTML().add_class("snnviz-trouble")
        children = [head, self.image, self.trouble]
        self.widget = widgets.VBox(children).add_class("snnviz-card")
        self.drawn_at = float("-inf")
        self._shown: Hashable = None

    def stale(self, status: Status) -> bool:
        """Whether the history has more than what is shown."""
        return self._shown != self._key(status)

    def update(self, status: Status, history: History) -> None:
        """Draws what is newest."""
        self._shown, self.drawn_at = self._key(status), time.monotonic()
        try:
            self.image.value = to_png(self.draw(history))
        except Exception as error:  # the lab goes on, and tries again when there is more to draw
            text = f"This figure could not be drawn. {type(error).__name__}: {error}"
            self.trouble.value = f'<div role="alert">{escape(text)}</div>'
        else:
            self.trouble.value = ""

    def _key(self, status: Status) -> Hashable:
        at = status.position
        return status.generation, at.epoch, at.step if self.by_step else 0


class Figures:
    """Learning curves, switch map and neurons on, side by side where there is room."""

    def __init__(self) -> None:
        self.cards = [
            Card("learning_curves", "Learning curves", plots.learning_curves, by_step=True),
            Card("switch_map", "Switch map", plots.switch_map, by_step=False),
            Card("neurons_on", "Neurons on", plots.neurons_on, by_step=False),
        ]
        self.widget = widgets.Box([card.widget for card in self.cards]).add_class("snnviz-figures")
        self._saved, self._since = DRAWING_SAVED, time.monotonic()

    def show(self, status: Status, history: History) -> bool:
        """Draws the figure that has waited longest, if one is due; whether another one waits.

        One at a time, so that the rest of the lab never waits long.
        """
        now = time.monotonic()
        self._saved = min(self._saved + DRAWING_SHARE * (now - self._since), DRAWING_SAVED)
        self._since = now
        stale = sorted(
            (card for card in self.cards if card.stale(status)), key=lambda card: card.drawn_at
        )
        due = [card for card in stale if not status.running or self._due(card, now)]
        if due:
            began = time.thread_time()
            due[0].update(status, history)
            if status.running:
                self._saved -= time.thread_time() - began
        return len(stale) > bool(due)

    def _due(self, card: Card, now: float) -> bool:
        return self._saved > 0 and not (card.by_step and now < card.drawn_at + CURVES_EVERY)

    def save(self, history: History, folder: str = "figures") -> list[Path]:
        """Writes all figures at the width of a paper's column."""
        return [
            path
            for card in self.cards
            for path in figures.save(card.draw(history), card.name, folder=folder)
        ]


def to_png(axes: Axes) -> bytes:
    """A figure of `plots` as PNG, for the screen."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.set_size_inches(WIDTH, max(figure.get_figheight(), LEAST_HEIGHT))
    ticks = axes.xaxis.get_major_locator()
    if isinstance(ticks, MaxNLocator):  # narrower than a paper's column, so perhaps fewer of them
        ticks.set_params(nbins="auto")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, pil_kwargs={"compress_level": 1})
    return buffer.getvalue()
