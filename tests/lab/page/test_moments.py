"""The time machine: which moment is shown, replay, and the wish for a fork."""

import pytest

from snnviz.lab.page import moments
from snnviz.lab.page.moments import TimeMachine
from snnviz.lab.session import Session
from tests.lab.conftest import TIMEOUT, make_trainer


class Machine:
    """A time machine at a session with so many epochs, a clock and a list of forks."""

    def __init__(self, epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = Session(make_trainer(epochs=max(epochs, 1) + 1))
        self.forks: list[tuple[int, str]] = []
        self.woken, self.seconds = 0, 100.0
        self.made = TimeMachine(lambda epoch, name: self.forks.append((epoch, name)), self._wake)
        monkeypatch.setattr(moments.time, "monotonic", lambda: self.seconds)
        for _ in range(epochs):
            self.step("epoch")
        self.show()

    def _wake(self) -> None:
        self.woken += 1

    def step(self, unit: str) -> None:
        self.session.step(unit)  # type: ignore[arg-type]
        self.session.wait()

    def show(self) -> bool:
        more = self.made.tick(self.session.trainer.history)
        self.made.show(self.session.status, self.session.trainer.history)
        return more


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """After four epochs."""
    made = Machine(4, monkeypatch)
    yield made
    made.session.close(timeout=TIMEOUT)


def test_before_the_first_epochs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Machine(0, monkeypatch)
    assert made.made.slider.disabled
    assert made.made.readout.value == (
        '<span role="status"><b>now, before the end of the first epoch</b></span>'
    )
    made.made.button.click()  # the start can be forked
    assert made.forks == [(0, "")]
    made.session.close(timeout=TIMEOUT)


def test_the_slider_follows_training_until_it_is_moved(machine: Machine) -> None:
    slider = machine.made.slider
    assert (slider.value, slider.max, machine.made.moment) == (4, 4, None)
    machine.step("epoch")
    machine.show()
    assert (slider.value, slider.max, machine.made.moment) == (5, 5, None)
    slider.value = 2
    assert machine.made.moment == 2
    assert machine.woken == 1
    machine.show()
    assert (slider.value, machine.made.now.disabled) == (2, False)
    machine.made.now.click()
    machine.show()
    assert (slider.value, machine.made.moment, machine.made.now.disabled) == (5, None, True)


def test_the_readout_says_what_was(machine: Machine) -> None:
    rows = machine.session.trainer.history.epochs
    machine.made.go(2)
    machine.show()
    assert machine.made.readout.value == (
        '<span role="status"><b>epoch 2 of 4</b> '
        f"· test {100 * rows.test_accuracy[1]:.2f} %, "
        f"{rows.neurons_on[1]} of {rows.neurons[1]} on</span>"
    )
    machine.made.go(0)
    machine.show()
    assert machine.made.readout.value == '<span role="status"><b>the start</b></span>'
    machine.made.go(None)
    machine.step("batch")  # the switcher's, which ends the last round
    machine.step("batch")
    machine.show()
    assert "<b>now, within epoch 5</b> · after epoch 4: test " in machine.made.readout.value


def test_replay_runs_to_the_present_at_its_speed(machine: Machine) -> None:
    made = machine.made
    made.speed.value = 2
    made.replay.click()
    seen = []
    for _ in range(12):
        more = machine.show()
        seen.append((made.moment, more))
        machine.seconds += 0.25
    assert [moment for moment, _ in seen] == [0, 0, 1, 1, 2, 2, 3, 3, *4 * [None]]
    assert [more for _, more in seen] == [True] * 8 + [False] * 4
    assert made.replay.description == "Replay"


def test_replay_from_the_middle_stopped_and_at_another_speed(machine: Machine) -> None:
    made = machine.made
    made.go(1)
    made.speed.value = 1
    made.replay.click()
    machine.seconds += 1.5
    assert machine.show()
    assert made.moment == 2
    assert made.replay.description == "Stop"
    made.speed.value = 10
    machine.seconds += 0.15
    machine.show()
    assert made.moment == 3
    made.replay.click()  # Stop
    machine.seconds += 10
    assert not machine.show()
    assert made.moment == 3


def test_a_moment_that_is_no_more_becomes_now(machine: Machine) -> None:
    machine.made.go(3)
    machine.session.reset()
    machine.session.wait(timeout=TIMEOUT)
    machine.show()
    assert (machine.made.moment, machine.made.slider.max) == (None, 0)


def test_a_fork_is_of_the_moment_with_a_name(machine: Machine) -> None:
    made = machine.made
    made.go(2)
    made.name.value = "  wider "
    machine.show()
    assert not made.button.disabled
    assert made.button.tooltip == (
        "Start a new run from the end of epoch 2, with the schedule in the editor"
    )
    made.button.click()
    made.go(None)
    made.button.click()
    assert machine.forks == [(2, "wider"), (4, "wider")]


def test_an_epoch_that_was_not_kept_cannot_be_forked(machine: Machine) -> None:
    machine.session._states.epochs = frozenset({0, 4})
    machine.session.step("batch")
    machine.session.wait(timeout=TIMEOUT)
    machine.made.go(2)
    machine.show()
    assert machine.made.button.disabled
    assert machine.made.button.tooltip == "The state at the end of epoch 2 was not saved"
