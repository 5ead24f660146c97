"""Past epochs again, and runs that branch off from them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from snnviz import runs
from snnviz.history import EPOCH_COLUMNS, History
from snnviz.runs import Trainer, compare
from snnviz.runs.advice import FolderTaken
from snnviz.training import Schedule
from tests.helpers import assert_same_history, message_of
from tests.runs.conftest import (
    DATA,
    PLAN,
    assert_same,
    finish,
    go,
    make,
    resume,
    tiny_net,
)


def at(folder: Path, epoch: int | None = None) -> Trainer:
    return Trainer.at(folder, epoch, network=tiny_net(), data=DATA)


def fork(
    folder: Path,
    epoch: int | None = None,
    schedule: Schedule | None = None,
    name: str | None = None,
) -> Trainer:
    return Trainer.fork(folder, epoch, schedule, name, network=tiny_net(), data=DATA)


def test_every_past_epoch_is_as_it_was(tmp_path: Path) -> None:
    twin = make()
    with make(tmp_path / "a") as made:
        finish(made)
    for epoch in range(4):
        while twin.position.epoch < epoch:
            twin.step()
        past = at(tmp_path / "a", epoch)
        assert past.folder is None
        assert_same(past, twin)
        images, _ = DATA.batch("test", torch.arange(10))
        assert past.logits(images).equal(twin.logits(images))
        for group, factors in past.factors.items():
            assert factors.equal(twin.factors[group])
    assert_same(at(tmp_path / "a"), twin)


def test_epochs_that_were_not_kept_are_named(tmp_path: Path) -> None:
    made = make(tmp_path / "a", PLAN.replace(epochs=7, switcher_steps=0), keep_every=3)
    finish(made)
    best = int(made.history.epochs.test_accuracy.to_numpy().argmax()) + 1
    kept = sorted({0, 3, 6, 7, best})
    for epoch in kept:
        assert at(tmp_path / "a", epoch).history.n_epochs == epoch
    gone = next(epoch for epoch in range(8) if epoch not in kept)
    assert message_of(lambda: at(tmp_path / "a", gone)) == (
        f"epoch must be one whose checkpoint is in {str(tmp_path / 'a')!r} "
        f"({', '.join(map(str, kept))}), got {gone!r}. "
        "To keep more checkpoints, make the trainer with a smaller keep_every."
    )


@pytest.mark.parametrize("epoch", [4, 99, -1, True, "1"])
def test_an_epoch_that_never_was(tmp_path: Path, epoch: Any) -> None:
    finish(make(tmp_path / "a"))
    folder = str(tmp_path / "a")
    calls: list[Callable[[], Any]] = [lambda: at(folder, epoch), lambda: fork(folder, epoch)]
    for call in calls:
        assert message_of(call) == (
            f"epoch must be one of the run in {folder!r}, from 0 (the start) to 3, got {epoch!r}. "
            f"To train more epochs, continue the run: Trainer.resume({folder!r})."
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_no_epoch_has_ended_yet(tmp_path: Path) -> None:
    make(tmp_path / "a").close()
    folder = str(tmp_path / "a")
    assert message_of(lambda: at(folder, 1)) == (
        f"epoch must be one of the run in {folder!r}, only 0 (the start) so far, "
        f"got 1. To train more epochs, continue the run: Trainer.resume({folder!r})."
    )


@pytest.mark.slow
def test_a_fork_with_the_same_schedule_does_as_its_parent(tmp_path: Path) -> None:
    with make(tmp_path / "a") as parent:
        finish(parent)
    for epoch in range(4):
        with fork(tmp_path / "a", epoch) as child:
            assert child.folder == tmp_path / f"a-at-{epoch}"
            assert child.history.n_epochs == epoch
            finish(child)
            assert_same(child, parent)
        with resume(child_folder := tmp_path / f"a-at-{epoch}") as again:
            assert_same(again, parent)
            again.reset()
            assert again.position.step == 0
        config = json.loads((child_folder / "config.json").read_text(encoding="utf-8"))
        assert config["parent"] == {"run": "a", "epoch": epoch}
    assert fork(tmp_path / "a", 3).folder == tmp_path / "a-at-3-2"


def test_a_fork_with_another_schedule_differs_from_there_on(tmp_path: Path) -> None:
    with make(tmp_path / "a") as parent:
        finish(parent)
    with fork(tmp_path / "a", 2, PLAN.replace(task_lr=0.2), "b") as child:
        finish(child)
    mine, its = child.history.epoch_rows(), parent.history.epoch_rows()
    assert mine[:2] == its[:2]
    assert mine[2] != its[2]
    steps = its[1][1]
    assert child.history._steps[:steps] == parent.history._steps[:steps]
    assert child.history._steps[steps] != parent.history._steps[steps]
    for group, factors in child.history.factors.items():
        assert (factors[:2] == parent.history.factors[group][:2]).all()
    assert child.history.events.detail.tolist()[-1] == "task_lr: 0.02 → 0.2"
    assert_same_history(History.load(tmp_path / "b"), child.history)
    with resume(tmp_path / "b") as again:
        assert again.schedule == PLAN.replace(task_lr=0.2)
        again.rollback()
        assert again.position.epoch == 3
    twin = at(tmp_path / "a", 2)
    twin.schedule = PLAN.replace(task_lr=0.2)
    assert finish(twin).history.epoch_rows()[2][:-1] == mine[2][:-1]


def test_a_fork_takes_the_schedule_of_that_time(tmp_path: Path) -> None:
    with make(tmp_path / "a") as parent:
        go(parent, 7)
        parent.schedule = PLAN.replace(task_lr=0.01)
        finish(parent)
    with fork(tmp_path / "a", 1) as early, fork(tmp_path / "a", 2) as late:
        assert early.schedule == PLAN
        assert early.history.n_events == 0
        assert late.schedule == PLAN.replace(task_lr=0.01)
        assert late.history.n_events == 1
        assert_same(finish(late), parent)


def test_a_schedule_changed_right_at_an_epochs_end(tmp_path: Path) -> None:
    """Two checkpoints of one step: as it ended, and as it went on."""
    with make(tmp_path / "a") as parent:
        while parent.position.epoch < 1:
            parent.step()
        parent.schedule = PLAN.replace(task_optimizer="adam", task_lr=0.001)
        assert len(list((tmp_path / "a" / "checkpoints").glob("epoch-000001-*"))) == 2
        finish(parent)
    with fork(tmp_path / "a", 1) as child:
        assert_same(finish(child), parent)


def test_a_fork_of_a_run_that_is_under_way(tmp_path: Path) -> None:
    with make(tmp_path / "a") as parent:
        go(parent, 8)
        with fork(tmp_path / "a", name="b") as child:
            assert child.history.n_epochs == 1
            go(parent, 2)
            finish(child)
        finish(parent)
        assert_same(child, parent)


@pytest.mark.parametrize("name", ["../b", "x/y", "/tmp/b", "", ".", "..", ".b", "b.", "a\nb", 5])
def test_names_that_lead_elsewhere(name: str, tmp_path: Path) -> None:
    make(tmp_path / "r" / "a").close()
    said = message_of(lambda: fork(tmp_path / "r" / "a", 0, name=name))
    start = f"name must be a name that a file can have on every system, got {name!r}, which "
    assert said.startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["a"]


def test_a_fork_that_cannot_be_leaves_nothing(tmp_path: Path) -> None:
    with make(tmp_path / "a") as parent:
        finish(parent)
    make(tmp_path / "b").close()
    said = message_of(lambda: fork(tmp_path / "a", 1, name="b"), FolderTaken)
    assert said.startswith(
        f"folder {str(tmp_path / 'b')!r} already holds a run. To continue that run: "
    )
    said = message_of(lambda: fork(tmp_path / "a", 2, PLAN.replace(epochs=1), "c"))
    assert said.startswith("schedule.epochs must be at least the 2 epochs that are done, got 1.")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_missing_run(tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    for call in (at, fork, resume):
        assert message_of(lambda call=call: call(folder), FileNotFoundError) == (
            f"folder {str(folder)!r} contains no run: config.json is missing. "
            "Give a folder that Trainer(..., folder=...) has written."
        )
        assert not folder.exists()


# --- side by side --------------------------------------------------------------------------------


def test_the_shared_past_is_there_once(tmp_path: Path) -> None:
    with make(tmp_path / "a") as a:
        finish(a)
    with fork(tmp_path / "a", 2, PLAN.replace(task_lr=0.2), "b") as b:
        finish(b)
    with fork(tmp_path / "a", 1, PLAN.replace(task_lr=0.1), "c") as c:
        finish(c)
    with fork(tmp_path / "b", 2, PLAN.replace(task_lr=0.3), "d") as d:
        finish(d)

    def shown(*names: str) -> list[tuple]:
        frame = compare([tmp_path / name for name in names])
        assert list(frame.columns) == ["run", "parent", *EPOCH_COLUMNS]
        return [
            (row.run, None if row.parent != row.parent else row.parent, row.epoch)
            for row in frame.itertuples()
        ]

    own_a = [("a", None, 1), ("a", None, 2), ("a", None, 3)]
    assert shown("a", "b") == [*own_a, ("b", "a", 3)]
    assert shown("b", "a") == [("b", "a", 3), *own_a]
    assert shown("a", "b", "c", "d") == [
        *own_a,
        ("b", "a", 3),
        ("c", "a", 2),
        ("c", "a", 3),
        ("d", "b", 3),
    ]
    # Without the run in which it happened, the first has it.
    assert shown("b", "c") == [
        ("b", "a", 1),
        ("b", "a", 2),
        ("b", "a", 3),
        ("c", "a", 2),
        ("c", "a", 3),
    ]
    assert shown("d", "b") == [("d", "b", 1), ("d", "b", 2), ("d", "b", 3), ("b", "a", 3)]
    frame = compare([tmp_path / "b"])
    assert frame[list(EPOCH_COLUMNS)].equals(b.history.epochs)


def test_comparing_what_cannot_be_compared(tmp_path: Path) -> None:
    make(tmp_path / "x" / "a").close()
    make(tmp_path / "y" / "a").close()
    both = [tmp_path / "x" / "a", tmp_path / "y" / "a"]
    assert message_of(lambda: compare(both)) == (
        "the runs must have different names, got 'a' twice."
    )
    assert message_of(lambda: compare("runs/a"), TypeError) == (
        "folders must be a list of run folders, got 'runs/a'. Use [folder]."
    )
    assert len(compare([])) == 0


def test_a_table_of_runs(tmp_path: Path) -> None:
    with make(tmp_path / "a") as a:
        finish(a)
    b = fork(tmp_path / "a", 1, PLAN.replace(epochs=9), "b")
    with make(tmp_path / "c") as c:
        go(c, 2)
    make(tmp_path / "d").close()
    (tmp_path / "d" / "history" / "history.json").write_text("{")
    (tmp_path / "notes.txt").write_text("not a run")
    table = runs.table(tmp_path)
    assert table.run.tolist() == ["a", "b", "c", "d"]
    assert table.network.tolist() == ["own"] * 4
    assert table.state.tolist() == [
        "finished",
        "training",
        "stopped",
        "damaged: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ]
    assert table.epochs.tolist()[:3] == [3, 1, 0]
    assert table.planned.tolist()[:3] == [3, 9, 3]
    assert table.accuracy[0] == a.history.epochs.test_accuracy.iloc[-1]
    assert table.accuracy[1] == a.history.epochs.test_accuracy[0]
    assert table.neurons_on[0] == a.history.epochs.neurons_on.iloc[-1]
    assert table.parent[1] == "a"
    b.close()
    assert runs.table(tmp_path).state[1] == "stopped"
    said = message_of(lambda: runs.table(tmp_path / "nowhere"), FileNotFoundError)
    assert said == f"folder {str(tmp_path / 'nowhere')!r} is missing. Give a folder of runs."


def test_a_history_loads_without_torch_and_pandas(tmp_path: Path) -> None:
    """Both take a while. The package as a whole imports torch, for its own reasons."""
    with make(tmp_path / "a") as made:
        finish(made)
    code = (
        "import sys, types\n"
        "package = types.ModuleType('snnviz'); package.__path__ = [sys.argv[1]]\n"
        "sys.modules['snnviz'] = package\n"
        "from snnviz.history import History\n"
        "print(History.load(sys.argv[2]).n_epochs, *{'torch', 'pandas'} & set(sys.modules))"
    )
    root = Path(runs.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), str(tmp_path / "a")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
