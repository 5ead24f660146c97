"""What goes wrong with folders: nothing that was on the disk or in memory is lost by it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snnviz import files
from snnviz.history import History
from snnviz.runs import InUse, NotSaved, Trainer
from snnviz.runs.advice import FolderTaken
from snnviz.training import TrainingStopped
from tests.helpers import assert_same_history, message_of
from tests.runs.conftest import (
    PLAN,
    assert_same,
    finish,
    go,
    make,
    resume,
)

ROOT = Path(__file__).parents[2]
FULL = OSError(28, "No space left on device")


def unsaved(folder: Path, why: str) -> str:
    return (
        f"The run could not be saved in {str(folder)!r} ({why}). The training state is intact in "
        "memory. Make room and call trainer.save(), or continue training: the next step tries to "
        "save first. Or save the run elsewhere: trainer.save_to('another/folder')."
    )


def to_the_epochs_end(trainer: Trainer) -> None:
    epoch = trainer.position.epoch
    while trainer.position.epoch == epoch:
        trainer.step()


# --- who may write -------------------------------------------------------------------------------


def in_use(folder: Path, process: int) -> re.Pattern:
    return re.compile(
        f"folder {re.escape(repr(str(folder)))} is being written by process {process} on .+, "
        r"since 2\d\d\d-.+\. Wait until that process finishes or closes it, or read it with "
        r"Trainer\.at or Trainer\.fork\."
    )


@pytest.mark.slow
def test_the_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with make(tmp_path / "a") as first:
        said = message_of(lambda: resume(tmp_path / "a"), InUse)
        assert in_use(tmp_path / "a", os.getpid()).fullmatch(said)
        finish(first)
    with resume(tmp_path / "a") as second:
        assert_same(second, first)
    again = resume(tmp_path / "a")
    del again  # nobody holds it, so nobody writes
    resume(tmp_path / "a").close()


HOLD = """
import sys
from tests.runs.conftest import make
trainer = make(sys.argv[1])
trainer.step()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Any:
    """Another process that writes tmp_path/a until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_dead_process_holds_no_lock(other_process: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    said = message_of(lambda: resume(folder), InUse)
    assert in_use(folder, other_process.pid).fullmatch(said)
    said = message_of(lambda: make(folder), FolderTaken)
    assert said == (
        f"folder {str(folder)!r} already holds a run. To continue that run: Trainer.resume("
        f"{str(folder)!r}); to start a new run from it: Trainer.fork({str(folder)!r}, epoch=...); "
        "or choose a new folder."
    )
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.wait()
    with resume(folder) as mine:
        assert_same(finish(mine), finish(make()))


def test_a_closed_run_makes_no_step(tmp_path: Path) -> None:
    made = make(tmp_path / "a")
    made.step()
    made.close()
    made.close()
    for call in (made.step, made.save, lambda: made.run(progress=False), lambda: next(iter(made))):
        assert message_of(call, RuntimeError) == (
            "this run is closed. To continue it, use Trainer.resume(folder); "
            "to save it elsewhere, use trainer.save_to(folder)."
        )
    made.save_to(tmp_path / "b")
    with resume_after(made, tmp_path / "b") as second:
        assert_same(finish(second), finish(make()))


def resume_after(trainer: Trainer, folder: Path) -> Trainer:
    trainer.close()
    return resume(folder)


@pytest.mark.parametrize("content", ["file", "other files"])
def test_a_folder_that_is_taken(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    if content == "file":
        folder.write_text("thesis")
    else:
        folder.mkdir()
        (folder / "thesis.tex").write_text("thesis")
    said = message_of(lambda: make(folder), FolderTaken)
    assert said == f"folder must be a new or empty one, got {str(folder)!r}, " + (
        "which is a file. Choose another name."
        if content == "file"
        else "which holds 'thesis.tex' and no run. Choose a new folder, for example one inside it."
    )
    before = make()
    assert message_of(lambda: before.save_to(folder), FolderTaken) == said
    file = folder if content == "file" else folder / "thesis.tex"
    assert file.read_text() == "thesis"


def test_a_trainer_without_a_folder(tmp_path: Path) -> None:
    made = make()
    go(made, 7)
    assert made.folder is None
    assert message_of(made.save, RuntimeError) == (
        "this trainer does not save its run: it was made without a folder. Use save_to(folder)."
    )
    made.save_to(tmp_path / "a")
    assert made.folder == tmp_path / "a"
    with resume_after(made, tmp_path / "a") as second:
        twin = make()
        go(twin, 7)
        assert_same(second, twin)
        for each in (second, twin):
            each.rollback()
        assert_same(second, twin)
        for each in (second, twin):
            each.reset()
        assert_same(finish(second), finish(twin))


# --- what cannot be written ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("fails", range(1, 6))
def test_a_full_disk_stops_the_run_with_all_in_memory(
    fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file of an epoch's end, given by its number, cannot be written."""
    folder, twin, real, count = tmp_path / "a", make(), files.write, [0]
    made = make(folder)
    before = sorted(p.name for p in folder.rglob("*"))

    def write(*args: Any, **options: Any) -> None:
        count[0] += 1
        if count[0] >= fails:
            raise FULL
        real(*args, **options)

    monkeypatch.setattr(files, "write", write)
    go(made, 3)
    assert message_of(made.step, NotSaved) == unsaved(folder, str(FULL))
    assert (made.position.epoch, made.history.n_epochs) == (1, 1)
    for _ in range(2):  # it tries again first, and makes no step until it can
        assert message_of(made.step, NotSaved) == unsaved(folder, str(FULL))
        assert message_of(made.save, NotSaved) == unsaved(folder, str(FULL))
    assert made.position.step == 4
    if fails == 1:
        assert sorted(p.name for p in folder.rglob("*")) == before
    go(twin, 4)
    assert_same(made, twin)
    assert History.load(folder).n_epochs == 0
    monkeypatch.undo()
    made.step()
    assert History.load(folder).n_epochs == 1
    assert_same(finish(made), finish(twin))
    with resume_after(made, folder) as second:
        assert_same(second, twin)


@pytest.mark.slow
@pytest.mark.parametrize("turn", ["rollback", "reset", "schedule"])
@pytest.mark.parametrize("fails", range(1, 4))
def test_a_full_disk_at_a_turn(
    turn: str, fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, twin, left = make(tmp_path / "a"), make(), [fails]
    for each in (made, twin):
        go(each, 8)
    made.save()

    def take(trainer: Trainer) -> None:
        if turn == "schedule":
            trainer.schedule = PLAN.replace(task_lr=0.01)
        else:
            getattr(trainer, turn)()

    def failing(real: Callable) -> Callable:
        def change(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise FULL
            return real(*args, **options)

        return change

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(os.replace))
        patch.setattr(Path, "unlink", failing(Path.unlink))
        with pytest.raises(NotSaved):
            take(made)
    take(twin)
    assert_same(made, twin)
    assert_same(finish(made), finish(twin))
    with resume_after(made, tmp_path / "a") as second:
        assert_same(second, twin)


LIMITED = """
import resource, sys
from tests.runs.conftest import assert_same, finish, go, make, resume
from snnviz.runs import NotSaved
folder, elsewhere = sys.argv[1:]
made, twin = make(folder), make()
go(made, 3)
go(twin, 4)
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
try:
    made.step()
except NotSaved as error:
    print(error)
assert_same(made, twin)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
made.save_to(elsewhere)
finish(made)
made.close()
assert_same(resume(elsewhere), finish(twin))
assert_same(finish(resume(folder)), twin)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such limit")
def test_a_limit_of_the_system(tmp_path: Path) -> None:
    """For real: the system lets no file grow past 6,000 bytes, and a checkpoint is larger."""
    folder = tmp_path / "a"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), str(tmp_path / "b")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == unsaved(folder, "[Errno 27] File too large") + "\n"
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("what", ["", "history", "checkpoints"])
def test_a_folder_that_is_removed(what: str, tmp_path: Path) -> None:
    folder, twin = tmp_path / "a", finish(make())
    made = make(folder)
    to_the_epochs_end(made)
    shutil.rmtree(folder / what)
    with pytest.raises(NotSaved, match=r"No such file or directory") as caught:
        to_the_epochs_end(made)
    assert str(caught.value).startswith(f"The run could not be saved in {str(folder)!r} (")
    assert made.history.n_epochs == 2
    assert folder.exists() == bool(what)  # it is not silently recreated
    made.save_to(tmp_path / "b")
    assert_same(finish(made), twin)
    kept = {p.name[:12] for p in (tmp_path / "b" / "checkpoints").iterdir()}
    assert {"epoch-000000", "epoch-000002", "epoch-000003"} <= kept
    assert ("epoch-000001" in kept) == (what == "history")
    with resume_after(made, tmp_path / "b") as second:
        assert_same(second, twin)


def test_another_run_in_the_folders_place(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    made = make(folder)
    shutil.rmtree(folder)
    other = make(folder)
    with pytest.raises(NotSaved, match=r"the run's folder was replaced by another"):
        to_the_epochs_end(made)
    assert_same(finish(other), finish(make()))


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """Stands for a folder that may only be read: the system's owner may write to those."""
    made = make(tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / "checkpoints")
    (tmp_path / "a" / "checkpoints").write_text("")
    with pytest.raises(NotSaved, match=r"Not a directory"):
        to_the_epochs_end(made)
    (tmp_path / "b").write_text("")
    said = message_of(lambda: made.save_to(tmp_path / "b" / "c"), NotSaved)
    assert said.startswith(f"The run could not be saved in {str(tmp_path / 'b' / 'c')!r} (")
    made.save_to(tmp_path / "c")
    assert_same(finish(made), finish(make()))


def test_what_may_only_be_read_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make(tmp_path / "a") as made:
        finish(made)

    def denied(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", denied)
    assert message_of(lambda: resume(tmp_path / "a"), PermissionError) == (
        f"folder {str(tmp_path / 'a')!r} cannot be written ([Errno 13] Permission denied). "
        "Read it with Trainer.at, or copy it to a folder that you may write to."
    )
    from tests.runs.test_fork import at

    assert_same(at(tmp_path / "a"), made)


def test_a_start_that_cannot_be_saved_leaves_a_folder_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise FULL

    monkeypatch.setattr("snnviz.runs.checkpoint.write", full)
    assert message_of(lambda: make(tmp_path / "a"), NotSaved) == (
        f"folder must be a place where a run can be saved, got {str(tmp_path / 'a')!r} ({FULL}). "
        "Make room, or choose another folder."
    )
    monkeypatch.undo()
    make(tmp_path / "a").close()


def test_what_is_not_sound_is_not_saved(tmp_path: Path) -> None:
    made = make(tmp_path / "a", PLAN.replace(task_lr=1e30))
    with pytest.raises(TrainingStopped):
        go(made, 20)
    for call in (made.save, lambda: made.save_to(tmp_path / "b")):
        with pytest.raises(TrainingStopped):
            call()
    assert not (tmp_path / "b").exists()
    made.schedule = PLAN
    made.rollback()
    with resume_after(made, tmp_path / "a") as second:
        assert second.schedule == PLAN
        finish(second)
        assert_same_history(History.load(tmp_path / "a"), second.history)
    log = (tmp_path / "a" / "events.jsonl").read_text(encoding="utf-8")
    assert '"event": "stopped", "step": ' in log


def test_a_state_of_another_run_is_not_saved(tmp_path: Path) -> None:
    made, other = make(tmp_path / "a"), make()
    to_the_epochs_end(other)
    made.load_state_dict(other.state_dict())
    assert message_of(made.save, RuntimeError) == (
        "the trainer is at the end of epoch 1 but its history ends at epoch 0, so they belong to "
        "different runs and were not saved. To go back in a recorded run, use rollback() or "
        "reset(); for another epoch, use Trainer.at or Trainer.fork."
    )


# --- what it costs -------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_epoch_writes_as_much_however_long_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[int, list[int]] = {}
    real = files.write
    made = make(None, PLAN.replace(epochs=110, batch_size=64, switcher_steps=0))

    def write(file: Path, data: bytes, settled: bool = True) -> None:
        written.setdefault(made.history.n_epochs, []).append(len(data))
        real(file, data, settled)

    monkeypatch.setattr(files, "write", write)
    made.save_to(tmp_path / "a")
    finish(made)
    for epoch in range(1, 111):
        assert len(written[epoch]) == 5, epoch  # three tables, a checkpoint, history.json
    assert abs(sum(written[99]) - sum(written[2])) < 200
    # A merge writes 50 epochs of tables once more: bounded, and once in 50 epochs.
    assert abs(sum(written[100]) - sum(written[50])) < 1000
    parts = [p for p in (tmp_path / "a" / "history").iterdir() if p.suffix == ".parquet"]
    assert len(parts) == 3 * (2 + 10)
    assert_same_history(History.load(tmp_path / "a"), made.history)
