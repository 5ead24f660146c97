"""The session under random commands from several threads; benchmarks/monkey.py does it for long."""

import threading

import pytest

from snnviz.lab.session import Session
from snnviz.lab.session.inbox import Inbox
from tests.lab import monkey
from tests.lab.monkey import Monkey, tiny_trainer
from tests.lab.monkey_commands import COMMANDS
from tests.lab.watching import Ledger, Watch


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_monkey_finds_no_fault(seed: int, in_order: bool) -> None:
    story = Monkey(seed, commands=300, in_order=in_order).run()
    assert not story.faults, story.faults[0]
    assert story.commands == 300
    assert story.steps > 30  # how many there is time for between commands is the machine's
    assert {command.name for command in COMMANDS if command.weight >= 1} <= story.counts.keys()


def test_of_sessions_opened_at_once_one_stays_open() -> None:
    trainer = tiny_trainer()
    opened: list[Session] = []
    openers = [threading.Thread(target=lambda: opened.append(Session(trainer))) for _ in range(8)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(monkey.BOUND)
    states = sorted(session.status.activity for session in opened)
    assert states == ["closed"] * 7 + ["idle"]
    for session in opened:
        session.close()


# --- it does find faults ----------------------------------------------------------------------


def watched() -> tuple[Session, Watch, Ledger, list[str]]:
    faults: list[str] = []
    trainer = tiny_trainer()
    ledger = Ledger(trainer, 0, faults)
    ledger.calm = True
    watch = Watch(ledger, faults)
    watch.in_order = False
    with ledger.guard.opening():
        session = Session(trainer, on_change=watch)
    watch.begin(session)
    return session, watch, ledger, faults


def test_a_healthy_session_has_no_fault() -> None:
    session, watch, _, faults = watched()
    session.step("epoch", n=2)
    session.rollback()
    session.play()
    session.wait(timeout=monkey.BOUND)
    session.close()
    assert not faults, faults[0]
    assert watch.statuses > 20


def test_a_record_that_is_lost_is_a_fault() -> None:
    session, _, _, faults = watched()
    add = session.trainer.history.add_step

    def forgetful(**values: object) -> None:
        if values["step"] != 4:
            add(**values)  # type: ignore[arg-type]

    session.trainer.history.add_step = forgetful  # type: ignore[method-assign]
    session.step("epoch")
    session.wait(timeout=monkey.BOUND)
    session.close()
    assert "the history's steps are not those that were made" in faults[0]


def test_an_event_that_is_lost_is_a_fault() -> None:
    session, _, _, faults = watched()
    session.set_schedule(task_lr=0.01)
    session._send(session.trainer.history._notes.clear)
    session.close()
    assert "an event was lost" in faults[0]


def test_another_thread_at_the_networks_is_a_fault() -> None:
    session, _, ledger, faults = watched()
    assert not faults
    _ = session.trainer.factors
    session.close()
    assert faults == [f"{threading.current_thread().name} was at the networks: factors"]
    ledger.guard.release()
    _ = session.trainer.factors
    assert len(faults) == 1


def test_a_step_back_without_a_new_generation_is_a_fault() -> None:
    session, _, _, faults = watched()
    session.step("batch", n=3)
    session.wait(timeout=monkey.BOUND)
    session._send(session.trainer.reset)  # not by way of `_go_back`
    session.close()
    assert "assert after.position.step - before.position.step in (0, 1)" in faults[0]


def test_a_command_that_is_not_carried_out_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    free, take = threading.Event(), Inbox.take

    def stuck(inbox: Inbox, patience: float | None) -> list:
        free.wait()
        return take(inbox, patience)

    monkeypatch.setattr(monkey, "BOUND", 0.5)
    monkeypatch.setattr(Inbox, "take", stuck)
    monkeypatch.setattr(monkey, "COMMANDS", COMMANDS[:1])
    try:
        story = Monkey(0, commands=1, threads=1).run()
    finally:
        free.set()
    assert "a command waits since 0.5 s; the session:" in story.faults[0]
    assert "in _work" in story.faults[0]
