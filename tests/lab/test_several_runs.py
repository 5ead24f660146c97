"""Several runs in one lab: forks, runs from the disk, and curves beside."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from snnviz.lab import Lab
from snnviz.lab.views.portrait import _IN_CELL, QUIET, Portrait, _take_over
from snnviz.runs import InUse
from snnviz.runs import Trainer as Recorded
from snnviz.training import TrainingStopped
from tests.helpers import message_of
from tests.lab.conftest import TIMEOUT, make_trainer, until
from tests.lab.test_lab import find, text
from tests.runs.conftest import DATA, PLAN, finish, make, tiny_net


@pytest.fixture(autouse=True)
def all_closed() -> Iterator[None]:
    """No test leaves a lab's thread behind."""
    yield
    gc.collect()
    names = [t.name for t in threading.enumerate() if t.name.startswith("snnviz")]
    assert names == []


@pytest.fixture
def lab() -> Iterator[Lab]:
    """After three epochs of a run that is not recorded."""
    made = Lab(make_trainer(warmup_epochs=0, epochs=5))
    made.step("epoch", n=3)
    made.wait(timeout=TIMEOUT)
    yield made
    made.close()


def test_a_fork_in_memory_goes_its_own_way(lab: Lab) -> None:
    parent = lab.trainer
    before = parent.history.factors
    lab.fork(epoch=1, name="harder", switcher_steps=4)
    fork = lab.trainer
    assert fork is not parent
    assert (fork.position.epoch, fork.schedule.switcher_steps) == (1, 4)
    assert list(lab.runs) == ["harder", "run"]
    lab.step("epoch", n=2)
    lab.wait(timeout=TIMEOUT)
    assert fork.history.n_epochs == 3
    assert parent.history.n_epochs == 3
    for group, factors in parent.history.factors.items():
        np.testing.assert_array_equal(factors, before[group])
        np.testing.assert_array_equal(fork.history.factors[group][0], factors[0])
    assert len(fork.history.steps) > len(parent.history.steps)
    assert fork.history.events.event.tolist().count("schedule") == 1


def test_a_fork_by_hand_takes_the_editors_schedule(lab: Lab) -> None:
    parent = lab.trainer
    until(lambda: find(lab, "moment").max == 3)
    find(lab, "moment").value = 2
    until(lambda: "epoch 2 of 3" in text(lab, "moment-readout"))
    find(lab, "switcher_steps").value = 3
    find(lab, "fork").click()
    until(lambda: lab.trainer is not parent)
    assert (lab.trainer.position.epoch, lab.trainer.schedule.switcher_steps) == (2, 3)
    assert parent.schedule.switcher_steps == 1
    until(lambda: "run, from 2 continues from the end of epoch 2" in text(lab, "notice"))
    until(lambda: find(lab, "run").options == ("run", "run, from 2"))
    assert find(lab, "run").value == "run, from 2"
    until(lambda: find(lab, "moment").value == 2)  # the newest of the fork
    find(lab, "run").value = "run"
    until(lambda: lab.trainer is parent)
    until(lambda: find(lab, "moment").value == 3)


def test_colours_stay_whichever_run_is_active(lab: Lab) -> None:
    lab.fork(epoch=1, name="b")
    lab.fork(epoch=1, name="c")
    colours = {run.name: run.colour for run in lab._runs.in_colours()}
    assert len(set(colours.values())) == 3
    assert next(iter(lab.runs)) == "c"
    until(lambda: find(lab, "run").value == "c")
    find(lab, "run").value = "run"
    until(lambda: next(iter(lab.runs)) == "run")
    assert {run.name: run.colour for run in lab._runs.in_colours()} == colours


def test_what_cannot_be_forked(lab: Lab) -> None:
    parent = lab.trainer
    with pytest.raises(ValueError, match="schedule has no field 'steps'"):
        lab.fork(1, steps=3)
    assert message_of(lambda: lab.fork(epoch=4)) == (
        "the state at the end of epoch 4 is not kept; kept are 0, 1, 2, 3. "
        "To keep them all, give the trainer a folder: Trainer(..., folder=...)."
    )
    message = message_of(lambda: lab.fork(epoch=2, epochs=1))
    assert message.startswith("schedule.epochs must be at least the 2 epochs that are done, got 1.")
    assert lab.trainer is parent
    assert list(lab.runs) == ["run"]


def test_a_name_twice_gets_a_number(lab: Lab) -> None:
    lab.fork(1, name="again")
    lab.fork(1, name="again")
    assert set(lab.runs) == {"run", "again", "again (2)"}


def test_a_recorded_run_is_opened_and_forked_on_the_disk(tmp_path: Path) -> None:
    with make(tmp_path / "first") as made:
        finish(made)
    lab = Lab.open(tmp_path / "first", network=tiny_net(), data=DATA)
    assert list(lab.runs) == ["first"]
    epochs = lab.trainer.history.n_epochs
    lab.fork(epoch=1, name="second")
    assert list(lab.runs) == ["second", "first"]
    assert isinstance(lab.trainer, Recorded)
    assert lab.trainer.folder == tmp_path / "second"
    lab.play()
    lab.wait(timeout=TIMEOUT)
    assert lab.trainer.history.n_epochs == epochs
    with pytest.raises(InUse):
        Recorded.resume(tmp_path / "second", network=tiny_net(), data=DATA)
    lab.close()
    with Recorded.resume(tmp_path / "second", network=tiny_net(), data=DATA) as back:
        assert back.history.n_epochs == epochs


def test_a_run_that_diverged_is_forked_from_an_earlier_epoch(tmp_path: Path) -> None:
    with make(tmp_path / "first", PLAN.replace(epochs=3)) as made:
        made.run(1, progress=False)
        lab = Lab(made)
        lab.set_schedule(task_lr=1e30)
        lab.play()
        with pytest.raises(TrainingStopped):
            lab.wait(timeout=TIMEOUT)
        lab.fork(epoch=1, name="second", task_lr=0.01)
        assert lab.trainer.position.epoch == 1
        lab.step("epoch")
        lab.wait(timeout=TIMEOUT)
        assert lab.trainer.history.n_epochs == 2
        lab.close()


def test_a_run_is_looked_at_without_its_images(tmp_path: Path) -> None:
    with make(tmp_path / "first", PLAN.replace(epochs=5)) as made:
        made.run(2, progress=False)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    lab = Lab.open(tmp_path / "first", network=tiny_net())
    missing = "The images of this run are not here; to train on, open it with data=, its own data: "
    until(lambda: missing in text(lab, "notice"))
    assert lab.trainer.history.n_epochs == 2
    lab.show_epoch(1)
    until(lambda: "epoch 1 of 2" in text(lab, "moment-readout"))
    until(lambda: find(lab, "neurons").moment == "epoch 1")
    lab.session.look_at("0", 3)
    until(lambda: lab.session.status.page is not None)
    assert lab.session.status.page is not None
    assert lab.session.status.page.facts["answers"] is None
    assert lab.what_if({"0": [1]}) is None
    assert lab.session.status.refusal.startswith(f"Refused: {missing}")
    lab.play()
    assert message_of(lambda: lab.wait(timeout=TIMEOUT), RuntimeError).startswith(missing)
    until(lambda: missing in text(lab, "alert"))
    lab.close()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_runs_beside(lab: Lab, tmp_path: Path) -> None:
    with make(tmp_path / "other") as made:
        finish(made)
    lab.beside(tmp_path / "other")
    lab.beside(made.history, "copy")
    assert list(lab.runs) == ["run", "other", "copy"]
    assert message_of(lambda: lab.beside(made.history, "run")) == (
        "name 'run' is taken by another run of this lab; give another."
    )
    with pytest.raises(FileNotFoundError, match="holds no history"):
        lab.beside(tmp_path)
    until(lambda: [name for name, _ in lab._parts.views.bar.runs] == ["run", "other", "copy"])


def test_what_if_in_a_cell(lab: Lab) -> None:
    group = next(iter(lab.trainer.history.groups))
    trial = lab.what_if({group: {0: False, 1: False}})
    assert trial is not None
    assert trial.changes == {group: {0: False, 1: False}}
    lab.keep()
    assert lab.trainer.pins == {group: {0: 0.0, 1: 0.0}}
    lab.let_go({group: [0]})
    assert lab.trainer.pins == {group: {1: 0.0}}
    lab.let_go()
    assert lab.trainer.pins == {}
    with pytest.raises(ValueError, match="group must be one of"):
        lab.what_if({"nothing": {0: False}})
    with pytest.raises(ValueError, match="must be whole numbers from 0 to"):
        lab.let_go({group: ["a"]})
    form = "changes must be {group: {neuron: on}} or {group: [neurons that are off]}, got"
    assert message_of(lambda: lab.what_if([1])) == f"{form} [1]."
    assert message_of(lambda: lab.what_if("fc1")) == f"{form} 'fc1'."


def test_a_lab_whose_cell_shows_another_one_is_closed() -> None:
    first, second = Lab(make_trainer()), Lab(make_trainer())
    try:
        _take_over("a cell", first)
        _take_over("a cell", first)  # run again, with the same lab
        time.sleep(0.1)
        assert not first.closed
        _take_over("another cell", first)
        _take_over("a cell", second)  # the first one is still in another cell
        time.sleep(0.1)
        assert not first.closed
        _take_over("another cell", second)
        until(lambda: first.closed)
        assert not second.closed
        _take_over(None, first)
    finally:
        second.close()
        first.close()
        _IN_CELL.clear()


def test_after_a_wait_the_notebook_has_the_picture_of_this_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the page is far behind: a notebook that runs without one may end with the cell."""
    published: list[dict] = []
    publisher = SimpleNamespace(publish=lambda data, **_: published.append(data))
    with closing(Lab(make_trainer())) as lab, monkeypatch.context() as patched:
        patched.setattr(lab._parts.views, "show", lambda *_: True)  # something always waits
        patched.setattr(lab._parts.portrait, "_publisher", publisher)
        lab.step("batch", n=2)
        lab.wait(timeout=TIMEOUT)
        assert [sorted(data) for data in published] == [["image/png", "text/plain"]]
        lab.wait(timeout=TIMEOUT)
        assert len(published) == 1  # nothing has changed


def test_who_clicks_step_after_step_does_not_wait_for_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[dict] = []
    now = 100.0
    with closing(Lab(make_trainer())) as lab, monkeypatch.context() as patched:
        portrait, runs = Portrait(), lab._runs.in_colours()
        assert not portrait.show(lab.session.status, runs)  # not displayed
        publisher = SimpleNamespace(publish=lambda data, **_: published.append(data))
        patched.setattr(portrait, "_publisher", publisher)
        clock = SimpleNamespace(monotonic=lambda: now, thread_time=time.thread_time)
        patched.setattr("snnviz.lab.views.portrait.time", clock)
        assert not portrait.show(lab.session.status, runs)
        assert len(published) == 1  # the first one at once
        for _ in range(3):
            lab.step("batch")
            lab.wait(timeout=TIMEOUT)
            assert portrait.show(lab.session.status, runs)
            now += 0.9 * QUIET
            assert portrait.show(lab.session.status, runs)
        assert len(published) == 1
        now += 0.2 * QUIET
        assert not portrait.show(lab.session.status, runs)
        assert len(published) == 2
        assert not portrait.show(lab.session.status, runs)  # nothing has changed
        assert len(published) == 2
        lab.step("batch")
        lab.close()
        assert not portrait.show(lab.session.status, runs)  # nobody would come back to it
        assert len(published) == 3


def test_a_reset_that_deletes_epochs_asks_first(tmp_path: Path) -> None:
    with make(tmp_path / "first") as made:
        made.run(1, progress=False)
        lab = Lab(made)
        reset = find(lab, "reset")
        reset.click()
        until(lambda: reset.description == "Delete saved epochs?")
        lab.wait(timeout=TIMEOUT)
        assert made.history.n_epochs == 1
        reset.click()
        lab.wait(timeout=TIMEOUT)
        assert made.history.n_epochs == 0
        until(lambda: reset.description == "Reset")
        reset.click()  # nothing to delete: at once
        lab.wait(timeout=TIMEOUT)
        until(lambda: reset.description == "Reset")
        lab.close()


def test_showing_a_past_epoch_in_a_cell(lab: Lab) -> None:
    message = message_of(lambda: lab.show_epoch(9))
    assert message == "epoch must be from 0 to 3, the epochs finished, got 9."
    for epoch in ("1", 1.5, True):
        with pytest.raises(ValueError, match=f"the epochs finished, got {epoch!r}"):
            lab.show_epoch(epoch)  # pyright: ignore
    lab.show_epoch(1)
    until(lambda: "epoch 1 of 3" in text(lab, "moment-readout"))
    until(lambda: find(lab, "neurons").moment == "epoch 1")
    lab.show_epoch(None)
    until(lambda: find(lab, "neurons").moment.startswith("now"))
