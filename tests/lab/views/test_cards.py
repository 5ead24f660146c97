"""The lab's figures without a browser: what is drawn when, what can be chosen, what is saved."""

import dataclasses
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from snnviz import plots
from snnviz.history import History
from snnviz.lab.views import cards
from snnviz.lab.views.cards import Card, Views
from snnviz.lab.views.dark import LIGHT, OFF_DARK, darken
from snnviz.lab.views.events import MAX_LINES, choose_events, events_html
from snnviz.lab.views.kinds import KINDS, file_name
from snnviz.lab.views.saving import Saved, Saver
from snnviz.lab.views.screen import DPI, MIDDLE, WIDE, WIDTH, Screen
from snnviz.lab.views.shown import Scene, in_colours
from snnviz.lab.views.tables import save_table
from snnviz.training import Schedule
from tests.lab.conftest import TIMEOUT
from tests.lab.views.pretence import idle_status, pretended_classes, pretended_run
from tests.plots.story import line, off_patches, texts

A, B = pretended_run(4, seed=0), pretended_run(6, seed=1)
CLASSES = {"first": pretended_classes(), "second": pretended_classes(1)}
ONE, TWO = in_colours({"first": A}, CLASSES), in_colours({"first": A, "second": B}, CLASSES)
NAMES = [kind.name for kind in KINDS]
OF_THE_PAST = [name for name in NAMES if name != "classes"]
DRAWN = [kind.name for kind in KINDS if kind.draw]


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(folder=tmp_path / "out")


def card(views: Views, name: str) -> Card:
    return views.cards[NAMES.index(name)]


def show(views: Views, runs: Any = ONE, moment: int | None = None, **status: Any) -> None:
    """Until all is drawn."""
    state = dataclasses.replace(idle_status(), **status)
    while views.show(state, runs, moment):
        pass


def shown(views: Views) -> dict[str, Any]:
    return {name: card(views, name).page.value for name in NAMES}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def offered(views: Views, name: str) -> dict[str, list[str]]:
    """{choice: its options}, of those that are in sight."""
    return {
        choice: [text for text, _ in dropdown.options]
        for choice, dropdown in card(views, name).choices.items()
        if dropdown.layout.display != "none"
    }


def everything(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def press(views: Views, name: str, button: str) -> None:
    (found,) = [
        each
        for each in everything(card(views, name).widget)
        if f"snnviz-{button}" in getattr(each, "_dom_classes", ())
    ]
    assert isinstance(found, widgets.Button)
    found.click()
    views.wait(TIMEOUT)


# --- what is drawn when -------------------------------------------------------------------------


def test_every_card_is_drawn_one_at_a_time(views: Views) -> None:
    status, waits = idle_status(), []
    for _ in NAMES:
        before = shown(views)
        waits.append(views.show(status, ONE))
        assert len(changed(before, shown(views))) == 1
    assert waits == [True] * (len(NAMES) - 1) + [False]
    before = shown(views)
    assert not views.show(status, ONE)
    assert not changed(before, shown(views))
    for name in DRAWN:
        picture = Image.open(io.BytesIO(before[name]))
        assert picture.width == WIDTH * DPI[WIDTH]
        assert card(views, name).trouble.value == ""


def test_a_step_is_drawn_in_the_curves_alone() -> None:
    history, views = pretended_run(2), Views()
    runs = in_colours({"run": history})
    show(views, runs)
    before = shown(views)
    history.add_step(step=101, epoch=3, phase="task", loss=1, accuracy=0.1, lr=1)
    show(views, runs, position=dataclasses.replace(idle_status().position, step=101))
    assert changed(before, shown(views)) == {"learning_curves"}
    before = shown(views)
    history.add_event(epoch=3, step=101, event="schedule", detail="epochs: 3 → 4")
    show(views, runs, position=dataclasses.replace(idle_status().position, step=101))
    assert changed(before, shown(views)) == {"events"}


def test_drawing_waits_while_it_has_had_its_share(views: Views) -> None:
    views._budget = -1000.0
    playing = dataclasses.replace(idle_status(), activity="playing")
    assert views.show(playing, ONE)
    assert not any(shown(views).values())
    show(views)
    assert all(shown(views).values())


def test_a_figure_waits_till_all_of_it_can_be_spared(views: Views) -> None:
    views.bar.mode, views.bar.tab = "tabs", "neurons_on"
    show(views)
    playing = dataclasses.replace(idle_status(), activity="playing")
    for took, drawn in ((0.1, False), (0.04, True)):
        before, views._budget = shown(views), 0.05
        card(views, "neurons_on").took = took
        views.show(playing, TWO)
        assert (changed(before, shown(views)) == {"neurons_on"}) == drawn


class Training:
    """Time that a test sets, in which a picture costs so many seconds and the page comes round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, costs: float, steps: int) -> None:
        self.now, self.spent, self.costs, self.drawn = 0.0, 0.0, costs, list[str]()
        clock = SimpleNamespace(monotonic=lambda: self.now, thread_time=lambda: self.spent)
        monkeypatch.setattr(cards, "time", clock)
        monkeypatch.setattr(Card, "update", lambda card, key, *_: self._draw(card, key))
        plan = Schedule(epochs=10, task_steps=1, switcher_steps=0, warmup_epochs=0)
        many = {"schedule": plan, "batches_per_epoch": steps // 10, "seconds_per_step": 0.02}
        self.status = dataclasses.replace(idle_status(), activity="playing", **many)

    def _draw(self, card: Card, key: Any) -> None:
        card._shown, card.drawn_at = key, self.now
        self.spent += self.costs
        self.drawn.append(card.kind.name)

    def go(self, views: Views, seconds: float, every: float = 3.0) -> None:
        """Each time the page is shown, all cards have something new."""
        for i in range(round(seconds / every)):
            self.now += every
            at = dataclasses.replace(self.status.position, step=round(self.now / 0.02))
            views.show(dataclasses.replace(self.status, position=at, generation=i), ONE)


@pytest.mark.parametrize(("steps", "least"), [(1000, 6), (5000, 4)])
def test_a_short_run_is_seen_to_grow(
    steps: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curves are at most 3 s old, or a twentieth of the run, each time the page is shown."""
    training, views = Training(monkeypatch, costs=0.07, steps=steps), Views()
    views.bar.mode = "tabs"
    training.go(views, seconds=20)
    assert len(training.drawn) >= least


def test_drawing_keeps_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run has time, and pictures that take long have to wait even in a short one."""
    for costs, steps, share in ((0.1, 10**6, 0.006), (0.5, 1000, 0.02)):
        training, views = Training(monkeypatch, costs, steps), Views()
        views.bar.mode = "tabs"
        training.go(views, seconds=600)
        assert training.spent <= share * 600 + 0.2 + costs
        assert training.spent >= share * 600 * 0.6


def test_side_by_side_the_curves_take_every_other_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    training, views = Training(monkeypatch, costs=0.05, steps=1000), Views()
    training.go(views, seconds=60)
    assert training.drawn[::2] == ["learning_curves"] * len(training.drawn[::2])
    assert set(training.drawn) == set(NAMES)


def test_only_what_is_seen_is_drawn(views: Views) -> None:
    views.bar.mode, views.bar.tab = "tabs", "neurons_on"
    show(views)
    assert [name for name, value in shown(views).items() if value] == ["neurons_on"]
    picture = Image.open(io.BytesIO(shown(views)["neurons_on"]))
    assert picture.width == WIDE * DPI[WIDE]
    for room, width in enumerate((WIDTH, MIDDLE)):
        views.bar.room = room
        show(views)
        picture = Image.open(io.BytesIO(shown(views)["neurons_on"]))
        assert picture.width == width * DPI[width]
    views.bar.tab = "events"
    show(views)
    assert [name for name, value in shown(views).items() if value] == ["neurons_on", "events"]
    views.bar.mode = "auto"
    show(views)  # as wide as a lab is unless the page says otherwise
    assert all(shown(views).values())
    views.bar.wide = False
    assert views.bar.visible_cards == ["events"]


def test_a_moment_is_drawn_within_the_whole(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    show(views)
    before = shown(views)
    seen: list[tuple] = []
    draw = plots.learning_curves

    def spy(history: History, **options: Any) -> Any:
        seen.append((history.n_epochs, options["within"]))
        return draw(history, **options)

    monkeypatch.setattr(plots, "learning_curves", spy)
    show(views, ONE, moment=2)
    assert seen == [(2, A)]
    assert changed(before, shown(views)) == set(OF_THE_PAST)
    assert "Press Now" in card(views, "classes").trouble.value
    assert "<td>3</td>" not in shown(views)["events"]
    assert "<td>3</td>" in before["events"]
    show(views)
    assert shown(views) == before


def test_the_start_is_a_moment_too(views: Views) -> None:
    show(views, ONE, moment=0)
    assert not any(card(views, name).trouble.value for name in OF_THE_PAST)
    assert "no epoch finished yet" in card(views, "switch_map").said
    assert "No such event yet." in shown(views)["events"]


def test_a_figure_that_fails_says_so(views: Views) -> None:
    def fail(scene: Scene) -> Any:
        raise ZeroDivisionError("<nothing> to divide")

    broken = card(views, "switch_map")
    kind = broken.kind
    broken.kind = dataclasses.replace(kind, draw=fail)
    show(views)
    assert broken.trouble.value == (
        '<div role="alert">This figure could not be drawn. '
        "ZeroDivisionError: &lt;nothing&gt; to divide</div>"
    )
    broken.kind = kind
    show(views, TWO)
    assert broken.trouble.value == ""


def test_one_thread_writes_traits(views: Views) -> None:
    """A choice, a click and a toggle only ask; what follows is written in `show`."""
    show(views, TWO)
    writers: set[str] = set()
    for widget in everything(views.widget):
        widget.observe(lambda change: writers.add(threading.current_thread().name))
    thread = threading.Thread(target=lambda: press(views, "events", "save-csv"))
    thread.start()
    thread.join()
    assert writers == set()
    show(views, TWO)
    assert writers == {threading.current_thread().name}


# --- runs, and what can be chosen ---------------------------------------------------------------


def test_choices_follow_the_runs(views: Views) -> None:
    show(views)
    assert "run" not in offered(views, "learning_curves")
    assert offered(views, "switch_map") == {"group": ["all groups", "conv1", "conv2", "fc1"]}
    show(views, TWO)
    assert offered(views, "learning_curves") == {
        "run": ["all runs", "first", "second"],
        "metric": ["accuracy", "loss"],
    }
    assert offered(views, "switch_map")["run"] == ["first", "second"]
    card(views, "learning_curves").choices["run"].value = "second"
    show(views, TWO)
    assert offered(views, "learning_curves")["phases"] == [
        "both phases",
        "task phase",
        "switcher phase",
        "test only",
    ]
    views.bar.hidden = ["second"]
    show(views, TWO)
    assert "run" not in offered(views, "switch_map")
    assert "Learning curves of first:" in card(views, "learning_curves").said


def test_a_choice_stays_while_it_is_there(views: Views) -> None:
    group = card(views, "switch_map").choices["group"]
    show(views)
    group.value = "conv2"
    show(views, TWO)
    assert group.value == "conv2"
    other = History({"fc9": 2, "fc10": 3})
    show(views, in_colours({"other": other}))
    assert group.value == ""
    assert not any(card(views, name).trouble.value for name in OF_THE_PAST)
    assert "are being classified" in card(views, "classes").trouble.value


def test_a_choice_redraws_its_card_alone(views: Views) -> None:
    woken: list[int] = []
    views = Views(wake=lambda: woken.append(1))
    show(views)
    before, woken[:] = shown(views), []
    card(views, "size_accuracy").choices["size"].value = "macs"
    assert woken
    show(views)
    assert changed(before, shown(views)) == {"size_accuracy"}
    assert "MACs left" in card(views, "size_accuracy").said


def test_hidden_runs_are_not_drawn(views: Views) -> None:
    show(views, TWO)
    assert views.bar.runs == [["first", plots.RIVALS[0]], ["second", plots.RIVALS[1]]]
    assert "Neurons on of first, second:" in card(views, "neurons_on").said
    views.bar.hidden = ["first"]
    show(views, TWO)
    for name in DRAWN:
        assert " of second: " in card(views, name).said
    views.bar.hidden = ["first", "second"]  # then the first, rather than nothing
    show(views, TWO)
    assert "Switch map of first:" in card(views, "switch_map").said


@pytest.mark.parametrize("name", ["learning_curves", "neurons_on", "size_accuracy"])
def test_runs_are_overlaid_in_their_colours(name: str) -> None:
    kind = KINDS[NAMES.index(name)]
    assert kind.draw is not None
    ax = kind.draw(Scene(TWO))
    assert [line(ax, run.name).get_color() for run in TWO] == [run.colour for run in TWO]
    assert len(texts(ax)) == 2
    ax = kind.draw(Scene(TWO, choices={"run": "second"}))
    assert not any(text.startswith(("first", "second")) for text in texts(ax))


# --- the dark theme -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_no_dark_letters_on_a_dark_page(name: str) -> None:
    kind = KINDS[NAMES.index(name)]
    assert kind.draw is not None
    ax = kind.draw(Scene(ONE))
    figure: Any = ax.figure
    ticks = [label.get_text() for label in ax.get_yticklabels()]
    darken(figure)
    for artist in [*ax.texts, *ax.get_xticklabels(), ax.xaxis.label, ax.yaxis.label]:
        assert np.mean(matplotlib_rgb(artist.get_color())) > 0.4
    assert figure.patch.get_alpha() == 0
    assert [label.get_text() for label in ax.get_yticklabels()] == ticks
    for patch in off_patches(ax):
        assert to_hex(patch.get_facecolor()).upper() == OFF_DARK
        assert patch.get_hatch() == plots.OFF_HATCH


def matplotlib_rgb(colour: Any) -> np.ndarray:
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def test_the_scale_keeps_its_ticks_in_the_dark() -> None:
    ax = plots.switch_map(A)
    before = [label.get_text() for label in ax.images[-1].colorbar.ax.get_yticklabels()]
    darken(ax.figure)  # type: ignore[arg-type]
    bar = ax.images[-1].colorbar
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == before
    assert to_hex(bar.ax.yaxis.label.get_color()).upper() == LIGHT


def test_the_page_says_if_it_is_dark(views: Views) -> None:
    show(views)
    light = shown(views)
    views.bar.dark = True
    show(views)
    dark = shown(views)
    assert changed(light, dark) == set(DRAWN)
    assert np.array(Image.open(io.BytesIO(dark["neurons_on"])).convert("RGBA"))[0, 0, 3] == 0
    views.dark = False  # the lab may know better
    show(views)
    assert shown(views) == light


def test_looking_at_a_figure_does_not_change_what_is_saved() -> None:
    scene = Scene(ONE)
    kind = KINDS[0]
    assert kind.draw is not None
    Screen().png(kind.draw(scene), scene, dark=True)
    assert line(kind.draw(scene), "task phase").get_color() == plots.TASK


# --- saving -------------------------------------------------------------------------------------


def width_of(file: Path) -> int:
    with Image.open(file) as picture:
        return picture.width


def said(views: Views) -> str:
    views.saved.show()
    return views.saved.widget.outputs[0]["data"]["text/html"]


def test_all_figures_are_saved(views: Views, tmp_path: Path) -> None:
    show(views)
    views.save_all()
    views.wait(TIMEOUT)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {f"{name}.{kind}" for name in DRAWN for kind in ("pdf", "svg", "png")}
    assert len(re.findall("href=", said(views))) == 18


def test_one_figure_is_saved_as_it_was_chosen(views: Views, tmp_path: Path) -> None:
    show(views, TWO)
    mine = card(views, "learning_curves")
    mine.choices["run"].value, mine.choices["metric"].value = "second", "loss"
    mine.formats["svg"].value = mine.formats["pdf"].value = False
    mine.width.value = "double"
    press(views, "learning_curves", "save-figure")
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "learning_curves_second_loss.png"
    assert width_of(file) == 7.0 * 600
    assert f">{file.as_posix()}</a>" in said(views)
    mine.width.value = "inches"
    mine.inches.value = 4.5
    show(views, TWO)
    assert mine.inches.layout.display is None
    press(views, "learning_curves", "save-figure")
    assert width_of(file) == 4.5 * 600
    mine.formats["png"].value = False
    press(views, "learning_curves", "save-figure")
    assert "Choose at least one of PDF, SVG and PNG." in said(views)


def test_nothing_to_save(views: Views, tmp_path: Path) -> None:
    show(views, in_colours({"new": History({"fc1": 3})}))
    views.save_all()
    views.wait(TIMEOUT)
    assert "There is nothing to save yet: no step has been made." in said(views)
    press(views, "events", "save-csv")
    assert "There is nothing to save yet: no step has been made." in said(views)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_the_way(views: Views, tmp_path: Path) -> None:
    show(views)
    (tmp_path / "out").write_text("in the way")
    views.save_all()
    views.wait(TIMEOUT)
    assert 'role="alert">The figures were not saved. FileExistsError' in said(views)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", OF_THE_PAST)
def test_data_is_what_is_shown(name: str, kind: str, views: Views, tmp_path: Path) -> None:
    views.bar.mode, views.bar.tab = "tabs", name  # the others need not be drawn
    show(views, TWO, moment=3)
    if name == "switch_map":
        card(views, name).choices["group"].value = "conv1"
    press(views, name, f"save-{kind}")
    (file,) = (tmp_path / "out").iterdir()
    table = pd.read_csv(file) if kind == "csv" else pd.read_parquet(file)
    past = A.until(3)
    if name == "switch_map":
        assert file.stem == "switch_map_first_conv1_epoch_3"
        np.testing.assert_allclose(
            table["factor"].to_numpy().reshape(3, 20), past.factors["conv1"], rtol=1e-6
        )
    elif name == "factor_distribution":
        expected = np.concatenate([values[-1] for values in past.factors.values()])
        np.testing.assert_allclose(table["factor"], expected, rtol=1e-6)
        assert set(table["epoch"]) == {3}
    elif name == "events":
        assert table["event"].tolist() == past.events["event"].tolist()
        assert set(table["run"]) == {"first"}
    else:
        column = {
            "learning_curves": "accuracy_percent",
            "neurons_on": "neurons_on_percent",
            "size_accuracy": "test_accuracy_percent",
        }[name]
        ax = card(views, name).kind.draw(Scene(TWO, 3))  # type: ignore[misc]
        for run in TWO:
            rows = table[table["run"] == run.name]
            label = f"_path of {run.name}" if name == "size_accuracy" else run.name
            np.testing.assert_allclose(line(ax, label).get_ydata(), rows[column])


def test_data_of_one_run_is_what_is_shown() -> None:
    curves, on = KINDS[0], KINDS[2]
    table = curves.table(Scene(ONE, choices={"metric": "loss", "phases": "task"}))
    assert list(table.columns) == ["run", "curve", "step", "epochs_done", "loss", "running_mean"]
    ax = plots.learning_curves(A, metric="loss", phases=["task"])
    task = table[table["curve"] == "task phase"]
    np.testing.assert_allclose(line(ax, "task phase").get_ydata(), task["running_mean"])
    assert set(table["curve"]) == {"task phase", "test"}
    table = on.table(Scene(ONE, choices={"group": "fc1"}))
    ax = plots.neurons_on(A, group="fc1")
    for group in ("fc1", "all together"):
        rows = table[table["group"] == group]
        np.testing.assert_allclose(line(ax, group).get_ydata(), rows["neurons_on_percent"])
    assert set(table["group"]) == {"fc1", "all together"}


def test_another_kind_of_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind must") as error:
        save_table(A.epochs, "a", "xlsx", tmp_path)
    assert str(error.value) == "kind must be 'csv' or 'parquet', got 'xlsx'."


def test_names_of_files_are_plain() -> None:
    kind = KINDS[NAMES.index("switch_map")]
    odd = in_colours({"a": History({"x/y: 1": 2}), "b c": History({"x/y: 1": 2})})
    scene = Scene(odd, 7, {"run": "b c", "group": "x/y: 1"})
    assert file_name(kind, scene) == "switch_map_b_c_x_y_1_epoch_7"


def test_one_thing_is_saved_after_the_other(tmp_path: Path) -> None:
    saved, go, threads = Saved(), threading.Event(), set()
    saver = Saver(saved)

    def save(name: str) -> list[Path]:
        threads.add(threading.get_ident())
        assert go.wait(TIMEOUT)
        if name == "b":
            raise OSError("no <room>")
        return [tmp_path / name]

    saver.start("figures", lambda: save("a<b>.pdf"))
    saver.start("data", lambda: save("b"))
    saver.start("data", lambda: save("c.csv"))
    assert saved.news == "Saving figures …<br>Saving data …<br>Saving data …"
    go.set()
    saver.wait(TIMEOUT)
    figure, failed, data = saved.news.split("<br>")
    assert "a&lt;b&gt;.pdf</a>" in figure
    assert "a%3Cb%3E.pdf" in figure
    assert "The data were not saved. OSError: no &lt;room&gt;" in failed
    assert "c.csv</a>" in data
    assert len(threads) == 1
    saver.start("data", lambda: save("d.csv"))  # what was said before makes room
    saver.wait(TIMEOUT)
    assert saved.news.count("</a>") == 1
    assert "d.csv</a>" in saved.news


# --- events -------------------------------------------------------------------------------------


def words(html: str) -> list[str]:
    """A line a row: its cells."""
    rows = re.findall(r"<tr><td>(.*?)</tr>", html)
    return [re.sub(r"<[^>]*>", " ", row).split("  ", 2)[-1].strip() for row in rows]


def history_of_events() -> History:
    history = History({"fc<1>": 20, "b": 2})
    rest = {"step": 0} | dict.fromkeys(
        ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"), 0.5
    )
    rest |= dict.fromkeys(("neurons_on", "neurons", "parameters", "macs"), 1)
    off = np.array([0.0] * 14 + [1.0] * 6)
    for epoch, (many, few) in enumerate([(off, [1, 1]), (off, [0, 1]), (off * 0 + 1, [1, 1])], 1):
        row = rest | {"epoch": epoch, "step": 10 * epoch}
        history.add_epoch({"fc<1>": many, "b": np.array(few)}, **row)
    history.add_event(epoch=2, step=12, event="schedule", detail="task_lr: 0.05 → 0.01")
    history.add_event(epoch=2, step=13, event="pin", detail="off", group="b", neuron=1)
    history.add_event(epoch=2, step=14, event="pin", detail="on: 1, 2", group="b")
    return history


def test_events_in_words() -> None:
    lines = words(events_html(history_of_events().events))
    numbers = ", ".join(map(str, range(12)))
    assert lines == [
        "neuron 0 of b came back on",
        f"14 neurons of fc&lt;1&gt; came back on: {numbers}, …",
        "neuron 0 of b went off",
        "pin b: on: 1, 2",
        "pin neuron 1 of b: off",
        "schedule: task_lr: 0.05 → 0.01",
        f"14 neurons of fc&lt;1&gt; went off: {numbers}, …",
    ]


@pytest.mark.parametrize(
    ("kind", "group", "count"),
    [("", "", 7), ("off", "", 2), ("on", "", 2), ("run", "", 3), ("", "b", 4), ("run", "b", 2)],
)
def test_events_are_chosen(kind: str, group: str, count: int) -> None:
    events = choose_events(history_of_events(), kind, group)
    assert len(words(events_html(events))) == count
    assert not group or set(events["group"]) == {group}


def test_very_many_events_are_cut_short() -> None:
    history = History({"a": 1})
    for step in range(MAX_LINES + 30):
        history.add_event(epoch=1, step=step, event="schedule", detail=str(step))
    html = events_html(history.events)
    assert len(words(html)) == MAX_LINES
    assert "30 earlier lines are not shown here; the saved data contains them." in html
    assert words(html)[0] == f"schedule: {MAX_LINES + 29}"


def test_what_the_page_is_told_is_plain(views: Views) -> None:
    show(views, TWO)
    state = views.bar.get_state()
    json.dumps({name: state[name] for name in ("cards", "runs", "alts", "mode", "tab", "hidden")})
    assert state["cards"] == [[kind.name, kind.title, kind.tab] for kind in KINDS]


@pytest.mark.parametrize("show_what", ["", "confusion"])
def test_classes_as_data_and_in_words(show_what: str, views: Views, tmp_path: Path) -> None:
    views.bar.mode, views.bar.tab = "tabs", "classes"
    show(views, TWO)
    drawn = card(views, "classes")
    drawn.choices["run"].value = "second"
    drawn.choices["show"].value = show_what
    before = shown(views)["classes"]
    show(views, TWO)
    assert shown(views)["classes"] != before
    press(views, "classes", "save-csv")
    (file,) = (tmp_path / "out").iterdir()
    table, found = pd.read_csv(file), CLASSES["second"].predictions
    assert set(table["run"]) == {"second"}
    counts = table["images"].to_numpy()
    if show_what:
        np.testing.assert_array_equal(counts.reshape(3, 3), found.confusion)
        assert table["true"].tolist()[:4] == ["bag", "bag", "bag", "coat"]
    else:
        np.testing.assert_array_equal(counts, 30)
        np.testing.assert_allclose(table["accuracy_percent"], 100 * found.class_accuracy)
    assert f"all {100 * found.accuracy:.1f} %" in drawn.said
    assert "after epoch 4" in drawn.said


def test_what_is_missing_is_not_saved(views: Views, tmp_path: Path) -> None:
    views.bar.mode, views.bar.tab = "tabs", "classes"
    show(views, ONE, moment=2)
    for button in ("save-figure", "save-csv"):
        press(views, "classes", button)
        views.saved.show()
        assert "Press Now to see the present." in said(views)
    views.save_all()
    views.wait(TIMEOUT)
    assert not list((tmp_path / "out").glob("classes*"))
