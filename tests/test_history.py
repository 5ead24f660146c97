"""The history: what it tells, what it saves, and what it does with files that are damaged."""

import json
import os
import pickle
import shutil
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnviz.history import EPOCH_COLUMNS, EVENT_COLUMNS, STEP_COLUMNS, History

FILES = ["factors.npz", "history.json", "steps.npz"]


def add_epoch(history: History, factors: dict[str, Any], step: int = 0, **values: float) -> None:
    epoch = history.n_epochs + 1
    row = {name: 0.25 * i + epoch for i, name in enumerate(EPOCH_COLUMNS)}
    row |= {"epoch": epoch, "step": step or 10 * epoch, **values}
    history.add_epoch({k: np.array(v, np.float32) for k, v in factors.items()}, **row)


def add_steps(history: History, count: int) -> None:
    done = len(history.steps)
    for i in range(done, done + count):
        history.add_step(
            step=i + 1,
            epoch=i // 10 + 1,
            phase="switcher" if i % 5 == 4 else "task",
            loss=1 / (i + 1),
            accuracy=i / 1000,
            lr=0.1 + 0.2,
        )


@pytest.fixture
def history() -> History:
    """Three epochs: a[1] goes off in the first and comes back in the third; b[0] goes off."""
    made = History({"a": 3, "b.c": 2})
    for factors in (
        {"a": [1, 0, 2], "b.c": [1, 1]},
        {"a": [1.5, 0, 1.5], "b.c": [0, 2]},
        {"a": [1, 1, 1], "b.c": [0, 2]},
    ):
        add_steps(made, 10)
        add_epoch(made, factors)
    made.add_event(epoch=2, step=15, event="schedule", detail="task_lr: 0.05 → 0.01")
    return made


def same(a: History, b: History) -> bool:
    frames = [(h.steps, h.epochs, h.events, h.frame()) for h in (a, b)]
    for left, right in zip(*frames, strict=True):
        pd.testing.assert_frame_equal(left, right)
    for group in a.groups:
        assert a.factors[group].dtype == b.factors[group].dtype == np.float32
        np.testing.assert_array_equal(a.factors[group], b.factors[group])
    return a.groups == b.groups and list(a.groups) == list(b.groups)


def message_of(call: Callable[[], Any], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


# --- what it tells -------------------------------------------------------------------------------


def test_factors_by_group(history: History) -> None:
    assert history.factors["a"].tolist() == [[1, 0, 2], [1.5, 0, 1.5], [1, 1, 1]]
    assert history.factors["b.c"].tolist() == [[1, 1], [0, 2], [0, 2]]
    assert all(values.dtype == np.float32 for values in history.factors.values())


def test_frame_is_tidy(history: History) -> None:
    frame = history.frame()
    assert list(frame.columns) == ["epoch", "group", "neuron", "factor", "off"]
    assert len(frame) == 3 * 5
    for row in frame.itertuples():
        assert row.factor == history.factors[row.group][row.epoch - 1, row.neuron]
        assert row.off == (row.factor == 0)
    assert frame.epoch.tolist() == sorted(frame.epoch)
    assert frame[frame.epoch == 2].neuron.tolist() == [0, 1, 2, 0, 1]
    assert list(frame.group.cat.categories) == ["a", "b.c"]


def test_events_show_both_directions(history: History) -> None:
    assert [tuple(row) for row in history.events.itertuples(index=False)] == [
        (1, 10, "off", "a", 1, ""),
        (2, 15, "schedule", "", -1, "task_lr: 0.05 → 0.01"),
        (2, 20, "off", "b.c", 0, ""),
        (3, 30, "on", "a", 1, ""),
    ]
    assert list(history.events.columns) == list(EVENT_COLUMNS)


@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=6),
)
def test_events_undo_to_the_factors(off: list[list[bool]]) -> None:
    """A law: replaying the events gives back which neurons are off at each epoch's end."""
    history = History({"g": 4})
    for row in off:
        add_epoch(history, {"g": [0.0 if x else 1.5 for x in row]})
    state, events = [False] * 4, history.events
    for epoch, row in enumerate(off, start=1):
        for event in events[events.epoch == epoch].itertuples():
            assert state[event.neuron] == (event.event == "on")
            state[event.neuron] = event.event == "off"
        assert state == row


def test_steps_and_epochs(history: History) -> None:
    assert list(history.steps.columns) == list(STEP_COLUMNS)
    assert list(history.epochs.columns) == list(EPOCH_COLUMNS)
    assert history.steps.step.tolist() == list(range(1, 31))
    assert history.epochs.epoch.tolist() == [1, 2, 3]
    assert history.steps.phase.value_counts().to_dict() == {"task": 24, "switcher": 6}
    assert repr(history) == "History(3 epochs, 30 steps, 5 neurons in 2 groups)"


def test_nothing_yet() -> None:
    history = History({"a": 3, "b": 2})
    assert {k: v.shape for k, v in history.factors.items()} == {"a": (0, 3), "b": (0, 2)}
    assert list(history.frame().columns) == ["epoch", "group", "neuron", "factor", "off"]
    for frame in (history.steps, history.epochs, history.events, history.frame()):
        assert len(frame) == 0
    assert list(history.events.columns) == list(EVENT_COLUMNS)


def test_the_trainers_arrays_are_copied_and_what_is_read_is_nobodys_else() -> None:
    history = History({"a": 2})
    factors = np.array([1.0, 1.0], np.float32)
    add_epoch(history, {"a": factors})
    history.add_epoch({"a": factors}, **dict.fromkeys(EPOCH_COLUMNS, 2))
    factors[:] = 9
    history.factors["a"][:] = 7
    read = history.epochs
    read.loc[:, "epoch"] = 7
    assert history.factors["a"].tolist() == [[1, 1], [1, 1]]
    assert history.epochs.epoch.tolist() == [1, 2]


def test_factors_of_a_wrong_shape_are_refused() -> None:
    history = History({"a": 2})
    said = message_of(lambda: add_epoch(history, {"a": [1, 1, 1]}), ValueError)
    assert said == "factors['a'] must have shape (2,), got (3,)."
    assert history.n_epochs == 0
    assert len(history.epochs) == len(history.factors["a"]) == 0


def test_truncate_forgets_all_but_the_events(history: History) -> None:
    history.truncate(epochs=1, steps=13)
    assert history.n_epochs == 1
    assert history.steps.step.tolist() == list(range(1, 14))
    assert history.factors["a"].tolist() == [[1, 0, 2]]
    assert history.events.event.tolist() == ["off", "schedule"]


# --- save and load -------------------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40)
@given(
    groups=st.dictionaries(st.text(min_size=1), st.integers(1, 4), min_size=1, max_size=4),
    details=st.lists(st.text(), max_size=3),
    epochs=st.integers(0, 3),
    values=st.lists(NUMBERS, min_size=3, max_size=3),
)
def test_save_and_load_give_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    groups: dict[str, int],
    details: list[str],
    epochs: int,
    values: list[float],
) -> None:
    history = History(groups)
    for epoch in range(epochs):
        loss, accuracy, lr = values
        history.add_step(
            step=epoch + 1, epoch=epoch + 1, phase="task", loss=loss, accuracy=accuracy, lr=lr
        )
        factors = {g: np.arange(n) * (epoch % 2) for g, n in groups.items()}
        add_epoch(history, factors, test_loss=loss)
    for detail in details:
        history.add_event(epoch=1, step=1, event="schedule", detail=detail)
    folder = tmp_path_factory.mktemp("saved") / "history"
    assert history.save(folder) == folder
    assert same(History.load(folder), history)
    loaded = History.load(str(folder))
    loaded.save(folder)
    assert same(History.load(folder), history)


def test_a_loaded_history_goes_on(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "h")
    loaded = History.load(tmp_path / "h")
    for each in (history, loaded):
        add_steps(each, 10)
        add_epoch(each, {"a": [1, 1, 1], "b.c": [1, 1]})
        each.add_event(epoch=4, step=40, event="rollback")
    assert same(history, loaded)


def test_the_files_are_plain(history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "new" / "deep" / "h")
    assert sorted(os.listdir(folder)) == FILES
    assert os.listdir(folder.parent) == ["h"]  # nothing half-made lies beside it
    description = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert description["groups"] == {"a": 3, "b.c": 2}
    with np.load(folder / "factors.npz", allow_pickle=False) as arrays:
        assert {k: v.shape for k, v in arrays.items()} == {"0": (3, 3), "1": (3, 2)}
    with np.load(folder / "steps.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(STEP_COLUMNS)


@pytest.mark.skipif(os.name != "posix", reason="permissions as on Unix")
def test_others_may_read_it_as_any_new_folder(history: History, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    folder = history.save(tmp_path / "h")
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (folder, tmp_path / "usual")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("where", ["write", "move in"])
def test_a_save_that_fails_leaves_the_old_one_whole(
    existing: bool,
    where: str,
    history: History,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "h"
    old = History({"a": 1})
    if existing:
        old.save(folder)
    rename = Path.rename

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    def stuck(self: Path, target: Path) -> Path:
        # The new files, all written, do not get to their place.
        if Path(target) == folder and "old" not in self.name:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    if where == "write":
        monkeypatch.setattr(np, "savez_compressed", full)
    else:
        monkeypatch.setattr(Path, "rename", stuck)
    with pytest.raises(OSError, match=r"No space|Input/output"):
        history.save(folder)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == (["h"] if existing else [])
    if existing:
        assert same(History.load(folder), old)
    history.save(folder)
    assert same(History.load(folder), history)


def test_other_files_are_not_touched(history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "h")
    (folder / "thesis.tex").write_text("all my work")
    said = message_of(lambda: history.save(folder), FileExistsError)
    assert said == (
        f"folder {str(folder)!r} holds other files (thesis.tex); "
        "give the name of a new or empty folder."
    )
    assert (folder / "thesis.tex").read_text() == "all my work"
    assert same(History.load(folder), history)


def test_an_empty_folder_is_taken(history: History, tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    assert same(History.load(history.save(tmp_path / "h")), history)


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(name: str, history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "h")
    (folder / name).unlink()
    assert message_of(lambda: History.load(folder), FileNotFoundError) == (
        f"folder {str(folder)!r} holds no history: {name} is missing. "
        "Give a folder that History.save has written."
    )


def test_a_missing_folder(tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    assert message_of(lambda: History.load(folder), FileNotFoundError) == (
        f"folder {str(folder)!r} holds no history: factors.npz is missing. "
        "Give a folder that History.save has written."
    )


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_a_truncated_file(name: str, keep: float, history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "h")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(keep * len(whole))])
    said = message_of(lambda: History.load(folder), ValueError)
    assert said.startswith(f"the history in {str(folder)!r} is damaged (")
    assert said.endswith("); load another copy of it.")


def alter(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "history.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    change(description)
    path.write_text(json.dumps(description), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["groups"].update({"a": 4}), "the factors of 'a' have shape (3, 3)"),
        (lambda d: d["epochs"]["rows"].pop(), "the factors of 'a' have shape (3, 3)"),
        (lambda d: d["events"]["rows"][0].pop(), "an event must have 6 values"),
        (lambda d: d["epochs"]["columns"].pop(), None),
        (lambda d: d["epochs"]["rows"][0].pop(), None),
        (lambda d: d["groups"].update({"c": 4}), None),
        (lambda d: d["groups"].update({"a": "many"}), None),
        (lambda d: d.pop("epochs"), "'epochs'"),
        (lambda d: d.pop("format"), "'format'"),
        (lambda d: d.update({"format": "new"}), None),
    ],
)
def test_altered_descriptions(
    change: Callable[[dict], None], why: str | None, history: History, tmp_path: Path
) -> None:
    folder = history.save(tmp_path / "h")
    alter(folder, change)
    said = message_of(lambda: History.load(folder), ValueError)
    if why:
        assert said == (
            f"the history in {str(folder)!r} is damaged ({why}); load another copy of it."
        )
    assert said.startswith(f"the history in {str(folder)!r} is damaged (")


def test_columns_of_unequal_length(history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "h")
    with np.load(folder / "steps.npz") as arrays:
        columns = dict(arrays)
    columns["loss"] = columns["loss"][:-1]
    np.savez_compressed(folder / "steps.npz", **columns)
    said = message_of(lambda: History.load(folder), ValueError)
    assert said.startswith(f"the history in {str(folder)!r} is damaged (")


def test_a_newer_format(history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "h")
    alter(folder, lambda d: d.update({"format": 2}))
    assert message_of(lambda: History.load(folder), ValueError) == (
        f"the history in {str(folder)!r} has format 2, and this version of snnviz reads up to 1; "
        "install a newer snnviz."
    )


class Trap:
    """Were it unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["steps.npz", "factors.npz"])
@pytest.mark.parametrize("kind", ["object array", "bare pickle"])
def test_no_code_in_a_file_is_run(name: str, kind: str, history: History, tmp_path: Path) -> None:
    folder = history.save(tmp_path / "h")
    trap = Trap(tmp_path / "sprung")
    with np.load(folder / name) as arrays:
        columns = dict(arrays)
    if kind == "object array":
        first = next(iter(columns))
        columns[first] = np.array([trap], dtype=object)
        np.savez_compressed(folder / name, allow_pickle=True, **columns)
    else:
        (folder / name).write_bytes(pickle.dumps(trap))
    said = message_of(lambda: History.load(folder), ValueError)
    assert said.startswith(f"the history in {str(folder)!r} is damaged (")
    assert not trap.path.exists()


# --- threads -------------------------------------------------------------------------------------


def test_a_thread_reads_and_saves_while_the_trainer_writes(tmp_path: Path) -> None:
    history = History({"a": 3, "b": 2})
    failures: list[BaseException] = []
    done = threading.Event()

    def write() -> None:
        try:
            for i in range(400):
                add_steps(history, 3)
                add_epoch(history, {"a": [1, 0, i], "b": [i % 2, 1]})
                if i % 7 == 6:
                    history.truncate(epochs=history.n_epochs - 2, steps=3 * i)
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    writer = threading.Thread(target=write)
    try:
        writer.start()
        reads = 0
        while not done.is_set() or reads < 3:
            shapes = [len(values) for values in history.factors.values()]
            assert shapes[0] == shapes[1]
            frame, events, epochs = history.frame(), history.events, history.epochs
            assert len(frame) % 5 == 0
            assert epochs.epoch.tolist() == list(range(1, len(epochs) + 1))
            assert set(events.event) <= {"off", "on"}
            if reads % 10 == 0:
                history.save(tmp_path / "h")
                History.load(tmp_path / "h")
            reads += 1
    finally:
        writer.join()
        sys.setswitchinterval(interval)
    assert not failures
    shutil.rmtree(tmp_path / "h")


def test_an_epoch_that_ends_in_the_middle_of_a_read(history: History, tmp_path: Path) -> None:
    """The same without luck: each look at the lists finds one epoch more."""

    class Growing(list):
        def __iter__(self) -> Any:
            rows = list.__iter__(list(self[:]))
            self.append(self[0])
            return rows

    history._epochs = Growing(history._epochs)
    history._steps = Growing(history._steps)
    assert len(history.events) >= 4
    assert len({len(values) for values in history.factors.values()}) == 1
    assert len(History.load(history.save(tmp_path / "h")).epochs) >= 3
