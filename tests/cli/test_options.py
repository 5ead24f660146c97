"""Options from dataclasses and from files, and what is said of wrong ones."""

import dataclasses
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import snnviz as sv
from snnviz.cli.convert import expand_home
from snnviz.cli.files import read_options
from snnviz.cli.options import RunOptions, WrongUsage, collect_given, fill, make_options
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule
from tests.cli.example import SMALL


def documented(kind: type) -> dict[str, str]:
    """{field: its help}, read from the docstring by hand."""
    # From Python 3.13 on the docstring itself is no longer indented.
    lines = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    for line in filter(str.strip, lines):
        if name := re.match(r" {4}(\w+): (.*)", line):
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
            value = field.default
            value = " ".join(value) if isinstance(value, tuple) else str(value)
            default = rf" \[default: {re.escape(value)}\]"
        text = re.escape(helps[field.name].replace("`", "")) + default
        assert re.search(rf"{option}( [A-Z.|]+| --\S+)? {text}( |$)", words), field.name


def test_the_help_names_exit_codes_and_commands(run: Any) -> None:
    shown = run()
    assert shown == run("--help")
    assert shown.code == 0
    text = " ".join(shown.out.split())
    assert (
        "Exit codes: 0 done; 1 an error that you can fix, explained in one line on stderr; "
        "2 wrong usage; 130 interrupted." in text
    )
    # No line breaks but those of the terminal's width.
    for paragraph in shown.out.partition("╭")[0].split("\n\n"):
        lines = paragraph.strip().splitlines()
        for line, after in pairwise(lines):
            assert len(f"{line} {after.split()[0]}") > 80, line
    commands = re.findall(r"│ (\w[\w-]*) {3,}", shown.out)
    assert commands == [
        "train",
        "resume",
        "fork",
        "show",
        "compact",
        "figures",
        "report",
        "export-log",
        "lab",
        "sweep",
    ]


def test_what_is_left_out_is_not_given() -> None:
    kind = make_options(RunOptions)
    assert collect_given(kind()) == {}
    schedule = dataclasses.replace(kind().schedule, through_switcher=False)
    options = kind(seed=0, exclude=(), schedule=schedule)
    assert collect_given(options) == {
        "seed": 0,
        "exclude": (),
        "schedule": {"through_switcher": False},
    }


def test_later_layers_come_before_earlier_ones_field_by_field() -> None:
    made = fill(
        RunOptions,
        {"seed": 1, "schedule": {"epochs": 5, "task_lr": 0.1}, "exclude": ["a"]},
        {"seed": 2, "schedule": {"task_lr": 0.2}, "switcher": {"gain": 0.5}},
    )
    schedule, switcher = Schedule(epochs=5, task_lr=0.2), SwitcherConfig(gain=0.5)
    assert made == RunOptions(seed=2, exclude=("a",), schedule=schedule, switcher=switcher)


def test_a_list_in_a_file_is_a_tuple() -> None:
    made = fill(RunOptions, {"switcher": {"descriptors": ["length"]}, "weighted": ["a"]})
    assert made.switcher == SwitcherConfig(descriptors=("length",))
    assert made.weighted == ("a",)


NETWORKS = ", ".join(map(repr, sv.networks.NETWORKS))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "lenet"}, f"network must be one of {NETWORKS}, got 'lenet'."),
        (
            {"data": "folder:"},
            "data must be one of 'fashion-mnist', 'mnist', 'kmnist', 'cifar10', 'cifar100', "
            "'svhn', 'folder:PATH', got 'folder:'.",
        ),
        (
            {"augment": ["flip"]},
            "augment must be a single value, got ['flip'].",
        ),
        (
            {"augment": "turn"},
            "augment must be one of 'none', 'shift', 'flip', 'shift+flip', got 'turn'.",
        ),
        (
            {"seed": 1.5},
            "seed must be a whole number from 0 to 2**64 - 1, got 1.5. Use for example seed=1.",
        ),
        (
            {"keep_every": True},
            "keep_every must be a whole number of at least 1, got True. "
            "Use for example keep_every=1.",
        ),
        ({"width": "1"}, "width must be a finite number, got '1'."),
        ({"holdout": -1}, "holdout must be a finite number of at least 0, got -1."),
        ({"network": ["mlp"]}, "network must be a single value, got ['mlp']."),
        ({"size": [28, 28]}, "size must be a single value, got [28, 28]."),
        ({"name": {"a": 1}}, "name must be a single value, got {'a': 1}."),
        (
            {"data": "folder:img", "size": 0},
            "size must be a whole number of at least 1, got 0. Use for example size=1.",
        ),
        ({"device": 3}, "device must be text, got 3."),
        ({"exclude": "conv1"}, "exclude must be a list of patterns, got 'conv1'."),
        ({"weighted": [3]}, "weighted must be a list of patterns, got (3,)."),
        (
            {"size": 32},
            "size is for your own images, got 32 with 'fashion-mnist'. Leave it out, or name a "
            "folder of images: data=folder:PATH.",
        ),
        (
            {"name": "../up"},
            "name must be a name that a file can have on every system, got '../up', which has the "
            "character '/'. Use letters, digits, - and _, for example name='first'.",
        ),
        ({"schedule": 3}, "schedule must be a table of options, got 3."),
        ({"schedule": {"epochs": "3"}}, "schedule.epochs must be a whole number, got '3'."),
        (
            {"switcher": {"activation": ["relu"]}},
            "switcher.activation must be a single value, got ['relu'].",
        ),
        (
            {"schedule": {"epochs": [3]}},
            "schedule.epochs must be a single value, got [3].",
        ),
        (
            {"switcher": {"width": 3}},
            "there is no option 'switcher.width'. There are activation, gain, gain_rule, reads, "
            "descriptors.",
        ),
    ],
)
def test_options_that_are_not_allowed(options: dict, message: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        fill(RunOptions, options)
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
    options = read_options(tmp_path / name)
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
        ("a.json", '{"sed": 1}', "there is no option 'sed'. Did you mean 'seed'? There are net"),
        (
            "a.yaml",
            "seed: 1",
            "config 'a.yaml' must be JSON or .toml, got YAML. Write it as .toml.",
        ),
        (
            "a.toml",
            "[schedule]\nbatch-size = 16\nbatch_size = 32",
            "config 'a.toml': schedule.batch-size and schedule.batch_size are the same option. "
            "Keep one of them.",
        ),
        (
            "a.json",
            '{"seed": 1, "schedule": {"epochs": 1, "epochs": 2}}',
            "config 'a.json': the option 'epochs' is there twice. Keep one of them.",
        ),
        ("a.toml", 'network = ["mlp"]', "network must be a single value, got ['mlp']."),
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


def test_a_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"seed": 4}', encoding="utf-8-sig")
    assert read_options(tmp_path / "a.json") == {"seed": 4}


def test_a_copy_of_a_config_may_have_another_name(first: Path) -> None:
    found = read_options(first / "config.json")
    (first / "config.json").rename("mine.json")
    assert read_options(Path("mine.json")) == found


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    assert expand_home("~/runs/a") == Path("/home/me/runs/a")
    assert expand_home("./~/runs") == Path("~/runs").absolute()  # a folder that is called so
    assert expand_home("a/~") == Path("a/~")
    with pytest.raises(ValueError, match=r".") as caught:
        expand_home("~no.such.user/runs")
    assert str(caught.value) == (
        "the home folder in '~no.such.user/runs' is not known. Write the whole path."
    )


@pytest.mark.slow
def test_a_tilde_works_in_every_option_and_in_files(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place / "home"))
    monkeypatch.setenv("USERPROFILE", str(place / "home"))
    (place / "home").mkdir()
    (place / "img").rename(place / "home" / "img")
    (place / "home" / "a.toml").write_text('folder = "~/runs"\ndata = "folder:~/img"\n')
    words = [word for word in SMALL if word not in ("--data", "folder:img")]
    done = run("train", "--config=~/a.toml", *words, "--name", "a", "--json")
    assert (done.code, done.json["folder"]) == (0, "home/runs/a")
    assert run("show", "~/runs/a", "--json").json["state"] == "finished"
    own = "--data=folder:~/img"
    assert run("resume", "~/runs/a", own).code == 0
    assert run("fork", "~/runs/a", "--name", "b", own, "--epoch", "2").code == 0
    assert run("compact", "~/runs/b", "--out=~/small", "--no-latency", own).code == 0
    assert run("figures", "~/runs/b", "--out=~/pictures", "--formats", "svg").code == 0
    assert sorted(path.name for path in place.iterdir()) == ["home"]
    # Matplotlib may keep its cache there.
    there = sorted(p.name for p in (place / "home").iterdir() if not p.name.startswith("."))
    assert there == ["a.toml", "img", "pictures", "runs", "small"]
