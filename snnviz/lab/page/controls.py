"""The top row of buttons: what a user presses becomes a command of the session."""

import threading
import time
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from snnviz import runs
from snnviz.lab.page.fold import fold
from snnviz.lab.page.pointers import Pointers
from snnviz.lab.page.projection import Projection
from snnviz.lab.page.two_way import Dropdown
from snnviz.lab.session import Session, Unit
from snnviz.lab.session.status import Status

PATIENCE = 6.0  # seconds to answer a question
PLAY = "Train to the end of the schedule"


class Buttons:
    """Play, Pause, three kinds of step, Reset, and Save. `more`: stands beside the last two."""

    def __init__(
        self,
        session: Session,
        save: Callable[[], None],
        wake: Callable[[], None] = lambda: None,
        more: Sequence[widgets.Widget] = (),
    ) -> None:
        self.session, self._wake = session, wake
        self._sure_until = float("-inf")  # a second click until then resets

        def step(unit: Unit) -> Callable[[], None]:
            return lambda: self.session.step(unit)

        self.play = _button("Play", "play", PLAY, lambda: self.session.play())
        self.pause = _button(
            "Pause", "pause", "Stop after the current step", lambda: self.session.pause()
        )
        self.steps = [
            _button("Step batch", "step-forward", "Make one step", step("batch")),
            _button("Step phase", "forward", "Go to the end of the current phase", step("phase")),
            _button(
                "Step epoch", "fast-forward", "Go to the end of the current epoch", step("epoch")
            ),
        ]
        self.reset = _button(
            "Reset", "undo", "Back to the start; the schedule stays", self._on_reset
        )
        self.save = _button(
            "Save figures", "download", "Save all figures as PDF, SVG and PNG files", save
        )
        self.rollback = _button(
            "Back",
            "history",
            "Return to the state at the end of the last epoch",
            lambda: self.session.rollback(),
        )
        self.rollback.add_class("snnviz-rollback").layout.display = "none"
        groups = [_box("snnviz-group", group) for group in ([self.play, self.pause], self.steps)]
        line = [Projection(), Pointers()]
        others = fold("more", [self.reset, self.save, *more], line=line).add_class("snnviz-others")
        self.widget = _box("snnviz-buttons", [*groups, others])

    def turn_to(self, session: Session) -> None:
        """Acts on another run from now on."""
        self.session = session

    @property
    def asking(self) -> bool:
        """Whether a second click on Reset is waited for."""
        return time.monotonic() < self._sure_until

    def _on_reset(self) -> None:
        """At once, but for a run with finished epochs: a reset deletes them."""
        if self.session.trainer.history.n_epochs and not self.asking:
            self._sure_until = time.monotonic() + PATIENCE
            self._wake()
        else:
            self._sure_until = float("-inf")
            self.session.reset()

    def _is_recorded(self) -> bool:
        trainer = self.session.trainer
        return isinstance(trainer, runs.Trainer) and trainer.folder is not None

    def show(self, status: Status) -> None:
        """Highlights Play while nothing runs, and Pause while something does."""
        self.play.button_style = "" if status.running else "primary"
        self.pause.button_style = "primary" if status.running else ""
        for button in (self.play, self.pause, *self.steps, self.reset):
            button.disabled = status.activity == "closed" or bool(status.elsewhere)
        self.play.tooltip = status.elsewhere or PLAY
        kept = "saved epochs" if self._is_recorded() else "this run"
        self.reset.description = f"Delete {kept}?" if self.asking else "Reset"
        self.reset.button_style = "danger" if self.asking else ""
        if status.problem:
            self.rollback.description = f"Back to {status.problem.rollback}"
        shown = status.problem is not None and status.activity != "closed"
        self.rollback.layout.display = None if shown else "none"


class RunChoice:
    """Which run the buttons act on, once there are several."""

    def __init__(self, choose: Callable[[str], None]) -> None:
        self._writer: threading.Thread | None = None
        self.widget = Dropdown(description="run", options=[""])
        self.widget.add_class("snnviz-run").layout.display = "none"

        def chosen(change: dict) -> None:
            if threading.current_thread() is not self._writer and change["new"]:
                choose(change["new"])

        self.widget.observe(chosen, "value")

    def show(self, names: list[str], active: str) -> None:
        """The runs that can be trained, and the one that is."""
        self._writer = threading.current_thread()
        try:
            if list(self.widget.options) != names:
                self.widget.options = names
            if self.widget.value != active:
                self.widget.value = active
        finally:
            self._writer = None
        self.widget.layout.display = None if len(names) > 1 else "none"


def _button(text: str, icon: str, tooltip: str, action: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=text, icon=icon, tooltip=tooltip)
    button.add_class(f"snnviz-{text.lower().replace(' figures', '').replace(' ', '-')}")
    button.on_click(lambda _: action())
    return button


def _box(css_class: str, children: list) -> widgets.Box:
    return widgets.Box(children).add_class(css_class)
