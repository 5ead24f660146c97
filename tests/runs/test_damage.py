"""Run folders that were cut short, altered or made up: a message, and no code is run."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from snnviz.history import History
from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.helpers import Trap, message_of
from tests.runs.conftest import (
    DATA,
    PLAN,
    assert_same,
    assert_same_but_for_notes,
    finish,
    go,
    make,
    resume,
    tiny_net,
)

FITS_NOT = "its content does not fit the checksum in its name"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was saved in the middle of its third epoch."""
    folder = tmp_path_factory.mktemp("pristine") / "a"
    with make(folder) as made:
        go(made, 12)
        assert made.position.epoch == 2
        made.save()
    return folder


@pytest.fixture
def run(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "a")
    return tmp_path / "a"


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").iterdir(), key=lambda p: p.name.split("step-")[1])


def damaged(file: Path, why: str, advice: str) -> str:
    kind = "folder" if file.is_dir() else "file"
    return f"the {kind} {str(file)!r} is damaged ({why}); {advice}"


def offer(run: Path, epoch: int) -> str:
    return (
        "restore it from a copy, or continue from the newest intact one before it: "
        f"Trainer.resume({str(run)!r}, epoch={epoch}), which discards all later epochs."
    )


COPY = "restore it from a copy."


def cut(file: Path) -> str:
    file.write_bytes(file.read_bytes()[:-100])
    return FITS_NOT


def flip(file: Path) -> str:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    return FITS_NOT


def remove(file: Path) -> str:
    file.unlink()
    return "it is missing"


# --- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", [cut, flip, remove])
def test_the_last_checkpoint(harm: Callable[[Path], str], run: Path) -> None:
    last = checkpoints(run)[-1]
    why = harm(last)
    assert message_of(lambda: resume(run)) == damaged(last, why, offer(run, 2))
    with resume(run, epoch=2) as back:
        assert back.position.epoch == 2
        twin = finish(make())
        finish(back).history._notes.clear()
        assert_same(back, twin)


def test_the_last_checkpoints(run: Path) -> None:
    start, _, second, last = checkpoints(run)
    cut(last)
    cut(second)
    assert message_of(lambda: resume(run)) == damaged(last, FITS_NOT, offer(run, 1))
    assert message_of(lambda: resume(run, epoch=2)) == damaged(second, FITS_NOT, offer(run, 1))
    for file in checkpoints(run):
        cut(file)
    assert message_of(lambda: resume(run)) == damaged(last, FITS_NOT, COPY)
    assert message_of(lambda: resume(run, epoch=0)) == damaged(start, FITS_NOT, COPY)


def test_a_damaged_start_is_no_hindrance(run: Path) -> None:
    start = checkpoints(run)[0]
    cut(start)
    with pytest.warns(
        UserWarning, match=r"The run continues without it, but reset\(\) will not work\.$"
    ):
        back = resume(run)
    go(back, 1)
    before = back.position
    assert message_of(back.reset) == (
        f"reset() cannot return to the start: {damaged(start, FITS_NOT, COPY)}"
    )
    assert back.position == before
    back.rollback()
    assert_same_but_for_notes(finish(back), finish(make()))


def test_a_damaged_epochs_end_is_no_hindrance(run: Path) -> None:
    end = checkpoints(run)[2]
    cut(end)
    with pytest.warns(
        UserWarning, match=r"The run continues without it, but rollback\(\) will not work\.$"
    ):
        back = resume(run)
    assert message_of(back.rollback).startswith("rollback() cannot return to the end of epoch 2: ")
    assert_same(finish(back), finish(make()))
    back.rollback()


def parts(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return tensors, json.loads(opened.metadata()["snnviz"])


def put(run: Path, data: bytes, name: str | None = None) -> Path:
    """Other content in the last checkpoint's place, with checksums that fit."""
    last = checkpoints(run)[-1]
    digest = hashlib.sha256(data).hexdigest()[:16]
    new = last.with_name(f"{name or last.name.rsplit('-', 1)[0]}-{digest}.safetensors")
    last.unlink()
    new.write_bytes(data)
    alter_pointer(run, lambda d: d["run"].update({"checkpoint": new.name}))
    return new


def alter_pointer(run: Path, change: Callable[[dict], Any]) -> Path:
    path = run / "history" / "history.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["sha256"]
    change(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


FORGED: list[tuple[Callable[[dict, dict], Any], str]] = [
    (lambda t, j: t.pop("network/0.weight"), "network/0.weight is missing"),
    (
        lambda t, j: t.update({"network/0.weight": torch.zeros(7, 1, 3, 3)}),
        "network/0.weight is (7, 1, 3, 3) torch.float32, not (6, 1, 3, 3) torch.float32",
    ),
    (
        lambda t, j: t.update({"network/0.weight": torch.zeros(6, 1, 3, 3, dtype=torch.int64)}),
        "network/0.weight is (6, 1, 3, 3) torch.int64, not (6, 1, 3, 3) torch.float32",
    ),
    (lambda t, j: t.update({"more": torch.zeros(3)}), "it has an unknown tensor more"),
    (lambda t, j: j.pop("state"), "'state' is missing"),
    (lambda t, j: j.update({"format": "1"}), "a count is '1'"),
    (lambda t, j: j.update({"events": 3}), "its epoch or step differs from that in its name"),
    (
        lambda t, j: j["state"]["position"].update({"step": 11}),
        "its epoch or step differs from that in its name",
    ),
    (
        lambda t, j: j["state"]["position"].update({"batch": 4}),
        "Position(step=12, epoch=2, batch=4, round_step=3) does not occur in its schedule",
    ),
    (
        lambda t, j: j["state"]["position"].update({"round_step": 10**9}),
        "Position(step=12, epoch=2, batch=2, round_step=1000000000) does not occur in its schedule",
    ),
    (lambda t, j: j["state"]["position"].update({"step": -1}), "a count is '-1'"),
    (lambda t, j: j["state"]["position"].update({"step": "12"}), "position/step is '12'"),
    (lambda t, j: j["state"]["position"].update({"x": 1}), "position has different parts from the"),
    (lambda t, j: j["state"]["running"].update({"loss": []}), "running/loss is '[]'"),
    (
        lambda t, j: j["state"]["schedule"].update({"task_steps": 0}),
        "schedule.task_steps must be at least 1, got 0.",
    ),
    (lambda t, j: j["state"]["schedule"].update({"x": 0}), "its schedule has other fields"),
    (
        lambda t, j: j["state"]["task_order"].update({"seed": 1}),
        "task_order has the seed 1, which is not the run's",
    ),
    (
        lambda t, j: j["state"]["task_order"].update({"drawn": 10**30}),
        "a count is '1" + 30 * "0" + "'",
    ),
    (
        lambda t, j: j["state"]["task_optimizer"]["state"].update({"99": {}}),
        "task_optimizer has no parameter 99",
    ),
    (
        lambda t, j: j["state"]["task_optimizer"]["state"].update({"01": {}}),
        "task_optimizer has no parameter 01",
    ),
    (
        lambda t, j: j["state"]["task_optimizer"]["state"]["0"].update({"evil": 1}),
        "task_optimizer has momentum_buffer, evil for a parameter",
    ),
    (
        lambda t, j: j["state"]["task_optimizer"]["param_groups"].clear(),
        "task_optimizer has different groups of parameters",
    ),
    (
        lambda t, j: t.update({"switcher_optimizer/state/0/exp_avg": torch.zeros(2)}),
        "switcher_optimizer/state/0/exp_avg is (2,) torch.float32, not (",
    ),
    (lambda t, j: j["state"].update({"factors": {}}), "factors has different parts from the"),
    (lambda t, j: j["state"].update({"code": "import os"}), "it contains network, "),
    (lambda t, j: j.update({"state": [1]}), "list indices must be integers or slices, not str"),
]


@pytest.mark.parametrize(("change", "why"), FORGED)
def test_checkpoints_that_were_made_up(
    change: Callable[[dict, dict], Any], why: str, run: Path
) -> None:
    tensors, content = parts(checkpoints(run)[-1])
    change(tensors, content)
    file = put(run, save(tensors, {"snnviz": json.dumps(content)}))
    said = message_of(lambda: resume(run))
    assert said.startswith(f"the file {str(file)!r} is damaged ({why}")
    assert said.endswith(f"); {offer(run, 2)}")


def test_checkpoints_of_other_making(run: Path) -> None:
    tensors, content = parts(checkpoints(run)[-1])
    nan = json.dumps(content).replace('"loss": ', '"loss": NaN, "x": ', 1)
    deep = "[" * 100_000
    for data, why in (
        (save(tensors, {"snnviz": nan}), "NaN is not JSON"),
        (save(tensors, {"snnviz": deep}), "maximum recursion depth exceeded"),
        (save(tensors, {"other": "x"}), "'snnviz' is missing"),
        (save(tensors), "'__metadata__' is missing"),
        (b"", "its header is longer than the file"),
        (b"\xff" * 8 + b"{}", "its header is longer than the file"),
        (b"\x02" + b"\x00" * 7 + b"[]", "it holds a list, not an object"),
    ):
        file = put(run, data)
        said = message_of(lambda: resume(run))
        assert said.startswith(f"the file {str(file)!r} is damaged ({why}"), said


def test_a_checkpoint_of_a_newer_version(run: Path) -> None:
    tensors, content = parts(checkpoints(run)[-1])
    file = put(run, save(tensors, {"snnviz": json.dumps({**content, "format": 4})}))
    assert message_of(lambda: resume(run)) == (
        f"the checkpoint {str(file)!r} has format 4, and this version of snnviz reads up to 3; "
        "install a newer snnviz."
    )


def test_no_pickle_is_read(run: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    file = put(run, pickle.dumps(Trap(sprung)))
    assert message_of(lambda: resume(run)).startswith(f"the file {str(file)!r} is damaged (")
    torch.save(Trap(sprung), tmp_path / "trap.pt")
    file = put(run, (tmp_path / "trap.pt").read_bytes())
    assert message_of(lambda: resume(run)).startswith(f"the file {str(file)!r} is damaged (")
    for name in ("config.json", "history/history.json"):
        (run / name).write_bytes(pickle.dumps(Trap(sprung)))
        with pytest.raises(ValueError, match=r"^the file .* is damaged"):
            resume(run)
    assert not sprung.exists()


def test_a_file_that_is_far_too_large_is_not_read(run: Path) -> None:
    last = checkpoints(run)[-1]
    os.truncate(last, 2**33)
    said = message_of(lambda: resume(run))
    assert said.startswith(
        f"the file {str(last)!r} is damaged (it has 8589934592 bytes, where at most "
    )
    os.truncate(run / "config.json", 2**33)
    said = message_of(lambda: resume(run))
    assert said == damaged(
        run / "config.json", "it has 8589934592 bytes, where at most 16777216 are expected", COPY
    )


@pytest.mark.skipif(os.name != "posix", reason="links as on Unix")
@pytest.mark.parametrize("what", ["checkpoints", "history", "config.json"])
def test_links_out_of_the_folder_are_refused(what: str, run: Path, tmp_path: Path) -> None:
    (run / what).rename(tmp_path / "elsewhere")
    (run / what).symlink_to(tmp_path / "elsewhere")
    said = message_of(lambda: resume(run))
    assert "is damaged (it is a link that leads out of the folder); restore it" in said


@pytest.mark.parametrize(
    "name", ["../../x", "x", 5, None, "/etc/passwd", "epoch-000002-step-00000012-event-0000-é"]
)
def test_a_pointer_to_another_file(name: Any, run: Path) -> None:
    path = alter_pointer(run, lambda d: d["run"].update({"checkpoint": name}))
    assert message_of(lambda: resume(run)) == damaged(
        path, "it names no checkpoint of the run", COPY
    )


def test_a_saved_history_is_no_run(run: Path) -> None:
    path = alter_pointer(run, lambda d: d.update({"run": None}))
    assert message_of(lambda: resume(run)) == damaged(
        path, "it names no checkpoint of the run", COPY
    )
    assert History.load(run).n_epochs == 2
    said = message_of(lambda: History.load(run).save(run / "history"), FileExistsError)
    assert said == (
        f"folder {str(run / 'history')!r} is the history of a recorded run; "
        "give the name of a new or empty folder."
    )


# --- the history ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("harm", [cut, flip, remove])
@pytest.mark.parametrize(
    ("pattern", "epoch"),
    [("factors-000002", 1), ("steps-000001", 0), ("epochs-000002", 1), ("unfinished", 2)],
)
def test_a_damaged_table(pattern: str, epoch: int, harm: Callable[[Path], str], run: Path) -> None:
    (file,) = (run / "history").glob(f"{pattern}*")
    why = harm(file)
    if harm is not remove:
        assert message_of(lambda: resume(run)) == damaged(file, why, offer(run, epoch))
    else:
        said = message_of(lambda: resume(run))
        assert said.startswith(f"the folder {str(run / 'history')!r} is damaged (the ")
        assert said.endswith("missing); restore it from a copy.")
    with resume(run, epoch=epoch) as back:
        assert_same_but_for_notes(finish(back), finish(make()))


def test_a_damaged_pointer(run: Path) -> None:
    path = run / "history" / "history.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"epochs": 2', '"epochs": 1'))
    assert message_of(lambda: resume(run)) == damaged(path, "its checksum does not fit", COPY)
    path.unlink()
    assert message_of(lambda: resume(run), FileNotFoundError) == (
        f"folder {str(run)!r} contains no complete run: {path} is missing. "
        "Restore that file from a copy."
    )


def test_the_log_is_never_read(run: Path) -> None:
    log = run / "events.jsonl"
    torn = log.read_bytes() + b'{"time": "20'
    log.write_bytes(torn)
    with resume(run) as back:
        assert_same(finish(back), finish(make()))
    lines = log.read_bytes().split(b"\n")
    assert b'{"time": "20' in lines
    events = [json.loads(line)["event"] for line in lines if line and line != b'{"time": "20']
    assert events == ["created", "epoch", "epoch", "saved", "resumed", "epoch"]


# --- config.json ---------------------------------------------------------------------------------


def configured(run: Path, change: Callable[[dict], Any]) -> Iterator[Path]:
    path = run / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    yield path


CONFIGS: list[tuple[Callable[[dict], Any], str]] = [
    (
        lambda c: c["schedule"].update({"task_steps": 0}),
        "schedule.task_steps must be at least 1, got 0. To train the switcher nearly alone, "
        "use task_steps=1 and many switcher_steps",
    ),
    (
        lambda c: c["schedule"].update({"speed": 1}),
        "schedule has no field 'speed'; it has " + ", ".join(vars(Schedule())),
    ),
    (lambda c: c.update({"schedule": 5}), "schedule must be an object, got '5'"),
    (
        lambda c: c["switcher"].update({"gain": -1}),
        "switcher.gain must be a number above 0, got -1",
    ),
    (lambda c: c.pop("seed"), "'seed' is missing"),
    (lambda c: c.update({"seed": -3}), "seed must be a whole number from 0 to 2**64 - 1, got -3"),
    (
        lambda c: c.update({"seed": 10**30}),
        "seed must be a whole number from 0 to 2**64 - 1, got 1000",
    ),
    (lambda c: c.update({"keep_every": 0}), "a whole number of at least 1 is expected, got '0'"),
    (
        lambda c: c.update({"precision": "float16"}),
        "precision must be one of 'float32', 'bfloat16', got 'float16'",
    ),
    (lambda c: c.update({"exclude": "x"}), "exclude must be a list, got 'x'"),
    (lambda c: c.update({"exclude": [5]}), "exclude must be text, got '5'"),
    (lambda c: c.update({"weighted": "x"}), "weighted must be a list, got 'x'"),
    (lambda c: c.update({"weighted": [5]}), "weighted must be text, got '5'"),
    (
        lambda c: c.update({"network": {"name": "os.system", "seed": 0}}),
        "network.name must be one of 'mlp', ",
    ),
    (
        lambda c: c.update({"data": {"name": "../x", "holdout": 0, "augment": "none"}}),
        "data.name must be one of 'fashion-mnist', ",
    ),
    (
        lambda c: c.update({"data": {"name": "mnist", "holdout": "1", "augment": "none"}}),
        "data.holdout must be a number of at least 0, got '1'",
    ),
    (
        lambda c: c.update({"parent": {"run": "../../x", "epoch": 1}}),
        "parent.run must be the plain name of a folder, without / and not beginning or ending "
        "with a dot, got '../../x'",
    ),
    (lambda c: c.update({"path": "/etc"}), "it has no field 'path'; it has schedule, "),
    (lambda c: c.update({"tensors": {"a": 5}}), "tensors.a must be text, got '5'"),
    (lambda c: c["made_with"].pop("torch"), "'torch' is missing"),
]


@pytest.mark.parametrize(("change", "why"), CONFIGS)
def test_altered_configs(change: Callable[[dict], Any], why: str, run: Path) -> None:
    (path,) = configured(run, change)
    said = message_of(lambda: resume(run))
    assert said.startswith(f"the file {str(path)!r} cannot be used: {why}")
    assert said.endswith(". Correct it, or restore it from a copy.")


def test_a_config_of_a_newer_version(run: Path) -> None:
    (path,) = configured(run, lambda c: c.update({"format": 2, "more": 1}))
    assert message_of(lambda: resume(run)) == (
        f"the file {str(path)!r} has format 2, and this version of snnviz reads up to 1; "
        "install a newer snnviz."
    )


def test_another_seed_is_noticed(run: Path) -> None:
    configured(run, lambda c: c.update({"seed": 4})).__next__()
    last = checkpoints(run)[-1]
    said = message_of(lambda: resume(run))
    assert said == damaged(last, "task_order has the seed 6, which is not the run's", offer(run, 2))


def test_other_exclusions_are_noticed(run: Path) -> None:
    configured(run, lambda c: c.update({"exclude": ["4"]})).__next__()
    assert message_of(lambda: resume(run)) == (
        f"network must have the switch groups of the run in {str(run)!r}, 0 (6), 4 (4), got 0 (6). "
        "Pass the original network=, or use the version of snnviz that made the run."
    )


def test_nothing_is_written_to_a_run_that_cannot_be_read(run: Path) -> None:
    cut(checkpoints(run)[-1])
    before = {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file() and p.name != "lock"}
    with pytest.raises(ValueError, match="is damaged"):
        resume(run)
    with pytest.raises(ValueError, match="is damaged"):
        Trainer.at(run, network=tiny_net(), data=DATA)
    after = {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file() and p.name != "lock"}
    assert after == before
    assert Trainer.at(run, 1, network=tiny_net(), data=DATA).schedule == PLAN
