"""The session: exact steps, commands in order, changes at round boundaries, errors, ends."""

import _thread
import ast
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from snnviz.lab.session import Session
from snnviz.lab.session import session as session_module
from snnviz.lab.session import status as status_module
from snnviz.runs import Trainer
from snnviz.training import TrainingStopped
from tests.lab.conftest import TIMEOUT, Gate, make_trainer, until

Open = Callable[[Trainer], Session]


def steps_of(trainer: Trainer) -> list[int]:
    return trainer.history.steps["step"].tolist()


@pytest.mark.parametrize("module", [session_module, status_module])
def test_no_view_here(module: ModuleType) -> None:
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    tops = {name.split(".")[0] for name in names}
    assert not tops & {"ipywidgets", "IPython", "matplotlib", "PIL"}


# --- steps ------------------------------------------------------------------------------------


# 8 task steps an epoch; the first epoch is warm-up, the last frozen, rounds are 3 + 2.
PLAN = {"epochs": 4, "warmup_epochs": 1, "freeze_epochs": 1, "task_steps": 3, "switcher_steps": 2}


@pytest.mark.parametrize(
    ("unit", "ends"),
    [
        ("batch", [1, 2, 3, 4]),
        # warm-up; then rounds over two epochs with 16 task steps in all; then the frozen epoch
        ("phase", [8, *(8 + k for k in (3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 26)), 42]),
        ("epoch", [8, 20, 34, 42]),
    ],
)
def test_each_step_advances_exactly_so_much(open_session: Open, unit: str, ends: list[int]) -> None:
    trainer = make_trainer(**PLAN)
    session = open_session(trainer)
    reached = []
    for _ in ends:
        session.step(unit)  # type: ignore[arg-type]
        session.wait(timeout=TIMEOUT)
        reached.append(trainer.position.step)
        assert steps_of(trainer) == list(range(1, reached[-1] + 1))
        assert session.status.position == trainer.position
    assert reached == ends


def test_several_steps_at_once(open_session: Open) -> None:
    trainer = make_trainer(**PLAN)
    session = open_session(trainer)
    session.step("phase", n=3)
    session.wait(timeout=TIMEOUT)
    assert trainer.position.step == 13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("round",), "unit must be one of 'batch', 'phase', 'epoch', got 'round'."),
        (("batch", 0), "n must be a whole number of at least 1, got 0."),
        (("batch", 1.5), "n must be a whole number of at least 1, got 1.5."),
    ],
)
def test_a_step_that_does_not_exist(open_session: Open, arguments: tuple, message: str) -> None:
    session = open_session(make_trainer())
    with pytest.raises(ValueError, match="must be") as caught:
        session.step(*arguments)
    assert str(caught.value) == message


def test_play_runs_to_the_end(open_session: Open) -> None:
    trainer = make_trainer()
    session = open_session(trainer)
    session.play()
    session.wait(timeout=TIMEOUT)
    status = session.status
    assert trainer.finished
    assert (status.activity, status.finished, status.steps_left) == ("idle", True, 0)
    assert status.notice is not None
    assert status.notice.text == (
        "All 3 planned epochs are done. "
        "To train further, raise the number of epochs; or press Reset (behind more)."
    )
    session.step("batch")  # there is none left
    session.set_schedule(epochs=4)
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    assert trainer.history.n_epochs == 4


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"task_lr": 0.01}, "applied", "task_lr 0.05 → 0.01: applied at step 16."),
        ({"epochs": 1}, "refused", "The schedule stays as it was."),
    ],
)
def test_what_waited_for_the_end_is_told_with_it(
    open_session: Open, changes: dict, kind: str, said: str
) -> None:
    session = open_session(make_trainer(epochs=2, task_steps=16, task_lr=0.05))
    session.step("batch", n=12)  # into the second epoch, and into the only round
    session.wait(timeout=TIMEOUT)
    session.set_schedule(**changes)
    session.play()
    session.wait(timeout=TIMEOUT)
    notice = session.status.notice
    assert session.status.finished
    assert notice is not None
    assert notice.kind == kind
    assert said in notice.text
    assert notice.text.endswith(
        "All 2 planned epochs are done. "
        "To train further, raise the number of epochs; or press Reset (behind more)."
    )


def test_a_run_by_hand_is_the_run_of_a_script(open_session: Open) -> None:
    alone = make_trainer()
    alone.run(progress=False)
    trainer = make_trainer()
    session = open_session(trainer)
    for unit in ("batch", "phase", "batch", "epoch", "phase"):
        session.step(unit)
        session.wait(timeout=TIMEOUT)
    session.play()
    session.wait(timeout=TIMEOUT)
    assert trainer.history.steps.equals(alone.history.steps)
    for name, values in alone.history.factors.items():
        assert (trainer.history.factors[name] == values).all()


# --- order of commands ------------------------------------------------------------------------


def test_pause_stops_within_one_batch(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    session = open_session(trainer)
    session.play()
    gate.open(3)
    gate.wait_for(4)  # the fourth is under way
    assert session.status.activity == "playing"
    session.pause()
    gate.open(100)
    session.wait(timeout=TIMEOUT)
    assert (session.status.activity, trainer.position.step) == ("idle", 4)
    assert steps_of(trainer) == [1, 2, 3, 4]


def test_one_thread_makes_all_steps(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    gate.open(1000)
    session = open_session(trainer)
    workers = [threading.Thread(target=session.step) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    session.wait(timeout=TIMEOUT)
    assert gate.threads == {"snnviz-training"}
    assert trainer.position.step == 8


def test_steps_wait_for_one_another(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    session = open_session(trainer)
    session.step("epoch")
    gate.wait_for(1)
    session.step("batch", n=2)
    session.step("batch")
    gate.open(100)
    session.wait(timeout=TIMEOUT)
    assert trainer.position.step == 8 + 3


def test_a_step_ends_playing(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    session = open_session(trainer)
    session.play()
    gate.open(2)
    gate.wait_for(3)
    session.step("epoch")
    gate.open(100)
    session.wait(timeout=TIMEOUT)
    assert trainer.position.step == 8


def test_pause_forgets_the_steps_that_wait(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    session = open_session(trainer)
    session.step("batch", n=5)
    session.step("epoch")
    gate.wait_for(1)
    session.pause()
    session.step("batch")
    gate.open(100)
    session.wait(timeout=TIMEOUT)
    assert trainer.position.step == 2


def test_play_takes_in_the_steps_that_wait(open_session: Open) -> None:
    trainer = make_trainer(epochs=2)
    gate = Gate(trainer)
    session = open_session(trainer)
    session.step("batch")
    gate.wait_for(1)
    session.play()
    gate.open(100)
    session.wait(timeout=TIMEOUT)
    assert trainer.finished


# --- schedule ---------------------------------------------------------------------------------


def events_of(trainer: Trainer) -> list[tuple[int, str]]:
    events = trainer.history.events
    notes = events[events["event"].isin(["schedule", "reset", "rollback"])]
    return list(zip(notes["step"], notes["detail"], strict=True))


def test_a_change_between_rounds_is_in_force_at_once(open_session: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    session = open_session(trainer)
    session.step("phase", n=2)  # a whole round
    session.wait(timeout=TIMEOUT)
    session.set_schedule(task_steps=2)
    session.wait(timeout=TIMEOUT)
    status = session.status
    assert status.schedule == status.planned == trainer.schedule
    assert trainer.schedule.task_steps == 2
    assert status.notice is not None
    assert status.notice.text == "task_steps 4 → 2: applied at step 5."
    assert events_of(trainer) == [(5, "task_steps: 4 → 2")]
    session.step("phase")
    session.wait(timeout=TIMEOUT)
    assert trainer.position.step == 7


def test_a_change_within_a_round_waits_for_the_next(open_session: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)  # rounds of 4 + 1
    session = open_session(trainer)
    session.step("batch", n=2)
    session.wait(timeout=TIMEOUT)
    session.set_schedule(task_steps=6)
    session.set_schedule(switcher_steps=2, task_lr=0.01)
    session.wait(timeout=TIMEOUT)
    assert trainer.schedule.task_steps == session.status.schedule.task_steps == 4
    planned = session.status.planned
    assert (planned.task_steps, planned.switcher_steps, planned.task_lr) == (6, 2, 0.01)
    assert events_of(trainer) == []

    session.step("phase")  # the task phase is over, the round is not
    session.wait(timeout=TIMEOUT)
    assert (trainer.position.step, trainer.schedule.task_steps) == (4, 4)
    session.step("phase")
    session.wait(timeout=TIMEOUT)
    assert (trainer.position.step, trainer.schedule) == (5, planned)
    assert events_of(trainer) == [
        (5, "task_steps: 4 → 6, switcher_steps: 1 → 2, task_lr: 0.05 → 0.01")
    ]


def test_a_change_while_playing(open_session: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    gate = Gate(trainer)
    session = open_session(trainer)
    session.play()
    gate.open(6)
    gate.wait_for(7)
    session.set_schedule(task_steps=3)
    gate.open(1000)
    session.wait(timeout=TIMEOUT)
    assert events_of(trainer) == [(10, "task_steps: 4 → 3")]
    phases = trainer.history.steps["phase"].str[0].tolist()
    assert "".join(phases[:18]) == "ttttsttttstttsttts"


def test_a_change_taken_back_never_was(open_session: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    session = open_session(trainer)
    session.step("batch")
    session.wait(timeout=TIMEOUT)
    session.set_schedule(task_steps=6)
    session.set_schedule(task_steps=4)
    session.step("phase", n=3)
    session.wait(timeout=TIMEOUT)
    assert events_of(trainer) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"task_steps": 0},
            "Refused: schedule.task_steps must be at least 1, got 0. To train the switcher nearly "
            "alone, use task_steps=1 and many switcher_steps. The schedule stays as it was.",
        ),
        (
            {"epochs": 1},
            "Refused: schedule.epochs must be at least the 2 epochs that are done, got 1. "
            "To start over, use trainer.reset(). The schedule stays as it was.",
        ),
        (
            {"switcher_data": "holdout"},
            "Refused: schedule.switcher_data is 'holdout', but the data has no held-out split. "
            "Load it with one: load_data(name, holdout=5000). The schedule stays as it was.",
        ),
    ],
)
def test_a_bad_change_is_refused(open_session: Open, changes: dict, message: str) -> None:
    trainer = make_trainer(switcher_steps=0)  # no rounds: a change takes effect at once
    before = trainer.schedule
    session = open_session(trainer)
    session.step("epoch", n=2)
    session.wait(timeout=TIMEOUT)
    session.set_schedule(**changes)
    session.wait(timeout=TIMEOUT)
    status = session.status
    assert trainer.schedule == status.schedule == status.planned == before
    assert status.problem is None
    assert status.notice is not None
    assert (status.notice.kind, status.notice.text) == ("refused", message)
    session.set_schedule(task_lr=0.01)
    session.play()
    session.wait(timeout=TIMEOUT)
    assert trainer.schedule == before.replace(task_lr=0.01)
    assert trainer.finished


def test_a_bad_change_leaves_the_one_that_waits(open_session: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    session = open_session(trainer)
    session.step("batch")
    session.wait(timeout=TIMEOUT)
    session.set_schedule(task_steps=6)
    session.set_schedule(task_steps=0)
    session.step("phase", n=2)
    session.wait(timeout=TIMEOUT)
    assert trainer.schedule.task_steps == 6


# --- back, errors, end ------------------------------------------------------------------------


def test_reset_repeats_the_run_under_the_planned_schedule(open_session: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    session = open_session(trainer)
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    first = trainer.history.steps
    session.step("batch", n=2)
    session.wait(timeout=TIMEOUT)
    session.set_schedule(task_lr=0.01)
    session.set_schedule(task_lr=0.05, epochs=5)
    generation = session.status.generation
    session.reset()
    session.wait(timeout=TIMEOUT)
    status = session.status
    assert (status.position.step, trainer.history.n_epochs, steps_of(trainer)) == (0, 0, [])
    assert (status.schedule.epochs, status.activity) == (5, "idle")
    assert status.generation > generation
    assert status.records == {}
    session.set_schedule(epochs=3)
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    assert trainer.history.steps.equals(first)


def test_an_error_leaves_the_last_good_step(open_session: Open) -> None:
    trainer = make_trainer()
    step, calls = trainer.step, []

    def failing() -> object:
        calls.append(1)
        if len(calls) == 4:
            raise OSError("the disk is gone")
        return step()

    trainer.step = failing  # type: ignore[method-assign, assignment]
    session = open_session(trainer)
    session.play()
    with pytest.raises(RuntimeError) as caught:
        session.wait(timeout=TIMEOUT)
    assert str(caught.value) == (
        "Training stopped after step 3 by OSError: the disk is gone "
        "Everything is as it was after that step; Play tries the next one again."
    )
    assert isinstance(caught.value.__cause__, OSError)
    problem = session.status.problem
    assert problem is not None
    assert "in failing" in problem.traceback
    assert session.status.activity == "idle"
    assert steps_of(trainer) == [1, 2, 3]
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    assert session.status.problem is None
    assert steps_of(trainer) == list(range(1, 9))


def test_training_that_stopped_can_be_rolled_back(open_session: Open) -> None:
    trainer = make_trainer()
    session = open_session(trainer)
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    session.set_schedule(task_lr=1e30)
    session.step("epoch")
    with pytest.raises(TrainingStopped, match="The loss became") as caught:
        session.wait(timeout=TIMEOUT)
    problem = session.status.problem
    assert problem is not None
    assert problem.text == str(caught.value)
    assert problem.rollback == "epoch 1"

    session.rollback()
    session.set_schedule(task_lr=0.05)
    session.wait(timeout=TIMEOUT)
    assert session.status.problem is None
    assert steps_of(trainer) == list(range(1, 9))
    session.play()
    session.wait(timeout=TIMEOUT)
    assert trainer.finished
    assert trainer.history.steps["loss"].notna().all()


def test_waiting(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    session = open_session(trainer)
    session.wait(timeout=TIMEOUT)  # nothing to be done
    session.play()
    gate.wait_for(1)
    with pytest.raises(TimeoutError) as caught:
        session.wait(timeout=0)
    assert str(caught.value) == (
        "After 0 s the lab is still playing (step 0). Wait longer, or use lab.pause()."
    )
    gate.open(8)
    session.wait(epochs=1, timeout=TIMEOUT)
    assert trainer.history.n_epochs == 1
    assert session.status.activity == "playing"
    with pytest.raises(ValueError, match="epochs must be a whole number, got 'two'"):
        session.wait(epochs="two")  # type: ignore[arg-type]
    gate.open(1000)


def test_an_interrupt_ends_the_waiting_only(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    session = open_session(trainer)
    session.play()
    gate.wait_for(1)
    threading.Timer(0.1, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        session.wait(timeout=TIMEOUT)
    gate.open(1000)
    session.wait(timeout=TIMEOUT)
    assert trainer.finished


def test_closing_ends_the_thread_and_leaves_the_trainer(open_session: Open) -> None:
    trainer = make_trainer()
    session = open_session(trainer)
    session.step("batch", n=3)
    session.wait(timeout=TIMEOUT)
    session.close()
    assert session.status.activity == "closed"
    assert not session._thread.is_alive()
    session.close()  # twice is once
    with pytest.raises(RuntimeError) as caught:
        session.play()
    assert str(caught.value) == "This lab is closed. Make another one with Lab(trainer)."
    trainer.run(progress=False)
    assert trainer.finished


def test_a_trainer_has_one_session(open_session: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    first = open_session(trainer)
    first.play()
    gate.wait_for(1)
    opening = threading.Thread(target=lambda: opened.append(open_session(trainer)))
    opened: list[Session] = []
    opening.start()
    until(lambda: first._inbox.sent >= 2)  # play, and now close
    gate.open(1)  # enough for the step under way, and no other
    opening.join(TIMEOUT)
    second = opened[0]
    assert not first._thread.is_alive()
    assert first.status.notice is not None
    assert first.status.notice.text == "Another lab runs this trainer now; continue there."
    gate.open(1000)
    done = trainer.position.step
    second.step("batch")
    second.wait(timeout=TIMEOUT)
    assert trainer.position.step == done + 1


# --- many threads -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_history_is_read_while_it_grows(open_session: Open) -> None:
    trainer = make_trainer(epochs=6, warmup_epochs=0, switcher_lr=0.05)
    session, history = open_session(trainer), trainer.history
    errors: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                steps = history.steps["step"].tolist()
                assert steps == list(range(1, len(steps) + 1))
                epochs = history.epochs["epoch"].tolist()
                assert epochs == list(range(1, len(epochs) + 1))
                assert len({len(values) for values in history.factors.values()}) == 1
                assert len(history.frame()) % 400 == 0
                assert (history.events["epoch"] >= 1).all()
                # Without a pause the readers keep the interpreter's lock for themselves, and each
                # of the trainer's operations waits for it.
                time.sleep(0.02)
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(2):
            session.play()
            session.wait(epochs=3, timeout=TIMEOUT)
            session.reset()
        session.play()
        session.wait(timeout=TIMEOUT)
    finally:  # a reader that is left running slows every test after this one
        stop.set()
        for reader in readers:
            reader.join()
    assert not errors, errors[0]
    assert history.n_epochs == 6


def test_a_monkey_leaves_a_consistent_history(open_session: Open) -> None:
    monkey = random.Random(0)
    trainer = make_trainer(epochs=4)
    session = open_session(trainer)
    actions: list[Callable[[], object]] = [
        session.play,
        session.pause,
        session.pause,
        lambda: session.step(monkey.choice(["batch", "phase", "epoch"]), monkey.randint(1, 3)),
        lambda: session.step("batch"),
        lambda: session.set_schedule(task_steps=monkey.randint(0, 6)),
        lambda: session.set_schedule(switcher_steps=monkey.randint(0, 3)),
        lambda: session.set_schedule(epochs=monkey.randint(1, 8)),
        session.reset,
        session.rollback,
        lambda: session.wait(epochs=monkey.randint(1, 3), timeout=TIMEOUT),
    ]
    for _ in range(300):
        monkey.choices(actions, weights=[2, 2, 2, 4, 4, 1, 1, 1, 0.3, 0.3, 1])[0]()
    session.pause()
    session.wait(timeout=TIMEOUT)

    status, history = session.status, trainer.history
    assert status.handled == session._inbox.sent
    assert steps_of(trainer) == list(range(1, trainer.position.step + 1))
    assert history.n_epochs == trainer.position.epoch
    assert [len(values) for values in history.factors.values()] == [history.n_epochs] * 2
    ends = history.steps.groupby("epoch")["step"].max().tolist()[: history.n_epochs]
    assert history.epochs["step"].tolist() == ends
    per_epoch = history.steps[history.steps["phase"] == "task"].groupby("epoch").size().tolist()
    assert per_epoch[: history.n_epochs] == [8] * history.n_epochs
    assert all(torch.isfinite(value).all() for value in trainer.factors.values())
