"""The lab's widgets, without a browser: clicks, slider moves, and who writes what."""

import importlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
import torch

from snnviz.lab import Lab
from snnviz.runs import Trainer
from tests.lab.conftest import TIMEOUT, Gate, closing_with_the_test, make_trainer, until

BUTTONS = ("play", "pause", "step-batch", "step-phase", "step-epoch", "reset", "save", "rollback")
FIELDS = ("task_steps", "switcher_steps", "task_lr", "switcher_lr", "epochs")


@pytest.fixture
def open_lab() -> Iterator[Callable[[Trainer], Lab]]:
    """Opens labs that close with the test."""
    yield from closing_with_the_test(Lab)


Open = Callable[[Trainer], Lab]


def everything(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """A widget and all that it contains, their layouts and styles too."""
    yield widget
    for name in ("children", "layout", "style"):
        inner = getattr(widget, name, ())
        for child in inner if isinstance(inner, tuple) else [inner]:
            if isinstance(child, widgets.Widget):
                yield from everything(child)


def find(lab: Lab, name: str) -> Any:
    """The one widget with the class `snnviz-{name}`."""
    found = [
        w for w in everything(lab.widget) if f"snnviz-{name}" in getattr(w, "_dom_classes", ())
    ]
    assert len(found) == 1, f"{len(found)} widgets are snnviz-{name}"
    return found[0]


def click(lab: Lab, name: str) -> None:
    button = find(lab, name)
    assert isinstance(button, widgets.Button)
    button.click()


def text(lab: Lab, name: str) -> str:
    """What an HTML widget says, without its tags."""
    return re.sub(r"<[^>]*>", " ", find(lab, name).value)


# --- buttons ----------------------------------------------------------------------------------


def test_all_controls_can_be_found(open_lab: Open) -> None:
    lab = open_lab(make_trainer())
    for name in BUTTONS:
        button = find(lab, name)
        assert isinstance(button, widgets.Button)
        assert button.description
        assert button.tooltip
    for name in FIELDS:
        assert find(lab, name).description
    assert find(lab, "task_lr").value == 0.05
    assert "application/vnd.jupyter.widget-view+json" in lab.widget._repr_mimebundle_()
    assert repr(lab) == "Lab(idle, 0 of 3 epochs done, step 0)"


def test_clicks_become_steps(open_lab: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)  # rounds of 4 + 1, 8 task steps an epoch
    lab = open_lab(trainer)
    for name, step in [("step-batch", 1), ("step-phase", 4), ("step-phase", 5), ("step-epoch", 9)]:
        click(lab, name)
        lab.wait(timeout=TIMEOUT)
        assert trainer.position.step == step
    until(lambda: "epoch 2/3" in text(lab, "status"))
    click(lab, "play")
    lab.wait(timeout=TIMEOUT)
    assert trainer.finished
    until(lambda: "Done" in text(lab, "status"))
    until(lambda: "All 3 planned epochs are done." in text(lab, "notice"))
    click(lab, "reset")
    until(lambda: find(lab, "reset").description == "Delete this run?")
    click(lab, "reset")
    lab.wait(timeout=TIMEOUT)
    assert trainer.position.step == 0
    until(lambda: "epoch 1/3" in text(lab, "status"))


def test_play_and_pause(open_lab: Open) -> None:
    trainer = make_trainer()
    gate = Gate(trainer)
    lab = open_lab(trainer)
    assert find(lab, "play").button_style == "primary"
    click(lab, "play")
    gate.open(2)
    gate.wait_for(3)
    until(lambda: "Playing" in text(lab, "status"))
    until(lambda: find(lab, "pause").button_style == "primary")
    click(lab, "pause")
    gate.open(100)
    lab.wait(timeout=TIMEOUT)
    assert trainer.position.step == 3
    until(lambda: "Paused" in text(lab, "status"))


def test_play_until_an_epoch(open_lab: Open) -> None:
    trainer = make_trainer(epochs=4)
    lab = open_lab(trainer)
    for epoch in (1, 3):
        lab.play(until=epoch)
        lab.wait(timeout=TIMEOUT)
        assert (trainer.position.epoch, trainer.position.batch) == (epoch, 0)
    with pytest.raises(ValueError, match="until must be a whole number of at least 4, got 3"):
        lab.play(until=3)
    lab.play(until=9)  # the schedule ends before
    lab.wait(timeout=TIMEOUT)
    assert trainer.finished


def test_the_status_says_where_training_is(open_lab: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    lab = open_lab(trainer)
    assert "400 of 400" in text(lab, "status")
    lab.step("phase", n=2)
    lab.wait(timeout=TIMEOUT)
    until(lambda: re.search(r"steps done +5 +batch 4 of 8", text(lab, "status")))
    said = text(lab, "status")
    task, switcher = trainer.history.steps.iloc[-2:].to_dict("records")
    for row in (task, switcher):
        score = rf"{100 * row['accuracy']:.1f} % +loss {row['loss']:.3f}"
        assert re.search(rf"last {row['phase']} batch +{score}", said)
    for words in ("Paused", "epoch 1/3", "task phase", "alternating", "float32", "left"):
        assert words in said


# --- sliders ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "moved_to", "value"),
    [
        ("task_steps", 8, 8),
        ("switcher_steps", 0, 0),
        ("task_lr", 0.0631, 0.0631),
        ("switcher_lr", 0.0002, 0.0002),
        ("epochs", 5, 5),
    ],
)
def test_a_slider_changes_the_schedule(
    open_lab: Open, name: str, moved_to: float, value: float
) -> None:
    trainer = make_trainer()
    before = getattr(trainer.schedule, name)
    lab = open_lab(trainer)
    find(lab, name).value = moved_to
    lab.wait(timeout=TIMEOUT)
    assert getattr(trainer.schedule, name) == value
    said = f"{name} {before} → {value}: applied at step 0."
    until(lambda: said in text(lab, "notice"))
    until(lambda: find(lab, name).value == value)
    assert len(trainer.history.events) == 1


def test_a_slider_says_that_it_waits(open_lab: Open) -> None:
    trainer = make_trainer(warmup_epochs=0)
    lab = open_lab(trainer)
    lab.step()
    lab.wait(timeout=TIMEOUT)
    find(lab, "task_steps").value = 8
    until(lambda: "From the next round: task_steps 4 → 8" in text(lab, "notice"))
    assert trainer.schedule.task_steps == 4
    assert find(lab, "task_steps").value == 8
    lab.step("phase", n=2)
    until(lambda: "task_steps 4 → 8: applied at step 5." in text(lab, "notice"))
    assert "next round" not in text(lab, "notice")


def test_sliders_follow_the_schedule(open_lab: Open) -> None:
    lab = open_lab(make_trainer(task_steps=80, switcher_lr=1e-7))
    slider = find(lab, "task_steps")
    assert slider.value == 80
    assert find(lab, "switcher_lr").value == 1e-7
    lab.set_schedule(task_steps=500, task_lr=30.0)
    until(lambda: slider.value == 500)
    assert find(lab, "task_lr").value == 30


def test_a_slip_in_a_cell_fails_there(open_lab: Open) -> None:
    trainer = make_trainer()
    lab = open_lab(trainer)
    with pytest.raises(ValueError, match=r"schedule\.task_steps must be at least 1, got 0"):
        lab.set_schedule(task_steps=0)
    with pytest.raises(ValueError, match="schedule has no field 'steps'"):
        lab.set_schedule(steps=4)
    assert lab.session.caught_up
    assert lab.session.status.notice is None


# --- figures ----------------------------------------------------------------------------------


def test_figures_follow_the_history(open_lab: Open) -> None:
    lab = open_lab(make_trainer())
    cards = {card.kind.name: card.page for card in lab._parts.views.cards}
    until(lambda: all(card.value for name, card in cards.items() if name != "classes"))
    before = cards["learning_curves"].value
    lab.step("batch")
    until(lambda: cards["learning_curves"].value != before)


def test_figures_are_saved(open_lab: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lab = open_lab(make_trainer())
    lab.step("epoch")
    lab.wait(timeout=TIMEOUT)
    click(lab, "save")
    until(lambda: len(list(tmp_path.glob("figures/*"))) == 15)


# --- threads, errors, ends --------------------------------------------------------------------


def test_one_thread_writes_to_the_page(open_lab: Open) -> None:
    lab = open_lab(make_trainer())
    writers: dict[str, set[str]] = {}

    def note(change: dict) -> None:
        key = f"{type(change['owner']).__name__}.{change['name']}"
        writers.setdefault(key, set()).add(threading.current_thread().name)

    for widget in everything(lab.widget):
        widget.observe(note)
    for name in ("step-batch", "step-phase", "play", "pause", "step-epoch", "play"):
        click(lab, name)
    lab.set_schedule(task_steps=2, switcher_steps=2, epochs=4)
    lab.wait(timeout=TIMEOUT)
    until(lambda: {"Grid.moment", "IntSlider.value"} <= writers.keys())
    click(lab, "reset")
    click(lab, "reset")
    lab.close()
    assert {
        "HTML.value",
        "Image.value",
        "IntSlider.value",
        "Button.disabled",
        "Grid.moment",
    } <= writers.keys()
    assert set().union(*writers.values()) == {"snnviz-refresh"}, writers


def test_an_error_is_shown_with_its_traceback(open_lab: Open) -> None:
    trainer = make_trainer(task_lr=1e30)
    lab = open_lab(trainer)
    rollback = find(lab, "rollback")
    assert rollback.layout.display == "none"
    click(lab, "play")
    until(lambda: "The loss became nan" in text(lab, "alert"))
    assert "Stopped" in text(lab, "status")
    alert = find(lab, "alert").value
    assert re.match(r'<div role="alert"><p>The loss became nan at step \d+', alert)
    assert "<details><summary>" in alert
    assert "TrainingStopped" in alert
    assert "The button Back to the start, or lab.rollback(), returns there." in alert
    until(lambda: rollback.layout.display is None)
    assert rollback.description == "Back to the start"
    lab.set_schedule(task_lr=0.05)
    click(lab, "rollback")
    until(lambda: text(lab, "alert") == "" and rollback.layout.display == "none")
    lab.step("epoch")
    lab.wait(timeout=TIMEOUT)
    assert trainer.history.n_epochs == 1


def test_a_trainer_has_one_lab(open_lab: Open) -> None:
    trainer = make_trainer()
    first = open_lab(trainer)
    first.step()
    assert open_lab(trainer) is first
    first.wait(timeout=TIMEOUT)
    assert trainer.position.step == 1
    first.close()
    second = open_lab(trainer)
    assert second is not first
    assert not find(second, "play").disabled
    second.step()
    second.wait(timeout=TIMEOUT)
    assert trainer.position.step == 2


def test_closing_ends_all_threads(open_lab: Open) -> None:
    lab = open_lab(make_trainer())
    lab.play()
    lab.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not [name for name in names if name.startswith("snnviz")]
    assert "Closed" in text(lab, "status")
    assert "This lab is closed." in text(lab, "notice")
    lab.close()


@pytest.mark.parametrize("given", ["runs/first", torch.nn.Linear(2, 2)])
def test_a_lab_of_what_is_no_trainer(given: Any) -> None:
    with pytest.raises(TypeError, match=r"^trainer must be a snnviz\.Trainer, got (str|Linear)\."):
        Lab(given)


def test_without_ipywidgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "snnviz.lab")
    with pytest.raises(ImportError) as caught:
        importlib.import_module("snnviz.lab")
    assert str(caught.value) == (
        "The lab needs ipywidgets, which is not installed: pip install 'snnviz[lab]'."
    )
