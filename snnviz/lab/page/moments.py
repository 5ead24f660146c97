"""The time machine: a slider over past epochs, replay, and a way to fork from there."""

import threading
import time
from collections.abc import Callable

import ipywidgets as widgets

from snnviz import checks
from snnviz.history import EPOCH_COLUMNS, History
from snnviz.lab.page.fold import fold
from snnviz.lab.page.pieces import put
from snnviz.lab.page.two_way import Dropdown, IntSlider, Text
from snnviz.lab.session.status import Status

SPEEDS = (1, 2, 5, 10, 30)  # epochs a second
Fork = Callable[[int, str], None]


class TimeMachine:
    """Says which moment the lab shows: `moment` is a past epoch, 0 for the start, None for now.

    Args:
        fork: called with an epoch and a name (or "") when the user asks for a fork from there.
        wake: called in any thread when there is something to show.
    """

    def __init__(self, fork: Fork, wake: Callable[[], None]) -> None:
        self.moment: int | None = None
        self._fork, self._wake = fork, wake
        self._since: float | None = None  # when the replay stood where it began; None: no replay
        self._from = 0
        self._writer: threading.Thread | None = None
        self._finished = 0
        self.slider = IntSlider(0, min=0, max=0, description="epoch", readout=False)
        self.slider.add_class("snnviz-moment").observe(self._moved, "value")
        self.now = _button("Now", "circle", "Return to the present", self._to_now, "now")
        self.replay = _button("Replay", "film", "Play the past epochs", self._replay, "replay")
        self.speed = Dropdown(
            options=[(f"{n} per second", n) for n in SPEEDS], value=2, description="epochs"
        )
        self.speed.add_class("snnviz-speed").observe(self._restart, "value")
        self.readout = widgets.HTML().add_class("snnviz-moment-readout")
        # Handed on whole, when the focus leaves it: letters that wait for a busy kernel would be
        # overtaken by the click that follows them.
        self.name = Text(placeholder="name of the fork", continuous_update=False)
        self.name.add_class("snnviz-fork-name")
        self.button = _button("Fork from here", "code-fork", "", self._ask, "fork")
        line = [self.slider, self.now, self.replay, self.button, self.readout]
        self.widget = fold("time machine", [self.speed, self.name], line=line)
        self.widget.add_class("snnviz-time-machine")

    def go(self, moment: int | None) -> None:
        """Goes to a past epoch, or to now; ends a replay."""
        self._since, self.moment = None, moment
        self._wake()

    def tick(self, history: History) -> bool:
        """Moves a replay on, and leaves epochs that no longer exist; whether a replay is running.

        Called before everything else is shown.
        """
        self._finished = history.n_epochs
        if self._since is not None:
            passed = int((time.monotonic() - self._since) * float(self.speed.value or 0))
            self.moment = min(self._from + passed, self._finished)
            if self.moment == self._finished:
                self.go(None)  # it has come to the present
        if self.moment is not None and self.moment > self._finished:
            self.moment = None
        return self._since is not None

    def show(self, status: Status, history: History) -> None:
        """Slider and words, at the moment that is shown."""
        self._writer = threading.current_thread()
        try:
            finished, moment = self._finished, self.moment
            put(self.slider, max=finished)
            put(self.slider, value=finished if moment is None else moment)
        finally:
            self._writer = None
        closed = status.activity == "closed"
        epoch = finished if moment is None else moment
        put(self.slider, disabled=finished == 0)
        put(self.now, disabled=moment is None)
        put(self.now, button_style="" if moment is None else "info")
        put(self.replay, disabled=finished == 0)
        put(self.replay, description="Stop" if self._since is not None else "Replay")
        put(self.button, disabled=closed or epoch not in status.forkable)
        why = f"Start a new run from the end of epoch {epoch}, with the schedule in the editor"
        if epoch not in status.forkable:
            why = f"The state at the end of epoch {epoch} was not saved"
        put(self.button, tooltip=why)
        put(self.readout, value=_describe_moment(status, history, moment))

    # From the page, in any thread -------------------------------------------------------------

    def _moved(self, change: dict) -> None:
        if threading.current_thread() is not self._writer:
            self.go(change["new"])

    def _to_now(self) -> None:
        self.go(None)

    def _replay(self) -> None:
        if self._since is not None:
            self.go(self.moment)
            return
        at_end = self.moment is None or self.moment >= self._finished
        self._from = 0 if at_end else self.moment or 0
        self.moment, self._since = self._from, time.monotonic()
        self._wake()

    def _restart(self, change: dict) -> None:
        if self._since is not None and self.moment is not None:
            self._from, self._since = self.moment, time.monotonic()

    def _ask(self) -> None:
        self._fork(self._finished if self.moment is None else self.moment, self.name.value.strip())


def check_moment(epoch: int | None, finished: int) -> int | None:
    """ValueError unless it is None or a finished epoch; returns it."""
    epoch = checks.plain(epoch)
    if epoch is not None and (type(epoch) is not int or not 0 <= epoch <= finished):
        raise ValueError(f"epoch must be from 0 to {finished}, the epochs finished, got {epoch!r}.")
    return epoch


def _describe_moment(status: Status, history: History, moment: int | None) -> str:
    finished = history.n_epochs
    if moment is None:
        at = status.position
        where = "now, before the end of the first epoch" if finished == 0 else "now"
        if finished and at.batch:
            where = f"now, within epoch {at.epoch + 1}"
        epoch = finished
    else:
        where, epoch = f"epoch {moment} of {finished}" if moment else "the start", moment
    text = f"<b>{where}</b>"
    if 0 < epoch <= finished:
        row = dict(zip(EPOCH_COLUMNS, history.epoch_rows()[epoch - 1], strict=True))
        after = "" if moment is not None else f"after epoch {epoch}: "
        text += (
            f" · {after}test {100 * row['test_accuracy']:.2f} %, "
            f"{row['neurons_on']} of {row['neurons']} on"
        )
    return f'<span role="status">{text}</span>'


def _button(
    text: str, icon: str, tooltip: str, action: Callable[[], None], name: str
) -> widgets.Button:
    button = widgets.Button(description=text, icon=icon, tooltip=tooltip)
    button.add_class(f"snnviz-{name}").on_click(lambda _: action())
    return button
