"""The schedule editor in JupyterLab: typing, sliders, the timeline, presets and files."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Kept
from tests.browser.jupyter import (
    run_code,
    wait_for,
    wait_till_said,
)
from tests.browser.pictures import pictures

SESSION = """\
import threading, time
import torch
import ipywidgets
import snnviz as sv
from snnviz.lab.page import hear_as_asked
from snnviz.lab.page.frame import Frame
from snnviz.lab.schedule.editor import ScheduleEditor
from snnviz.lab.session import Session

generator = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (450, 1, 28, 28), dtype=torch.uint8, generator=generator)
labels = torch.arange(450) % 10
data = sv.ImageData.from_tensors(
    (images[:400], labels[:400]), (images[400:], labels[400:]), device="cpu"
)
plan = sv.Schedule(batch_size=20, epochs=8, freeze_epochs=2, task_lr=0.01)
session = Session(sv.Trainer(sv.network("mlp", data), data, plan, device="cpu"))
editor = ScheduleEditor(session)
moment, picked = None, []
editor.on_pick(picked.append)
def refresh(session, editor):  # not those of the next test, which have the same names
    while session.status.activity != "closed":
        editor.show(session.status, session.trainer.history, moment)
        time.sleep(0.1)
threading.Thread(target=refresh, args=[session, editor], daemon=True).start()"""
SHOWN = 'hear_as_asked(ipywidgets.VBox([Frame(), editor.widget]).add_class("snnviz-lab"))'
STARTED = "1 epoch warm-up, then 5 alternating in rounds of 4 task and 1 switcher step, then 2"


@pytest.fixture
def editor(kept: Kept) -> Page:
    """A page with an editor for a small MLP."""
    page = kept.notebook([SESSION, SHOWN])
    wait_for(page, ".snnviz-editor-title", "1 epoch warm-up, then 5 alternating")
    return page


def train(page: Page, unit: str, n: int) -> None:
    run_code(page, f"session.step({unit!r}, {n})\nsession.wait()")


def planned(page: Page, name: str) -> str:
    return run_code(page, f"print(session.status.planned.{name})")


def text_of(page: Page, name: str) -> Locator:
    return page.locator(f".snnviz-{name}:visible input[type=text]")


def bands(page: Page) -> Locator:
    return page.locator(".snnviz-tl-band:visible")


def readout(page: Page) -> Locator:
    return page.locator(".snnviz-tl-readout:visible")


def test_typing_and_sliding(editor: Page) -> None:
    editor.get_by_role("button", name="main settings").click()
    steps = text_of(editor, "task_steps")
    error = editor.locator(".snnviz-task_steps:visible [role=alert]")
    assert steps.get_attribute("aria-invalid") is None
    steps.fill("0")
    expect(error).to_have_text(
        "schedule.task_steps must be at least 1, got 0. "
        "To train the switcher nearly alone, use task_steps=1 and many switcher_steps."
    )
    expect(steps).to_have_attribute("aria-invalid", "true")
    assert str(error.get_attribute("id")) in (steps.get_attribute("aria-describedby") or "")
    steps.press("Enter")
    steps.fill("6x")
    expect(error).to_have_text("schedule.task_steps must be a whole number, got '6x'.")
    steps.press("Escape")
    expect(steps).to_have_value("4")
    expect(error).to_be_empty()
    expect(steps).not_to_have_attribute("aria-invalid", "true")
    steps.fill("7")
    editor.wait_for_timeout(500)  # ask the page: a new cell takes the focus, which sets it
    wait_for(editor, ".snnviz-editor-title", "rounds of 4 task")  # typed, and not yet set
    steps.fill("12")
    steps.press("Tab")
    wait_for(editor, ".snnviz-editor-title", "rounds of 12 task")
    assert planned(editor, "task_steps") == "12"

    slider = editor.get_by_role("slider", name="task learning rate, slider")
    slider.focus()
    slider.press("ArrowRight")
    expect(text_of(editor, "task_lr")).to_have_value("0.013")
    text_of(editor, "task_lr").press("ArrowDown")
    expect(text_of(editor, "task_lr")).to_have_value("0.01")
    text_of(editor, "switcher_lr").fill("1e-5")
    text_of(editor, "switcher_lr").press("Enter")
    expect(slider).to_have_value("-20")  # tenths of a decade
    wait_for(editor, ".snnviz-undo:not([disabled])")
    rates = "print(session.status.planned.task_lr, session.status.planned.switcher_lr)"
    wait_till_said(editor, rates, "0.01 1e-05")
    editor.locator(".snnviz-task_decay:visible select").select_option("constant")
    size, share = text_of(editor, "size"), editor.get_by_role("slider", name="size to end at")
    expect(size).to_have_value("off")
    expect(share).to_have_attribute("aria-valuetext", "off")
    share.focus()
    share.press("ArrowLeft")
    expect(size).to_have_value("0.99")
    size.fill("0.4")
    size.press("Enter")
    expect(share).to_have_value("40")
    wait_for(editor, ".snnviz-editor-title", "until 40 % of the parameters are left")
    expect(editor.locator(".snnviz-tl-ramp:visible path")).to_have_count(2)
    size.fill("off")
    size.press("Enter")
    wait_till_said(editor, "print(session.status.planned.size)", "None")
    expect(editor.locator(".snnviz-tl-ramp path")).to_have_count(0)
    run_code(editor, "session.set_schedule(task_steps=30)")
    expect(steps).to_have_value("30")
    assert planned(editor, "task_decay") == "constant"

    assert not editor.locator(".snnviz-batch_size input").last.is_visible()
    fold = editor.get_by_role("button", name="more settings")
    fold.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    text_of(editor, "batch_size").fill("40")
    text_of(editor, "batch_size").press("Enter")
    editor.locator(".snnviz-through_switcher:visible input").check()
    both = "print(session.status.planned.batch_size, session.status.planned.through_switcher)"
    wait_till_said(editor, both, "40 True")


def test_the_timeline_leads_to_fields_and_epochs(editor: Page) -> None:
    train(editor, "epoch", 3)
    names = [
        "warm-up, epoch 1, done: 20 task steps. Enter: set warm-up epochs",
        "alternating, epochs 2 to 3, done: 40 task and 9 switcher steps. Enter: set task steps",
        "alternating, epochs 4 to 6, planned: 60 task and 15 switcher steps, "
        "in rounds of 4 task and 1 switcher step. Enter: set task steps",
        "frozen, epochs 7 to 8, planned: 40 task steps. Enter: set frozen epochs",
    ]
    expect(bands(editor)).to_have_count(4)
    for i, name in enumerate(names):
        expect(bands(editor).nth(i)).to_have_attribute("aria-label", name)
    bands(editor).nth(3).click()
    expect(text_of(editor, "freeze_epochs")).to_be_focused()
    bands(editor).nth(2).locator(".snnviz-tl-fill-switcher").first.click()
    expect(text_of(editor, "switcher_steps")).to_be_focused()
    editor.locator(".snnviz-tl-rate.snnviz-tl-switcher:visible").click()
    expect(text_of(editor, "switcher_lr")).to_be_focused()

    bands(editor).nth(1).focus()
    expect(readout(editor)).to_have_text(names[1])
    bands(editor).nth(1).press("ArrowLeft")
    expect(bands(editor).nth(0)).to_be_focused()
    # The focus stays while training moves the bands.
    run_code(editor, "threading.Timer(2, session.step, ('batch', 11)).start()")
    bands(editor).nth(0).focus()
    expect(bands(editor).nth(1)).to_have_attribute(
        "aria-label", re.compile("epochs 2 to 4, done: 48 task and 12 switcher")
    )
    expect(bands(editor).nth(0)).to_be_focused()
    bands(editor).nth(0).press("Enter")
    expect(text_of(editor, "warmup_epochs")).to_be_focused()

    pad = editor.locator(".snnviz-tl-pad:visible")
    width = (pad.bounding_box() or {"width": 0})["width"]
    pad.hover(position={"x": width * 1.5 / 8, "y": 20})
    expect(readout(editor)).to_have_text(
        re.compile(
            r"^epoch 2 · alternating · done · task rate 0\.009\d+ · switcher rate 0\.009\d+ · "
            "click to go back to the end of epoch 2$"
        )
    )
    pad.click(position={"x": width * 1.5 / 8, "y": 20})
    pad.click(position={"x": width * 6.5 / 8, "y": 20})  # has not run
    # Who asks for the same epoch twice before the kernel has heard is taken there once.
    wait_till_said(editor, "print(picked)", "[2]")
    pad.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Enter"):
        pad.press(key)
    expect(readout(editor)).to_have_text("epoch 2 of 3 finished · Enter goes back to its end")
    pad.press("Home")
    pad.press("Enter")
    wait_till_said(editor, "print(picked)", "[2, 2, 1]")


def test_forks_presets_and_files(editor: Page, folder: Path) -> None:
    train(editor, "epoch", 3)
    run_code(editor, "moment = 2")
    wait_for(editor, ".snnviz-editor-note", "For a fork from epoch 2")
    expect(editor.locator(".snnviz-tl-moment:visible text")).to_have_text("epoch 2")
    editor.locator(".snnviz-preset-dense:visible").click()
    wait_for(editor, ".snnviz-editor-note", "switcher_steps 1 → 0. The run itself keeps its")
    expect(bands(editor)).to_have_count(3)
    assert planned(editor, "switcher_steps") == "1"
    wait_till_said(editor, "print(editor.draft.switcher_steps)", "0")
    run_code(editor, "moment = None")
    wait_for(editor, ".snnviz-editor-note", "Edited for a fork, not used in this run")
    editor.locator(".snnviz-forget-edits:visible").click()
    expect(editor.locator(".snnviz-forget-edits:visible")).to_have_count(0)

    expect(editor.locator(".snnviz-preset-holdout:visible")).to_be_disabled()
    preset = editor.locator(".snnviz-preset-freeze-early:visible")
    preset.press("Enter")
    wait_for(editor, ".snnviz-editor-title", "then 3 alternating")
    expect(preset).to_have_class(re.compile("mod-info"))

    editor.get_by_role("button", name="save and load").click()
    editor.locator(".snnviz-schedule-name:visible input").fill("early")
    editor.locator(".snnviz-save-schedule:visible").click()
    wait_for(editor, ".snnviz-editor-note", "Saved schedules/early.json.")
    content = json.loads((folder / "schedules" / "early.json").read_text(encoding="utf-8"))
    assert content["schedule"]["freeze_epochs"] == 4
    editor.locator(".snnviz-undo:visible").click()
    wait_for(editor, ".snnviz-editor-title", STARTED)
    editor.locator(".snnviz-schedule-list:visible select").select_option("early")
    editor.locator(".snnviz-load-schedule:visible").click()
    wait_for(editor, ".snnviz-editor-note", "schedules/early.json: freeze_epochs 2 → 4.")
    assert planned(editor, "freeze_epochs") == "4"

    for name, text, said in (
        (
            "bad.json",
            "{",
            "No schedule was loaded: the file 'bad.json' cannot be used: it is",
        ),
        ("good.json", '{"schedule": {"epochs": 5}}', "good.json: epochs 8 → 5, batch_size 20 → "),
    ):
        with editor.expect_file_chooser() as chooser:
            editor.locator(".snnviz-upload-schedule:visible").click()
        chooser.value.set_files({"name": name, "mimeType": "text/json", "buffer": text.encode()})
        wait_for(editor, ".snnviz-editor-note", said)
    assert planned(editor, "epochs") == "5"


def test_the_look(editor: Page) -> None:
    train(editor, "epoch", 3)
    train(editor, "batch", 15)
    run_code(editor, "session.set_schedule(switcher_steps=2)\nsession.step('batch', 9)")
    for name in ("main settings", "more settings", "save and load"):
        editor.get_by_role("button", name=name).click()
    text_of(editor, "task_steps").fill("0")
    for width in (900, 1400, 2500):
        editor.set_viewport_size({"width": width, "height": 1500})
        editor.wait_for_timeout(500)
        pictures(editor, f"editor_{width}", ".snnviz-editor")
        sideways = editor.locator(".snnviz-editor:visible").evaluate(
            "editor => [editor, ...editor.querySelectorAll('.widget-box, .snnviz-timeline')]"
            ".filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.className)"
        )
        assert sideways == []
