"""The schedule editor without a browser: edits, refusals, undo, forks, presets and files."""

import json
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from snnviz.data import ImageData
from snnviz.lab.schedule.editor import NO_HOLDOUT, ScheduleEditor
from snnviz.lab.schedule.presets import PRESETS
from snnviz.lab.schedule.settings import SETTINGS
from snnviz.lab.session import Session
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.lab.conftest import TIMEOUT, make_trainer

OpenSession = Callable[[Trainer], Session]
TOO_FEW = (
    "schedule.task_steps must be at least 1, got 0. "
    "To train the switcher nearly alone, use task_steps=1 and many switcher_steps."
)


class Editing:
    """An editor whose `show` is called by hand, in this thread."""

    def __init__(self, session: Session, **options: Any) -> None:
        self.session, self.woken = session, 0
        self.editor = ScheduleEditor(session, self.wake, **options)
        self.fields, self.timeline = self.editor.fields, self.editor.timeline
        self.moment: int | None = None
        self.show()

    def wake(self) -> None:
        self.woken += 1

    def show(self) -> None:
        session = self.session
        session.wait(timeout=TIMEOUT)
        self.editor.show(session.status, session.trainer.history, self.moment)

    def at(self, moment: int | None) -> None:
        self.moment = moment
        self.show()

    def put(self, name: str, value: Any) -> None:
        """As a user does who presses Enter."""
        with self.fields[name].hold_trait_notifications():
            self.fields[name].typed = None
            self.fields[name].value = value
        self.show()

    def type(self, name: str, value: Any) -> None:
        self.fields[name].typed = value
        self.show()

    def click(self, name: str) -> None:
        button(self.editor.widget, name).click()
        self.show()

    @property
    def note(self) -> str:
        return self.editor._note.value

    @property
    def planned(self) -> Schedule:
        return self.session.status.planned


def button(widget: Any, name: str) -> Any:
    """The one widget with the class `snnviz-{name}` in another."""
    found, todo = [], [widget]
    while todo:
        each = todo.pop()
        todo += getattr(each, "children", ())
        found += [each] if f"snnviz-{name}" in each._dom_classes else []
    assert len(found) == 1, f"{len(found)} widgets are snnviz-{name}"
    return found[0]


@pytest.fixture
def editing(open_session: OpenSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editing:
    monkeypatch.chdir(tmp_path)
    return Editing(open_session(make_trainer(epochs=6, freeze_epochs=2)))


# --- fields -----------------------------------------------------------------------------------


def test_every_setting_has_a_field(editing: Editing) -> None:
    assert [each.name for each in SETTINGS] == list(editing.fields)
    assert set(editing.fields) == set(Schedule.__dataclass_fields__)
    for name, field in editing.fields.items():
        assert button(editing.editor.widget, name) is field
        assert field.value == getattr(editing.planned, name)
        assert field.description
        assert field.help


@pytest.mark.parametrize(
    ("name", "put", "value"),
    [
        ("epochs", 9, 9),
        ("task_steps", 8, 8),
        ("switcher_steps", 0, 0),
        ("task_lr", 0.0631, 0.0631),
        ("task_lr", 1, 1.0),
        ("switcher_decay", "constant", "constant"),
        ("through_switcher", True, True),
        ("batch_size", 25, 25),
        ("size", 0.25, 0.25),
        ("size_of", "macs", "macs"),
    ],
)
def test_an_edit_is_in_force_from_the_next_round(
    editing: Editing, name: str, put: Any, value: Any
) -> None:
    before = getattr(editing.planned, name)
    editing.put(name, put)
    in_force = getattr(editing.session.trainer.schedule, name)
    assert (in_force, type(in_force)) == (value, type(value))
    assert getattr(editing.editor.draft, name) == value
    (event,) = editing.session.trainer.history.note_rows()
    assert event[-1] == f"{name}: {before} → {value}"


def test_an_edit_within_a_round_waits(editing: Editing) -> None:
    editing.put("warmup_epochs", 0)
    editing.session.step()
    editing.show()
    editing.put("task_steps", 8)
    assert editing.session.trainer.schedule.task_steps == 4
    assert editing.editor.draft.task_steps == editing.fields["task_steps"].value == 8
    assert editing.fields["task_steps"].hint == "still 4 in this round"
    editing.session.step("phase", 2)
    editing.show()
    assert editing.session.trainer.schedule.task_steps == 8
    assert editing.fields["task_steps"].hint == ""


@pytest.mark.parametrize(
    ("name", "put", "why"),
    [
        ("task_steps", 0, TOO_FEW),
        ("task_steps", 2.5, "schedule.task_steps must be a whole number, got 2.5."),
        ("task_steps", "", "schedule.task_steps must be a whole number, got ''."),
        ("task_steps", None, None),
        ("task_steps", [1], "schedule.task_steps must be a whole number, got [1]."),
        ("task_lr", "fast", "schedule.task_lr must be a finite number, got 'fast'."),
        ("task_lr", -1, "schedule.task_lr must be at least 0, got -1."),
        ("task_momentum", 1, "schedule.task_momentum must be at least 0 and below 1, got 1."),
        ("task_decay", "slow", "schedule.task_decay must be one of 'cosine', 'constant', got "),
        ("size", 1, "schedule.size must be a number above 0 and below 1, or None, got 1.0."),
        ("size", 0.001, "schedule.size must be at least "),
        ("epochs", 100_001, "schedule.epochs must be at most 100,000 in the lab, got 100,001."),
        (
            "switcher_data",
            "holdout",
            "schedule.switcher_data is 'holdout', but the data has no held-out split. "
            "Load it with one: load_data(name, holdout=5000).",
        ),
    ],
)
def test_an_edit_that_is_not_allowed_is_refused(
    editing: Editing, name: str, put: Any, why: str | None
) -> None:
    field, before = editing.fields[name], editing.planned
    for how in (editing.type, editing.put):
        if put is None and how == editing.type:
            continue  # nothing is typed
        how(name, put)
        words = why or "schedule.task_steps must be a whole number, got None."
        assert field.error.startswith(words)
        assert editing.planned == editing.editor.draft == before
    assert field.value == put  # it stays to be mended
    assert [f.name for f in editing.fields.values() if f.error] == [name]
    editing.put(name, getattr(before, name))
    assert field.error == ""
    assert editing.session.trainer.history.note_rows() == []
    assert editing.session.status.notice is None


def test_what_is_typed_is_checked_and_not_sent(editing: Editing) -> None:
    woken = editing.woken
    editing.type("epochs", 1)
    assert editing.woken > woken
    assert editing.fields["epochs"].error == ""
    editing.type("epochs", 0)
    assert editing.fields["epochs"].error == "schedule.epochs must be at least 1, got 0."
    editing.type("epochs", 10)
    assert editing.fields["epochs"].error == ""
    assert editing.planned.epochs == 6
    editing.put("epochs", 10)
    assert editing.planned.epochs == 10


def test_taking_back_what_was_typed_brings_the_older_error_back(editing: Editing) -> None:
    editing.put("task_steps", 0)
    editing.type("task_steps", 3)
    assert editing.fields["task_steps"].error == ""
    editing.type("task_steps", None)
    assert editing.fields["task_steps"].error == TOO_FEW


def test_fewer_epochs_than_are_done(editing: Editing) -> None:
    editing.session.step("epoch", 2)
    editing.show()
    editing.put("epochs", 1)
    assert editing.fields["epochs"].error == (
        "schedule.epochs must be at least the 2 epochs that are done, got 1. "
        "To start over, reset the run."
    )
    editing.put("epochs", 2)
    assert editing.planned.epochs == 2


def test_fields_follow_the_schedule(editing: Editing) -> None:
    editing.session.set_schedule(task_steps=500, epochs=9, task_lr=30.0)
    editing.show()
    assert editing.fields["task_steps"].value == 500
    assert editing.fields["task_lr"].value == 30
    assert editing.fields["warmup_epochs"].span == [0, 9]
    assert "1 epoch warm-up, then 6 alternating in rounds of 500" in editing.editor._title.value


def test_a_size_that_is_off(editing: Editing) -> None:
    hints = [name for name, field in editing.fields.items() if "without a size" in field.hint]
    assert hints == ["size_of", "size_from", "size_until"]
    assert editing.fields["size"].value is None
    editing.put("size", 0.25)
    assert not any("without a size" in field.hint for field in editing.fields.values())
    assert editing.editor.timeline.ramp == [*editing.planned.ramp, 0.25]
    for off in ("off", ""):
        editing.put("size", 0.5)
        editing.type("size", off)
        assert editing.fields["size"].error == ""
        editing.put("size", off)
        assert editing.planned.size is None
    assert editing.editor.timeline.ramp == []
    editing.put("size", 0.5)
    editing.put("switcher_steps", 0)
    assert editing.fields["switcher_steps"].error.startswith("schedule.size needs a switcher")
    editing.put("switcher_steps", 1)
    editing.click("preset-dense")  # which has no size either
    assert (editing.planned.switcher_steps, editing.planned.size) == (0, None)


def test_a_fork_with_a_size_of_a_run_that_becomes_dense(editing: Editing) -> None:
    editing.at(0)
    editing.put("size", 0.5)
    assert editing.editor.draft.size == 0.5
    editing.session.set_schedule(switcher_steps=0)
    editing.session.settle(10)
    editing.at(0)
    assert editing.editor.draft == editing.planned  # without what no longer goes together with it


def test_adam_has_no_momentum(editing: Editing) -> None:
    editing.put("size", 0.5)
    hints = {name: field.hint for name, field in editing.fields.items() if field.hint}
    assert hints == {"switcher_momentum": "not used by Adam"}
    editing.put("switcher_optimizer", "sgd")
    assert not any(field.hint for field in editing.fields.values())


def test_a_closed_session_is_left_alone(editing: Editing) -> None:
    editing.session.close()
    editing.put("task_steps", 8)
    assert 'role="alert">This lab is closed.' in editing.note
    assert all(field.disabled for field in editing.fields.values())
    assert button(editing.editor.widget, "preset-dense").disabled
    assert button(editing.editor.widget, "undo").disabled


def test_only_what_changed_is_written_and_by_one_thread(editing: Editing) -> None:
    writers: list[tuple[str, str]] = []

    def note(change: dict) -> None:
        owner = getattr(change["owner"], "name", "") or type(change["owner"]).__name__
        writers.append((f"{owner}.{change['name']}", threading.current_thread().name))

    todo: list[Any] = [editing.editor.widget]
    while todo:
        each = todo.pop()
        each.observe(note)
        todo += getattr(each, "children", ())
    editing.show()
    assert writers == []
    editing.session.set_schedule(task_steps=8)
    editing.session.wait(timeout=TIMEOUT)
    session = editing.session
    args = session.status, session.trainer.history, None
    thread = threading.Thread(target=editing.editor.show, args=args, name="refresher")
    thread.start()
    thread.join()
    assert {who for _, who in writers} == {"refresher"}
    names = {name for name, _ in writers}
    assert names == {"task_steps.value", "HTML.value", "Timeline.bands", "Timeline.ticks"}
    assert session.trainer.schedule.task_steps == 8
    assert len(session.trainer.history.note_rows()) == 1  # what is shown is no edit


# --- presets ----------------------------------------------------------------------------------


def test_presets_say_what_they_are() -> None:
    plan = Schedule(epochs=16, switcher_steps=0, warmup_epochs=3)
    changes = {preset.name: preset.changes(plan) for preset in PRESETS}
    assert changes == {
        "abstract": {"warmup_epochs": 0, "switcher_steps": 1},
        "warm-up-first": {"warmup_epochs": 2, "switcher_steps": 1},
        "freeze-early": {"warmup_epochs": 2, "freeze_epochs": 8, "switcher_steps": 1},
        "dense": {},
        "holdout": {"warmup_epochs": 2, "switcher_steps": 1, "switcher_data": "holdout"},
    }
    for preset in PRESETS:
        for epochs in (1, 2, 3, 100):
            plan = Schedule(epochs=epochs)
            assert preset.changes(plan.replace(**preset.changes(plan))) == {}


def test_a_preset_is_one_edit(editing: Editing) -> None:
    before = editing.planned
    editing.click("preset-freeze-early")
    assert editing.planned == before.replace(warmup_epochs=1, freeze_epochs=3)
    assert button(editing.editor.widget, "preset-freeze-early").button_style == "info"
    assert button(editing.editor.widget, "preset-abstract").button_style == ""
    editing.click("preset-abstract")
    assert editing.planned == before.replace(warmup_epochs=0, freeze_epochs=0)
    editing.click("undo")
    editing.click("undo")
    assert editing.planned == before


def test_held_out_data_where_there_is_none(editing: Editing, open_session: OpenSession) -> None:
    preset = button(editing.editor.widget, "preset-holdout")
    assert (preset.disabled, preset.tooltip) == (True, NO_HOLDOUT)
    images = torch.zeros(60, 1, 28, 28, dtype=torch.uint8)
    labels = torch.arange(60) % 10
    data = ImageData.from_tensors((images, labels), (images, labels), holdout=10, device="cpu")
    session = open_session(Trainer(network("mlp", data), data, device="cpu"))
    with_holdout = Editing(session)
    with_holdout.click("preset-holdout")
    assert session.trainer.schedule.switcher_data == "holdout"


# --- undo -------------------------------------------------------------------------------------


def test_undo_and_redo(editing: Editing) -> None:
    undo, redo = (button(editing.editor.widget, name) for name in ("undo", "redo"))
    assert (undo.disabled, undo.tooltip, redo.disabled) == (True, "Nothing to undo", True)
    editing.put("task_steps", 8)
    editing.put("task_lr", 0.2)
    assert (undo.disabled, undo.tooltip) == (False, "Undo: task_lr")
    editing.click("undo")
    assert (editing.planned.task_steps, editing.planned.task_lr) == (8, 0.05)
    assert (undo.tooltip, redo.tooltip) == ("Undo: task_steps", "Redo: task_lr")
    assert editing.fields["task_lr"].value == 0.05
    editing.click("undo")
    assert editing.planned.task_steps == 4
    editing.click("redo")
    editing.click("redo")
    assert (editing.planned.task_steps, editing.planned.task_lr) == (8, 0.2)
    editing.click("undo")
    editing.put("epochs", 9)
    assert redo.disabled
    editing.click("undo")
    assert (editing.planned.task_steps, editing.planned.epochs) == (8, 6)


def test_an_undo_that_is_not_allowed_any_more(editing: Editing) -> None:
    editing.put("epochs", 1)
    editing.put("epochs", 3)
    editing.session.step("epoch", 2)
    editing.show()
    editing.click("undo")
    assert 'role="alert">schedule.epochs must be at least the 2 epochs' in editing.note
    assert editing.planned.epochs == 3
    assert not button(editing.editor.widget, "undo").disabled


# --- forks ------------------------------------------------------------------------------------


def test_edits_for_a_fork(editing: Editing) -> None:
    editing.put("task_steps", 6)
    editing.session.step("epoch", 3)
    before = editing.planned
    editing.at(2)
    assert "For a fork from epoch 2: Edits that you make now are kept for it." in editing.note
    live = editing.timeline.bands
    editing.put("task_lr", 0.5)
    editing.click("preset-dense")
    assert editing.planned == editing.session.trainer.schedule == before
    assert editing.editor.draft == before.replace(task_lr=0.5, switcher_steps=0)
    assert (
        "For a fork from epoch 2: switcher_steps 1 → 0, task_lr 0.05 → 0.5. "
        "The run itself keeps its schedule."
    ) in editing.note
    assert [(b["start"], b["end"], b["kind"], b["done"]) for b in editing.timeline.bands] == [
        (0, 1, "warm-up", True),
        (1, 2, "alternating", True),
        (2, 6, "task only", False),
    ]
    editing.at(3)
    assert editing.editor.draft.task_lr == 0.5
    editing.put("epochs", 2)
    assert editing.fields["epochs"].error.startswith("schedule.epochs must be at least the 3")
    editing.click("undo")
    editing.click("undo")
    assert editing.editor.draft == before
    assert button(editing.editor.widget, "undo").disabled
    editing.at(None)
    assert editing.timeline.bands == live
    assert editing.note == ""
    editing.click("undo")  # of what was edited live
    assert editing.planned.task_steps == 4


def test_edits_for_a_fork_are_offered_when_it_goes_live(editing: Editing) -> None:
    offered = editing.editor._offered.layout
    editing.session.step("epoch", 1)
    for name, taken in (("forget-edits", 0.05), ("use-edits", 0.5)):
        editing.at(1)
        assert offered.display == "none"
        editing.put("task_lr", 0.5)
        editing.at(None)
        assert editing.fields["task_lr"].value == 0.05
        assert "Edited for a fork, not used in this run: task_lr 0.05 → 0.5." in editing.note
        assert offered.display is None
        editing.click(name)
        assert (editing.planned.task_lr, editing.fields["task_lr"].value) == (taken, taken)
        assert (editing.note, offered.display) == ("", "none")
    editing.click("undo")
    assert editing.planned.task_lr == 0.05


def test_a_click_on_an_epoch_that_has_run(editing: Editing) -> None:
    picked: list[int] = []
    editing.editor.on_pick(picked.append)
    editing.session.step("epoch", 2)
    editing.show()
    for _ in range(2):  # the same one twice
        editing.timeline.picked = 1
        editing.show()
    assert picked == [1, 1]


# --- files ------------------------------------------------------------------------------------


def save(editing: Editing, name: str) -> None:
    button(editing.editor.widget, "schedule-name").value = name
    editing.click("save-schedule")


def test_save_and_load(editing: Editing, tmp_path: Path) -> None:
    names = button(editing.editor.widget, "schedule-list")
    assert names.disabled
    assert button(editing.editor.widget, "load-schedule").disabled
    editing.put("task_lr", 0.5)
    editing.put("epochs", 7)
    saved = editing.planned
    save(editing, "long one")
    assert 'role="status">Saved schedules/long one.json.' in editing.note
    content = json.loads((tmp_path / "schedules" / "long one.json").read_text())
    assert content["schedule"]["task_lr"] == 0.5
    assert names.options == ("long one",)
    editing.click("undo")
    editing.click("undo")
    names.value = "long one"
    editing.click("load-schedule")
    assert editing.planned == saved
    assert "schedules/long one.json: epochs 6 → 7, task_lr 0.05 → 0.5." in editing.note
    editing.click("load-schedule")
    assert "schedules/long one.json is the same as the current schedule." in editing.note
    editing.click("undo")
    assert editing.planned.epochs == 6


def test_a_name_twice(editing: Editing, tmp_path: Path) -> None:
    save(editing, "a")
    editing.put("epochs", 7)
    save(editing, "a")
    assert 'role="alert">schedules/a.json already exists. Press Save again to' in editing.note
    file = tmp_path / "schedules" / "a.json"
    assert json.loads(file.read_text())["schedule"]["epochs"] == 6
    editing.click("save-schedule")
    assert json.loads(file.read_text())["schedule"]["epochs"] == 7


def test_saving_that_fails(editing: Editing, tmp_path: Path) -> None:
    save(editing, "../a")
    assert "The schedule was not saved: name must be 1 to 80 letters" in editing.note
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "schedules").write_text("in the way")
    save(editing, "a")
    assert 'role="alert">The schedule was not saved: ' in editing.note
    assert "File exists" in editing.note


def test_bad_files_are_refused(editing: Editing, tmp_path: Path) -> None:
    before = editing.planned
    folder = tmp_path / "schedules"
    folder.mkdir()
    (folder / "bad.json").write_text('{"schedule": {"epochs": 0}}')
    (folder / "held.json").write_text('{"schedule": {"switcher_data": "holdout"}}')
    editing.editor._on_files()
    editing.show()
    names = button(editing.editor.widget, "schedule-list")
    assert names.options == ("bad", "held")
    names.value = "bad"
    editing.click("load-schedule")
    assert (
        'role="alert">No schedule was loaded: the file &#x27;schedules/bad.json&#x27; cannot be '
        "used: schedule.epochs must be at least 1, got 0. Correct it" in editing.note
    )
    names.value = "held"
    editing.click("load-schedule")
    assert "schedules/held.json was not loaded: schedule.switcher_data is" in editing.note
    (folder / "held.json").unlink()
    editing.click("load-schedule")
    assert "there is no file &#x27;schedules/held.json&#x27;." in editing.note
    assert names.options == ("bad",)
    assert editing.planned == before


def test_uploads(editing: Editing) -> None:
    upload = button(editing.editor.widget, "upload-schedule")

    def send(content: bytes) -> None:
        upload.value = (
            {
                "name": "<x>.json",
                "type": "application/json",
                "size": len(content),
                "content": memoryview(content),
                "last_modified": datetime(2026, 1, 1),
            },
        )
        editing.show()
        assert upload.value == ()  # so that the same file may come again

    send(b"{")
    assert (
        "No schedule was loaded: the file &#x27;&lt;x&gt;.json&#x27; cannot be used: it is not a "
        in (editing.note)
    )
    send(b'{"schedule": {"epochs": 6, "batch_size": 50, "freeze_epochs": 2, "task_steps": 9}}')
    assert "&lt;x&gt;.json: task_steps 4 → 9." in editing.note
    assert editing.planned.task_steps == 9
