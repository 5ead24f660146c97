"""The parts of the page put together: how they stand on it, and how they are brought up to date."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from snnviz import checks
from snnviz.lab.neurons import NeuronPanel
from snnviz.lab.page import Buttons, Frame, Herald, Messages, RunChoice, SpeedChoice, TimeMachine
from snnviz.lab.page.fold import fold
from snnviz.lab.page.scripts import join_styles
from snnviz.lab.results import Desk, write_code
from snnviz.lab.run_list import RunList
from snnviz.lab.schedule import ScheduleEditor
from snnviz.lab.session import Notice, Session, Status
from snnviz.lab.session.image import Answer
from snnviz.lab.views import ImageCard, Portrait, Views

HERE = Path(__file__).parent
PARTS = ("buttons", "neurons", "figures", "schedule", "time machine")
# In this order: where two rules are equally specific, the later one wins.
STYLES = (
    "page/lab.css",
    "page/controls.css",
    "page/messages.css",
    "page/rows.css",
    "neurons/panel.css",
    "page/moments.css",
    "page/access.css",
)


class Parts:
    """All that a lab shows. Made once; then only `show` writes to the widgets.

    Args:
        runs: what is shown.
        choose: called with the name of the run that is chosen.
        fork: called with an epoch and a name when a fork is asked for.
        twin: called when a dense twin is asked for.
        wake: called in any thread when `show` should be called soon; it must return at once.
        show: some of PARTS, for a page with fewer controls.
    """

    def __init__(
        self,
        runs: RunList,
        choose: Callable[[str], None],
        fork: Callable[[int, str], None],
        twin: Callable[[], None],
        wake: Callable[[], None],
        show: Collection[str] = PARTS,
    ) -> None:
        self._runs = runs
        self.news: Notice | None = None
        self._watched: tuple[Session, bool] = (runs.session, False)
        session, trainer = runs.session, runs.session.trainer
        self.image = ImageCard(session, wake)
        self.views = Views(wake=wake, more=[self.image])
        self.desk = Desk(session, lambda: runs.active, self.write_code, twin, wake)
        self.speed = SpeedChoice(runs.set_speed)
        more = [self.speed.widget, *self.desk.buttons]
        self.buttons = Buttons(session, self.views.save_all, wake, more)
        self.choice = RunChoice(choose)
        machine, classes = f"{trainer.device} · {trainer.precision}", trainer.data.n_classes
        self.messages = Messages(machine, classes, self.buttons.rollback)
        self.herald = Herald()
        self.editor = ScheduleEditor(session, wake=wake)
        self.panel = NeuronPanel(session, wake=wake)
        self.machine = TimeMachine(fork, wake)
        self.editor.on_pick(self.machine.go)
        self.portrait = Portrait()
        self._draws = "figures" in show
        self.buttons.save.layout.display = None if self._draws else "none"
        self.widget = self._put_together(show)

    def _put_together(self, show: Collection[str]) -> widgets.VBox:
        """The page; what is not shown of it is kept up to date all the same, except for figures."""
        sides = {"neurons": self.panel.widget, "figures": self.views.widget}
        middle = [side for name, side in sides.items() if name in show]
        top = widgets.Box([self.buttons.widget, self.choice.widget, self.desk.sheet])
        top.add_class("snnviz-top")
        schedule = fold("schedule", [self.editor.widget], line=[self.editor.strip])
        rows = [top] if "buttons" in show else []
        rows.append(self.messages.widget)
        rows += [widgets.Box(middle).add_class("snnviz-middle")] if middle else []
        rows += [schedule] if "schedule" in show else []
        rows += [self.machine.widget] if "time machine" in show else []
        return widgets.VBox([make_style(), Frame(), *rows]).add_class("snnviz-lab")

    def turn_to_active(self) -> None:
        """Shows the run that is active now, at the present moment."""
        for part in (self.buttons, self.desk, self.editor, self.panel, self.image):
            part.turn_to(self._runs.session)
        self.machine.go(None)
        self.views.follow()
        self.news = None

    def show_image(self, image: Any) -> Answer:
        """Opens the card of one image, and shows it to the network; see `Lab.show_image`."""
        answer = self.image.ask(image)
        self.views.bar.tab = self.image.name
        return answer

    def write_code(self) -> str:
        """Lines that do to a new lab what was done to this one."""
        return write_code(self._runs.deeds, self._runs.active, self.machine.moment)

    def show(self, late: bool) -> bool:
        """Brings the page up to date with the newest state; whether something still waits.

        Args:
            late: figures are drawn even if the page is not there yet.
        """
        try:
            return self._show(figures=late or self.views.bar.there)
        except Exception as error:  # without this the page would stand still for good
            self.messages.fail(error)
            return False

    def _watch_classes(self, session: Session, status: Status) -> None:
        """Has the session classify the test images while a card shows that."""
        seen = (session, self.views.shows("classes"))
        if seen != self._watched and status.activity != "closed":
            self._watched = seen
            with suppress(RuntimeError):  # it closes just now
                session.watch_classes(seen[1])

    def _show(self, figures: bool) -> bool:
        session = self._runs.session
        status, history = session.status, session.trainer.history
        replaying = self.machine.tick(history)
        moment, shown = self.machine.moment, self._runs.in_colours()
        self.buttons.show(status)
        self.speed.show(status)
        self.desk.show(status)
        self.choice.show(self._runs.names, self._runs.active)
        if status.running or status.activity == "closed":
            self.news = None  # what it said has been heard
        self.editor.show(status, history, moment)
        self.panel.show(status, history, moment)
        self.panel.show_twin(*self._runs.twin)
        self.panel.show_answers(self.image.show(status, moment, self.views.shows("image")))
        self._watch_classes(session, status)
        self.machine.show(status, history)
        self.herald.look(status, self._runs.active)
        # Last: with it the page draws all.
        self.messages.show(status, history, self.news, moment, self.herald.news)
        self.views.take(shown, moment)
        if self._draws and not figures:
            return True
        waits = self._draws and self.views.show(status, shown, moment)
        waits = waits or replaying or self.portrait.show(status, shown)
        return waits or self.buttons.asking


def check_parts(show: Collection[str] | None) -> Collection[str]:
    """The parts to show, all of them for None; ValueError if there is no such part."""
    if show is None:
        return PARTS
    for part in [show] if isinstance(show, str) else show:
        checks.one_of("show", part, PARTS, 'Give a list of them, such as ["buttons", "neurons"].')
    return [show] if isinstance(show, str) else list(show)


def make_style() -> widgets.HTML:
    """The style sheets of what is no widget of its own."""
    css = join_styles(*(HERE / name for name in STYLES))
    return widgets.HTML(f"<style>{css}</style>", layout=widgets.Layout(display="none"))
