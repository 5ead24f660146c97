"""`snnviz train`, `resume` and `fork`."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from snnviz.runs import Trainer
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import Schedule
from tests.cli.example import OWN, SMALL, Done, at, by_hand
from tests.runs.conftest import assert_same


def test_train_does_as_the_options_say(run: Any, place: Path) -> None:
    patterns = ["--exclude", "score*", "scores", "--weighted", "fc*"]
    done = run("train", *SMALL, "--keep-every", "2", *patterns, "--json")
    assert done.code == 0
    trainer = by_hand()
    assert_same(at("runs/mlp-img"), trainer)
    last = trainer.history.epochs.iloc[-1]
    assert {**done.json, "last_epoch": None} == {
        "run": "mlp-img",
        "folder": "runs/mlp-img",
        "state": "finished",
        "epochs": 3,
        "planned": 3,
        "steps": trainer.position.step,
        "last_epoch": None,
        "resume": None,
    }
    reported = done.json["last_epoch"]
    assert list(reported) == list(last.index)
    assert {**reported, "seconds": 0} == {**last.to_dict(), "seconds": 0}
    config = json.loads(Path("runs/mlp-img/config.json").read_text())
    assert config["exclude"] == ["score*", "scores"]
    assert config["weighted"] == ["fc*"]
    assert run("show", "runs/mlp-img", "--json").json["kept"] == [
        0,
        *sorted({2, 3, int(trainer.history.epochs["test_accuracy"].argmax()) + 1}),
    ]


def test_without_a_terminal_epochs_are_lines(run: Any, place: Path) -> None:
    done = run("train", *SMALL, "--name", "a b")
    epochs = [
        f"test accuracy {row['test_accuracy']:.2%}, {row['neurons_on']} of 400 neurons on"
        for row in by_hand().history.epochs.to_dict("records")
    ]
    assert done.err.splitlines() == [
        "runs/a b: epoch 0 of 3 done",
        *(f"epoch {i}/3: {words}" for i, words in enumerate(epochs, 1)),
    ]
    assert done.out == f"runs/a b: finished after 3 of 3 epochs\n{epochs[-1]}\n"


def test_in_a_terminal_there_is_a_bar(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    done = run("train", *SMALL, "--json")
    bar = done.err.split("\r")[-1]
    assert re.match(r"100%\|█+\| (\d+)/\1 \[.*step/s, test accuracy \S+%, \d+ of 400 neurons", bar)
    assert "epoch 1/3" not in done.err
    assert done.json["state"] == "finished"


@pytest.mark.slow
def test_a_runs_config_makes_the_same_run(run: Any, first: Path) -> None:
    for config in ("runs/first", "runs/first/config.json"):
        name = f"again-{len(config)}"
        assert run("train", "--config", config, *OWN, "--name", name).code == 0
        assert_same(at(f"runs/{name}"), at(first))


def test_options_come_before_the_file(run: Any, first: Path) -> None:
    words = ["--name", "more", "--schedule.epochs", "1", "--network-seed", "7"]
    assert run("train", "--config", "runs/first", *OWN, *words).code == 0
    mine, its = (
        json.loads(Path(f"runs/{name}/config.json").read_text()) for name in ("more", "first")
    )
    assert mine["schedule"] == {**its["schedule"], "epochs": 1}
    assert mine["network"] == {"name": "mlp", "seed": 7, "width": 1.0}
    assert (mine["seed"], mine["images"]) == (its["seed"], its["images"])


def test_a_config_says_when_it_cannot_say_all(run: Any, first: Path) -> None:
    done = run("train", "--config", "runs/first")
    assert done == Done(
        2,
        "",
        "snnviz: data must be one of 'fashion-mnist', 'mnist', 'kmnist', 'cifar10', 'cifar100', "
        "'svhn', 'folder:PATH', got 'one of your own'. See: snnviz train --help\n",
    )


def test_the_switcher_that_ships(run: Any, place: Path) -> None:
    Path("learned").mkdir()  # a file of that name is written ./learned
    held = (*SMALL, "--schedule.switcher-lr", "0", "--schedule.warmup-epochs", "0")
    assert run("train", *held, "--switcher", "learned", "--name", "held").code == 0
    ships = Switcher.learned().parameters()
    for mine, its in zip(at("runs/held").switcher.parameters(), ships, strict=True):
        assert torch.equal(mine, its)


def test_a_switcher_that_has_learned_is_taken_from_its_file(run: Any, place: Path) -> None:
    taught = Switcher(SwitcherConfig(gain=2.0, gain_rule="fixed"))
    torch.nn.init.ones_(taught.layers[-1].weight)  # type: ignore[arg-type]
    file = str(taught.save("taught.safetensors"))
    held = [*SMALL, "--schedule.switcher-lr", "0", "--schedule.warmup-epochs", "0"]
    assert run("train", *held, "--switcher", file, "--name", "held").code == 0
    trainer = at("runs/held")
    assert trainer.switcher.config == taught.config
    for mine, its in zip(trainer.switcher.parameters(), taught.parameters(), strict=True):
        assert torch.equal(mine, its)
    assert any((factors != 1).any() for factors in trainer.factors.values())

    # Its config cannot make it again without the file.
    again = ["train", "--config", "runs/held", *OWN, "--name", "again"]
    assert run(*again) == Done(
        2,
        "",
        "snnviz: learned must be given here, for the run of this config began with a switcher "
        "that had learned. Name its file: --switcher FILE. See: snnviz train --help\n",
    )
    assert run(*again, "--switcher", file).code == 0
    assert_same(at("runs/again"), trainer)


def test_a_switcher_from_a_file_is_built_as_the_file_says(run: Any, place: Path) -> None:
    file = str(Switcher().save("new.safetensors"))
    assert run("train", *SMALL, "--switcher", file, "--switcher.gain", "3") == Done(
        2,
        "",
        "snnviz: the switcher in 'new.safetensors' is built as its file says, and the options "
        "--switcher.… say something else. Leave them out. See: snnviz train --help\n",
    )
    assert run("train", *SMALL, "--switcher", "none") == Done(
        1,
        "",
        "snnviz: there is no file 'none'. Give a file that trainer.switcher.save(path) has "
        "written.\n",
    )
    assert not Path("runs").exists()


def test_names_are_free_ones(run: Any, place: Path) -> None:
    folders = [run("train", *SMALL, "--json").json for _ in range(2)]
    assert [found["folder"] for found in folders] == ["runs/mlp-img", "runs/mlp-img-2"]


def test_resume_drops_what_came_later(run: Any, first: Path) -> None:
    whole = at(first)
    done = run("resume", "runs/first", "--epoch", "1", *OWN, "--json")
    assert (done.code, done.json["state"], done.json["epochs"]) == (0, "finished", 3)
    assert at(first).history._steps == whole.history._steps
    assert [event for _, _, event, *_ in at(first).history._notes] == ["rollback"]


def test_a_finished_run_says_how_to_train_on(run: Any, first: Path) -> None:
    done = run("resume", "runs/first", *OWN)
    assert done.code == 0
    where = Path("img").resolve()
    how = f"snnviz fork runs/first --schedule.epochs 4 --data folder:{where}"
    assert done.err == (
        f"All 3 planned epochs are done. To train on: {how}\nruns/first: epoch 3 of 3 done\n"
    )
    done = run(*shlex.split(how)[1:], "--json")
    assert (done.code, done.json["folder"], done.json["epochs"]) == (0, "runs/first-at-3", 4)


@pytest.mark.slow
def test_a_fork_does_as_its_parent_unless_told(run: Any, first: Path) -> None:
    same = run("fork", "runs/first", "--epoch", "1", "--name", "same", *OWN, "--json")
    assert (same.code, same.json["folder"]) == (0, "runs/same")
    assert_same(at("runs/same"), at(first))

    words = ["--schedule.switcher-steps", "0", "--schedule.task-lr", "0.01"]
    other = run("fork", "runs/first", "--epoch", "2", *words, *OWN, "--json")
    assert (other.code, other.json["folder"]) == (0, "runs/first-at-2")
    mine, its = at("runs/first-at-2"), at(first)
    assert mine.schedule == its.schedule.replace(switcher_steps=0, task_lr=0.01)
    assert mine.history.epoch_rows()[:2] == its.history.epoch_rows()[:2]
    assert mine.history.epoch_rows()[2] != its.history.epoch_rows()[2]


def test_training_that_cannot_go_on(run: Any, place: Path) -> None:
    done = run("train", *SMALL, "--schedule.task-lr", "1e30")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"snnviz: The loss became (nan|inf) at step \d+ \(task phase, epoch 1\)\. Try a lower "
        r"schedule\.task_lr \(now 1e\+30\) or schedule\.switcher_lr "
        rf"\(now {re.escape(f'{Schedule().switcher_lr:g}')}\), or a lower "
        r"gain of the switcher\. The run is saved up to epoch 0\. To go on from there with other "
        r"options, such as --schedule\.task-lr: snnviz fork runs/mlp-img --epoch 0 "
        r"--data folder:\S+",
        done.err.splitlines()[-1],
    )
    how = shlex.split(done.err.splitlines()[-1].rpartition(": snnviz ")[2])
    assert run(*how, "--schedule.task-lr", "0.01").code == 0


# --- a folder that cannot be written ----------------------------------------------------------


@pytest.fixture
def _folder_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's folder is removed in the second epoch, once."""
    step = Trainer.step

    def stepping(self: Trainer) -> Any:
        if self.folder and self.position.step == 6:
            shutil.rmtree("runs/mlp-img")
        return step(self)

    monkeypatch.setattr(Trainer, "step", stepping)


@pytest.mark.usefixtures("_folder_goes")
def test_a_run_that_cannot_be_saved_ends(run: Any, place: Path) -> None:
    done = run("train", *SMALL)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1] == (
        "snnviz: the run could not be saved in 'runs/mlp-img' ([Errno 2] No such file or "
        "directory: 'runs/mlp-img/lock'). Everything saved before is safe. Make room, then: "
        f"snnviz resume runs/mlp-img --data folder:{place}/img"
    )


@pytest.mark.usefixtures("_folder_goes")
def test_in_a_terminal_it_asks_for_another_folder(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["\n", "img\n", "rescued\n"])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    done = run("train", *SMALL, "--json")
    assert (done.code, done.json["folder"]) == (0, "rescued")
    assert list(answers) == []
    assert_same(at("rescued"), by_hand())
    asked_for = re.findall(r"The run could not be saved \((.*?)\)\. Everything", done.err)
    gone = "[Errno 2] No such file or directory: 'runs/mlp-img/lock'"
    assert asked_for[:2] == [gone, gone]
    assert asked_for[2].startswith("folder must be a new or empty one, got 'img', which holds ")


@pytest.mark.usefixtures("_folder_goes")
def test_a_terminal_that_goes_away_ends_it(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Terminal(iter([])))
    done = run("train", *SMALL)
    assert done.code == 1
    assert "snnviz: the run could not be saved in 'runs/mlp-img'" in done.err.splitlines()[-1]


class Terminal:
    def __init__(self, answers: Any) -> None:
        self.answers = answers

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return next(self.answers, "")
