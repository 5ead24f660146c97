"""The command line: what it makes of options, what it says, and how it ends."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import snnviz as sv
from snnviz import cli, plots
from snnviz.cli import notebook, training
from snnviz.cli.options import RunOptions, WrongUsage, asked, filled, from_file, given
from snnviz.export import load_compact
from snnviz.history import History
from snnviz.runs import Trainer
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import Schedule
from tests.runs.conftest import assert_same

ROOT = Path(__file__).parents[2]
# Four task steps an epoch, of which the later ones have switcher steps between them.
SMALL = shlex.split(
    "--network mlp --data folder:img --holdout 16 --augment shift --seed 3 --device cpu "
    "--precision float32 --schedule.epochs 3 --schedule.batch-size 16 --schedule.task-steps 3 "
    "--schedule.switcher-steps 2"
)
OWN = ["--data", "folder:img"]


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 training and 20 test images of 8 x 8 in 4 classes, each a bright band on noise."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, n in (("train", 20), ("test", 5)):
        for kind in range(4):
            (place := folder / split / f"class{kind}").mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 80, (8, 8), dtype=np.uint8)
                pixels[2 * kind : 2 * kind + 2] += 120
                Image.fromarray(pixels).save(place / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """A folder with the images and a finished run, to be copied."""
    place = tmp_path_factory.mktemp("trained")
    shutil.copytree(images, place / "img")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert cli.main(["train", *SMALL, "--name", "first"]) == 0
    return place


@pytest.fixture
def place(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with images in `img`."""
    shutil.copytree(images, tmp_path / "img")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def first(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run, in the working folder."""
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return Path("runs/first")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


def data() -> sv.ImageData:
    return sv.ImageData.from_folder("img", holdout=16, augment="shift", device="cpu")


def at(folder: Path | str, epoch: int | None = None) -> Trainer:
    return Trainer.at(folder, epoch, data=data())


# --- options ----------------------------------------------------------------------------------


def documented(kind: type) -> dict[str, str]:
    """{field: its help}, read from the docstring by hand."""
    lines = (kind.__doc__ or "").partition("Attributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    for line in filter(str.strip, lines):
        if name := re.match(r" {8}(\w+): (.*)", line):
            found[name[1]] = name[2]
        else:
            found[list(found)[-1]] += " " + line.strip()
    return found


@pytest.mark.parametrize(
    ("command", "kind", "prefix"),
    [
        ("train", RunOptions, ""),
        ("train", Schedule, "schedule."),
        ("train", SwitcherConfig, "switcher."),
        ("fork", Schedule, "schedule."),
    ],
)
def test_every_field_is_an_option_with_its_help(
    run: Any, command: str, kind: type, prefix: str
) -> None:
    shown = run(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    words = " ".join(shown.out.replace("│", " ").split())
    helps = documented(kind)
    plain = [f for f in dataclasses.fields(kind) if not dataclasses.is_dataclass(f.type)]
    assert plain
    for field in plain:
        name = f"--{prefix}{field.name.replace('_', '-')}"
        option = re.escape(field.metadata.get("option", name))
        default = ""
        if command == "train" and field.default not in (None, ()):
            shown_as = field.default
            shown_as = " ".join(shown_as) if isinstance(shown_as, tuple) else str(shown_as)
            default = rf" \[default: {re.escape(shown_as)}\]"
        text = re.escape(helps[field.name]) + default
        assert re.search(rf"{option}( [A-Z.|]+| --\S+)? {text}( |$)", words), field.name


def test_the_help_names_exit_codes_and_commands(run: Any) -> None:
    shown = run()
    assert shown == run("--help")
    assert shown.code == 0
    text = " ".join(shown.out.split())
    assert (
        "Exit codes: 0 done; 1 an error that you can mend, which stands in one line on stderr; "
        "2 wrong usage; 130 interrupted." in text
    )
    commands = re.findall(r"│ (\w+) {3,}", shown.out)
    assert commands == ["train", "resume", "fork", "show", "compact", "figures", "lab", "sweep"]


def test_what_is_left_out_is_not_given() -> None:
    kind = asked(RunOptions)
    assert given(kind()) == {}
    schedule = dataclasses.replace(kind().schedule, through_switcher=False)
    options = kind(seed=0, exclude=(), schedule=schedule)
    assert given(options) == {"seed": 0, "exclude": (), "schedule": {"through_switcher": False}}


def test_later_layers_come_before_earlier_ones_field_by_field() -> None:
    made = filled(
        RunOptions,
        {"seed": 1, "schedule": {"epochs": 5, "task_lr": 0.1}, "exclude": ["a"]},
        {"seed": 2, "schedule": {"task_lr": 0.2}, "switcher": {"gain": 0.5}},
    )
    schedule, switcher = Schedule(epochs=5, task_lr=0.2), SwitcherConfig(gain=0.5)
    assert made == RunOptions(seed=2, exclude=("a",), schedule=schedule, switcher=switcher)


NETWORKS = ", ".join(sv.networks.NETWORKS)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "lenet"}, f"network must be one of {NETWORKS}, got 'lenet'."),
        (
            {"data": "folder:"},
            "data must be one of fashion-mnist, mnist, kmnist, cifar10, cifar100, svhn, "
            "folder:PATH, got 'folder:'.",
        ),
        (
            {"augment": ["flip"]},
            "augment must be one of none, shift, flip, shift+flip, got ['flip'].",
        ),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5."),
        ({"device": 3}, "device must be text, got 3."),
        ({"exclude": "conv1"}, "exclude must be a list of patterns, got 'conv1'."),
        ({"weighted": [3]}, "weighted must be a list of patterns, got [3]."),
        (
            {"size": 32},
            "size is for images of your own, got 32 with 'fashion-mnist'. Leave it out, or name a "
            "folder of images: data=folder:PATH.",
        ),
        (
            {"name": "../up"},
            "name must be the plain name of a folder, without / and not beginning or ending with "
            "a dot, got '../up'.",
        ),
        ({"schedule": 3}, "schedule must be a table of options, got 3."),
        ({"schedule": {"epochs": "3"}}, "schedule.epochs must be a whole number, got '3'."),
        (
            {"switcher": {"width": 3}},
            "switcher: there is no option 'width'; there are activation, gain, gain_rule, reads, "
            "descriptors.",
        ),
    ],
)
def test_options_that_are_not_allowed(options: dict, message: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        filled(RunOptions, options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"seed": 4, "schedule": {"task_lr": 0.1, "warmup-epochs": 0}}'),
        ("a.toml", "seed = 4\n[schedule]\ntask_lr = 0.1\nwarmup-epochs = 0\n"),
    ],
)
def test_a_file_of_options(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    options = from_file(tmp_path / name)
    assert options == {"seed": 4, "schedule": {"task_lr": 0.1, "warmup_epochs": 0}}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", None, "config 'a.json' cannot be read: No such file or directory."),
        (
            "a.json",
            "seed = 3",
            "config 'a.json' must be a file of JSON (or .toml): "
            "Expecting value: line 1 column 1 (char 0).",
        ),
        ("a.json", "[1]", "config 'a.json' must hold a table of options."),
        ("a.json", '{"sed": 1}', "there is no option 'sed'; there are network, "),
        ("a.toml", "[schedule]\nepochs = 2.5", "schedule.epochs must be a whole number, got 2.5."),
    ],
)
def test_a_file_of_options_that_is_none(
    place: Path, run: Any, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (place / name).write_text(text)
    done = run("train", "--config", name)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"snnviz: {message}")
    assert done.err.endswith(" See: snnviz train --help\n")
    assert done.err.count("\n") == 1
    assert not (place / "runs").exists()


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "trian",
            'Unknown command "trian". Did you mean "train"? Available commands: train, resume, '
            "fork, show, compact, figures, lab, sweep. See: snnviz --help",
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
            "resume img",
            "folder 'img' holds no run: config.json is missing. "
            "Give a folder that Trainer(..., folder=...) has written.",
        ),
        (
            "train --name first",
            "folder 'runs/first' already holds a run. Go on with it: snnviz resume runs/first; "
            "branch off from it: snnviz fork runs/first --epoch N; or give another --name.",
        ),
        (
            "fork runs/first --name first",
            "folder 'runs/first' already holds a run. Go on with it: snnviz resume runs/first; "
            "branch off from it: snnviz fork runs/first --epoch N; or give another --name.",
        ),
        (
            "resume runs/first",
            "run 'runs/first' has images of your own. Say where they are: --data folder:PATH, "
            + HOW,
        ),
        (
            "resume runs/first --data mnist",
            "data must be folder:PATH, got 'mnist'. A run with data that snnviz knows finds them "
            "by itself: leave it out.",
        ),
        (
            "compact runs/first --data folder:img --epoch 9 --out small",
            "epoch must be one that the run in 'runs/first' has, 0 (the start) to 3, got 9. "
            "To train more of them, go on with the run: snnviz resume runs/first.",
        ),
        (
            "fork runs/first --data folder:img --epoch 99",
            "epoch must be one that the run in 'runs/first' has, 0 (the start) to 3, got 99. "
            "To train more of them, go on with the run: snnviz resume runs/first.",
        ),
        (
            "figures runs/first --formats bmp",
            "formats must be some of 'pdf', 'svg', 'png', got 'bmp'. "
            "For another format, use matplotlib's own figure.savefig.",
        ),
        (
            "train --data folder:img --network mlp --folder img/train/class0/00.png",
            "nothing can be written in 'img/train/class0/00.png/mlp-img' ([Errno 20] Not a "
            "directory: 'img/train/class0/00.png/mlp-img'). Make room, or keep the run in another "
            "place.",
        ),
    ],
)
def test_what_can_be_mended_is_1_and_one_line(
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
        "fit the checksum in its name); restore it from a copy, or go on from the newest good one "
        "before it: snnviz resume runs/first --epoch 2, which drops what came later.\n"
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
        "note: The run goes on in other surroundings than it began in: the number of threads was "
        f"99 and is {torch.get_num_threads()}. Its numbers may differ in their last bits from now "
        "on."
    )


# --- training ---------------------------------------------------------------------------------


def by_hand() -> Trainer:
    """What the options of `SMALL` say, in Python."""
    images = data()
    schedule = Schedule(epochs=3, batch_size=16, task_steps=3, switcher_steps=2)
    trainer = Trainer(
        sv.network("mlp", images, 3), images, schedule, seed=3, device="cpu", precision="float32"
    )
    trainer.run(progress=False)
    return trainer


def test_train_does_as_the_options_say(run: Any, place: Path) -> None:
    patterns = ["--exclude", "none*", "such", "--weighted", "nothing"]
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
    assert config["exclude"] == ["none*", "such"]
    assert config["weighted"] == ["nothing"]
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
        "snnviz: data must be one of fashion-mnist, mnist, kmnist, cifar10, cifar100, svhn, "
        "folder:PATH, got 'one of your own'. See: snnviz train --help\n",
    )


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
        r"schedule\.task_lr \(now 1e\+30\) or schedule\.switcher_lr \(now 0\.001\), or a lower "
        r"gain of the switcher\. The run is saved up to epoch 0\. Go on there with other options "
        r"\(--schedule…\): snnviz fork runs/mlp-img --epoch 0 --data folder:\S+",
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
        "directory: 'runs/mlp-img/lock'). What had been saved before is safe. Make room, then: "
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
    asked_for = re.findall(r"The run could not be saved \((.*?)\)\. What was", done.err)
    gone = "[Errno 2] No such file or directory: 'runs/mlp-img/lock'"
    assert asked_for[:2] == [gone, gone]
    assert asked_for[2].startswith("folder 'img' is not empty. ")


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


# --- interruptions ----------------------------------------------------------------------------

# Stands still in a step of the second epoch: until it has been interrupted, or for ever.
STANDING = """
import sys, time
from snnviz import cli
from snnviz.cli.training import Interruptions, Trainer

made, enter, step = [], Interruptions.__enter__, Trainer.step
Interruptions.__enter__ = lambda self: made.append(self) or enter(self)

def stepping(self):
    if self.position.step == 6:
        print("standing", file=sys.stderr, flush=True)
        while not made[0].asked or "for ever" == HOW_LONG:
            time.sleep(0.01)
    return step(self)

Trainer.step = stepping
sys.exit(cli.main(sys.argv[1:]))
"""


def standing(how_long: str) -> subprocess.Popen:
    code = STANDING.replace("HOW_LONG", repr(how_long))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, "train", *SMALL, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    read_until(process, "standing")
    return process


def read_until(process: subprocess.Popen, line: str) -> None:
    assert process.stderr is not None
    lines = []
    for words in process.stderr:
        lines.append(words)
        if words.startswith(line):
            return
    pytest.fail("".join(lines))


posix = pytest.mark.skipif(os.name != "posix", reason="Windows has other signals")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_saves_and_says_how_to_resume(run: Any, place: Path, number: int) -> None:
    process = standing("until interrupted")
    process.send_signal(number)
    out, err = process.communicate()
    done = Done(process.returncode, out, err)
    assert done.code == 130, done.err
    assert done.err == "\nFinishing the step and saving … (Ctrl-C again leaves at once)\n"
    how = f"snnviz resume runs/mlp-img --data folder:{place}/img"
    assert (done.json["state"], done.json["resume"]) == ("interrupted", how)
    assert (done.json["epochs"], done.json["steps"]) == (1, 7)

    resumed = run(*shlex.split(how)[1:], "--json")
    assert (resumed.code, resumed.json["state"]) == (0, "finished")
    assert_same(at("runs/mlp-img"), by_hand())


@posix
def test_a_second_interruption_leaves_at_once(run: Any, place: Path) -> None:
    process = standing("for ever")
    process.send_signal(signal.SIGINT)
    read_until(process, "Finishing the step and saving")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    how = f"snnviz resume runs/mlp-img --data folder:{place}/img"
    assert (process.returncode, out) == (130, "")
    assert err == f"\nLeft at once. All epochs that had ended are safe. Go on: {how}\n"
    assert at("runs/mlp-img").position.epoch == 1
    assert run(*shlex.split(how)[1:]).code == 0
    assert_same(at("runs/mlp-img"), by_hand())


@posix
def test_what_a_shell_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with training.Interruptions(str):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_says_how_to_go_on_in_words(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def stepping(self: Trainer) -> Any:
        if self.position.step == 6:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Trainer, "step", stepping)
    done = run("train", *SMALL)
    assert done.code == 130
    first, _, how = done.out.splitlines()
    assert first == "runs/mlp-img: interrupted after 1 of 3 epochs"
    assert how == f"Go on: snnviz resume runs/mlp-img --data folder:{place}/img"


# --- what a run has left behind ---------------------------------------------------------------


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
        "data of your own",
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
        "Saved in small. Load it: snnviz.export.load_compact('small')"
    )
    early = at("runs/more", 1).logits(images)
    torch.testing.assert_close(load_compact("small").eval()(images), early)


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


# --- the lab ----------------------------------------------------------------------------------


def test_the_labs_notebook_goes_on_with_the_run(
    run: Any, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(notebook, "_wait_for", lambda words: started.append(words) or 0)
    done = run("lab", "runs/first", *OWN, "--no-browser", "--port", "9000")
    assert (done.code, done.out) == (0, "")
    file = Path("runs/first.ipynb").resolve()
    assert done.err == f"{file}: Ctrl-C here ends JupyterLab\n"
    (words,) = started
    assert [word for word in words if word != "--allow-root"] == [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={file.parent}"),
        *("--LabApp.default_url=/lab/tree/first.ipynb", "--no-browser", "--port=9000"),
    ]

    import nbformat

    made = nbformat.read(file, as_version=4)
    nbformat.validate(made)
    monkeypatch.chdir("runs")  # where the kernel starts
    names: dict[str, Any] = {}
    for cell in made.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    try:
        assert repr(names["lab"]) == (
            f"Lab(idle, 3 of 3 epochs done, step {names['trainer'].position.step})"
        )
        assert names["trainer"].folder.resolve() == Path("first").resolve()
    finally:
        names["lab"].close()
        names["trainer"].close()


def test_a_notebook_that_is_there_is_left_alone(
    run: Any, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "_wait_for", lambda words: 0)
    Path("runs/first.ipynb").write_text("mine")
    assert run("lab", "runs/first", *OWN).code == 0
    assert Path("runs/first.ipynb").read_text() == "mine"


def test_a_lab_without_jupyterlab(run: Any, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "find_spec", lambda name: None if name == "jupyterlab" else name)
    assert run("lab", "runs/first", *OWN) == Done(
        1, "", "snnviz: the lab needs jupyterlab. Install it: pip install 'snnviz[lab]'\n"
    )


@posix
def test_signals_are_left_to_jupyterlab() -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "signal.pause()"
    )
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert notebook._wait_for([sys.executable, "-c", code]) == 7
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


# --- as a program -----------------------------------------------------------------------------


def test_it_is_a_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, name = project["scripts"]["snnviz"].split(":")
    assert getattr(import_module(module), name) is cli.main
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "snnviz", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{project['version']}\n", "")


@posix
def test_a_reader_that_leaves_is_no_error(first: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "snnviz", "show", "runs/first"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
