"""Ctrl-C, SIGTERM and SIGHUP."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snnviz.cli.interruptions import ENDING, HANGUP, Interruptions, like_ctrl_c
from snnviz.runs import Trainer
from tests.cli.example import SMALL, Done, at, by_hand, posix
from tests.runs.conftest import assert_same


@pytest.fixture(autouse=True)
def as_from_a_terminal() -> Iterator[None]:
    """Here and in the programs that are started: `nohup`, for example, has SIGHUP ignored."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# Stands still in a step of the second epoch: until it has been interrupted, or for ever.
STANDING = """
import sys, time
from snnviz import cli
from snnviz.cli.interruptions import Interruptions
from snnviz.cli.training import Trainer

made, enter, step = [], Interruptions.__enter__, Trainer.step
Interruptions.__enter__ = lambda self: made.append(self) or enter(self)

def stepping(self):
    if self.position.step == 6:
        print("standing", file=sys.stderr, flush=True)
        while not made[0].asked or "for ever" == HOW_LONG:
            time.sleep(0.01)
    return step(self)

Trainer.step = stepping
sys.exit(cli.main(sys.argv[1:]))
"""


def standing(how_long: str) -> subprocess.Popen:
    code = STANDING.replace("HOW_LONG", repr(how_long))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, "train", *SMALL, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    read_until(process, "standing")
    return process


def read_until(process: subprocess.Popen, line: str) -> None:
    assert process.stderr is not None
    lines = []
    for words in process.stderr:
        lines.append(words)
        if words.startswith(line):
            return
    pytest.fail("".join(lines))


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, HANGUP])
def test_an_interruption_saves_and_says_how_to_resume(run: Any, place: Path, number: int) -> None:
    process = standing("until interrupted")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    done = Done(process.returncode, out, err)
    assert done.code == 130, done.err
    assert done.err == "\nFinishing the step and saving … (Ctrl-C again quits immediately)\n"
    how = f"snnviz resume runs/mlp-img --data folder:{place}/img"
    assert (done.json["state"], done.json["resume"]) == ("interrupted", how)
    assert (done.json["epochs"], done.json["steps"]) == (1, 7)

    resumed = run(*shlex.split(how)[1:], "--json")
    assert (resumed.code, resumed.json["state"]) == (0, "finished")
    assert_same(at("runs/mlp-img"), by_hand())


@posix
def test_a_second_interruption_leaves_at_once(run: Any, place: Path) -> None:
    process = standing("for ever")
    process.send_signal(signal.SIGINT)
    read_until(process, "Finishing the step and saving")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    how = f"snnviz resume runs/mlp-img --data folder:{place}/img"
    assert (process.returncode, out) == (130, "")
    assert err == f"\nStopped. All finished epochs are safe. To go on: {how}\n"
    assert at("runs/mlp-img").position.epoch == 1
    assert run(*shlex.split(how)[1:]).code == 0
    assert_same(at("runs/mlp-img"), by_hand())


@posix
def test_what_a_shell_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruptions(str):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGINT, before)


@posix
def test_a_terminal_may_hang_up_twice() -> None:
    """The system and the shell both send SIGHUP; only a second Ctrl-C or SIGTERM quits."""
    with Interruptions(str) as interruptions:
        assert not interruptions.asked
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
            assert interruptions.asked


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, HANGUP])
def test_signals_that_end_a_program_are_like_ctrl_c(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), like_ctrl_c():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
    signal.signal(number, signal.SIG_IGN)  # as `nohup` does
    try:
        with like_ctrl_c():
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_an_interrupted_run_says_how_to_go_on_in_words(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def stepping(self: Trainer) -> Any:
        if self.position.step == 6:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Trainer, "step", stepping)
    done = run("train", *SMALL)
    assert done.code == 130
    first, _, how = done.out.splitlines()
    assert first == "runs/mlp-img: interrupted after 1 of 3 epochs"
    assert how == f"To go on: snnviz resume runs/mlp-img --data folder:{place}/img"
