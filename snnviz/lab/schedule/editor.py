"""The schedule editor: a timeline, a field for each setting, presets, undo, and files."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets as widgets

from snnviz.history import History
from snnviz.lab.page.pieces import box, button, put
from snnviz.lab.schedule.course import in_a_sentence
from snnviz.lab.schedule.field import Fold
from snnviz.lab.schedule.files import ScheduleFiles
from snnviz.lab.schedule.presets import PRESETS
from snnviz.lab.schedule.settings import (
    MAIN,
    OTHERS,
    SETTINGS,
    Setting,
    hints,
    make_field,
    refusal,
    taken,
)
from snnviz.lab.schedule.timeline import Timeline
from snnviz.lab.session import Session
from snnviz.lab.session.status import Status
from snnviz.training import Schedule

Changes = dict[str, Any]  # {field: new value}
STEPS_EVERY = 1.0  # seconds until the timeline follows steps that are all that is new
NO_HOLDOUT = "The data has no held-out split: load it with one, load_data(name, holdout=5000)."


@dataclass
class _Edits:
    """What was edited, for undo and redo: {field: (old, new)}."""

    done: list[dict[str, tuple[Any, Any]]] = field(default_factory=list)
    undone: list[dict[str, tuple[Any, Any]]] = field(default_factory=list)


class ScheduleEditor:
    """Shows the schedule, and hands on edits that are allowed.

    Live, an edit goes to the session at once, which puts it in force with the next round. While
    the time machine stands at a past epoch, edits are kept for a fork from there.

    Args:
        session: whose schedule it edits.
        wake: asks for `show` soon; it is called in any thread and must return at once.
        folder: where schedules are saved.
    """

    def __init__(
        self,
        session: Session,
        wake: Callable[[], None] = lambda: None,
        folder: str = "schedules",
    ) -> None:
        self._session, self._wake = session, wake
        data = session.trainer.data
        self._n_images, self._has_holdout = len(data.train), data.holdout is not None
        self._lock = threading.RLock()
        self._moment: int | None = None
        self._sent: Changes = {}  # on their way to the session
        self._fork: Changes = {}  # edits for a fork
        self._offer: Changes = {}  # edits for a fork that went live instead
        self._edits = {"live": _Edits(), "fork": _Edits()}
        self._errors: dict[str, str] = {}
        self._news = ""  # HTML
        self._writer: threading.Thread | None = None
        self._shown: tuple | None = None
        self._calm: tuple | None = None
        self._drawn_at = 0.0
        self._kept: tuple | None = None
        self._version = 0
        self._build(folder)

    @property
    def draft(self) -> Schedule:
        """What the editor says: the schedule that is planned, with the edits made here."""
        with self._lock:
            changes = self._sent if self._moment is None else self._fork
            return self._session.status.planned.replace(**changes)

    def turn_to(self, session: Session) -> None:
        """Edits another run's schedule from now on; edits of the one before are forgotten."""
        with self._lock:
            self._session, self._moment, self._news = session, None, ""
            self._sent, self._fork, self._offer = {}, {}, {}
            self._edits = {"live": _Edits(), "fork": _Edits()}
            self._errors.clear()
        self._changed()

    def on_pick(self, action: Callable[[int], None]) -> None:
        """Calls it, in any thread, with each finished epoch that is clicked in the timeline."""

        def picked(change: dict) -> None:
            if change["new"] >= 1:
                action(change["new"])
                self._changed()  # `show` makes room for the next one

        self.timeline.observe(picked, "picked")

    # Widgets ----------------------------------------------------------------------------------

    def _build(self, folder: str) -> None:
        plan = self._session.status.planned
        self.timeline = Timeline()
        self.fields = {s.name: make_field(s, getattr(plan, s.name)) for s in SETTINGS}
        for name, each in self.fields.items():
            each.observe(self._on_typed(name), "typed")
            each.observe(self._on_value(name), "value")
        self.files = ScheduleFiles(folder, lambda: self.draft, self._on_loaded, self._say)
        self._title = widgets.HTML().add_class("snnviz-editor-title")
        self._note = widgets.HTML().add_class("snnviz-editor-note")
        self._use = button("Put them in force", "use-edits", "Edits for a fork", self._on_use)
        self._forget = button("Forget them", "forget-edits", "Edits for a fork", self._on_forget)
        self._undo = button("Undo", "undo", "", lambda: self._on_undo(back=True), "undo")
        self._redo = button("Redo", "redo", "", lambda: self._on_undo(back=False), "repeat")
        self._presets = {p.name: self._preset_button(p.name) for p in PRESETS}
        missing = f'<span title="{NO_HOLDOUT}">(no held-out images)</span>'
        missing = widgets.HTML("" if self._has_holdout else missing)
        presets = [widgets.HTML("presets"), *self._presets.values(), missing]
        undoing = box("undoing", [self._undo, self._redo])
        self._offered = box("undoing", [self._use, self._forget])
        self.widget = widgets.VBox(
            [
                box("editor-head", [self._title, undoing]),
                self.timeline,
                box("presets", presets),
                _fold("main settings", [self._group(MAIN)]),
                _fold("all settings", [self._group(OTHERS)]),
                _fold("save and load", [self.files.widget], self._on_files),
                box("editor-notes", [self._note, self._offered]),
            ]
        ).add_class("snnviz-editor")

    def _group(self, groups: dict[str, tuple[Setting, ...]]) -> widgets.Box:
        columns = [
            [widgets.HTML(name), *[self.fields[each.name] for each in group]]
            for name, group in groups.items()
        ]
        return box("sliders", [box("fields", column) for column in columns])

    def _preset_button(self, name: str) -> widgets.Button:
        preset = next(p for p in PRESETS if p.name == name)
        missing = preset.needs_holdout and not self._has_holdout
        made = button(
            preset.label,
            f"preset-{name}",
            NO_HOLDOUT if missing else preset.help,
            lambda: self._edit(preset.changes(self.draft)),
        )
        made.disabled = missing
        return made

    # What the user does: in any thread --------------------------------------------------------

    def _on_typed(self, name: str) -> Callable[[dict], None]:
        def observe(change: dict) -> None:
            if threading.current_thread() is not self._writer:
                self._judge(name)

        return observe

    def _on_value(self, name: str) -> Callable[[dict], None]:
        def observe(change: dict) -> None:
            if threading.current_thread() is self._writer:  # nobody's hand
                return
            with self._lock:
                if self._judge(name):
                    self._edit({name: taken(name, change["new"])})

        return observe

    def _judge(self, name: str) -> bool:
        """Whether what stands in a field is allowed; if not, why is kept to be shown."""
        each = self.fields[name]
        value = each.value if each.typed is None else each.typed
        with self._lock:
            why = self._refusal({name: taken(name, value)})
            self._errors.pop(name, None)
            if why:
                self._errors[name] = why
        self._changed()
        return not why

    def _refusal(self, changes: Changes) -> str:
        least = self._session.status.position.epoch if self._moment is None else self._moment
        return refusal(self.draft, changes, least, self._has_holdout)

    def _edit(self, changes: Changes) -> bool:
        """Makes an edit that can be undone; whether it was taken."""
        with self._lock:
            plan, edits = self.draft, self._now
            pairs = {k: (getattr(plan, k), v) for k, v in changes.items() if getattr(plan, k) != v}
            if pairs:
                if not self._put({name: new for name, (_, new) in pairs.items()}):
                    return False
                edits.done.append(pairs)
                edits.undone.clear()
            return True

    def _put(self, changes: Changes) -> bool:
        """Hands changes on, or keeps them for a fork; whether they were taken."""
        with self._lock:
            self._news = ""
            if why := self._refusal(changes):
                self._say(why, refused=True)
                return False
            for name in changes:
                self._errors.pop(name, None)
            if self._moment is not None:
                planned = self._session.status.planned
                edits = self._fork | changes
                self._fork = {k: v for k, v in edits.items() if getattr(planned, k) != v}
            else:
                try:
                    self._session.set_schedule(**changes)
                except RuntimeError as error:  # closed
                    self._say(str(error), refused=True)
                    return False
                self._sent = self._sent | changes
        self._changed()
        return True

    @property
    def _now(self) -> _Edits:
        return self._edits["live" if self._moment is None else "fork"]

    def _on_undo(self, back: bool) -> None:
        with self._lock:
            source, target = self._now.done, self._now.undone
            if not back:
                source, target = target, source
            if source and self._put({k: pair[0 if back else 1] for k, pair in source[-1].items()}):
                target.append(source.pop())

    def _on_use(self) -> None:
        with self._lock:
            changes, self._offer = self._offer, {}
            self._edit(changes)
        self._changed()

    def _on_forget(self) -> None:
        self._offer = {}
        self._changed()

    def _on_loaded(self, plan: Schedule, name: str) -> None:
        with self._lock:
            changes = {k: new for k, (_, new) in self.draft.changes(plan).items()}
            if why := self._refusal(changes):
                self._say(f"{name} was not taken: {why}", refused=True)
                return
            words = _in_words(self.draft, changes)
            if not words:
                self._say(f"{name} is the schedule that stands here.")
            elif self._edit(changes):
                self._say(f"{name}: {words}.")

    def _on_files(self) -> None:
        self.files.look()
        self._changed()

    def _say(self, text: str, refused: bool = False) -> None:
        role = "alert" if refused else "status"
        self._news = f'<div role="{role}">{escape(text)}</div>'
        self._changed()

    def _changed(self) -> None:
        with self._lock:
            self._version += 1
        self._wake()

    # The refresher ----------------------------------------------------------------------------

    def show(self, status: Status, history: History, moment: int | None) -> None:
        """Brings the widgets up to date.

        Args:
            status: the session's.
            history: what has run.
            moment: after how many epochs the time machine stands; None: live.
        """
        with self._lock:
            self._turn_to(moment)
            seen = (id(status), id(history), moment, self._version)
            if seen == self._shown or self._only_moves_on(status, moment):
                return
            # Kept, so that no other status comes to have the same id.
            self._shown, self._kept = seen, (status, history)
            settled = self._session.status is status and self._session.caught_up
            if settled:
                self._sent = {}
            planned = self._session.status.planned
            self._offer = {k: v for k, v in self._offer.items() if getattr(planned, k) != v}
            plan = self.draft
            errors, note, edits = dict(self._errors), self._words(plan), self._now
            undo = [edits.done[-1:], edits.undone[-1:]]
            fork, offer = bool(self._fork), bool(self._offer)
        self._writer = threading.current_thread()
        try:
            closed = status.activity == "closed"
            with self._lock:  # no edit comes in between; if one has, the next `show` has it
                settled = (settled or moment is not None) and self._version == seen[-1]
                self._show_fields(status, plan, errors, settled)
            size = min(plan.batch_size, self._n_images)
            batches = status.batches_per_epoch, self._n_images // size
            self.timeline.show(history, status.schedule, plan, batches, moment, fork)
            put(self._title, value=f"<strong>Schedule</strong> {escape(in_a_sentence(plan))}")
            put(self._note, value=note)
            for each, last in zip((self._undo, self._redo), undo, strict=True):
                word = each.description
                text = f"{word}: {', '.join(last[0])}" if last else f"Nothing to {word.lower()}"
                put(each, disabled=closed or not last, tooltip=text)
            put(self._offered.layout, display=None if offer and not closed else "none")
            for preset in PRESETS:
                missing = preset.needs_holdout and not self._has_holdout
                style = "" if preset.changes(plan) else "info"
                put(self._presets[preset.name], disabled=closed or missing, button_style=style)
            self.files.show(closed)
        finally:
            self._writer = None

    def _only_moves_on(self, status: Status, moment: int | None) -> bool:
        """Whether nothing is new but steps, and those were drawn a moment ago."""
        calm = (status.activity, status.generation, status.position.epoch, status.handled)
        calm = (*calm, status.schedule, status.planned, status.notice, moment, self._version)
        now = time.monotonic()
        if status.running and calm == self._calm and now < self._drawn_at + STEPS_EVERY:
            return True
        self._calm, self._drawn_at = calm, now
        return False

    def _turn_to(self, moment: int | None) -> None:
        if moment is None and self._moment is not None:
            self._offer, self._fork = self._fork, {}
            self._edits["fork"] = _Edits()
        if moment is not None and self._moment is None:
            self._offer = {}
        if (moment is None) != (self._moment is None):
            self._errors.clear()
        self._moment = moment

    def _show_fields(
        self, status: Status, plan: Schedule, errors: dict[str, str], settled: bool
    ) -> None:
        words = hints(status, plan, self._moment is None)
        for name, each in self.fields.items():
            value, error = getattr(plan, name), errors.get(name, "")
            if name in ("warmup_epochs", "freeze_epochs"):
                put(each, span=[0, plan.epochs])
            put(each, error=error, hint=words.get(name, ""), disabled=status.activity == "closed")
            if settled and not error and each.typed is None:
                put(each, value=value)

    def _words(self, plan: Schedule) -> str:
        """What is to be said besides the fields, as HTML."""
        lines = []
        if self._moment is not None:
            where = f"epoch {self._moment}" if self._moment else "the start"
            text = _in_words(self._session.status.planned, self._fork)
            text = f"{text}. " if text else "Edits made now are kept for it. "
            text = f"For a fork from {where}: {text}The run itself keeps its schedule."
            lines.append(f'<div role="status" class="snnviz-is-fork">{escape(text)}</div>')
        if self._offer:
            text = _in_words(self._session.status.planned, self._offer)
            text = f"Edited for a fork, and not in force: {text}."
            lines.append(f'<div role="status">{escape(text)}</div>')
        if self._news:
            lines.append(self._news)
        return "".join(lines)


def _in_words(plan: Schedule, changes: Changes) -> str:
    pairs = plan.changes(plan.replace(**changes))
    return ", ".join(f"{name} {old} → {new}" for name, (old, new) in pairs.items())


def _fold(
    label: str,
    children: list[widgets.Widget],
    on_fold: Callable[[], None] = lambda: None,
) -> widgets.Box:
    fold = Fold(label=label)
    fold.observe(lambda _: on_fold(), "opened")
    return box("fold", [fold, box("folded", children)])
