"""The lab's figures and events: cards that are drawn away from the training thread, when seen."""

import os
import time
from collections.abc import Callable, Hashable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from matplotlib.axes import Axes

from snnviz import figures
from snnviz.history import History
from snnviz.lab.page.two_way import Dropdown
from snnviz.lab.session.status import Status
from snnviz.lab.views.bar import Bar
from snnviz.lab.views.image import ImageCard
from snnviz.lab.views.kinds import ANY_RUN, KINDS, ONE_RUN, Kind, file_name
from snnviz.lab.views.saving import NothingToSave, Saved, Saver
from snnviz.lab.views.screen import MIDDLE, WIDE, WIDTH, Screen
from snnviz.lab.views.shown import Scene, Shown
from snnviz.lab.views.tables import FORMATS, save_table

# Drawing takes Python from the training thread, so it gets this share of the time that training
# takes, of which it may save up some: then the figures of an epoch appear together. A short run
# would be over before the second picture, so there the share is what draws one figure whenever it
# is `OLDEST` seconds or a twentieth of the run old, up to 2 of the 5 % that a lab may cost.
DRAWING_SHARE = 0.006
MOST_DRAWING = 0.02
OLDEST, PICTURES = 2.8, 20  # the page of a busy machine is brought up to date every 3 seconds
DRAWING_SAVED = 0.2
CURVES_EVERY = 2.0  # seconds, while training

OWN = "inches"
WIDTHS = [("one column, 3.4 in", "single"), ("two columns, 7 in", "double"), ("inches:", OWN)]


class Card:
    """A figure (or a table) under its title, with what can be chosen of it, and saved."""

    def __init__(
        self, kind: Kind, wake: Callable[[], None], save: Callable[["Card", str], None]
    ) -> None:
        self.kind = kind
        self.choices = {choice.name: _dropdown(choice.name) for choice in kind.choices}
        for dropdown in self.choices.values():
            dropdown.observe(lambda _: wake(), "value")
        if kind.draw is None:
            self.page: Any = widgets.HTML().add_class("snnviz-events")
        else:
            self.page = widgets.Image(format="png")
            self.page.add_class(f"snnviz-{kind.name.replace('_', '-')}")
        self.page.layout.display = "none"  # until there is something to see
        self.screen = Screen()
        self.formats = {name: _toggle(name.upper()) for name in ("pdf", "svg", "png")}
        self.width = Dropdown(options=WIDTHS, description="width")
        self.inches = widgets.BoundedFloatText(5.0, min=1, max=figures.MAX_WIDTH, step=0.1)
        self.inches.tooltip = "width in inches"
        self.inches.layout.display = "none"
        self.width.observe(lambda _: wake(), "value")
        self.trouble = widgets.HTML().add_class("snnviz-trouble")
        self.widget = widgets.VBox([*self._children(save)])
        self.widget.add_class("snnviz-card").add_class(f"snnviz-card-{kind.name}")
        self.said = ""  # the figure in words
        self.drawn_at, self.took = float("-inf"), 0.0  # seconds of Python's time
        self._shown: Hashable = None

    def _children(self, save: Callable[["Card", str], None]) -> list[widgets.Widget]:
        def button(text: str, name: str, tooltip: str, what: str) -> widgets.Button:
            made = widgets.Button(description=text, tooltip=tooltip).add_class(f"snnviz-{name}")
            made.on_click(lambda _: save(self, what))
            return made

        more = widgets.ToggleButton(description="Save …", icon="download")
        more.tooltip = f"Save {self.kind.title.lower()} as a figure or as data"
        head: list[widgets.Widget] = [widgets.HTML(self.kind.title).add_class("snnviz-title")]
        head.append(more.add_class("snnviz-more"))
        saving: list[widgets.Widget] = []
        if self.kind.draw is not None:
            kinds = widgets.Box([*self.formats.values()]).add_class("snnviz-formats")
            click = button(
                "Save figure", "save-figure", "Save the figure in the chosen formats", "figure"
            )
            saving += [kinds, widgets.Box([self.width, self.inches]), click]
        data = [
            button(f"Save data, {text}", f"save-{name}", f"Save the numbers as {text}", name)
            for name, text in FORMATS.items()
        ]
        saving.append(widgets.Box(data))
        return [
            widgets.Box(head).add_class("snnviz-head"),
            widgets.Box(saving).add_class("snnviz-saving"),
            widgets.Box([*self.choices.values()]).add_class("snnviz-choices"),
            self.page,
            self.trouble,
        ]

    def scene(self, runs: Sequence[Shown], moment: int | None) -> Scene:
        """What this card shows of these runs."""
        chosen = {name: dropdown.value or "" for name, dropdown in self.choices.items()}
        return Scene(runs, moment, chosen)

    def offer(self, runs: Sequence[Shown], moment: int | None) -> None:
        """Puts in the dropdowns what there is to choose; what was chosen stays, if it still is."""
        for choice in self.kind.choices:  # a run first: what else there is depends on it
            options = tuple(choice.options(self.scene(runs, moment)))
            dropdown = self.choices[choice.name]
            display = None if len(options) > 1 else "none"
            if dropdown.layout.display != display:
                dropdown.layout.display = display
            if len(options) > 1 and dropdown.options != options:
                value = dropdown.value
                values = [each for _, each in options]
                dropdown.options = options  # which chooses the first
                if value in values:
                    dropdown.value = value
        display = None if self.width.value == OWN else "none"
        if self.inches.layout.display != display:
            self.inches.layout.display = display

    def follow(self, name: str) -> None:
        """Shows this run, if it shows one run at a time."""
        if self.kind.choices[0] is ONE_RUN:
            dropdown = self.choices[ONE_RUN.name]
            if name in [value for _, value in dropdown.options]:
                dropdown.value = name

    def stale(self, key: Hashable) -> bool:
        """Whether there is more than what is shown."""
        return self._shown != key

    def update(self, key: Hashable, scene: Scene, width: float, dark: bool) -> None:
        """Draws what is newest."""
        self._shown, self.drawn_at = key, time.monotonic()
        why = self.kind.missing(scene)
        _put(self.page.layout, "display", "none" if why else None)
        if why:
            self.trouble.value = f'<p class="snnviz-hint">{escape(why)}</p>'
            return
        try:
            if self.kind.write is not None:
                self.page.value = self.kind.write(scene)
            elif self.kind.draw is not None:
                axes = self.kind.draw(scene)
                self.said = describe_figure(self.kind, scene, axes)
                self.page.value = self.screen.png(axes, scene, width, dark)
        except Exception as error:  # the lab goes on, and tries again when there is more to draw
            text = f"This figure could not be drawn. {type(error).__name__}: {error}"
            self.trouble.value = f'<div role="alert">{escape(text)}</div>'
        else:
            self.trouble.value = ""

    def save_figure(self, scene: Scene, folder: str | os.PathLike[str]) -> list[Path]:
        """Writes the figure as the card says."""
        kinds = [name for name, toggle in self.formats.items() if toggle.value]
        if not kinds:
            raise NothingToSave("Choose at least one of PDF, SVG and PNG.")
        width: Any = self.inches.value if self.width.value == OWN else self.width.value
        return _save_figure(self.kind, scene, folder, kinds, width)


class Views:
    """Cards in tabs or side by side, below a bar that says which of them, and of which runs.

    Args:
        folder: where figures and data are saved.
        wake: called in any thread when `show` should be called soon; it must return at once.
        more: cards beside them that others keep up to date.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] = "figures",
        wake: Callable[[], None] = lambda: None,
        more: Sequence[ImageCard] = (),
    ) -> None:
        self._folder, self._wake = folder, wake
        self.dark: bool | None = None  # None: as the page is
        self.cards = [Card(kind, wake, self._save_card) for kind in KINDS]
        titles = [[each.name, each.title, each.tab] for each in (*KINDS, *more)]
        self.bar = Bar(cards=titles, tab=KINDS[0].name)
        told = ["mode", "tab", "hidden", "wide", "room", "dark", "there"]
        self.bar.observe(lambda _: wake(), told)
        self.saved = Saved()
        self._saver = Saver(self.saved, wake)
        cards = widgets.Box([card.widget for card in (*self.cards, *more)])
        cards.add_class("snnviz-cards")
        self.widget = widgets.VBox([self.bar, cards, self.saved.widget])
        self.widget.add_class("snnviz-views")
        self._budget, self._since = DRAWING_SAVED, time.monotonic()
        self._by_step = False  # whether the last picture was of such a card
        self._runs: tuple[Shown, ...] = ()
        self._moment: int | None = None
        self._followed = True

    def follow(self) -> None:
        """Has the cards of one run show the first again, which is the one that is active now."""
        self._followed = False

    def shows(self, name: str) -> bool:
        """Whether a card can be seen, as far as the page has said."""
        return self.bar.there and name in self.bar.visible_cards

    def take(self, runs: Sequence[Shown], moment: int | None = None) -> None:
        """What there is to show and to save from now on; `show` draws it."""
        self._runs, self._moment = tuple(runs), moment

    def show(self, status: Status, runs: Sequence[Shown], moment: int | None = None) -> bool:
        """Draws the card that has waited longest, if one is due; whether another one waits.

        One at a time, so that the rest of the lab never waits long. Every other time it is the
        curves, to which every step adds. Cards that are not seen wait until they are.

        Args:
            runs: the active one first.
            moment: an epoch to look back at; None is now.
        """
        self.take(runs, moment)
        self.saved.show()
        _put(self.bar, "runs", [[run.name, run.colour] for run in runs])
        seen, dark = self._seen(), self.bar.dark if self.dark is None else self.dark
        alone = len(self.bar.visible_cards) == 1
        width = (WIDTH, MIDDLE, WIDE)[self.bar.room if alone else 0]
        keys: dict[Card, Hashable] = {}
        follow, self._followed = not self._followed, True
        for card in self.cards:
            card.offer(seen, moment)
            if follow:
                card.follow(seen[0].name)
            if card.kind.name in self.bar.visible_cards:
                keys[card] = (*_key(card, status, seen, moment), dark, width)
        now = time.monotonic()
        share = _drawing_share(status, max((card.took for card in keys), default=0.0))
        self._budget = min(self._budget + share * (now - self._since), DRAWING_SAVED)
        self._since = now
        stale = [card for card, key in keys.items() if card.stale(key)]
        due = [card for card in stale if not status.running or self._due(card, now)]
        if due:
            turn = {card: (card.kind.by_step is self._by_step, card.drawn_at) for card in due}
            card, began = min(due, key=turn.__getitem__), time.thread_time()
            self._by_step = card.kind.by_step
            card.update(keys[card], card.scene(seen, moment), width, dark)
            _put(self.bar, "alts", {card.kind.name: card.said for card in self.cards if card.said})
            card.took = time.thread_time() - began
            if status.running:
                self._budget -= card.took
        return len(stale) > bool(due)

    def save_all(self) -> None:
        """Writes all figures as PDF, SVG and PNG at the width of a paper's column, in a thread."""
        runs, moment = self._seen(), self._moment

        def save() -> list[Path]:
            _check_something(runs)
            return [
                path
                for card in self.cards
                if card.kind.draw is not None and not card.kind.missing(card.scene(runs, moment))
                for path in _save_figure(card.kind, card.scene(runs, moment), self._folder)
            ]

        self._saver.start("figures", save)

    def wait(self, timeout: float | None = None) -> None:
        """Until nothing is being saved."""
        self._saver.wait(timeout)

    def _save_card(self, card: Card, what: str) -> None:
        runs = self._seen()
        scene = card.scene(runs, self._moment)

        def save() -> list[Path]:
            _check_something(runs)
            if why := card.kind.missing(scene):
                raise NothingToSave(why)
            if what == "figure":
                return card.save_figure(scene, self._folder)
            table = card.kind.table(scene)
            return [save_table(table, file_name(card.kind, scene), what, self._folder)]

        self._saver.start("figures" if what == "figure" else "data", save)

    def _seen(self) -> tuple[Shown, ...]:
        """The runs that are not hidden. If all are, that is none at all to draw: then the first."""
        hidden = self.bar.hidden
        seen = tuple(run for run in self._runs if run.name not in hidden)
        return seen or self._runs[:1]

    def _due(self, card: Card, now: float) -> bool:
        """Whether training can spare what it takes, as far as is known."""
        saved = self._budget > 0 and self._budget >= min(card.took, DRAWING_SAVED)
        return saved and not (card.kind.by_step and now < card.drawn_at + CURVES_EVERY)


def _drawing_share(status: Status, took: float) -> float:
    """How much of training's time figures may take, if one takes so many seconds."""
    run = (status.position.step + status.steps_left) * (status.seconds_per_step or 0)  # seconds
    return min(max(took / max(OLDEST, run / PICTURES), DRAWING_SHARE), MOST_DRAWING)


def _key(card: Card, status: Status, runs: Sequence[Shown], moment: int | None) -> tuple:
    """What a card's picture depends on, besides the page."""
    at = status.position
    step = at.step if card.kind.by_step and moment is None else 0
    chosen = tuple(dropdown.value for dropdown in card.choices.values())
    events = [run.history.n_events for run in runs] if card.kind.draw is None else []
    lengths = [(run.name, run.colour, run.history.n_epochs) for run in runs]
    predicted = [run.classes and run.classes.step for run in runs if card.kind.name == "classes"]
    key = (status.generation, at.epoch, step, chosen, moment)
    return *key, *lengths, *events, *predicted


def _check_something(runs: Sequence[Shown]) -> None:
    if not any(_begun(run.history) for run in runs):
        raise NothingToSave("There is nothing to save yet: no step has been made.")


def _begun(history: History) -> bool:
    return history.n_epochs > 0 or len(history.steps) > 0


def _save_figure(
    kind: Kind,
    scene: Scene,
    folder: str | os.PathLike[str],
    formats: Sequence[str] = ("pdf", "svg", "png"),
    width: Any = "single",
) -> list[Path]:
    assert kind.draw is not None
    return figures.save(kind.draw(scene), file_name(kind, scene), formats, width, folder)


def describe_figure(kind: Kind, scene: Scene, axes: Axes) -> str:
    """What a figure says, for those who do not see it."""
    runs = scene.runs if kind.choices[0] is ANY_RUN and scene.run is None else [scene.first]
    names = ", ".join(run.name for run in runs)
    written = [text.get_text().replace("\n", ", ") for text in axes.texts]
    if kind.say is not None:
        written = [kind.say(scene)]
    axis = f"{axes.get_ylabel()} by {axes.get_xlabel()}"
    return f"{kind.title} of {names}: {axis}. {', '.join(written)}."


def _put(widget: Any, name: str, value: Any) -> None:
    if getattr(widget, name) != value:
        setattr(widget, name, value)


def _dropdown(name: str) -> Dropdown:
    made = Dropdown(options=[("", "")], description=name)
    made.layout.display = "none"  # until there is something to choose
    return made.add_class(f"snnviz-choose-{name}")


def _toggle(text: str) -> widgets.ToggleButton:
    return widgets.ToggleButton(True, description=text, tooltip=f"Save a {text} file")
