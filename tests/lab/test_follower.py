"""A run that another process trains, followed live."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from snnviz.history import History
from snnviz.lab import Lab
from snnviz.lab.neurons.numbering import encode
from tests.helpers import assert_same_history
from tests.lab.conftest import TIMEOUT, until
from tests.lab.test_lab import find, text
from tests.runs.conftest import DATA, make, tiny_net

TRAINS = """\
import sys
from tests.runs.conftest import PLAN, make
with make(sys.argv[1], PLAN.replace(epochs=9)) as trainer:
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "run\\n":
            trainer.run(1, progress=False)
        else:
            trainer.reset()
        print("done", flush=True)"""


class Other:
    """A process that trains a run, an epoch whenever it is told to."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", TRAINS, str(folder)]
        root = Path(__file__).parents[2]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root)
        self._hear("ready\n")

    def do(self, what: str) -> None:
        """Has it do "run" or "reset", and waits until that is saved."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._hear("done\n")

    def end(self) -> None:
        """Ends it in the usual way."""
        self.process.communicate(timeout=TIMEOUT)

    def _hear(self, said: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == said


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    made = Other(tmp_path / "first")
    yield made
    made.process.kill()
    made.process.communicate()


def test_a_run_of_another_process_is_followed(other: Other, tmp_path: Path) -> None:
    other.do("run")
    lab = Lab.open(tmp_path / "first", network=tiny_net(), data=DATA)
    play = find(lab, "play")
    until(lambda: "Following" in text(lab, "status"))
    assert list(lab.runs) == ["first, a copy"]
    held = f"is open in another trainer (process {other.process.pid} on "
    until(lambda: held in text(lab, "notice"))
    assert play.disabled
    assert "so nothing can be trained here" in play.tooltip
    assert lab.trainer.history.n_epochs == 1

    other.do("run")
    until(lambda: lab.trainer.history.n_epochs == 2)
    saved = History.load(tmp_path / "first")
    assert_same_history(lab.trainer.history, saved)
    until(lambda: "epoch 3/9" in text(lab, "status"))
    now = encode(saved.groups, saved.factors_at(2))
    until(lambda: find(lab, "neurons").factors == now)

    lab.play()  # as a cell may
    lab.wait(timeout=TIMEOUT)
    notice = lab.session.status.notice
    assert notice is not None
    assert notice.kind == "refused"
    assert lab.trainer.position.epoch == 2
    lab.what_if({"0": [1]})
    lab.keep()
    assert lab.trainer.pins == {}

    other.do("reset")
    until(lambda: lab.trainer.history.n_epochs == 0)
    other.do("run")
    until(lambda: lab.session.status.forkable == {0, 1})
    assert_same_history(lab.trainer.history, History.load(tmp_path / "first"))

    other.end()
    until(lambda: "is no longer open in another trainer" in text(lab, "notice"))
    until(lambda: not play.disabled)
    assert play.tooltip == "Train to the end of the schedule"
    lab.step("epoch")
    lab.wait(timeout=TIMEOUT)
    assert lab.trainer.history.n_epochs == 2
    assert History.load(tmp_path / "first").n_epochs == 1
    lab.close()


def test_a_killed_process_lets_go_and_a_fork_trains_meanwhile(other: Other, tmp_path: Path) -> None:
    other.do("run")
    lab = Lab.open(tmp_path / "first", network=tiny_net(), data=DATA)
    until(lambda: lab.session.status.elsewhere)
    followed = lab.session
    lab.fork(epoch=1, name="mine")
    lab.step("epoch")
    lab.wait(timeout=TIMEOUT)
    assert lab.trainer.history.n_epochs == 2
    other.process.kill()
    until(lambda: not followed.status.elsewhere)
    assert lab.runs["first, a copy"].n_epochs == 1
    lab.close()


def test_a_trainer_of_this_kernel_counts_as_another(tmp_path: Path) -> None:
    with make(tmp_path / "first") as made:
        made.run(1, progress=False)
        lab = Lab.open(tmp_path / "first", network=tiny_net(), data=DATA)
        until(lambda: "is open in another trainer" in text(lab, "notice"))
        made.run(1, progress=False)
        until(lambda: lab.trainer.history.n_epochs == 2)
        for group, factors in made.history.factors.items():
            np.testing.assert_array_equal(factors, lab.trainer.history.factors[group])
        lab.close()
        made.run(1, progress=False)  # nothing has come between


def test_without_its_images_it_is_followed_too(tmp_path: Path) -> None:
    with make(tmp_path / "first") as made:
        lab = Lab.open(tmp_path / "first", network=tiny_net())
        until(lambda: "The images of this run are not here" in text(lab, "notice"))
        until(lambda: "is open in another trainer" in text(lab, "notice"))
        assert "fork" not in text(lab, "notice")
        made.run(1, progress=False)
        until(lambda: lab.trainer.history.n_epochs == 1)
        lab.close()


def test_a_state_that_cannot_be_read_is_said_and_read_later(tmp_path: Path) -> None:
    with make(tmp_path / "first") as made:
        made.run(1, progress=False)
        lab = Lab.open(tmp_path / "first", network=tiny_net(), data=DATA)
        until(lambda: lab.session.status.elsewhere)
        pointer = tmp_path / "first" / "history" / "history.json"
        whole = pointer.read_bytes()
        pointer.write_bytes(b"{}")
        until(lambda: "Its newest state cannot be read: " in text(lab, "notice"))
        assert lab.trainer.history.n_epochs == 1
        pointer.write_bytes(whole)
        until(lambda: "cannot be read" not in text(lab, "notice"))
        lab.close()
