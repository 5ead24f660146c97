"""How far training is to go, and how long its steps wait."""

import time
from collections.abc import Callable

import pytest

from snnviz.lab import Lab
from snnviz.lab.session import Session
from snnviz.lab.session.goals import Goal, Tempo, check_speed
from tests.helpers import message_of
from tests.lab.conftest import TIMEOUT, make_trainer, until

SLOW = 0.01  # steps a second: the second step never comes within a test


def test_the_wait_between_two_steps() -> None:
    tempo = Tempo(2.0)
    assert tempo.wait(Goal("end")) == 0  # there was no step yet
    tempo.began = time.monotonic()
    assert 0 < tempo.wait(Goal("end")) <= 0.5
    assert 0 < tempo.wait(Goal("phase")) <= 0.5
    assert tempo.wait(Goal("batch")) == 0
    assert (tempo.slow(None), tempo.slow(0.1), tempo.slow(3.0)) == (None, 0.5, 3.0)
    tempo.speed = None
    assert tempo.wait(Goal("end")) == 0
    assert tempo.slow(0.1) == 0.1


@pytest.mark.parametrize("wrong", [0, -1, "fast", True, float("nan")])
def test_what_is_no_speed(wrong: object) -> None:
    assert message_of(lambda: check_speed(wrong)) == (  # type: ignore[arg-type]
        f"speed must be a number from 0.01 to 1000, got {wrong!r}. "
        "It is in steps a second; None: as fast as it can."
    )
    assert check_speed(2) == 2.0
    assert check_speed(None) is None


def test_pause_and_a_new_speed_need_not_wait(open_session: Callable[..., Session]) -> None:
    session = open_session(make_trainer())
    session.set_speed(SLOW)
    session.play()
    until(lambda: session.status.position.step == 1)
    session.settle(timeout=TIMEOUT)
    assert session.status.activity == "playing"
    assert session.status.slowed
    session.pause()
    session.wait(timeout=TIMEOUT)
    assert (session.status.activity, session.status.position.step) == ("idle", 1)
    session.step("batch", 2)  # by hand
    session.wait(timeout=TIMEOUT)
    assert session.status.position.step == 3
    session.play()
    session.settle(timeout=TIMEOUT)
    assert session.status.position.step == 3
    session.set_speed(None)  # while it plays
    session.wait(timeout=TIMEOUT)
    assert session.status.finished


def test_speed_of_a_lab() -> None:
    lab = Lab(make_trainer())
    try:
        menu = lab._parts.speed.widget
        assert lab.speed is None
        lab.speed = 3
        assert lab.speed == 3.0
        until(lambda: menu.value == "3 steps a second")
        lab.fork(0, name="other")
        assert lab.speed == 3.0
        menu.value = "10 steps a second"  # by hand
        until(lambda: lab.speed == 10.0)
        lab.choose("run")
        assert lab.speed == 10.0
        lab.speed = None
        until(lambda: menu.value == "as fast as it can")
        assert lab.code.splitlines()[1:] == [
            "lab.speed = 3.0",
            "lab.fork(epoch=0, name='other')",
            "lab.speed = 10.0",
            "lab.choose('run')",
            "lab.speed = None",
        ]
        assert message_of(lambda: setattr(lab, "speed", 0)).startswith("speed must be a number")
    finally:
        lab.close()
