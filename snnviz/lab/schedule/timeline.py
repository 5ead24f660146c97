"""The timeline: what has run and what is planned, drawn to scale."""

from pathlib import Path
from typing import Any

import traitlets

from snnviz.history import History
from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget
from snnviz.lab.schedule import course
from snnviz.lab.schedule.course import Band, Lines
from snnviz.lab.schedule.past import PastCourse
from snnviz.training import Schedule

HERE = Path(__file__).parent
FIELDS: dict[course.Kind, str] = {
    "warm-up": "warmup_epochs",
    "alternating": "task_steps",
    "frozen": "freeze_epochs",
    "task only": "switcher_steps",
}


class Timeline(ScriptWidget):
    """Epochs from left to right: phases, learning rates, events, and how far the run has come.

    A click on a phase goes to the field that edits it, which has the class `snnviz-<field>` and
    is in the same `snnviz-editor`.
    """

    _esm = join_script(HERE / "timeline.js")
    _css = join_styles(HERE / "timeline.css")

    total = traitlets.Int(1, help="epochs that the axis spans").tag(sync=True)
    run = traitlets.Int(0, help="finished epochs").tag(sync=True)
    now = traitlets.Float(0.0, help="how far the run has come, in epochs").tag(sync=True)
    moment = traitlets.Int(-1, help="epoch that the time machine shows; -1: live").tag(sync=True)
    bands = traitlets.List(help="phases, in order").tag(sync=True)
    rates = traitlets.Dict(help="learning rates of both phases").tag(sync=True)
    ramp = traitlets.List(help="begin and end of the ramp to a size, and the size; or none").tag(
        sync=True
    )
    ticks = traitlets.List(help="events").tag(sync=True)
    picked = traitlets.Int(-1, help="the epoch that was asked for; -1: none").tag(sync=True)
    live = traitlets.Bool(True, help="a kernel answers; not so in an exported file").tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.add_class("snnviz-timeline")
        self._past = PastCourse()

    def show(
        self,
        history: History,
        now: Schedule,
        plan: Schedule,
        batches: tuple[int, int],
        moment: int | None,
        fork: bool,
    ) -> None:
        """Brings it up to date.

        Args:
            history: what has run.
            now: the schedule that is used now.
            plan: what is to come.
            batches: task steps in an epoch, of the one schedule and of the other.
            moment: the past epoch that the time machine shows; None: live.
            fork: the plan begins at that moment, not at the end of what has run.
        """
        self._past.read(history, batches[0])
        until = float(moment) if fork and moment is not None else self._past.end
        new = {
            **draw_course(self._past, now, plan, batches[1], until),
            "run": history.n_epochs,
            "moment": -1 if moment is None else moment,
            "picked": -1,
        }
        with self.hold_sync():
            for name, value in new.items():
                if getattr(self, name) != value:
                    setattr(self, name, value)


def draw_course(
    past: PastCourse, now: Schedule, plan: Schedule, batches: int, until: float
) -> dict[str, Any]:
    """The traits that show what has run and what is to come.

    Args:
        past: what has run.
        now: the schedule that is used now.
        plan: what is to come.
        batches: task steps in an epoch of the plan.
        until: where the plan begins.
    """
    coming = course.plan_bands(plan, until, batches)
    return {
        "total": max(plan.epochs, -int(-past.end // 1), 1),
        "now": _place(past.end),
        "bands": [_band(b) for b in [*past.bands(now, until), *coming]],
        "rates": {
            phase: {
                "start": getattr(plan, f"{phase}_lr"),
                "done": _lines(past.rates(phase, until)),
                "planned": _lines(course.plan_rates(plan, phase, coming, batches)),
            }
            for phase in ("task", "switcher")
        },
        "ramp": [] if plan.size is None else [*map(_place, plan.ramp), plan.size],
        "ticks": [{"at": _place(tick.at), "words": tick.words} for tick in past.ticks()[-200:]],
    }


def _band(band: Band) -> dict[str, Any]:
    return {
        "start": _place(band.start),
        "end": _place(band.end),
        "kind": band.kind,
        "done": band.done,
        "task": band.task,
        "switcher": band.switcher,
        "round": band.round,
        "words": band.words,
        "field": FIELDS[band.kind],
    }


def _lines(lines: Lines) -> list[list[list[float]]]:
    """Short numbers, for they are written out on their way to the page."""
    return [[[_place(x), float(f"{lr:.4g}")] for x, lr in line] for line in lines]


def _place(x: float) -> float:
    return round(x, 4)
