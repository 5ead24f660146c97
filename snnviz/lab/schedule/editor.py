"""The schedule editor: a timeline, a field for each setting, presets, undo, and files."""

import threading
import time
from collections.abc import Callable, Iterable
from html import escape

import ipywidgets as widgets

from snnviz.history import History
from snnviz.lab.page.fold import fold
from snnviz.lab.page.pieces import box, button, put
from snnviz.lab.schedule.course import describe_schedule
from snnviz.lab.schedule.drafts import Changes, Drafts, combine
from snnviz.lab.schedule.files import ScheduleFiles
from snnviz.lab.schedule.presets import PRESETS
from snnviz.lab.schedule.settings import (
    MAIN,
    OTHERS,
    SETTINGS,
    Setting,
    convert_value,
    find_hints,
    make_field,
)
from snnviz.lab.schedule.strip import strip_html
from snnviz.lab.schedule.timeline import Timeline
from snnviz.lab.session import Session, Status
from snnviz.lab.session.status import describe_changes
from snnviz.training import Schedule

STEPS_EVERY = 1.0  # seconds until the timeline follows steps that are all that is new
NO_HOLDOUT = "The data has no held-out split. Load it with one: load_data(name, holdout=5000)."


class ScheduleEditor:
    """Shows the schedule, and hands on edits that are allowed.

    Live, an edit goes to the session at once, which applies it with the next round. While the time
    machine shows a past epoch, edits are kept for a fork from there.

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
        self._wake = wake
        self._n_images = len(session.trainer.data.train)
        self._lock = threading.RLock()
        self._drafts = Drafts(session)
        self._errors: dict[str, str] = {}
        self._news = ""  # HTML
        self._writer: threading.Thread | None = None
        self._shown: tuple | None = None
        self._calm: tuple | None = None
        self._drawn_at = 0.0
        self._version = 0
        self._build(folder)

    @property
    def draft(self) -> Schedule:
        """What the editor says: the schedule that is planned, with the edits made here."""
        with self._lock:
            return self._drafts.draft

    def turn_to(self, session: Session) -> None:
        """Edits another run's schedule from now on; edits of the one before are forgotten."""
        with self._lock:
            self._drafts, self._news = Drafts(session), ""
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
        plan = self._drafts.planned
        self.timeline = Timeline()
        self.strip = widgets.HTML().add_class("snnviz-course")
        self.fields = {s.name: make_field(s, getattr(plan, s.name)) for s in SETTINGS}
        for name, each in self.fields.items():
            each.observe(self._on_typed(name), "typed")
            each.observe(self._on_value(name), "value")
        self.files = ScheduleFiles(folder, lambda: self.draft, self._on_loaded, self._say)
        self._title = widgets.HTML().add_class("snnviz-editor-title")
        self._note = widgets.HTML().add_class("snnviz-editor-note")
        self._use = button(
            "Apply",
            "use-edits",
            "Use the fork's edits in this run",
            self._on_use,
        )
        self._forget = button("Discard", "forget-edits", "Drop the fork's edits", self._on_forget)
        self._undo = button("Undo", "undo", "", lambda: self._on_undo(back=True), "undo")
        self._redo = button("Redo", "redo", "", lambda: self._on_undo(back=False), "repeat")
        self._presets = {p.name: self._preset_button(p.name) for p in PRESETS}
        missing = f'<span title="{NO_HOLDOUT}">(no held-out images)</span>'
        missing = widgets.HTML("" if self._drafts.has_holdout else missing)
        presets = [widgets.HTML("presets"), *self._presets.values(), missing]
        undoing = box("undoing", [self._undo, self._redo])
        self._offered = box("undoing", [self._use, self._forget])
        self._offered.layout.display = "none"
        self.widget = widgets.VBox(
            [
                box("editor-head", [self._title, undoing]),
                self.timeline,
                box("presets", presets),
                fold("main settings", [self._group(MAIN)]),
                fold("more settings", [self._group(OTHERS)]),
                fold("save and load", [self.files.widget], self._on_files),
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
        missing = preset.needs_holdout and not self._drafts.has_holdout
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
                    self._edit({name: convert_value(name, change["new"])})

        return observe

    def _judge(self, name: str) -> bool:
        """Whether a field's content is allowed; if not, the reason is kept and shown."""
        each = self.fields[name]
        value = each.value if each.typed is None else each.typed
        with self._lock:
            why = self._drafts.refusal({name: convert_value(name, value)})
            self._errors.pop(name, None)
            if why:
                self._errors[name] = why
        self._changed()
        return not why

    def _edit(self, changes: Changes) -> bool:
        """Makes an edit that can be undone; whether it was accepted."""
        with self._lock:
            changes = self._drafts.find_changes(changes)
            return not changes or self._report(self._drafts.edit(changes), changes)

    def _on_undo(self, back: bool) -> None:
        with self._lock:
            if last := self._drafts.last_edit(back):
                self._report(self._drafts.undo(back), last)

    def _report(self, why: str, names: Iterable[str]) -> bool:
        """Says why fields were not changed, or clears what was said of them; whether they were."""
        self._news = ""
        if why:
            self._say(why, refused=True)
            return False
        for name in names:
            self._errors.pop(name, None)
        self._changed()
        return True

    def _on_use(self) -> None:
        with self._lock:
            changes, self._drafts.offer = self._drafts.offer, {}
            self._edit(changes)
        self._changed()

    def _on_forget(self) -> None:
        with self._lock:
            self._drafts.offer = {}
        self._changed()

    def _on_loaded(self, plan: Schedule, name: str) -> None:
        with self._lock:
            draft = self.draft
            changes = {k: new for k, (_, new) in draft.changes(plan).items()}
            if why := self._drafts.refusal(changes):
                self._say(f"{name} was not loaded: {why}", refused=True)
                return
            words = describe_changes(draft, draft.replace(**changes))
            if not words:
                self._say(f"{name} is the same as the current schedule.")
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
            moment: the past epoch that the time machine shows; None: live.
        """
        with self._lock:
            if self._drafts.turn_to(moment):
                self._errors.clear()
            seen = (status, history, moment, self._version)
            if self._is_shown(seen) or self._only_steps_are_new(status, moment):
                return
            self._shown = seen
            settled = self._drafts.catch_up(status)
            plan = self.draft
            errors, note = dict(self._errors), self._note_html()
            undo = [self._drafts.last_edit(back) for back in (True, False)]
            fork, offer = bool(self._drafts.fork_changes), bool(self._drafts.offer)
        self._writer = threading.current_thread()
        try:
            closed = status.activity == "closed"
            with self._lock:  # no edit comes in between; if one has, the next `show` has it
                settled = (settled or moment is not None) and self._version == seen[-1]
                self._show_fields(status, plan, errors, settled)
            size = min(plan.batch_size, self._n_images)
            batches = status.batches_per_epoch, self._n_images // size
            self.timeline.show(history, status.schedule, plan, batches, moment, fork)
            words, drawn = describe_schedule(plan), self.timeline
            put(self.strip, value=strip_html(drawn.bands, drawn.total, drawn.now, words))
            put(self._title, value=f"<strong>Schedule</strong> {escape(words)}")
            put(self._note, value=note)
            for each, last in zip((self._undo, self._redo), undo, strict=True):
                word = each.description
                text = f"{word}: {', '.join(last)}" if last else f"Nothing to {word.lower()}"
                put(each, disabled=closed or not last, tooltip=text)
            put(self._offered.layout, display=None if offer and not closed else "none")
            for preset in PRESETS:
                missing = preset.needs_holdout and not self._drafts.has_holdout
                style = "" if preset.changes(plan) else "info"
                put(self._presets[preset.name], disabled=closed or missing, button_style=style)
            self.files.show(closed)
        finally:
            self._writer = None

    def _is_shown(self, seen: tuple) -> bool:
        """Whether the very same state is shown already."""
        shown = self._shown
        return (
            shown is not None
            and seen[2:] == shown[2:]
            and all(new is old for new, old in zip(seen[:2], shown[:2], strict=True))
        )

    def _only_steps_are_new(self, status: Status, moment: int | None) -> bool:
        """Whether nothing is new but steps, and those were drawn a moment ago."""
        calm = (status.activity, status.generation, status.position.epoch, status.handled)
        calm = (*calm, status.schedule, status.planned, status.notice, moment, self._version)
        now = time.monotonic()
        if status.running and calm == self._calm and now < self._drawn_at + STEPS_EVERY:
            return True
        self._calm, self._drawn_at = calm, now
        return False

    def _show_fields(
        self, status: Status, plan: Schedule, errors: dict[str, str], settled: bool
    ) -> None:
        words = find_hints(status, plan, self._drafts.moment is None)
        for name, each in self.fields.items():
            value, error = getattr(plan, name), errors.get(name, "")
            if name in ("warmup_epochs", "freeze_epochs"):
                put(each, span=[0, plan.epochs])
            put(each, error=error, hint=words.get(name, ""), disabled=status.activity == "closed")
            if settled and not error and each.typed is None:
                put(each, value=value)

    def _note_html(self) -> str:
        """What is to be said besides the fields."""
        lines, drafts = [], self._drafts
        if drafts.moment is not None:
            where = f"epoch {drafts.moment}" if drafts.moment else "the start"
            text = self._describe(drafts.fork_changes)
            text = f"{text}. " if text else "Edits that you make now are kept for it. "
            text = f"For a fork from {where}: {text}The run itself keeps its schedule."
            lines.append(f'<div role="status" class="snnviz-is-fork">{escape(text)}</div>')
        if drafts.offer:
            text = f"Edited for a fork, not used in this run: {self._describe(drafts.offer)}."
            lines.append(f'<div role="status">{escape(text)}</div>')
        if self._news:
            lines.append(self._news)
        return "".join(lines)

    def _describe(self, changes: Changes) -> str:
        planned = self._drafts.planned
        return describe_changes(planned, combine(planned, changes))
