"""The lab in JupyterLab: every button and slider, by mouse and keyboard, in a real browser."""

import re
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import jupyter
from tests.browser.conftest import Kept
from tests.browser.jupyter import (
    LIGHT,
    THEMES,
    open_notebook,
    run_code,
    save_notebook,
    screenshot,
    wait_for,
    wait_till_said,
)
from tests.browser.pictures import WANTED, pictures


def trainer_cell(
    network: str = "lenet5",
    train: int = 6000,
    test: int = 1000,
    plan: str = "epochs=30, switcher_lr=0.01",
) -> str:
    """A cell that makes a trainer on so many images, with this schedule."""
    return f"""\
import snnviz as sv
whole = sv.load_data("fashion-mnist", device="cpu")
data = sv.ImageData.from_tensors(
    (whole.train.images[:{train}], whole.train.labels[:{train}]),
    (whole.test.images[:{test}], whole.test.labels[:{test}]),
    classes=whole.classes, device="cpu",
)
plan = sv.Schedule({plan})
trainer = sv.Trainer(sv.network("{network}", data), data, plan, device="cpu")"""


TRAINER = trainer_cell()


def begun(epochs: int) -> str:
    """A cell with a trainer on few images that has alternated for so many epochs."""
    trainer = trainer_cell(train=2000, test=500)
    return f"{trainer}\ntrainer.schedule = plan.replace(warmup_epochs=0)\ntrainer.run({epochs})"


LAB = "lab = sv.Lab(trainer)\nlab"

READING = """\
import time
rows, until = len(lab.trainer.history.steps), time.monotonic() + 60
while len(lab.trainer.history.steps) == rows and time.monotonic() < until:
    time.sleep(0.05)
print(lab.session.status.activity, len(lab.trainer.history.steps) > rows)"""
POSITION = "at = lab.trainer.position\nprint(at.step, at.epoch, at.round_step)"


@pytest.fixture
def lab(kept: Kept) -> Page:
    """A page with a lab for LeNet on a tenth of Fashion-MNIST."""
    page = kept.notebook([TRAINER, LAB])
    wait_for(page, ".snnviz-status", "Paused")
    unfold(page, "more")
    return page


def unfold(page: Page, *names: str) -> None:
    """Opens what is folded away, or folds it away again."""
    for name in names:
        page.get_by_role("button", name=name, exact=True).locator("visible=true").click()


def click(page: Page, name: str) -> None:
    page.locator(f".snnviz-{name}:visible").click()


def position(page: Page) -> tuple[int, int, int]:
    """Steps and epochs done, and steps of the round under way."""
    step, epoch, round_step = run_code(page, POSITION).split()
    return int(step), int(epoch), int(round_step)


def steps_done(page: Page) -> Locator:
    return page.locator(".snnviz-status dd:visible").nth(2)


def pdf_width(path: Path) -> float:
    """Inches, from the page's MediaBox."""
    box = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", path.read_bytes())
    assert box is not None
    return float(box[1]) / 72


def looked_at(page: Page, name: str, themes: Sequence[str] = (LIGHT,)) -> None:
    """Pictures of the lab as a whole, without the sidebar."""
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    if WANTED:
        page.set_viewport_size({"width": 1400, "height": 2600})
    pictures(page, f"lab_{name}", ".snnviz-lab", themes)
    page.set_viewport_size({"width": 1400, "height": 1000})


def test_the_buttons_stay_in_sight(lab: Page) -> None:
    lab.set_viewport_size({"width": 1400, "height": 700})
    unfold(lab, "schedule")
    lab.evaluate("() => document.querySelector('.snnviz-editor').scrollIntoView({block: 'end'})")
    expect(lab.locator(".snnviz-status dl:visible")).not_to_be_in_viewport()
    expect(lab.locator(".snnviz-neurons:visible")).to_be_in_viewport()
    button = lab.locator(".snnviz-step-batch:visible")
    expect(button).to_be_in_viewport(ratio=1)
    box = button.bounding_box()
    assert box is not None
    lab.mouse.click(box["x"] + 10, box["y"] + 10)  # which does not scroll
    wait_till_said(lab, "print(lab.trainer.position.step)", "1")


def test_training_by_hand(lab: Page, folder: Path) -> None:
    looked_at(lab, "start")

    click(lab, "play")
    wait_for(lab, ".snnviz-status", "Playing")
    # Later ones too: on a busy machine the page may not be looked at during the third.
    wait_for(lab, ".snnviz-status", re.compile(r"epoch ([3-9]|[12]\d)/30"), timeout=120)
    # The kernel is free: another cell reads the history while it grows.
    assert run_code(lab, READING) == "playing True"
    looked_at(lab, "playing")

    run_code(
        lab,
        "marks = []\n"
        "lab._parts.buttons.pause.on_click(lambda _: marks.append(lab.trainer.position.step))",
    )
    wait_for(lab, ".snnviz-pause").click()
    wait_for(lab, ".snnviz-status", "Paused")
    stopped = position(lab)
    assert int(run_code(lab, "print(marks[0])")) in (stopped[0] - 1, stopped[0])
    assert run_code(lab, "time.sleep(1)\n" + POSITION) == " ".join(map(str, stopped))
    expect(steps_done(lab)).to_have_text(str(stopped[0]))

    click(lab, "step-batch")
    expect(steps_done(lab)).to_have_text(str(stopped[0] + 1))
    assert position(lab)[0] == stopped[0] + 1

    phase = run_code(lab, "print(lab.trainer.phase)")
    click(lab, "step-phase")
    expect(steps_done(lab)).not_to_have_text(str(stopped[0] + 1))
    wait_for(lab, ".snnviz-status", "Paused")
    step, _, round_step = position(lab)
    other = {"task": "switcher", "switcher": "task"}[phase]
    wait_till_said(lab, "print(lab.trainer.phase)", other)
    assert round_step == (4 if other == "switcher" else 0)
    assert step - stopped[0] - 1 <= 4

    epoch = position(lab)[1]
    click(lab, "step-epoch")
    wait_for(lab, ".snnviz-status", f"epoch {epoch + 2}/30")
    wait_for(lab, ".snnviz-status", "Paused")
    assert position(lab)[1] == epoch + 1
    wait_till_said(lab, "print(lab.trainer.position.batch)", "0")
    steps = run_code(
        lab,
        "print(lab.trainer.history.steps.step.tolist() == "
        "list(range(1, lab.trainer.position.step + 1)))",
    )
    assert steps == "True"
    looked_at(lab, "trained", THEMES)


def test_sliders_act_from_the_next_round(lab: Page) -> None:
    run_code(lab, "lab.set_schedule(warmup_epochs=0)\nlab.step('batch', 2)\nlab.wait()")
    unfold(lab, "schedule", "main settings")
    handle = wait_for(lab, ".snnviz-task_steps [type=range]")
    handle.focus()
    lab.keyboard.press("ArrowRight")
    lab.keyboard.press("ArrowRight")
    wait_for(lab, ".snnviz-notice", "From the next round: task_steps 4 → 6")
    assert run_code(lab, "print(lab.trainer.schedule.task_steps)") == "4"
    looked_at(lab, "pending", THEMES)

    click(lab, "step-phase")
    click(lab, "step-phase")
    wait_for(lab, ".snnviz-notice", "task_steps 4 → 6: applied at step 5.")
    events = run_code(
        lab,
        "print(lab.trainer.history.events.query('event == \"schedule\"')"
        "[['step', 'detail']].values.tolist()[-1])",
    )
    assert events == "[5, 'task_steps: 4 → 6']"

    lab.locator(".snnviz-switcher_lr:visible [type=range]").focus()
    lab.keyboard.press("ArrowLeft")
    wait_for(lab, ".snnviz-notice", "switcher_lr 0.01 → 0.0079: applied at step 5.")
    run_code(lab, "lab.set_schedule(task_steps=9)")
    expect(lab.locator(".snnviz-task_steps:visible [type=text]")).to_have_value("9")
    run_code(lab, "lab.session.set_schedule(task_steps=0)")
    wait_for(lab, ".snnviz-notice", "Refused: schedule.task_steps must be at least 1, got 0.")


def test_figures_are_saved_and_linked(lab: Page, folder: Path) -> None:
    run_code(lab, "lab.step('epoch', 2)\nlab.wait()")
    click(lab, "save")
    wait_for(lab, ".snnviz-saved", "Saved figures/learning_curves.pdf")
    assert pdf_width(folder / "figures" / "switch_map.pdf") == pytest.approx(3.4)
    names = {path.name for path in (folder / "figures").iterdir()}
    assert len(names) == 15
    for name in ("learning_curves", "switch_map", "neurons_on"):
        assert {f"{name}.{kind}" for kind in ("pdf", "png", "svg")} <= names
    looked_at(lab, "saved")
    lab.get_by_role("link", name="figures/neurons_on.pdf").click()
    lab.locator(".lm-TabBar-tabLabel", has_text="neurons_on.pdf").wait_for()


def test_an_error_is_shown_and_undone(lab: Page) -> None:
    run_code(lab, "lab.step('epoch')\nlab.wait()\nlab.set_schedule(task_lr=1e30)\nlab.play()")
    wait_for(lab, ".snnviz-alert [role=alert]", "The loss became")
    lab.locator(".snnviz-alert summary:visible").click()
    wait_for(lab, ".snnviz-alert pre", "TrainingStopped")
    looked_at(lab, "error", THEMES)
    wait_for(lab, ".snnviz-rollback", "Back to epoch 1").click()
    expect(lab.locator(".snnviz-alert [role=alert]")).to_have_count(0)
    expect(lab.locator(".snnviz-rollback:visible")).to_have_count(0)
    assert position(lab)[1] == 1

    click(lab, "reset")
    wait_for(lab, ".snnviz-reset", "Delete this run?").click()
    wait_for(lab, ".snnviz-status", "epoch 1/30")
    assert position(lab) == (0, 0, 0)


def run_cell(page: Page, index: int) -> None:
    """Runs a cell of the notebook again."""
    page.evaluate(
        """index => {
            const panel = window.jupyterapp.shell.currentWidget;
            panel.content.activeCellIndex = index;
            return window.jupyterapp.commands.execute("notebook:run-cell");
        }""",
        index,
    )


def test_a_cell_that_runs_again_gives_the_same_lab(lab: Page) -> None:
    click(lab, "step-batch")
    expect(steps_done(lab)).to_have_text("1")
    run_code(lab, "first = lab")
    run_cell(lab, 1)
    expect(steps_done(lab)).to_have_text("1")
    expect(lab.locator(".snnviz-lab:visible")).to_have_count(1)
    assert run_code(lab, "print(lab is first, lab.closed)") == "True False"
    run_cell(lab, 0)  # another trainer, whose lab takes the place of the first one
    run_cell(lab, 1)
    unfold(lab, "more")
    expect(steps_done(lab)).to_have_text("0")
    wait_till_said(lab, "print(lab is first, first.closed, lab.closed)", "False True False")


def test_the_same_lab_in_two_cells(lab: Page) -> None:
    run_code(lab, "lab")
    expect(lab.locator(".snnviz-lab:visible")).to_have_count(2)
    lab.locator(".snnviz-step-batch:visible").last.click()
    for status in lab.locator(".snnviz-status:visible").all():
        expect(status.locator("dd").nth(2)).to_have_text("1")


def test_what_if_kept_and_let_go_by_mouse(lab: Page) -> None:
    run_code(lab, "lab.set_schedule(warmup_epochs=0)\nlab.step('epoch')\nlab.wait()")
    grid = lab.locator(".snnviz-neurons:visible")
    expect(lab.locator(".snnviz-whatif:visible")).to_have_count(0)  # there is nothing to ask of
    grid.get_by_role("button", name=re.compile("fc1")).first.click()  # the whole group
    click(lab, "whatif-off")
    result = lab.locator(".snnviz-whatif-result:visible")
    expect(result).to_contain_text(
        re.compile(r"What if 500 neurons of fc1 were off( \(\d+ already\))?:")
    )
    expect(result.locator("li")).to_have_count(10)
    click(lab, "whatif-keep")
    expect(result).to_contain_text("Refused: fc1 would be entirely off, and training would stop.")
    looked_at(lab, "what_if")
    click(lab, "whatif-let-go")
    expect(result).to_contain_text("Switch the selected neurons off or on")

    canvas = grid.locator(".snnviz-block canvas").last
    canvas.click(position={"x": 8, "y": 8})
    expect(grid).to_contain_text("Connections")
    click(lab, "whatif-off")
    expect(result).to_contain_text(re.compile(r"What if \w+ · \d+ was off"))
    click(lab, "whatif-keep")
    expect(result).to_contain_text(re.compile(r"Kept: \w+ · \d+ is off; test accuracy"))
    pins = "sum(map(len, lab.trainer.pins.values()))"
    events = "sum(lab.trainer.history.events.event == 'pin')"
    wait_till_said(lab, f"print({pins}, {events})", "1 1")
    looked_at(lab, "neuron", THEMES)


def test_time_machine_replay_and_fork(lab: Page) -> None:
    run_code(lab, "lab.set_schedule(warmup_epochs=0)\nlab.step('epoch', 4)\nlab.wait()")
    readout = lab.locator(".snnviz-moment-readout:visible")
    expect(readout).to_contain_text("after epoch 4: test")
    handle = wait_for(lab, ".snnviz-moment .noUi-handle")
    handle.focus()
    handle.press("ArrowLeft")
    handle.press("ArrowLeft")
    expect(readout).to_contain_text("epoch 2 of 4 · test")
    shown = "print(lab._parts.panel.grid.moment)"
    wait_till_said(lab, shown, "epoch 2")
    looked_at(lab, "past")

    unfold(lab, "schedule", "main settings", "time machine")
    field = lab.locator(".snnviz-switcher_steps:visible [type=text]")
    field.fill("0")
    field.press("Enter")
    wait_for(lab, ".snnviz-editor-note", "For a fork from epoch 2: switcher_steps 1 → 0")
    lab.locator(".snnviz-fork-name:visible input").fill("no more switching")
    click(lab, "fork")
    wait_for(
        lab, ".snnviz-notice", "no more switching continues from the end of epoch 2: press Play."
    )
    plans = "print(lab.trainer.schedule.switcher_steps, trainer.schedule.switcher_steps)"
    wait_till_said(lab, plans, "0 1")
    click(lab, "step-epoch")
    wait_for(lab, ".snnviz-status", "epoch 4/30")
    wait_for(lab, ".snnviz-status", "Paused")
    wait_till_said(lab, "print(lab.trainer.history.n_epochs, trainer.history.n_epochs)", "3 4")
    expect(lab.locator(".snnviz-bar-row:visible")).to_contain_text("no more switching")
    looked_at(lab, "fork")
    lab.locator(".snnviz-run:visible select").select_option("run")
    expect(steps_done(lab)).to_have_text(run_code(lab, "print(trainer.position.step)"))

    lab.locator(".snnviz-speed:visible select").select_option("1 per second")
    readout.evaluate(
        """readout => {
            window.seen = [];
            const note = () => window.seen.push(readout.textContent.match(/epoch (\\d)/)?.[1]);
            new MutationObserver(note).observe(readout, {childList: true, subtree: true});
        }"""
    )
    click(lab, "replay")
    lab.wait_for_function("() => window.seen.some(epoch => '123'.includes(epoch))")
    expect(readout).to_contain_text("now · after epoch 4: test")


def test_all_of_it_by_keyboard_alone(lab: Page) -> None:
    run_code(lab, "lab.set_schedule(warmup_epochs=0)\nlab.step('epoch', 2)\nlab.wait()")
    grid = lab.locator(".snnviz-neurons:visible [role=application]")
    grid.focus()
    grid.press("ArrowRight")
    grid.press("Enter")
    expect(lab.locator(".snnviz-neurons:visible")).to_contain_text("Connections")
    grid.focus()
    grid.press("o")
    result = lab.locator(".snnviz-whatif-result:visible")
    expect(result).to_contain_text(re.compile(r"conv1 · \d+ was off"))
    grid.press("k")
    expect(result).to_contain_text(re.compile(r"Kept: conv1 · \d+ is off; test accuracy"))
    wait_till_said(lab, "print(list(lab.trainer.pins))", "['conv1']")
    lab.get_by_role("button", name="time machine").focus()
    lab.keyboard.press("Enter")
    lab.locator(".snnviz-fork-name:visible input").focus()
    lab.keyboard.type("by keyboard")
    lab.keyboard.press("Tab")
    lab.locator(".snnviz-fork:visible").focus()
    lab.keyboard.press("Enter")
    wait_for(lab, ".snnviz-notice", "by keyboard continues from the end of epoch 2: press Play.")
    lab.locator(".snnviz-run:visible select").focus()
    for key, name in (("ArrowUp", "run"), ("ArrowDown", "by keyboard")):
        lab.keyboard.press(key)
        expect(lab.locator(".snnviz-run:visible select :checked")).to_have_text(name)
        wait_for(lab, ".snnviz-bar-row button:first-child", name)
    lab.locator(".snnviz-choose-metric:visible select").focus()
    lab.keyboard.press("ArrowDown")
    curves = lab.locator(".snnviz-card-learning_curves img")
    expect(curves).to_have_attribute("alt", re.compile("loss by epoch"))
    lab.locator(".snnviz-play:visible").focus()
    lab.keyboard.press("Space")
    wait_for(lab, ".snnviz-status", "Playing")
    lab.keyboard.press("Tab")
    lab.keyboard.press("Space")
    wait_for(lab, ".snnviz-status", "Paused")


def test_a_reload_shows_the_same_lab_and_the_file_a_picture(lab: Page, folder: Path) -> None:
    run_code(lab, "lab.step('epoch', 2)\nlab.wait()")  # which draws the picture
    expect(lab.locator(".jp-RenderedImage")).to_have_count(1)
    expect(lab.locator(".jp-RenderedImage:visible")).to_have_count(0)  # while the lab lives
    save_notebook(lab)
    notebook = nbformat.read(folder / "kept.ipynb", as_version=4)
    kinds = [sorted(output.data) for output in notebook.cells[1].outputs]
    assert "application/vnd.jupyter.widget-view+json" in kinds[0]
    assert "image/png" in kinds[1]
    jupyter.ARTEFACTS.mkdir(exist_ok=True)
    (jupyter.ARTEFACTS / "lab_portrait.png").write_bytes(
        b64decode(notebook.cells[1].outputs[1].data["image/png"])
    )
    open_notebook(lab, f"{folder.name}/kept.ipynb")
    wait_for(lab, ".snnviz-status", "epoch 3/30")
    expect(steps_done(lab)).to_be_visible()  # what was open is so still
    done = int(run_code(lab, "print(lab.trainer.position.step)"))
    click(lab, "step-batch")
    expect(steps_done(lab)).to_have_text(str(done + 1))
    wait_till_said(lab, "print(lab.trainer.position.batch)", "1")


def test_no_sideways_scroll(lab: Page) -> None:
    run_code(lab, "lab.step('epoch', 3)\nlab.wait()")
    for width in (900, 1400, 2500):
        lab.set_viewport_size({"width": width, "height": 3000})  # all of it in the picture
        lab.wait_for_timeout(1500)  # till all figures are drawn
        screenshot(lab, f"lab_{width}", ".snnviz-lab")
        widths = lab.locator(".snnviz-lab:visible").evaluate(
            "lab => [lab, ...lab.querySelectorAll('.widget-box')]"
            ".map(box => [box.scrollWidth, box.clientWidth, box.className])"
        )
        assert [box for box in widths if box[0] > box[1] + 1] == [], f"{width} pixels"
