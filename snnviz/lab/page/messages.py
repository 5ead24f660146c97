"""What the lab says: the state of training, notices and errors, as HTML."""

import math
import traceback
from html import escape

import ipywidgets as widgets

from snnviz.history import History
from snnviz.lab.page.readout import Readout
from snnviz.lab.session.status import Notice, Status, describe_changes, percent

ACTIVITIES = {"idle": "Paused", "playing": "Playing", "stepping": "Stepping", "closed": "Closed"}


# Of the loss of a guess, from where on a loss is called no better; and of its accuracy.
NEARLY = 0.99
MORE_THAN_CHANCE = 1.3


class Messages:
    """Status, notices and errors, as text."""

    def __init__(self, machine: str, classes: int, rollback: widgets.Button) -> None:
        self._machine, self._classes = machine, classes
        self.status = Readout().add_class("snnviz-status")
        self.notice = widgets.HTML().add_class("snnviz-notice")
        self.event = widgets.HTML().add_class("snnviz-event")
        self.alert = widgets.HTML().add_class("snnviz-alert")
        self.widget = widgets.Box([self.status, self.notice, self.event, self.alert, rollback])
        self.widget.add_class("snnviz-messages")

    def show(
        self,
        status: Status,
        history: History,
        news: Notice | None = None,
        moment: int | None = None,
        event: str = "",
    ) -> None:
        """The newest state in words, and notices and errors.

        Args:
            status, history: the run's.
            news: what the lab has to say besides.
            moment: the past epoch that is shown; None: now.
            event: what has just happened to neurons.
        """
        self.status.value = _status_html(status, history.last_epoch, self._machine)
        self.event.value = f"<span>{escape(event)}</span>" if event and moment is None else ""
        chance = _describe_chance(history.last_epoch, self._classes)
        self.notice.value = _notice_html(status, news, moment, chance)
        problem = status.problem
        self.alert.value = _alert_html(problem.text, problem.traceback) if problem else ""

    def fail(self, error: Exception) -> None:
        """Says that the newest state could not be shown."""
        text = f"The lab could not show the state of training. {type(error).__name__}: {error}"
        self.alert.value = _alert_html(text, "".join(traceback.format_exception(error)))


def _status_html(status: Status, last_epoch: dict[str, float], machine: str) -> str:
    at, plan = status.position, status.schedule
    activity, phase = _activity(status), "" if status.finished else _phase(status)
    epoch = min(at.epoch + 1, plan.epochs)
    done = at.step / max(at.step + status.steps_left, 1)
    bar = (
        f'<div class="snnviz-bar" role="progressbar" aria-label="steps done" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * done:.0f}">'
        f'<div style="width: {100 * done:.2f}%"></div></div>'
    )
    return (
        '<div class="snnviz-progress">'
        f'<span class="snnviz-activity snnviz-is-{activity.lower()}">{activity}</span>'
        f'<span>epoch {epoch}/{plan.epochs}</span><span class="snnviz-phase">{phase}</span>'
        f"{bar}<span>{_time_left(status)}</span>"
        f'<span class="snnviz-result">{_result(status, last_epoch)}</span></div>'
        f"<dl>{''.join(_fact(*fact) for fact in _facts(status, last_epoch, machine))}</dl>"
    )


def _activity(status: Status) -> str:
    if status.activity == "idle" and status.problem:
        return "Stopped"
    if status.activity == "idle" and status.elsewhere:
        return "Following"
    if status.activity == "idle" and status.finished:
        return "Done"
    return ACTIVITIES[status.activity]


def _result(status: Status, last_epoch: dict[str, float]) -> str:
    """What has come of training so far: "test 91.2 % · 402 of 570 on"."""
    on, neurons = _count_on(status)
    test = f"test {100 * last_epoch['test_accuracy']:.1f} % · " if last_epoch else ""
    return f"{test}{on} of {neurons} on"


def _count_on(status: Status) -> tuple[int, int]:
    """Neurons that are on, as in the grid, and all of them."""
    factors = status.factors.values()
    return sum(int((each != 0).sum()) for each in factors), sum(map(len, factors))


def _facts(
    status: Status, last_epoch: dict[str, float], machine: str
) -> list[tuple[str, str, str]]:
    """What a glance should find, as (name, HTML, smaller HTML below it)."""
    at, batches = status.position, status.batches_per_epoch
    facts = [
        ("next step", _phase(status), status.stage),
        ("steps done", str(at.step), f"batch {at.batch} of {batches}"),
    ]
    if status.finished:
        facts = [("next step", "none", "all epochs done"), ("steps done", str(at.step), "&nbsp;")]
    for name in ("task", "switcher"):
        record = status.records.get(name)
        scores = (record.loss, record.accuracy) if record else None
        facts.append((f"last {name} batch", *_score(scores)))
    ends = (last_epoch["test_loss"], last_epoch["test_accuracy"]) if last_epoch else None
    when = f", epoch {last_epoch['epoch']}" if last_epoch else ""
    facts.append((f"test images{when}", *_score(ends)))
    on, neurons = _count_on(status)
    facts.append(("neurons on", f"{on} of {neurons}", f"{percent(on, neurons)} %"))
    device, _, precision = machine.partition(" · ")
    facts.append(("calculated on", escape(device), escape(precision)))
    return facts


def _phase(status: Status) -> str:
    return f'<span class="snnviz-dot snnviz-dot-{status.phase}"></span>{status.phase} phase'


def _fact(name: str, value: str, below: str) -> str:
    return f"<div><dt>{name}</dt><dd>{value}</dd><dd>{below}</dd></div>"


def _score(scores: tuple[float, float] | None) -> tuple[str, str]:
    if scores is None:
        return "–", "&nbsp;"
    loss, accuracy = scores
    return f"{100 * accuracy:.1f} %", f"loss {loss:.3f}"


def _time_left(status: Status) -> str:
    seconds = status.seconds_left
    if status.finished:
        return "0:00 left"
    if seconds is None:
        return ""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{clock} left"


def _describe_chance(last_epoch: dict[str, float], classes: int) -> str:
    """That the network does no better than one that guesses; "" if it does."""
    guess = math.log(classes)
    if not last_epoch or last_epoch["test_loss"] < NEARLY * guess:
        return ""
    if last_epoch["test_accuracy"] > MORE_THAN_CHANCE / classes:
        return ""  # it is only too sure of itself
    return (
        f"After epoch {last_epoch['epoch']} the network is no better than guessing among "
        f"{classes} classes (test loss {last_epoch['test_loss']:.2f}; a guess has {guess:.2f}). "
        "Try a lower learning rate or a longer warm-up."
    )


def _notice_html(status: Status, news: Notice | None, moment: int | None, chance: str) -> str:
    lines: list[tuple[str, str]] = [(news.kind, news.text)] if news else []
    if chance:
        lines.append(("refused", chance))
    if moment is not None:
        when = f"the end of epoch {moment}" if moment else "the start"
        text = f"You see {when}. Play continues from now; to train from here, fork."
        lines.append(("past", text))
    if status.planned != status.schedule:
        text = f"From the next round: {describe_changes(status.schedule, status.planned)}"
        if not status.running:
            text += " (paused within a round; Play or Step continues it)"
        lines.append(("pending", f"{text}."))
    if status.notice:
        lines.append((status.notice.kind, status.notice.text))
    return "".join(
        f'<div role="{"alert" if kind == "refused" else "status"}" '
        f'class="snnviz-is-{kind.replace(" ", "-")}">{escape(text)}</div>'
        for kind, text in lines
    )


def _alert_html(text: str, details: str) -> str:
    return (
        f'<div role="alert"><p>{escape(text)}</p><details><summary>Details</summary>'
        f"<pre>{escape(details)}</pre></details></div>"
    )
