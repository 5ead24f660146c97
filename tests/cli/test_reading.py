"""`snnviz show`, `compact`, `figures` and `report`."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import snnviz as sv
from snnviz import plots
from snnviz.export import load_compact
from snnviz.history import History
from snnviz.runs import Trainer
from tests.cli.example import OWN, at, data


def test_show_a_run(run: Any, first: Path) -> None:
    run("fork", "runs/first", "--epoch", "2", "--schedule.task-lr", "0.01", *OWN)
    shown = run("show", "runs/first-at-2", "--json").json
    history = History.load("runs/first-at-2")
    assert {name: shown[name] for name in ("run", "folder", "state", "kept")} == {
        "run": "first-at-2",
        "folder": "runs/first-at-2",
        "state": "finished",
        "kept": [0, 2, 3],
    }
    assert shown["config"] == json.loads(Path("runs/first-at-2/config.json").read_text())
    assert shown["epochs"] == history.epochs.to_dict("records")
    assert shown["events"] == history.events.to_dict("records")
    assert [e["detail"] for e in shown["events"] if e["event"] == "schedule"] == [
        "task_lr: 0.05 → 0.01"
    ]

    facts, epochs, events = run("show", "runs/first-at-2").out.split("\n\n")
    lines = [" ".join(line.split()) for line in facts.splitlines()]
    assert lines[:6] == [
        "run first-at-2: finished, 3 of 3 epochs done",
        "parent first, from epoch 2",
        "network mlp, seed 3",
        "data your own",
        "augment shift",
        "seed 3",
    ]
    assert "schedule epochs=3, batch_size=16, task_steps=3, switcher_steps=2," in lines
    assert lines[-1] == "kept epochs 0, 2, 3"
    rows = [line.split() for line in epochs.splitlines()]
    changes = history.events
    for row, epoch in zip(rows[1:], history.epochs.to_dict("records"), strict=True):
        cells = dict(zip(rows[0], row, strict=True))
        assert cells["epoch"] == str(epoch["epoch"])
        assert cells["test_accuracy"] == f"{epoch['test_accuracy']:.2%}"
        assert cells["neurons_on"] == str(epoch["neurons_on"])
        for event, column in (("off", "went_off"), ("on", "came_back")):
            count = ((changes.event == event) & (changes.epoch == epoch["epoch"])).sum()
            assert cells[column] == str(count)
    assert events.splitlines()[1].split()[2:] == ["schedule", "task_lr:", "0.05", "→", "0.01"]


def test_show_a_run_under_way(run: Any, first: Path) -> None:
    trainer = Trainer.resume(first, epoch=1, data=data())
    assert run("show", "runs/first", "--json").json["state"] == "training"
    trainer.close()
    assert run("show", "runs/first", "--json").json["state"] == "stopped"


def test_show_a_folder_of_runs(run: Any, first: Path) -> None:
    (Path("runs/broken")).mkdir()
    Path("runs/broken/config.json").write_text("{")
    shown = run("show", "--json").json
    assert shown["folder"] == "runs"
    broken, mine = shown["runs"]
    assert broken["state"].startswith("damaged: Expecting property name")
    assert (mine["run"], mine["network"], mine["data"]) == ("first", "mlp", "own")
    assert (mine["epochs"], mine["planned"], mine["state"]) == (3, 3, "finished")
    last = History.load(first).epochs.iloc[-1]
    assert (mine["accuracy"], mine["neurons_on"]) == (last.test_accuracy, last.neurons_on)

    header, one, two = (line.split() for line in run("show").out.splitlines())
    assert header[:3] == ["run", "network", "data"]
    assert one[:8] == ["broken", *"–––––––"]
    assert two[:9] == [
        *("first", "mlp", "own", "3", "3", f"{last.test_accuracy:.2%}"),
        *(f"{last.neurons_on:.0f}", "400", "–"),
    ]
    empty = run("show", "img")
    assert (empty.code, empty.out) == (0, "There are no runs in 'img'.\n")


def test_compact(run: Any, first: Path) -> None:
    # So that neurons are off: the smaller network must differ from the whole one.
    words = ["--schedule.epochs", "6", "--schedule.switcher-lr", "0.05"]
    assert run("fork", "runs/first", "--epoch", "1", "--name", "more", *words, *OWN).code == 0
    done = run("compact", "runs/more", "--out", "small", "--no-latency", *OWN, "--json")
    assert done.code == 0
    trainer = at("runs/more")
    _, expected = sv.compact(trainer, latency=False)
    assert done.json["folder"] == "small"
    assert done.json["epoch"] == 6
    report = done.json["report"]
    assert report["after"] == {**expected.after._asdict()}
    assert report["after"]["parameters"] < report["before"]["parameters"]
    assert report["latency"] == {}
    images = trainer.data.batch("test", torch.arange(20))[0]
    torch.testing.assert_close(load_compact("small").eval()(images), trainer.logits(images))

    done = run("compact", "runs/more", "--out", "small", "--epoch", "1", "--no-latency", *OWN)
    assert done.code == 0
    assert done.out.splitlines()[0].startswith("parameters ")
    assert done.out.splitlines()[-1] == (
        "Saved in small. To load it: snnviz.export.load_compact('small')"
    )
    early = at("runs/more", 1).logits(images)
    torch.testing.assert_close(load_compact("small").eval()(images), early)


@pytest.mark.slow
def test_figures(run: Any, first: Path) -> None:
    names = ["learning_curves", "neurons_on", "switch_map"]
    assert set(names) <= set(plots.OF_A_RUN)
    drawn = sorted(plots.OF_A_RUN)
    done = run("figures", "runs/first", "--formats", "png", "svg", "--width", "2.5", "--json")
    assert done.code == 0
    files = [f"figures/first/{name}.{kind}" for name in drawn for kind in ("png", "svg")]
    assert sorted(done.json["files"]) == files
    assert done.json["folder"] == "figures/first"
    for file in files[::2]:
        with Image.open(file) as picture:
            assert picture.width == 2.5 * 600
    assert run("figures", "runs/first", "--formats", "svg", "--out", "there").out.splitlines() == [
        f"there/{name}.svg" for name in plots.OF_A_RUN
    ]


@pytest.mark.slow
def test_report(run: Any, first: Path) -> None:
    assert run("report", "runs/first").out == "first.html\n"
    alone = Path("first.html").read_text(encoding="utf-8")
    done = run("report", "runs/first", "--html", "out/all.html", *OWN, "--json")
    assert done.json == {"file": "out/all.html", "bytes": Path("out/all.html").stat().st_size}
    assert '"fan_in"' in Path("out/all.html").read_text(encoding="utf-8")
    assert '"fan_in"' not in alone
    assert run("report", "runs/first", "--html", "a.pdf").err == (
        "snnviz: path must end in .html, got 'a.pdf'. Use 'a.pdf.html'.\n"
    )
