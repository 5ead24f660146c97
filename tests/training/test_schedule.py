"""The schedule against a brute-force list of phases; every bad field with its whole message."""

import dataclasses
import inspect
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnviz.training import Position, Schedule
from tests import reference
from tests.helpers import message_of


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    return Schedule(
        epochs=draw(st.integers(1, 5)),
        task_steps=draw(st.integers(1, 6)),
        switcher_steps=draw(st.integers(0, 4)),
        warmup_epochs=draw(st.integers(0, 3)),
        freeze_epochs=draw(st.integers(0, 3)),
        task_decay=draw(st.sampled_from(["cosine", "constant"])),
        switcher_decay=draw(st.sampled_from(["cosine", "constant"])),
    )


def walk(plan: Schedule, batches: int, position: Position | None = None) -> list[Position]:
    """Every position at which a step comes next, to the schedule's end."""
    at, positions = position or Position(), []
    while at.epoch < plan.epochs:
        positions.append(at)
        at = plan.after(at, batches)
    return positions


@given(schedules(), st.integers(1, 7))
def test_phases_step_by_step_against_brute_force(plan: Schedule, batches: int) -> None:
    ours = [(at.epoch, at.batch, plan.phase(at)) for at in walk(plan, batches)]
    assert ours == reference.phases(plan, batches)


@given(schedules(), st.integers(1, 7))
def test_positions_count(plan: Schedule, batches: int) -> None:
    positions = walk(plan, batches)
    assert [at.step for at in positions] == list(range(len(positions)))
    for at in positions:
        assert 0 <= at.batch < batches
        assert 0 <= at.round_step < plan.task_steps + plan.switcher_steps
        if not plan.alternates(at.epoch):
            assert at.round_step == 0
            assert plan.phase(at) == "task"


@given(schedules(), st.integers(1, 7), st.data())
def test_steps_left_is_right_to_within_a_round(
    plan: Schedule, batches: int, data: st.DataObject
) -> None:
    positions = walk(plan, batches)
    done = data.draw(st.integers(0, len(positions) - 1))
    left = plan.steps_left(positions[done], batches)
    assert abs(left - (len(positions) - done)) <= plan.task_steps + plan.switcher_steps


@given(schedules(), st.integers(1, 7))
def test_steps_left_is_exact_where_only_the_task_network_trains(
    plan: Schedule, batches: int
) -> None:
    plan = plan.replace(switcher_steps=0)
    for at in walk(plan, batches):
        assert plan.steps_left(at, batches) == plan.epochs * batches - at.step
    assert plan.steps_left(Position(epoch=plan.epochs), batches) == 0


@given(schedules(), st.integers(1, 7))
def test_learning_rates(plan: Schedule, batches: int) -> None:
    for at in walk(plan, batches):
        done = (at.epoch * batches + at.batch) / (plan.epochs * batches)
        wave = math.cos(math.pi * done / 2) ** 2
        expected = {
            "task": plan.task_lr * (wave if plan.task_decay == "cosine" else 1),
            "switcher": plan.switcher_lr * (wave if plan.switcher_decay == "cosine" else 1),
        }
        for phase, lr in expected.items():
            ours = plan.learning_rate(phase, at, batches)  # type: ignore[arg-type]
            assert ours == pytest.approx(lr, rel=1e-9)
            assert ours > 0


def test_learning_rates_past_the_end_are_not_negative_and_do_not_rise() -> None:
    plan = Schedule(epochs=2)
    assert plan.learning_rate("task", Position(epoch=2), 5) == 0
    assert plan.learning_rate("switcher", Position(epoch=3, batch=2), 5) == 0


def test_one_round_by_hand() -> None:
    plan = Schedule(epochs=3, task_steps=2, switcher_steps=2, warmup_epochs=1, freeze_epochs=1)
    said = "".join(plan.phase(at)[0] for at in walk(plan, 5))
    #               warm-up   alternating   frozen: the switcher phase that was due is dropped
    assert said == "ttttt" + "ttssttsst" + "ttttt"


def test_a_phase_goes_on_across_an_epochs_end() -> None:
    plan = Schedule(epochs=3, task_steps=3, switcher_steps=1, warmup_epochs=0)
    said = "".join(plan.phase(at)[0] for at in walk(plan, 3))
    assert said == "ttt" + "sttt" + "sttt"


@pytest.mark.parametrize(
    ("fields", "stages"),
    [
        ({"epochs": 4}, "waaa"),
        ({"epochs": 4, "warmup_epochs": 0}, "aaaa"),
        ({"epochs": 4, "freeze_epochs": 2}, "waff"),
        ({"epochs": 4, "warmup_epochs": 3, "freeze_epochs": 3}, "wwwf"),
        ({"epochs": 2, "warmup_epochs": 9}, "ww"),
        ({"epochs": 2, "warmup_epochs": 0, "freeze_epochs": 9}, "ff"),
    ],
)
def test_stages(fields: dict[str, int], stages: str) -> None:
    plan = Schedule(**fields)  # type: ignore[arg-type]
    assert "".join(plan.stage(epoch)[0] for epoch in range(plan.epochs)) == stages
    for epoch, stage in enumerate(stages):
        assert plan.alternates(epoch) == (stage == "a")
        assert not plan.replace(switcher_steps=0).alternates(epoch)


COUNTS = {
    "epochs": 1,
    "batch_size": 1,
    "task_steps": 1,
    "switcher_steps": 0,
    "warmup_epochs": 0,
    "freeze_epochs": 0,
}
HINTS = {
    "task_steps": " To train the switcher nearly alone, use task_steps=1 and many switcher_steps.",
    "switcher_steps": " For the dense network alone, use switcher_steps=0.",
}
RATES = ("task_lr", "task_weight_decay", "switcher_lr", "switcher_clip")
MOMENTA = ("task_momentum", "switcher_momentum")
CHOICES = {
    "task_optimizer": "'sgd', 'adam'",
    "switcher_optimizer": "'sgd', 'adam'",
    "task_decay": "'cosine', 'constant'",
    "switcher_decay": "'cosine', 'constant'",
    "switcher_data": "'train', 'holdout'",
    "size_of": "'parameters', 'macs', 'neurons'",
}


def bad_fields() -> list[tuple[str, Any, str]]:
    bad: list[tuple[str, Any, str]] = []
    for name, least in COUNTS.items():
        for value in (1.0, "3", None, True, float("nan")):
            bad.append((name, value, f"must be a whole number, got {value!r}."))
        for value in (10**9 + 1, 10**400):
            bad.append((name, value, "must be at most 1,000,000,000, got a larger number."))
        below, hint = least - 1, HINTS.get(name, "")
        bad.append((name, below, f"must be at least {least}, got {below}.{hint}"))
    for name in (*RATES, *MOMENTA):
        for value in ("0.1", None, True, float("nan"), float("inf"), -float("inf"), 10**400):
            bad.append((name, value, f"must be a finite number, got {value!r}."))
    for name in RATES:
        bad.append((name, -0.5, "must be at least 0, got -0.5."))
    for name in MOMENTA:
        bad.append((name, -0.5, "must be at least 0 and below 1, got -0.5."))
        bad.append((name, 1, "must be at least 0 and below 1, got 1."))
    for name, allowed in CHOICES.items():
        for value in ("other", None, 1):
            bad.append((name, value, f"must be one of {allowed}, got {value!r}."))
    for value in (0, 1, 1.5, -0.5, 50, "0.5", True, float("nan")):
        told = "For half of the network, use size=0.5; where no size is asked for, use size=None."
        message = f"must be a number above 0 and below 1, or None, got {value!r}. {told}"
        bad.append(("size", value, message))
    for name in ("size_from", "size_until"):
        for value in (-0.1, 1.1, "0.5", None, True, float("nan")):
            bad.append((name, value, f"must be a number from 0 to 1, got {value!r}."))
    bad.append(("size_until", 0.2, "must be at least schedule.size_from, which is 0.25, got 0.2."))
    for value in (1, None, "yes"):
        bad.append(("through_switcher", value, f"must be True or False, got {value!r}."))
    return bad


@pytest.mark.parametrize(("name", "value", "message"), bad_fields())
def test_bad_fields(name: str, value: Any, message: str) -> None:
    for make in (lambda: Schedule(**{name: value}), lambda: Schedule().replace(**{name: value})):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
            make()
        assert str(caught.value) == f"schedule.{name} {message}"


def test_every_field_is_checked() -> None:
    checked = {name for name, _, _ in bad_fields()}
    assert checked == {field.name for field in dataclasses.fields(Schedule)}


def test_an_unknown_field() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        Schedule().replace(lr=1)
    names = ", ".join(field.name for field in dataclasses.fields(Schedule))
    assert str(caught.value) == f"schedule has no field 'lr'; it has {names}."


@pytest.mark.parametrize(
    "fields", [{}, {"task_lr": 0, "switcher_lr": 0.0, "switcher_clip": 0}, {"task_momentum": 0.0}]
)
def test_allowed_fields_at_their_bounds(fields: dict[str, Any]) -> None:
    plan = Schedule(**fields)
    assert {name: getattr(plan, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"switcher_steps": 0},
            "schedule.size needs a switcher that chooses the neurons, and schedule.switcher_steps "
            "is 0. Use switcher_steps=1, or size=None for the dense network.",
        ),
        (
            {"warmup_epochs": 6, "freeze_epochs": 2},
            "schedule.size needs switcher phases to choose the neurons, and no epoch is left "
            "between 6 warm-up and 2 frozen epochs of 8. Use more epochs or fewer of these, or "
            "size=None.",
        ),
    ],
)
def test_a_size_needs_a_switcher_that_chooses(fields: dict[str, Any], message: str) -> None:
    Schedule(**fields)
    Schedule(size=0.5)
    assert message_of(lambda: Schedule(size=0.5, **fields)) == message
    assert message_of(lambda: Schedule(**fields).replace(size=0.5)) == message


@pytest.mark.parametrize(
    ("fields", "ramp"),
    [
        ({}, (2.75, 4.5)),  # 7 epochs after the warm-up
        ({"warmup_epochs": 0}, (2.0, 4.0)),
        ({"freeze_epochs": 3}, (2.0, 3.0)),
        ({"size_from": 0, "size_until": 1}, (1.0, 8.0)),
        ({"size_from": 1, "size_until": 1}, (8.0, 8.0)),
    ],
)
def test_the_ramp_to_a_size(fields: dict[str, Any], ramp: tuple[float, float]) -> None:
    plan = Schedule(size=0.5, **fields)
    assert plan.ramp == ramp
    begin, end = ramp
    done = [plan.ramp_done(at, 4) for at in walk(plan, 4)]
    for at, share in zip(walk(plan, 4), done, strict=True):
        here = at.epoch + at.batch / 4
        if here < end:
            assert share == pytest.approx(max(here - begin, 0) / (end - begin or 1))
        else:
            assert share == 1
    assert plan.ramp_done(Position(epoch=8 - plan.freeze_epochs), 4) == 1


@given(schedules(), st.integers(1, 7), st.integers(0, 6))
def test_steps_left_until_an_epoch(plan: Schedule, batches: int, epoch: int) -> None:
    epoch = min(epoch, plan.epochs)
    steps = sum(at.epoch < epoch for at in walk(plan, batches))
    left = plan.steps_left(Position(), batches, epoch)
    assert abs(left - steps) <= plan.task_steps + plan.switcher_steps


def test_replace_and_changes() -> None:
    plan = Schedule()
    other = plan.replace(task_lr=0.01, epochs=9)
    assert plan == Schedule()
    assert plan.changes(other) == {"epochs": (8, 9), "task_lr": (0.05, 0.01)}
    assert plan.changes(plan.replace()) == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.epochs = 3  # type: ignore[misc]


def test_every_field_is_documented() -> None:
    for field in dataclasses.fields(Schedule):
        assert f"\n    {field.name}: " in (inspect.getdoc(Schedule) or "")


def test_numbers_of_numpy_become_those_of_python() -> None:
    """They come from loops such as `for lr in np.logspace(…)`; files hold only Python's."""
    made = Schedule(
        epochs=np.int64(3),  # pyright: ignore[reportArgumentType]
        task_lr=np.float32(0.5),  # pyright: ignore[reportArgumentType]
        size=np.float64(0.5),
        through_switcher=np.bool_(True),  # pyright: ignore[reportArgumentType]
        task_decay=np.str_("constant"),
    )
    assert made == Schedule(
        epochs=3, task_lr=0.5, size=0.5, through_switcher=True, task_decay="constant"
    )
    kinds = {type(getattr(made, field.name)) for field in dataclasses.fields(made)}
    assert kinds == {int, float, bool, str}


def test_a_plan_without_an_end_is_counted_at_once() -> None:
    plan = Schedule(epochs=10**9, warmup_epochs=1)
    assert plan.steps_left(Position(), 10) == round(10**10 + (10**9 - 1) * 2.5)
