"""The queue of commands: taken in order, closed by the last one, and waited for."""

import threading

import pytest

from snnviz.lab.session.inbox import Inbox
from tests.lab.conftest import TIMEOUT


def test_commands_are_taken_in_order() -> None:
    inbox, done = Inbox(), []
    for i in range(3):
        inbox.send(lambda i=i: done.append(i))
    assert inbox.sent == 3
    for command in inbox.take(None):
        command()
    assert done == [0, 1, 2]
    assert inbox.take(0) == []


def test_nothing_is_accepted_after_the_last_command() -> None:
    inbox = Inbox()
    inbox.send_last(print)
    inbox.send_last(print)  # there is a last one already
    assert inbox.take(None) == [print]
    with pytest.raises(RuntimeError) as caught:
        inbox.send(print)
    assert str(caught.value) == "This lab is closed. Make another one with Lab(trainer)."
    assert inbox.sent == 1


def test_taking_waits_for_a_command() -> None:
    inbox, taken = Inbox(), []
    thread = threading.Thread(target=lambda: taken.extend(inbox.take(None)), daemon=True)
    thread.start()
    inbox.send(print)
    thread.join(TIMEOUT)
    assert taken == [print]


def test_blocking_ends_when_it_has_arrived_or_is_late() -> None:
    inbox = Inbox()
    inbox.block_until(lambda: True, None, str)
    with pytest.raises(TimeoutError, match=r"^not yet$"):
        inbox.block_until(lambda: False, 0.01, lambda: "not yet")
