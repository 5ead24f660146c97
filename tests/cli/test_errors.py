"""Errors: one line on stderr, and the exit code."""

import json
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from snnviz import cli
from snnviz.cli import training
from tests.cli.example import OWN, SMALL, Done, at


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "trian",
            'Unknown command "trian". Did you mean "train"? Available commands: train, resume, '
            "fork, show, compact, figures, report, export-log, ... See: snnviz --help",
        ),
        (
            "train --schedule.epochs 2.5",
            "Invalid value for --schedule.epochs: it must be a whole number, got '2.5'. "
            "See: snnviz train --help",
        ),
        (
            "train --holdout many",
            "Invalid value for --holdout: it must be a number, got 'many'. "
            "See: snnviz train --help",
        ),
        (
            "train --schedul.epochs 3",
            "Unknown option: --schedul.epochs. Did you mean --schedule.epochs? "
            "See: snnviz train --help",
        ),
        (
            "train --schedule.task-steps 0",
            "schedule.task_steps must be at least 1, got 0. To train the switcher nearly alone, "
            "use task_steps=1 and many switcher_steps. See: snnviz train --help",
        ),
        (
            "train --schedule 3",
            "--schedule has fields, each an option of its own, such as --schedule.epochs 3. "
            "See: snnviz train --help",
        ),
        (
            "fork runs/first --schedule=3",
            "--schedule has fields, each an option of its own, such as --schedule.epochs 3. "
            "See: snnviz fork --help",
        ),
        (
            "show runs first",
            "'first' belongs to no option. Options have names that begin with --. "
            "See: snnviz show --help",
        ),
        (
            "train --schedule.task-lr fast",
            "Invalid value for --schedule.task-lr: it must be a number, got 'fast'. "
            "See: snnviz train --help",
        ),
        (
            "train --data img",
            "data must be one of 'fashion-mnist', 'mnist', 'kmnist', 'cifar10', 'cifar100', "
            "'svhn', 'folder:PATH', got 'img'. For the images in this folder, use folder:img. "
            "See: snnviz train --help",
        ),
        (
            "resume",
            'Command "resume" parameter RUN requires an argument. See: snnviz resume --help',
        ),
        (
            "fork runs/first --data folder:img --schedule.epochs 0",
            "schedule.epochs must be at least 1, got 0. See: snnviz fork --help",
        ),
    ],
)
def test_wrong_usage_is_2_and_one_line(run: Any, first: Path, words: str, message: str) -> None:
    before = sorted(Path("runs").iterdir())
    assert run(*words.split()) == Done(2, "", f"snnviz: {message}\n")
    assert sorted(Path("runs").iterdir()) == before


HOW = "with PATH/train/<class>/ and PATH/test/<class>/."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("show nowhere", "folder 'nowhere' is missing. Give a folder of runs."),
        (
            "show runs/first/config.json",
            "folder 'runs/first/config.json' is a file. Give a folder of runs.",
        ),
        (
            "resume img",
            "folder 'img' contains no run: config.json is missing. "
            "Give a folder that Trainer(..., folder=...) has written.",
        ),
        (
            "train --name first",
            "folder 'runs/first' already holds a run. To resume it: snnviz resume runs/first; "
            "to branch off from it: snnviz fork runs/first --epoch N; or give another --name.",
        ),
        (
            "fork runs/first --name first",
            "folder 'runs/first' already holds a run. To resume it: snnviz resume runs/first; "
            "to branch off from it: snnviz fork runs/first --epoch N; or give another --name.",
        ),
        (
            "resume runs/first",
            "run 'runs/first' was trained on your own images. Say where they are: "
            "--data folder:PATH, " + HOW,
        ),
        (
            "resume runs/first --data mnist",
            "data must be folder:PATH, got 'mnist'. If the run was trained on a data set that "
            "snnviz knows, leave --data out.",
        ),
        (
            "compact runs/first --data folder:img --epoch 9 --out small",
            "epoch must be one of the run in 'runs/first', from 0 (the start) to 3, got 9. "
            "To train more epochs, continue the run: snnviz resume runs/first.",
        ),
        (
            "fork runs/first --data folder:img --epoch 99",
            "epoch must be one of the run in 'runs/first', from 0 (the start) to 3, got 99. "
            "To train more epochs, continue the run: snnviz resume runs/first.",
        ),
        (
            "figures runs/first --formats bmp",
            "formats must be some of 'pdf', 'svg', 'png', got 'bmp'. "
            "For another format, use matplotlib's own figure.savefig.",
        ),
        (
            "train --data folder:img --network mlp --folder img/train/class0/00.png",
            "nothing can be written in 'img/train/class0/00.png/mlp-img' ([Errno 20] Not a "
            "directory: 'img/train/class0/00.png/mlp-img'). Make room, or keep the run elsewhere.",
        ),
    ],
)
def test_what_can_be_fixed_is_1_and_one_line(
    run: Any, first: Path, words: str, message: str
) -> None:
    assert run(*words.split(), *[]) == Done(1, "", f"snnviz: {message}\n")


def test_advice_to_call_the_trainer_is_given_as_a_command(run: Any, first: Path) -> None:
    last = max((first / "checkpoints").glob("epoch-000003-*"))
    last.write_bytes(last.read_bytes()[:-1])
    done = run("resume", "runs/first", *OWN)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"snnviz: the file 'runs/first/checkpoints/{last.name}' is damaged (its content does not "
        "fit the checksum in its name); restore it from a copy, or continue from the newest "
        "intact one before it: snnviz resume runs/first --epoch 2, which discards all later "
        "epochs.\n"
    )
    assert run("resume", "runs/first", "--epoch", "2", *OWN).code == 0
    assert at(first).position.epoch == 3


def test_a_bug_shows_its_traceback(run: Any, monkeypatch: pytest.MonkeyPatch, first: Path) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli.reading, "show", broken)
    with pytest.raises(RuntimeError, match=r"^a bug$"):
        run("show")


def test_full_memory_is_no_bug(run: Any, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("Tried to allocate 20 GiB.")

    monkeypatch.setattr(training.Trainer, "step", full)
    assert run("train", *SMALL).code == 1
    done = run("resume", "runs/mlp-img", *OWN)
    assert done.err.splitlines()[-1] == (
        "snnviz: Tried to allocate 20 GiB. Try a smaller --schedule.batch-size, or --device cpu."
    )


def test_an_interruption_before_training(
    run: Any, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.sources, "load", interrupted)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    done = run("train", *SMALL)
    assert done == Done(130, "", "snnviz: interrupted; nothing was saved.\n")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_warning_is_a_note_in_one_line(run: Any, first: Path) -> None:
    config = json.loads((first / "config.json").read_text())
    config["made_with"]["threads"] = 99
    (first / "config.json").write_text(json.dumps(config))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = run("resume", "runs/first", *OWN)
    assert done.code == 0
    assert done.err.splitlines()[0] == (
        "note: The run continues in a different environment from the one it started in: the "
        f"number of threads was 99 and is {torch.get_num_threads()}. From now on its numbers may "
        "differ in their last bits."
    )
