"""What the timeline draws: bands, learning rates and events, against runs counted step by step."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnviz.history import History
from snnviz.lab.schedule.course import POINTS, Band, describe_schedule, plan_bands, plan_rates
from snnviz.lab.schedule.past import PastCourse
from snnviz.lab.schedule.timeline import Timeline
from snnviz.training import Phase, Position, Schedule

BATCHES = 10

plans = st.builds(
    Schedule,
    epochs=st.integers(1, 12),
    task_steps=st.integers(1, 15),
    switcher_steps=st.integers(0, 4),
    warmup_epochs=st.integers(0, 13),
    freeze_epochs=st.integers(0, 13),
)


class Run:
    """A history without a network, filled by a schedule step by step."""

    def __init__(self, plan: Schedule) -> None:
        self.plan, self.history, self.at = plan, History({"a": 2}), Position()

    def step(self, n: int = 1) -> None:
        for _ in range(n):
            at, plan = self.at, self.plan
            phase = plan.phase(at)
            lr = plan.learning_rate(phase, at, BATCHES)
            self.history.add_step(
                step=at.step + 1, epoch=at.epoch + 1, phase=phase, loss=1.0, accuracy=0.5, lr=lr
            )
            self.at = plan.after(at, BATCHES)
            if self.at.epoch > at.epoch:
                self.end_epoch()

    def end_epoch(self) -> None:
        names = ["train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"]
        numbers = dict.fromkeys(("neurons_on", "neurons", "parameters", "macs"), 2)
        self.history.add_epoch(
            {"a": np.ones(2, np.float32)},
            epoch=self.at.epoch,
            step=self.at.step,
            **dict.fromkeys(names, 1.0),
            **numbers,
        )

    def to_epoch(self, epoch: int) -> None:
        while self.at.epoch < epoch:
            self.step()

    def replan(self, **changes: object) -> None:
        new = self.plan.replace(**changes)
        pairs = self.plan.changes(new).items()
        detail = ", ".join(f"{name}: {old} → {now}" for name, (old, now) in pairs)
        self.history.add_event(
            epoch=self.at.epoch + 1, step=self.at.step, event="schedule", detail=detail
        )
        self.plan, self.at = new, Position(self.at.step, self.at.epoch, self.at.batch)

    def roll_back(self, epoch: int) -> None:
        step = self.history.epoch_rows()[epoch - 1][1] if epoch else 0
        before, self.at = self.at, Position(step, epoch)
        self.history.truncate(epochs=epoch, steps=step)
        detail = f"back to the end of epoch {epoch}" if epoch else "back to the start"
        self.history.add_event(
            epoch=before.epoch + 1, step=before.step, event="rollback", detail=detail
        )


def read(run: Run) -> PastCourse:
    past = PastCourse()
    past.read(run.history, BATCHES)
    return past


def looks(past: PastCourse, plan: Schedule) -> tuple:
    lines = [past.rates(phase) for phase in ("task", "switcher")]
    return past.bands(plan), lines, past.ticks(), past.end


def phases_between(run: Run, band: Band) -> list[str]:
    """The phases of the steps of a band that ends with epochs, counted one by one."""
    rows = run.history.step_rows()
    return [row[2] for row in rows if band.start < row[1] <= band.end]


# --- what is planned --------------------------------------------------------------------------


@given(plans, st.floats(0, 13))
def test_planned_bands_are_the_stages_of_the_schedule(plan: Schedule, start: float) -> None:
    bands = plan_bands(plan, start, BATCHES)
    assert all(a.end == b.start for a, b in pairwise(bands))
    if start >= plan.epochs:
        assert bands == []
        return
    assert (bands[0].start, bands[-1].end) == (start, plan.epochs)
    for epoch in range(math.ceil(start), plan.epochs):
        (band,) = [b for b in bands if b.start <= epoch < b.end]
        assert band.kind == (plan.stage(epoch) if plan.switcher_steps else "task only")
        assert (band.switcher > 0 or band.round is not None) == plan.alternates(epoch)


def test_planned_bands_in_words() -> None:
    plan = Schedule(epochs=8, freeze_epochs=2)
    assert [band.words for band in plan_bands(plan, 0, 117)] == [
        "warm-up, epoch 1, planned: 117 task steps",
        "alternating, epochs 2 to 6, planned: 585 task and 146 switcher steps, "
        "in rounds of 4 task and 1 switcher step",
        "frozen, epochs 7 to 8, planned: 234 task steps",
    ]
    assert [band.words for band in plan_bands(plan.replace(switcher_steps=0), 7.5, 2000)] == [
        "task steps only, epoch 8, planned: 1,000 task steps"
    ]


@pytest.mark.parametrize("phase", ["task", "switcher"])
def test_planned_rates_are_those_of_the_schedule(phase: Phase) -> None:
    plan = Schedule(epochs=8, warmup_epochs=1, freeze_epochs=2, task_decay="constant")
    lines = plan_rates(plan, phase, plan_bands(plan, 0.5, 1000), 1000)
    first, last = (0.5, 8) if phase == "task" else (1, 6)
    assert len(lines) == 1
    places = [x for x, _ in lines[0]]
    assert (places[0], places[-1]) == (first, last)
    assert places == sorted(set(places))
    assert POINTS / 2 < len(places) < 1.1 * POINTS
    for x, lr in lines[0]:
        at = Position(epoch=int(x), batch=round((x - int(x)) * 1000))
        assert lr == plan.learning_rate(phase, at, 1000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1 epoch warm-up, then 7 alternating in rounds of 4 task and 1 switcher step."),
        (
            {"warmup_epochs": 0, "freeze_epochs": 3, "switcher_steps": 2},
            "5 epochs alternating in rounds of 4 task and 2 switcher steps, then 3 frozen.",
        ),
        ({"switcher_steps": 0}, "8 epochs without a switcher phase: the factors stay constant."),
        (
            {"warmup_epochs": 5, "freeze_epochs": 4},
            "No epoch is left between warm-up and frozen epochs: there will be no switcher phase.",
        ),
        (
            {"epochs": 1, "warmup_epochs": 0, "switcher_data": "holdout"},
            "1 epoch alternating in rounds of 4 task and 1 switcher step; "
            "the switcher uses held-out data.",
        ),
        (
            {"size": 0.25, "size_of": "macs"},
            "1 epoch warm-up, then 7 alternating in rounds of 4 task and 1 switcher step; neurons "
            "go off from epoch 2.75 to 4.5, until 25 % of the macs are left (an extension, not in "
            "the paper).",
        ),
    ],
)
def test_a_schedule_in_a_sentence(changes: dict, words: str) -> None:
    assert describe_schedule(Schedule(**changes)) == words


# --- what has run -----------------------------------------------------------------------------


@given(plans)
def test_past_bands_are_what_ran(plan: Schedule) -> None:
    run = Run(plan)
    run.to_epoch(plan.epochs)
    bands = read(run).bands(plan)
    assert (bands[0].start, bands[-1].end) == (0, plan.epochs)
    for a, b in pairwise(bands):
        assert a.end == b.start
        assert a.kind != b.kind
    for band in bands:
        phases = phases_between(run, band)
        assert band.done
        assert (band.task, band.switcher) == (phases.count("task"), phases.count("switcher"))
        if band.switcher:
            assert band.kind == "alternating"
        kinds = {
            plan.stage(epoch) if plan.switcher_steps else "task only"
            for epoch in range(int(band.start), int(band.end))
        }
        if plan.task_steps <= BATCHES:  # else an epoch may come without its switcher phase
            assert kinds == {band.kind}


def test_the_epoch_under_way() -> None:
    run = Run(Schedule(epochs=4))
    run.to_epoch(1)
    run.step(7)  # 4 task, 1 switcher, 2 task
    past = read(run)
    assert past.end == 1.6
    assert past.bands(run.plan) == [
        Band(0, 1, "warm-up", True, 10, 0),
        Band(1, 1.6, "alternating", True, 6, 1, (4, 1)),
    ]
    assert past.bands(run.plan, until=1) == [Band(0, 1, "warm-up", True, 10, 0)]
    assert past.bands(run.plan, until=0) == []


def test_a_change_of_the_round_ends_a_band() -> None:
    run = Run(Schedule(epochs=4, warmup_epochs=0))
    run.step(10)  # two rounds
    run.replan(task_lr=0.1)
    run.step(5)
    run.replan(task_steps=2, switcher_steps=3)
    run.to_epoch(2)
    past = read(run)
    bands = past.bands(run.plan)
    assert bands == [
        Band(0, 1.2, "alternating", True, 12, 3, (4, 1)),
        Band(1.2, 2, "alternating", True, 8, 9, (2, 3)),
    ]
    assert bands[0].words == "alternating, epochs 1 to 2, done: 12 task and 3 switcher steps"
    assert [(tick.at, tick.words) for tick in past.ticks()] == [
        (pytest.approx(10 / 12), "schedule task_lr: 0.05 → 0.1"),
        (pytest.approx(1 + 3 / 20), "schedule task_steps: 4 → 2, switcher_steps: 1 → 3"),
    ]


def test_dense_and_then_not() -> None:
    run = Run(Schedule(epochs=4, switcher_steps=0))
    run.to_epoch(2)
    assert [b.kind for b in read(run).bands(run.plan)] == ["task only"]
    run.replan(switcher_steps=1)
    run.to_epoch(3)
    assert [b.kind for b in read(run).bands(run.plan)] == ["warm-up", "alternating"]
    run.replan(switcher_steps=0)
    run.to_epoch(4)
    kinds = [(b.kind, b.start, b.end) for b in read(run).bands(run.plan)]
    assert kinds == [("warm-up", 0, 2), ("alternating", 2, 3), ("task only", 3, 4)]


def test_what_a_rollback_undid_counts_from_where_it_led() -> None:
    run = Run(Schedule(epochs=4, warmup_epochs=0))
    run.to_epoch(1)
    run.step(5)
    run.replan(task_steps=2)
    run.to_epoch(3)
    run.roll_back(1)
    run.to_epoch(2)
    past = read(run)
    assert [(b.start, b.end, b.round) for b in past.bands(run.plan)] == [
        (0, 1, (4, 1)),
        (1, 2, (2, 1)),
    ]
    (tick,) = past.ticks()
    assert tick.at == 1
    assert tick.words == "schedule task_steps: 4 → 2; rollback back to the end of epoch 1"
    run.roll_back(0)
    past = read(run)
    assert (past.bands(run.plan), past.end) == ([], 0)
    assert [tick.at for tick in past.ticks()] == [0]


def commands(rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    for _ in range(60):
        yield (
            str(rng.choice(["step", "step", "steps", "round", "rate", "back"])),
            int(rng.integers(1, 30)),
        )


@pytest.mark.parametrize("seed", range(8))
def test_reading_bit_by_bit_is_reading_at_once(seed: int) -> None:
    run, past = Run(Schedule(epochs=30, task_steps=3)), PastCourse()
    for command, n in commands(np.random.default_rng(seed)):
        if command == "step":
            run.step()
        elif command == "steps":
            run.step(n)
        elif command == "round":
            run.replan(task_steps=run.plan.task_steps % 5 + 1)
        elif command == "rate":
            run.replan(task_lr=n / 100)
        else:
            run.roll_back(n % (run.at.epoch + 1))
        past.read(run.history, BATCHES)
        assert looks(past, run.plan) == looks(read(run), run.plan)


def test_another_history_is_read_anew() -> None:
    one, other = Run(Schedule(epochs=4)), Run(Schedule(epochs=4, warmup_epochs=0))
    one.to_epoch(3)
    other.to_epoch(3)
    past = PastCourse()
    for run in (one, other, one):
        past.read(run.history, BATCHES)
        assert looks(past, run.plan) == looks(read(run), run.plan)


def test_rates_are_those_of_the_steps() -> None:
    plan = Schedule(epochs=6, warmup_epochs=2, freeze_epochs=2)
    run = Run(plan)
    run.to_epoch(6)
    past = read(run)
    (task,), (switcher,) = past.rates("task"), past.rates("switcher")
    assert (task[0], task[-1][0]) == ((0, 0.05), 5.9)
    assert [x for x, _ in switcher] == pytest.approx([2.4, 2.8, 3.2, 3.6])  # two rounds an epoch
    for phase, line in (("task", task), ("switcher", switcher)):
        for x, lr in line:
            at = Position(epoch=int(x), batch=round((x - int(x)) * BATCHES))
            assert lr == plan.learning_rate(phase, at, BATCHES)  # type: ignore[arg-type]
    assert past.rates("task", until=1)[0] == [point for point in task if point[0] < 1]


def test_a_pause_in_switcher_steps_parts_its_line() -> None:
    run = Run(Schedule(epochs=6, warmup_epochs=0))
    run.to_epoch(1)
    run.replan(switcher_steps=0)
    run.to_epoch(3)
    run.replan(switcher_steps=1)
    run.to_epoch(4)
    lines = read(run).rates("switcher")
    assert [(line[0][0] // 1, line[-1][0] // 1) for line in lines] == [(0, 0), (3, 3)]


def test_long_lines_are_thinned() -> None:
    run = Run(Schedule(epochs=100, warmup_epochs=0))
    run.to_epoch(100)
    (line,) = read(run).rates("task")
    assert len(line) == POINTS
    assert (line[0][0], line[-1][0]) == (0, 99.9)


# --- the widget -------------------------------------------------------------------------------


def test_the_widget_says_what_it_draws() -> None:
    run, timeline = Run(Schedule(epochs=4, freeze_epochs=1)), Timeline()
    run.to_epoch(2)
    run.step(3)

    def show(plan: Schedule, moment: int | None, fork: bool) -> list[tuple]:
        timeline.show(run.history, run.plan, plan, (BATCHES, BATCHES), moment, fork)
        return [(b["start"], b["end"], b["kind"], b["done"], b["field"]) for b in timeline.bands]

    assert show(run.plan, None, False) == [
        (0, 1, "warm-up", True, "warmup_epochs"),
        (1, 2.2, "alternating", True, "task_steps"),
        (2.2, 3, "alternating", False, "task_steps"),
        (3, 4, "frozen", False, "freeze_epochs"),
    ]
    assert (timeline.total, timeline.run, timeline.now, timeline.moment) == (4, 2, 2.2, -1)
    assert timeline.rates["task"]["start"] == 0.05
    assert timeline.rates["task"]["planned"][0][-1] == [4, 0]
    live = show(run.plan, 1, False)
    assert live == show(run.plan, None, False)
    assert show(run.plan.replace(switcher_steps=0, epochs=2), 1, True) == [
        (0, 1, "warm-up", True, "warmup_epochs"),
        (1, 2, "task only", False, "switcher_steps"),
    ]
    assert (timeline.total, timeline.now, timeline.moment) == (3, 2.2, 1)
    assert timeline.rates["switcher"] == {"start": 1e-2, "done": [], "planned": []}


def test_only_what_changed_is_written() -> None:
    run, timeline, written = Run(Schedule(epochs=4)), Timeline(), []
    run.step(3)
    timeline.observe(lambda change: written.append(change["name"]))

    def show() -> list[str]:
        written.clear()
        timeline.show(run.history, run.plan, run.plan, (BATCHES, BATCHES), None, False)
        return sorted(written)

    assert show() == ["bands", "now", "rates", "total"]
    assert show() == []
    timeline.picked = 1
    assert show() == ["picked"]
    assert timeline.picked == -1
    run.history.add_event(epoch=1, step=3, event="pin", group="a", detail="0 off")
    assert show() == ["ticks"]
    assert timeline.ticks == [{"at": 0.3, "words": "pin a 0 off"}]
