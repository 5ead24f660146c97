"""The history: what it tells, what it saves, and what it does with files that are damaged."""

import hashlib
import io
import json
import os
import pickle
import re
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
from tests.helpers import Trap, message_of

COUNTS = ("epoch", "step", "neurons_on", "neurons", "parameters", "macs")


def add_epoch(history: History, factors: dict[str, Any], step: int = 0, **values: float) -> None:
    epoch = history.n_epochs + 1
    row: dict[str, float] = {name: 0.25 * i + epoch for i, name in enumerate(EPOCH_COLUMNS)}
    row |= {name: 7 * i + epoch for i, name in enumerate(COUNTS)}
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
        (1, 10, "off", "a", 1, -1, ""),
        (2, 15, "schedule", "", -1, -1, "task_lr: 0.05 → 0.01"),
        (2, 20, "off", "b.c", 0, -1, ""),
        (3, 30, "on", "a", 1, -1, ""),
    ]
    assert list(history.events.columns) == list(EVENT_COLUMNS)


def test_what_came_after_an_epochs_end_stands_after_its_flips(history: History) -> None:
    history.add_event(epoch=3, step=20, event="pin", detail="1 off", group="a", neuron=1)
    assert history.events.event.tolist() == ["off", "schedule", "off", "pin", "on"]


@pytest.mark.slow
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
    assert said == ("factors['a'] must have shape (2,), got (3,). Give one factor per neuron.")
    assert history.n_epochs == 0
    assert len(history.epochs) == len(history.factors["a"]) == 0


def test_truncate_forgets_all_but_the_events(history: History) -> None:
    history.truncate(epochs=1, steps=13)
    assert history.n_epochs == 1
    assert history.steps.step.tolist() == list(range(1, 14))
    assert history.factors["a"].tolist() == [[1, 0, 2]]
    assert history.events.event.tolist() == ["off", "schedule"]


@pytest.mark.parametrize("event", ["rollback", "reset"])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_way_back_says_where_it_led(history: History, event: str, epoch: int) -> None:
    history.truncate(epochs=epoch, steps=10 * epoch)
    history.add_event(epoch=4, step=30, event=event)
    assert history.note_rows()[-1].back_to == epoch
    assert history.events["back_to"].tolist().count(epoch) == 1
    history.add_event(epoch=4, step=30, event=event, back_to=1)
    assert history.note_rows()[-1].back_to == 1
    assert history.note_rows()[0].back_to == -1  # of the schedule


@pytest.mark.parametrize(("epochs", "steps", "events"), [(0, 0, 0), (1, 10, 1), (2, 20, 3)])
def test_the_past_is_a_history_of_its_own(
    history: History, epochs: int, steps: int, events: int
) -> None:
    whole = history.until(3)
    assert same(whole, history)
    past = history.until(epochs)
    assert (past.n_epochs, len(past.steps), len(past.events)) == (epochs, steps, events)
    assert past.groups == history.groups
    for table in ("steps", "epochs", "events"):
        of_past, of_whole = getattr(past, table), getattr(history, table)
        pd.testing.assert_frame_equal(of_past, of_whole[: len(of_past)], check_dtype=False)
    for group, values in past.factors.items():
        np.testing.assert_array_equal(values, history.factors[group][:epochs])
    add_steps(past, 1)
    past.add_event(epoch=1, step=1, event="reset")
    assert same(history, whole)  # which shares nothing that grows


def test_the_past_leaves_out_the_epoch_under_way(history: History) -> None:
    add_steps(history, 4)
    assert len(history.until(3).steps) == 30
    assert same(history.until(9), history.until(3))


@pytest.mark.parametrize("epochs", [-1, 1.5, True, "2", None])
def test_a_past_that_is_none_is_refused(history: History, epochs: Any) -> None:
    assert message_of(lambda: history.until(epochs), ValueError) == (
        f"epochs must be a whole number of at least 0, got {epochs!r}. Use for example epochs=1."
    )


# --- save and load -------------------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.slow
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
    assert os.listdir(folder.parent) == ["h"]  # nothing half-made lies beside it
    kinds = {re.sub("-[0-9a-f]{16}", "", name): name for name in os.listdir(folder)}
    assert sorted(kinds) == [
        "epochs-000001-000003.parquet",
        "factors-000001-000003.parquet",
        "history.json",
        "steps-000001-000003.parquet",
    ]
    for name in set(kinds.values()) - {"history.json"}:
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert name.endswith(f"-{digest[:16]}.parquet")
    description = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert description.pop("sha256") == hashlib.sha256(canonical(description)).hexdigest()
    assert description == {
        "format": 4,
        "groups": {"a": 3, "b.c": 2},
        "epochs": 3,
        "steps": 30,
        "notes": [[2, 15, "schedule", "", -1, -1, "task_lr: 0.05 → 0.01"]],
        "run": None,
    }
    factors = pd.read_parquet(folder / kinds["factors-000001-000003.parquet"])
    pd.testing.assert_frame_equal(
        factors.astype({"epoch": "int64", "neuron": "int64"}),
        history.frame()[["epoch", "group", "neuron", "factor"]],
        check_categorical=False,
    )
    steps = pd.read_parquet(folder / kinds["steps-000001-000003.parquet"])
    pd.testing.assert_frame_equal(steps.astype({"phase": "str"}), history.steps)
    epochs = pd.read_parquet(folder / kinds["epochs-000001-000003.parquet"])
    pd.testing.assert_frame_equal(epochs, history.epochs)


@pytest.mark.parametrize("epochs", [0, 1, 49, 50, 51, 120])
@pytest.mark.parametrize("more", [0, 3])
def test_any_length_comes_back(epochs: int, more: int, tmp_path: Path) -> None:
    history = History({"a": 2, "b": 1})
    for epoch in range(1, epochs + 1):
        add_steps(history, 10)
        add_epoch(history, {"a": [epoch, 0], "b": [epoch % 3]})
    add_steps(history, more)
    folder = history.save(tmp_path / "h")
    assert same(History.load(folder), history)
    files = {re.sub("-[0-9a-f]{16}.*", "", p.name) for p in folder.glob("factors-*")}
    ends = [min(epochs, first + 49) for first in range(1, epochs + 1, 50)]
    assert files == {f"factors-{50 * i + 1:06}-{end:06}" for i, end in enumerate(ends)}
    assert len(list(folder.glob("unfinished-*"))) == bool(more)
    for part in range(0, epochs + 1, 17):
        cut, _ = History.read(folder, part)
        assert (cut.n_epochs, len(cut.steps)) == (part, 10 * part)


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
        monkeypatch.setattr("snnviz.files.write", full)
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


def test_a_missing_folder(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        assert message_of(lambda folder=folder: History.load(folder), FileNotFoundError) == (
            f"folder {str(folder)!r} holds no history: history.json is missing. "
            "Give a folder that History.save has written, or the folder of a run."
        )


def file_of(folder: Path, kind: str) -> Path:
    (file,) = folder.glob(f"{kind}*")
    return file


@pytest.fixture
def saved(history: History, tmp_path: Path) -> Path:
    add_steps(history, 2)
    return history.save(tmp_path / "h")


TABLES = ["factors", "steps", "epochs", "unfinished"]


@pytest.mark.parametrize("kind", TABLES)
def test_a_missing_table(kind: str, saved: Path) -> None:
    file_of(saved, kind).unlink()
    what = "steps from 31 on" if kind == "unfinished" else f"{kind} of epoch 1"
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the folder {str(saved)!r} is damaged (the {what} are missing); restore it from a copy."
    )


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_a_truncated_table(kind: str, keep: float, saved: Path) -> None:
    file = file_of(saved, kind)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole))])
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the file {str(file)!r} is damaged (its content does not fit the checksum in its name); "
        "restore it from a copy."
    )


def rehashed(file: Path, data: bytes) -> Path:
    """Puts other bytes in a file's place, under a name that fits them."""
    file.unlink()
    stem = file.name.rsplit("-", 1)[0]
    new = file.with_name(f"{stem}-{hashlib.sha256(data).hexdigest()[:16]}.parquet")
    new.write_bytes(data)
    return new


def parquet(frame: pd.DataFrame) -> bytes:
    made = io.BytesIO()
    frame.to_parquet(made, index=False)
    return made.getvalue()


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[::-1]


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("factors", lambda f: f.iloc[:-1], "it has 14 rows"),
        ("epochs", lambda f: f.iloc[:-1], "it has 2 rows"),
        ("steps", lambda f: pd.concat([f, f]), "it has 60 rows"),
        ("unfinished", lambda f: pd.concat([f, f]), "it has 4 rows"),
        ("factors", swapped, "its epochs, groups and neurons are not those expected"),
        ("epochs", swapped, "its epochs are not those in its name"),
        (
            "epochs",
            lambda f: f[["epoch", "step"]],
            "its columns are epoch int64, step int64",
        ),
    ],
)
def test_tables_with_other_rows(
    kind: str, change: Callable[[pd.DataFrame], pd.DataFrame], why: str, saved: Path
) -> None:
    file = file_of(saved, kind)
    new = rehashed(file, parquet(change(pd.read_parquet(file))))
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the file {str(new)!r} is damaged ({why}); restore it from a copy."
    )


def test_missing_steps_are_noticed(saved: Path) -> None:
    file = file_of(saved, "steps")
    rehashed(file, parquet(pd.read_parquet(file).iloc[1:]))
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the folder {str(saved)!r} is damaged (the steps from 30 on are missing); "
        "restore it from a copy."
    )


def test_two_tables_of_the_same_epochs(saved: Path) -> None:
    file = file_of(saved, "steps")
    twin = file.with_name("steps-000001-000003-0123456789abcdef.parquet")
    shutil.copy(file, twin)
    said = message_of(lambda: History.load(saved), ValueError)
    assert said.startswith("the file ")
    assert "has the same epochs); restore it from a copy." in said


def canonical(content: dict) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def alter(folder: Path, change: Callable[[dict], Any]) -> Path:
    """Changes `history.json` under a checksum that fits."""
    path = folder / "history.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    del description["sha256"]
    change(description)
    description["sha256"] = hashlib.sha256(canonical(description)).hexdigest()
    path.write_text(json.dumps(description), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.pop("epochs"), "'epochs' is missing"),
        (lambda d: d.pop("format"), "'format' is missing"),
        (lambda d: d.update({"format": "new"}), "a count is 'new'"),
        (lambda d: d.update({"format": 1}), "it has format 1, which no release has written"),
        (lambda d: d["groups"].update({"a": "many"}), "a count is 'many'"),
        (lambda d: d.update({"groups": [3]}), "groups are [3]"),
        (lambda d: d.update({"epochs": -1}), "a count is '-1'"),
        (lambda d: d.update({"steps": True}), "a count is 'True'"),
        (lambda d: d.update({"steps": 1e3}), "a count is '1000.0'"),
        (lambda d: d["notes"][0].append(1), "too many values to unpack (expected 7)"),
        (lambda d: d["notes"][0].__setitem__(5, -2), "a count is '-2'"),
        (lambda d: d["notes"][0].__setitem__(2, 5), "a text is '5'"),
        (lambda d: d.update({"run": 5}), "run is 5"),
    ],
)
def test_altered_descriptions(change: Callable[[dict], None], why: str, saved: Path) -> None:
    path = alter(saved, change)
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the file {str(path)!r} is damaged ({why}); restore it from a copy."
    )


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (lambda d: d["groups"].update({"a": 4}), "it has 15 rows"),
        (lambda d: d["groups"].update({"a": 10**12}), "it has 15 rows"),
        (lambda d: d.update({"epochs": 10**15}), "the epochs of epoch 4 are missing"),
        (lambda d: d.update({"steps": 10**15}), "the steps from 31 on are missing"),
        (lambda d: d["groups"].update({"c": 4}), "it has 15 rows"),
        (
            lambda d: d.update({"groups": {"b.c": 2, "a": 3}}),
            "its epochs, groups and neurons are not those expected",
        ),
    ],
)
def test_descriptions_that_do_not_fit_the_tables(
    change: Callable[[dict], None], start: str, saved: Path
) -> None:
    alter(saved, change)
    said = message_of(lambda: History.load(saved), ValueError)
    assert said.endswith(f" is damaged ({start}); restore it from a copy.")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"format": 3, "epochs": NaN}', "NaN is not JSON"),
        ("[1]", "it holds a list, not an object"),
        ("[" * 100_000, "maximum recursion depth exceeded while decoding a JSON array from a"),
        ('{"epochs": ' + "9" * 5000 + "}", "Exceeds the limit (4300 digits) for integer string"),
        ("\xff", "Expecting value: line 1 column 1 (char 0)"),
        (
            '{"groups": {"\\uD800": 3}}',
            "'utf-8' codec can't encode character '\\ud800' in position",
        ),
    ],
    ids=["empty", "NaN", "list", "deep", "long number", "no JSON", "half a character"],
)
def test_descriptions_that_are_none(text: str, why: str, saved: Path) -> None:
    path = saved / "history.json"
    path.write_text(text, encoding="utf-8")
    said = message_of(lambda: History.load(saved), ValueError)
    assert said.startswith(f"the file {str(path)!r} is damaged ({why}")
    assert said.endswith("); restore it from a copy.")


def test_a_flipped_bit_in_the_description(saved: Path) -> None:
    path = saved / "history.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"steps": 32', '"steps": 30'))
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the file {str(path)!r} is damaged (its checksum does not fit); restore it from a copy."
    )


def test_a_history_of_format_3_says_where_a_rollback_led(saved: Path) -> None:
    """Its events had six values, and only their words told the epoch."""
    old = [
        [2, 15, "schedule", "", -1, "epochs: 3 → 4"],
        [3, 25, "rollback", "", -1, "back to the end of epoch 2"],
        [3, 26, "reset", "", -1, "back to the start"],
        [3, 27, "pin", "a", 1, "1 off"],
    ]
    alter(saved, lambda d: d.update({"format": 3, "notes": old}))
    loaded = History.load(saved)
    assert [note.back_to for note in loaded.note_rows()] == [-1, 2, 0, -1]
    assert [[*note[:5], note.detail] for note in loaded.note_rows()] == old
    loaded.save(saved)
    assert json.loads((saved / "history.json").read_text(encoding="utf-8"))["format"] == 4
    assert same(History.load(saved), loaded)


def test_a_newer_format(saved: Path) -> None:
    alter(saved, lambda d: d.update({"format": 5}))
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the history in {str(saved)!r} has format 5, and this version of snnviz reads up to 4; "
        "install a newer snnviz."
    )


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as on Unix")
@pytest.mark.parametrize("name", ["history.json", "factors"])
def test_links_out_of_the_folder_and_pipes_are_refused(name: str, saved: Path) -> None:
    file = file_of(saved, name)
    elsewhere = saved.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert message_of(lambda: History.load(saved), ValueError) == (
        f"the file {str(file)!r} is damaged (it is a link that leads out of the folder); "
        "restore it from a copy."
    )
    file.unlink()
    os.mkfifo(file)
    if name == "factors":  # a pipe called history.json is no file, so there is no history
        assert message_of(lambda: History.load(saved), ValueError) == (
            f"the file {str(file)!r} is damaged (it is no plain file); restore it from a copy."
        )


@pytest.mark.parametrize("kind", [*TABLES, "history.json"])
def test_no_code_in_a_file_is_run(kind: str, saved: Path, tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    file, data = file_of(saved, kind), pickle.dumps(trap)
    new = file
    if kind == "history.json":
        file.write_bytes(data)
    else:
        new = rehashed(file, data)
    said = message_of(lambda: History.load(saved), ValueError)
    assert said.startswith(f"the file {str(new)!r} is damaged (")
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
            (_, *rest), *more = self[0] if isinstance(self[0][0], tuple) else (self[0],)
            self.append(((len(self) + 1, *rest), *more) if more else self[-1])
            return rows

    history._epochs = Growing(history._epochs)
    history._steps = Growing(history._steps)
    assert len(history.events) >= 4
    assert len({len(values) for values in history.factors.values()}) == 1
    assert len(History.load(history.save(tmp_path / "h")).epochs) >= 3


def test_a_past_that_there_is_not() -> None:
    history = History({"a": 2})
    add_epoch(history, {"a": [1, 0]})
    assert history.factors_at(np.int64(1))["a"].tolist() == [1, 0]  # pyright: ignore
    assert message_of(lambda: history.factors_at(2)) == (
        "epoch must be at most 1, the number of finished epochs, got 2. At epoch 0, the start, "
        "every factor is 1."
    )
    for epoch in (-1, 1.5, "1", True):
        said = message_of(lambda epoch=epoch: history.factors_at(epoch))  # pyright: ignore
        assert said.startswith(f"epoch must be a whole number of at least 0, got {epoch!r}.")
    assert message_of(lambda: history.of_neuron("b", 0)) == "group must be one of 'a', got 'b'."
    assert message_of(lambda: history.of_neuron("a", 2)) == (
        "neuron must be below 2, the number of neurons of a, got 2. The first one is 0."
    )
    assert history.of_neuron("a", 1).tolist() == [0]
