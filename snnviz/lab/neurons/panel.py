"""The neuron grid with its buttons: what if these neurons were off?"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from html import escape
from types import MappingProxyType
from typing import Any

import ipywidgets as widgets
import numpy as np

from snnviz.history import History
from snnviz.lab.neurons.flips import Flips
from snnviz.lab.neurons.grid import DEEDS, PINNED, TRIED_OFF, TRIED_ON, Grid, parse_wish
from snnviz.lab.neurons.numbering import encode, name_neuron
from snnviz.lab.page.names import drop_prefix
from snnviz.lab.page.pieces import box, put
from snnviz.lab.schedule.past import PastCourse
from snnviz.lab.session import Session
from snnviz.lab.session.neuron import factor_history
from snnviz.lab.session.status import Status
from snnviz.lab.session.whatif import Trial

BUTTONS = {
    "off": ("Switch off", "toggle-off", "What if the selected neurons were off? (O)"),
    "on": ("Switch on", "toggle-on", "What if the selected neurons were on? (N)"),
    "keep": ("Keep", "thumb-tack", "Pin what is tried: the switcher no longer changes it (K)"),
    "let go": ("Let go", "undo", "Undo what is tried, and unpin: the selected neurons, or all (L)"),
}


class NeuronPanel:
    """All neurons, the page of one of them, and the effect of switching some by hand."""

    def __init__(self, session: Session, wake: Callable[[], None] = lambda: None) -> None:
        self.session = session
        groups = session.trainer.history.groups
        self._groups, self._n = dict(groups), sum(groups.values())
        self._labels = drop_prefix(groups)
        self.grid = Grid(groups)
        self.grid.observe(self._look, "opened")
        self.grid.observe(lambda _: wake(), "selected")
        self.grid.on_msg(self._wished)
        self.buttons = {name: self._button(name) for name in DEEDS}
        self.result = widgets.HTML().add_class("snnviz-whatif-result")
        title = widgets.HTML("<strong>What if?</strong>")
        bar = widgets.Box([title, *self.buttons.values()]).add_class("snnviz-whatif")
        self._asking = box("asking", [bar, self.result])
        self._asking.layout.display = "none"  # until a neuron is selected
        self.twin: Grid | None = None  # made when it is first needed
        self.widget = widgets.VBox([self.grid, self._asking]).add_class("snnviz-panel")
        self._flips, self._past = Flips(), PastCourse()
        self._away = False  # closed, or looking at the past
        self._shown: dict[str, Any] = {}

    def turn_to(self, session: Session) -> None:
        """Shows another run's neurons from now on; the groups are the same."""
        self.session = session
        self._look()

    def show(self, status: Status, history: History, moment: int | None) -> None:
        """Brings the grid to the newest state, or to that of a past epoch."""
        with self.grid.hold_sync():  # one message
            self._show_neurons(status, history, moment)
            self._show_page(status, history)
        self._away = status.activity == "closed" or moment is not None
        held = status.trial or status.pins or status.refusal
        for name, button in self.buttons.items():
            needs = {"keep": status.trial, "let go": held}.get(name, self.grid.selected)
            button.disabled = self._away or not needs
        # Below the neurons, so that none moves away from under the mouse when it comes.
        put(self._asking.layout, display=None if held or self.grid.selected else "none")
        html = _result_html(status.trial, status.kept, moment, self._labels)
        html += _refusal_html(status.refusal)
        if self.result.value != html:
            self.result.value = html

    def show_answers(self, answers: Mapping[str, np.ndarray]) -> None:
        """Shows answers from 0 to 1 instead of factors; {}: factors."""
        whole = {name: answers.get(name, np.zeros(n)) for name, n in self._groups.items()}
        self._put("answers", encode(self._groups, whole) if answers else b"")

    def show_twin(self, name: str, status: Status | None) -> None:
        """Shows the neurons of a run beside this one, if there is one."""
        if self.twin is None and status is None:
            return
        if self.twin is None:
            self.twin = Grid(self._groups, live=False, bare=True).add_class("snnviz-twin-grid")
            self.widget.children = (*self.widget.children, self.twin)
        put(self.twin.layout, display="none" if status is None else None)
        if status is not None:
            moment = f"{name}, epoch {status.position.epoch}"
            put(self.twin, moment=moment, factors=encode(self._groups, status.factors))

    def _show_neurons(self, status: Status, history: History, moment: int | None) -> None:
        at = status.position
        if moment is None:
            factors = status.factors
            self._put("moment", f"now, step {at.step}")
        else:
            factors = history.factors_at(moment)
            self._put("moment", f"epoch {moment}" if moment else "the start")
        self._put("factors", encode(self._groups, factors))
        finished = min(history.n_epochs, at.epoch)
        seen = (status.generation, finished if moment is None else moment, history)
        if self._shown.get("flips") != seen:
            self._put("flipped", self._flips.at(history, moment))
            self._shown["flips"] = seen
        # What is pinned and tried belongs to the present.
        self._put("marks", self._marks(status).tobytes() if moment is None else bytes(self._n))

    def _show_page(self, status: Status, history: History) -> None:
        opened = self.grid.opened
        page = status.page
        shown = None if page is None else (page.group, page.index)
        if opened < 0 or page is None or shown != name_neuron(self._groups, opened):
            self._put("page", {}, key=None)
            return
        key = (page, history.n_epochs, status.generation)
        if self._shown.get("page") != key:
            self._past.read(history, status.batches_per_epoch)
            kinds = self._past.kinds(status.schedule)
            lived = factor_history(history, page.group, page.index, kinds)
            self._put("page", {"neuron": opened, **page.facts, "epochs": lived}, key=key)

    def _marks(self, status: Status) -> np.ndarray:
        tried = status.trial.changes if status.trial else {}
        parts = []
        for group, n in self._groups.items():
            marks = np.zeros(n, np.uint8)
            marks[list(status.pins.get(group, {}))] |= PINNED
            for i, on in tried.get(group, {}).items():
                marks[i] |= TRIED_ON if on else TRIED_OFF
            parts.append(marks)
        return np.concatenate(parts)

    def _put(self, name: str, value: Any, key: Any = ...) -> None:
        """Writes a trait if it is another value than the one written last."""
        key = value if key is ... else key
        if name not in self._shown or self._shown[name] != key:
            self._shown[name] = key
            setattr(self.grid, name, value)

    # From the page, in any thread -------------------------------------------------------------

    def _look(self, change: dict | None = None) -> None:
        if self.grid.opened < 0:
            self.session.look_at(None)
        else:
            self.session.look_at(*name_neuron(self._groups, self.grid.opened))

    def _wished(self, widget: Any, content: Any, buffers: Any) -> None:
        asked = parse_wish(content, self._n)
        if asked:
            self._do(*asked)

    def _button(self, name: str) -> widgets.Button:
        text, icon, tooltip = BUTTONS[name]
        button = widgets.Button(description=text, icon=icon, tooltip=tooltip)
        button.add_class(f"snnviz-whatif-{name.replace(' ', '-')}")
        button.on_click(lambda _: self._do(name, self.grid.selected))
        return button

    def _do(self, deed: str, neurons: Iterable[int]) -> None:
        if self._away:
            return
        chosen: dict[str, list[int]] = {}
        for k in neurons:
            group, i = name_neuron(self._groups, k)
            chosen.setdefault(group, []).append(i)
        if deed == "keep":
            self.session.keep()
        elif deed == "let go":
            self.session.let_go(chosen or None)
        elif chosen:
            on = deed == "on"
            self.session.try_out({group: dict.fromkeys(some, on) for group, some in chosen.items()})


def _refusal_html(why: str) -> str:
    return f'<div role="alert">{escape(why)}</div>' if why else ""


def _result_html(
    trial: Trial | None,
    kept: Trial | None = None,
    moment: int | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The result, in words and class by class. `labels`: what groups are called."""
    if moment is not None:
        return '<p class="snnviz-hint">Press Now first; what-if works on the present network.</p>'
    if shown := trial or kept:
        changes = {labels.get(group, group): some for group, some in shown.changes.items()}
        already = {labels.get(group, group): some for group, some in shown.already.items()}
        return _trial_html(replace(shown, changes=changes, already=already), kept=trial is None)
    return (
        '<p class="snnviz-hint">Switch the selected neurons off or on to see how the '
        "test accuracy would change. Training is not affected.</p>"
    )


def _trial_html(trial: Trial, kept: bool) -> str:
    before, after = 100 * trial.before.accuracy, 100 * trial.after.accuracy
    change = _write_signed(after - before)
    images = sum(trial.before.images)
    of = f"{images:,} of {trial.of:,}" if images < trial.of else f"{images:,}"
    items = "".join(_class_item(trial, i) for i in range(len(trial.classes)))
    head, then = f"What if {_describe_trial(trial)}:", "Keep pins this; Let go undoes it."
    if kept:
        head = f"Kept: {_describe_trial(replace(trial, already={}), ('is', 'are'))};"
        then = "The switcher no longer changes them; Let go unpins them."
    return (
        f'<div role="status"><p><b>{head}</b> test accuracy '
        f"{before:.2f} → <b>{after:.2f} %</b> ({change} points; {of} images, "
        f"step {trial.step}). {then}</p>"
        f'<ul class="snnviz-classes" tabindex="0" aria-label="by class">{items}</ul></div>'
    )


def _class_item(trial: Trial, i: int) -> str:
    """A class with its change in points, and a bar to the left (worse) or right (better)."""
    before, after = trial.before.of_class(i), trial.after.of_class(i)
    name = escape(trial.classes[i])
    if before is None or after is None:
        return f"<li>{name}<b>no image</b></li>"
    change = 100 * (after - before)
    kind = "worse" if change < 0 else "better"
    bar = f'<i class="snnviz-is-{kind}" style="width: {min(abs(change), 100) / 2:.1f}%"></i>'
    said = f"{100 * before:.1f} → {100 * after:.1f} %"
    return f'<li title="{said}">{name}<b>{_write_signed(change, 1)}</b><span>{bar}</span></li>'


def _describe_trial(trial: Trial, verbs: tuple[str, str] = ("was", "were")) -> str:
    """ "12 neurons of fc1 were off (3 already)"."""
    parts = []
    for group, neurons in trial.changes.items():
        already = trial.already.get(group, frozenset())
        for on in (False, True):
            if chosen := [i for i, wanted in neurons.items() if wanted == on]:
                which = f"{group} · {chosen[0]}" if len(chosen) == 1 else ""
                which = which or f"{len(chosen)} neurons of {group}"
                verb = verbs[len(chosen) > 1]
                same = len(already.intersection(chosen))
                more = f" ({same} already)" if same and len(chosen) > 1 else ""
                more = more or (" (already the case)" if same else "")
                parts.append(f"{escape(which)} {verb} {'on' if on else 'off'}{more}")
    return ", ".join(parts)


def _write_signed(value: float, digits: int = 2) -> str:
    text = f"{abs(value):.{digits}f}"
    return "±0" if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"
