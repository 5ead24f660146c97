"""A cell that waits and goes on hearing the page; the rest needs a browser (test_waiting.py)."""

import signal

import pytest

from snnviz.lab.page.listening import Listener, interrupted_later


def test_an_interrupt_waits_till_the_page_has_its_answer() -> None:
    done = []
    usual = signal.getsignal(signal.SIGINT)

    def answer() -> None:
        with interrupted_later():
            signal.raise_signal(signal.SIGINT)
            done.append("answered")
        done.append("went on")

    with pytest.raises(KeyboardInterrupt):
        answer()
    assert done == ["answered"]
    assert signal.getsignal(signal.SIGINT) is usual


def test_outside_a_kernel_there_is_nothing_to_hear() -> None:
    listener = Listener()
    listener.listen()
    listener.end()
