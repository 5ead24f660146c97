"""What a session keeps of what was done to it, and what it does when asked."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from snnviz.lab.session import Session, hand, wait_for_answer
from snnviz.lab.session.classes import Classes
from snnviz.runs import Trainer
from snnviz.training import predict
from tests.lab.conftest import TIMEOUT, make_trainer, until

Open = Callable[[Trainer], Session]


def test_what_was_done_is_kept_in_order(open_session: Open) -> None:
    session = open_session(make_trainer(warmup_epochs=0))
    group = next(iter(session.trainer.history.groups))
    session.set_schedule(task_steps=5)
    session.set_schedule(task_steps=0)  # refused, so nothing was done
    session.step("batch", 2)
    session.wait(timeout=TIMEOUT)
    session.try_out({group: [1]})
    session.try_out({group: [10**6]})
    session.keep()
    session.reset()
    session.branch(0, lambda made: None, session.trainer.schedule.replace(task_steps=2), "a")
    session.branch(99, lambda made: None)
    session.settle(TIMEOUT)
    assert [(deed.call, deed.arguments) for deed in session.deeds] == [
        ("set_schedule", {"task_steps": 5}),
        ("what_if", {"changes": {group: [1]}}),
        ("keep", {}),
        ("reset", {}),
        ("fork", {"epoch": 0, "name": "a", "task_steps": 2}),
    ]
    assert [deed.before.step for deed in session.deeds] == [0, 2, 2, 2, 0]
    assert [deed.after.step for deed in session.deeds] == [0, 2, 2, 0, 0]


def test_an_answer_or_its_error(open_session: Open) -> None:
    session = open_session(make_trainer())
    assert wait_for_answer(session, lambda trainer: trainer.position.step, "compact") == 0
    assert [deed.call for deed in session.deeds] == ["compact"]

    def fail(trainer: object) -> None:
        raise ValueError("no way")

    with pytest.raises(ValueError, match="no way"):
        wait_for_answer(session, fail, "compact")
    assert len(session.deeds) == 1
    assert session.status.problem is None


def test_classes_while_somebody_watches(open_session: Open) -> None:
    session = open_session(make_trainer(warmup_epochs=0))
    assert session.status.classes is None
    session.watch_classes(True)
    until(lambda: session.status.classes)
    first = session.status.classes
    assert first is not None
    assert first.moment == "at step 0"
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    until(lambda: session.status.classes is not first)
    second = session.status.classes
    assert second is not None
    assert second.moment == "after epoch 1"
    np.testing.assert_array_equal(second.predictions.scores, predict(session.trainer).scores)
    session.step("batch")
    session.wait(timeout=TIMEOUT)
    assert session.status.classes is second  # until the next epoch's end
    session.reset()
    until(lambda: session.status.classes is not second and session.status.classes)
    assert session.status.classes is not None
    assert session.status.classes.moment == "at step 0"
    session.watch_classes(False)
    session.settle(TIMEOUT)
    assert session.status.classes is None


def test_play_does_not_wait_for_the_classes(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large network that would take minutes; here it never ends, but after an epoch."""
    trainer = make_trainer(warmup_epochs=0)
    parts = [0]

    def classify(trainer: Trainer) -> Iterator[Classes | None]:
        while trainer.position.epoch < 1:
            parts[0] += 1
            yield None
        yield Classes(predict(trainer), trainer.position.step, "at the end")

    monkeypatch.setattr(hand, "classify", classify)
    session = open_session(trainer)
    session.watch_classes(True)
    session.settle(TIMEOUT)
    until(lambda: parts[0] > 3)
    session.step("phase")
    until(lambda: session.status.position.step and session.caught_up)
    began = parts[0]
    until(lambda: parts[0] > began)  # it is paused, so it goes on
    assert session.status.classes is None
    session.play()
    session.wait(timeout=TIMEOUT)
    assert session.status.problem is None
    until(lambda: session.status.classes)


def test_classes_that_fail_are_not_tried_again(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def classify(trainer: Trainer) -> Iterator[Classes | None]:
        calls.append(1)
        yield None
        raise RuntimeError("no memory")

    monkeypatch.setattr(hand, "classify", classify)
    session = open_session(make_trainer())
    session.watch_classes(True)
    until(lambda: session.status.problem)
    assert session.status.problem is not None
    assert "no memory" in str(session.status.problem.error)
    session.set_speed(None)
    session.settle(TIMEOUT)
    assert len(calls) == 1
