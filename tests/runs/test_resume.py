"""What was saved goes on as if it had never stopped: the same bytes in all that is trained."""

import gc
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snnviz import files
from snnviz.data import load_data
from snnviz.history import History
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.runs.lock import Lock
from snnviz.shrink import compact
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule
from tests.helpers import assert_same_history
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

STEPS = 16  # of a whole run under PLAN

KINDS: dict[str, dict[str, Any]] = {
    "sgd and adam, batch norm": {},
    "adam and sgd, no statistics": {
        "schedule": PLAN.replace(task_optimizer="adam", switcher_optimizer="sgd", task_lr=0.01),
        "norm": "group",
    },
    "through the switcher, held-out data, last epoch frozen": {
        "schedule": PLAN.replace(
            through_switcher=True, switcher_data="holdout", freeze_epochs=1, warmup_epochs=0
        ),
    },
    "no momentum": {"schedule": PLAN.replace(task_momentum=0.0)},
    "free factors": {"switcher": SwitcherConfig(reads="nothing")},
    "another neuron's descriptors": {"switcher": SwitcherConfig(reads="shuffled")},
    "random numbers": {"switcher": SwitcherConfig(reads="random")},
    "a size": {"schedule": PLAN.replace(size=0.6, size_of="neurons", size_from=0.25)},
}


# Every kind takes a whole run from each of its steps; two are enough for `make quick`.
QUICK = ("sgd and adam, batch norm", "another neuron's descriptors")
CASES = [pytest.param(k, marks=() if k in QUICK else pytest.mark.slow) for k in KINDS]


@pytest.fixture(scope="module", params=CASES)
def kind(request: pytest.FixtureRequest) -> dict[str, Any]:
    options = KINDS[request.param]
    return {**options, "whole": finish(make(**options))}


@pytest.mark.slow
def test_stopped_at_any_step(kind: dict[str, Any], tmp_path: Path) -> None:
    whole, options = kind["whole"], {k: v for k, v in kind.items() if k != "whole"}
    norm = options.get("norm", "batch")
    steps = whole.position.step
    assert steps >= STEPS - 3
    twin = make(**options)
    for stop in range(steps + 1):
        folder = tmp_path / str(stop)
        with make(folder, **options) as first:
            go(first, stop)
            first.save()
        with resume(folder, norm) as second:
            assert_same(second, twin)
            finish(second)
            assert_same(second, whole)
        assert_same_history(History.load(folder), whole.history)
        if stop < steps:
            twin.step()


@pytest.mark.slow
def test_looking_changes_nothing(tmp_path: Path) -> None:
    with make(tmp_path / "a") as first:
        go(first, 8)
        first.evaluate()
        _ = first.factors
        first.save()
        assert_same(first, resume_in_copy(tmp_path / "a"))
        finish(first)
    assert_same(first, finish(make()))


def resume_in_copy(folder: Path) -> Trainer:
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.copytree(folder, copy)
    return resume(copy)


ACTIONS = st.one_of(
    st.tuples(st.just("steps"), st.integers(1, 6)),
    st.tuples(st.just("save"), st.none()),
    st.tuples(st.just("reopen"), st.none()),
    st.tuples(st.just("rollback"), st.none()),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(
        st.just("schedule"),
        st.sampled_from(
            [
                {"task_lr": 0.005},
                {"batch_size": 32},
                {"task_optimizer": "adam"},
                {"task_optimizer": "sgd"},
                {"switcher_data": "holdout"},
                {"task_steps": 1, "switcher_steps": 1},
            ]
        ),
    ),
)


@pytest.mark.slow
@settings(max_examples=25)
@given(actions=st.lists(ACTIONS, max_size=9))
def test_any_story_with_and_without_stops(
    actions: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A law: to save, close and resume at any time changes nothing of what comes."""
    folder = tmp_path_factory.mktemp("story") / "run"
    kept, twin = make(folder), make()
    for action, value in actions:
        for trainer in (kept, twin):
            if action == "steps":
                go(trainer, min(value, 40 if not trainer.finished else 0))
            elif action == "schedule":
                trainer.schedule = trainer.schedule.replace(**value, epochs=5)
            elif action in ("rollback", "reset"):
                getattr(trainer, action)()
        if action == "save":
            kept.save()
        elif action == "reopen":
            kept.save()
            kept.close()
            kept = resume(folder)
        assert_same(kept, twin)
        if kept.finished:
            break
    kept.close()


def test_without_saving_it_goes_on_from_the_last_epochs_end(tmp_path: Path) -> None:
    with make(tmp_path / "a") as first:
        go(first, 8)
    second = resume(tmp_path / "a")
    assert second.position.epoch == 1
    assert second.history.n_epochs == 1
    twin = make()
    go(twin, second.position.step)
    assert_same(second, twin)


@pytest.mark.slow
def test_rollback_and_reset_after_a_resume(tmp_path: Path) -> None:
    twin = make()
    with make(tmp_path / "a") as first:
        for each in (first, twin):
            go(each, 7)
        first.save()
    with resume(tmp_path / "a") as second:
        for each in (second, twin):
            each.rollback()
        assert_same(second, twin)
        for each in (second, twin):
            go(each, 5)
            each.reset()
        assert_same(second, twin)
    with resume(tmp_path / "a") as third:
        assert_same(third, twin)
        for each in (third, twin):
            finish(each)
        assert_same(third, twin)


def test_back_to_an_earlier_epoch_drops_what_came_later(tmp_path: Path) -> None:
    with make(tmp_path / "a") as first:
        finish(first)
    with resume(tmp_path / "a", epoch=1) as back:
        assert back.history.n_epochs == back.position.epoch == 1
        events = back.history.events
        note = events[events.event == "rollback"].iloc[-1]
        assert (note.epoch, note.step, note.detail) == (4, STEPS, "back to the end of epoch 1")
        kept = sorted(p.name[:12] for p in (tmp_path / "a" / "checkpoints").iterdir())
        assert kept == ["epoch-000000", "epoch-000001"]
        assert len(list((tmp_path / "a" / "history").iterdir())) == 4
        assert_same_history(History.load(tmp_path / "a"), back.history)
    with resume(tmp_path / "a") as again:
        finish(again)
        assert_same_but_for_notes(again, first)


@pytest.mark.slow
def test_back_into_the_middle_of_a_table(tmp_path: Path) -> None:
    plan = PLAN.replace(epochs=53, batch_size=64, switcher_steps=0)
    with make(tmp_path / "a", plan) as first:
        finish(first)
    with resume(tmp_path / "a", epoch=30) as back:
        assert_same_history_up_to(back, first, 30)
        assert_same_history(History.load(tmp_path / "a"), back.history)
        finish(back)
    names = sorted(p.name[:19] for p in (tmp_path / "a" / "history").glob("steps-*"))
    assert names == [
        "steps-000001-000050",
        "steps-000051-000051",
        "steps-000052-000052",
        "steps-000053-000053",
    ]
    assert_same_history(History.load(tmp_path / "a"), back.history)
    assert_same_but_for_notes(back, first)


def assert_same_history_up_to(one: Trainer, other: Trainer, epoch: int) -> None:
    rows = other.history.epoch_rows()[:epoch]
    assert one.history.epoch_rows() == rows
    assert len(one.history.steps) == rows[-1][1]


# --- killed at any moment ------------------------------------------------------------------------


SHORT = PLAN.replace(epochs=2)


class Killed(BaseException):
    """Nothing in the project catches it."""


def dying_after(operations: int, patch: pytest.MonkeyPatch) -> None:
    """Whoever changes a file dies just before the change of this number."""
    left = itertools.count(operations, -1)

    def dying(real: Callable) -> Callable:
        def change(*args: Any, **options: Any) -> Any:
            if next(left) <= 0:
                raise Killed
            return real(*args, **options)

        return change

    patch.setattr(os, "replace", dying(os.replace))
    patch.setattr(Path, "unlink", dying(Path.unlink))
    patch.setattr("snnviz.runs.record.append", dying(lambda *_: None))


def story(trainer: Trainer, done: list[int]) -> None:
    """Epochs, saves in their middle, another schedule and a rollback."""
    while trainer.position.step < 8:
        trainer.step()
        done[0] = trainer.history.n_epochs
    trainer.save()
    if not trainer.history.n_events:
        trainer.schedule = SHORT.replace(task_lr=0.01)
    if trainer.history.n_events == 1:
        trainer.step()
        trainer.rollback()
    while not trainer.finished:
        trainer.step()
        done[0] = trainer.history.n_epochs


@pytest.mark.slow  # some hundred runs
def test_killed_at_any_change_of_a_file(tmp_path: Path) -> None:
    """Whatever is on the disk then, the run goes on, and ends as one that was never killed.

    At every second change, that is; the kills of test_kill.py come whenever they like.
    """
    whole = make(None, SHORT)
    story_of_the_twin(whole)
    for operations in itertools.count(step=2):
        folder, done = tmp_path / str(operations), [0]
        with pytest.MonkeyPatch.context() as patch:
            dying_after(operations, patch)
            try:
                trainer = None
                trainer = make(folder, SHORT)
                story(trainer, done)
                finished = True
            except Killed:
                finished = False
        if trainer is not None:
            trainer.close()
        gc.collect()  # gives back the lock of a trainer that never came to be
        if not (folder / "config.json").exists():
            again = make(folder, SHORT)
        else:
            assert History.load(folder).n_epochs >= done[0]
            again = resume(folder)
        story(again, done)
        assert_same_history(History.load(folder), again.history)
        assert_same_but_for_notes(again, whole)
        again.close()
        look_clean(folder)
        if finished:
            break
    assert operations > 30


def story_of_the_twin(trainer: Trainer) -> None:
    go(trainer, 8)
    trainer.schedule = SHORT.replace(task_lr=0.01)
    trainer.step()
    trainer.rollback()
    finish(trainer)


def look_clean(folder: Path) -> None:
    """A folder has nothing in it that its run does not need."""
    names = sorted(p.name[:-25] for p in (folder / "history").glob("*.parquet"))
    kinds = ("epochs", "factors", "steps")
    assert names == [f"{kind}-{e:06}-{e:06}" for kind in kinds for e in (1, 2)]
    epochs = [p.name[:12] for p in (folder / "checkpoints").iterdir()]
    assert sorted(set(epochs)) == [f"epoch-{e:06}" for e in range(3)]
    assert not list(folder.rglob("*.tmp"))


# --- where a run comes from ----------------------------------------------------------------------


@pytest.mark.slow
def test_a_known_network_on_known_data_needs_no_more_than_its_folder(tmp_path: Path) -> None:
    data = load_data("fashion-mnist", device="cpu", holdout=0.5, augment="flip")
    mlp = network("mlp", data, seed=7)
    next(mlp.parameters()).requires_grad_(False)
    made = Trainer(
        mlp,
        data,
        Schedule(epochs=1),
        device="cpu",
        precision="float32",
        exclude=["fc2"],
        folder=tmp_path / "a",
    )
    go(made, 6)
    made.save()
    made.close()
    with Trainer.resume(tmp_path / "a") as second:
        assert_same(second, made)
        assert list(second.factors) == ["fc1"]
        assert second.data.source == data.source
        trained = [parameter.requires_grad for parameter in second.network.parameters()]
        assert trained == [False] + [True] * (len(trained) - 1)
        go(second, 3)
    twin = Trainer.at(tmp_path / "a")
    go(twin, 3)
    assert_same(second, twin)
    assert twin.folder is None


def normed_net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, DATA.n_classes),
    )  # fmt: skip


def test_what_is_weighted_only_is_so_ever_after(tmp_path: Path) -> None:
    made = Trainer(
        normed_net(), DATA, PLAN, device="cpu", precision="float32", weighted=["0"],
        folder=tmp_path / "a",
    )  # fmt: skip
    made.run(progress=False)
    made.close()
    own: dict[str, Any] = {"network": normed_net(), "data": DATA}
    again = Trainer.at(tmp_path / "a", **own)
    assert list(again.factors) == ["0", "5"]
    assert_same(again, made)
    with Trainer.fork(tmp_path / "a", 1, **own) as child:
        assert child.weighted == ("0",)
    assert list(made.branch(made.epoch_end).factors) == ["0", "5"]
    small, report = compact(made, latency=False)
    assert "0" not in report.widths
    images = DATA.batch("test", torch.arange(8))[0]
    torch.testing.assert_close(small.eval()(images), made.logits(images), rtol=1e-4, atol=1e-5)


def test_a_run_of_before_weighted_could_be_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "a").close()
    file = tmp_path / "a" / "config.json"
    content = json.loads(file.read_text())
    assert content.pop("weighted") == []
    file.write_text(json.dumps(content))
    assert Trainer.at(tmp_path / "a", network=tiny_net(), data=DATA).weighted == ()


def test_a_run_of_before_patterns_had_to_fit(tmp_path: Path) -> None:
    make(tmp_path / "a").close()
    file = tmp_path / "a" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"exclude": ["no_such_layer"]}))
    assert Trainer.at(tmp_path / "a", network=tiny_net(), data=DATA).exclude == ()


def test_another_networks_and_other_data_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "a").close()

    def said(**options: Any) -> str:
        with pytest.raises(ValueError, match=r".") as caught:
            Trainer.resume(tmp_path / "a", **options)
        return str(caught.value)

    without = "Its history and figures need neither data nor network: History.load(folder)."
    own = "Pass the run's own data: data=ImageData.from_tensors(...)."
    assert said(network=tiny_net()) == (f"this run was made with data of your own. {own} {without}")
    assert said(data=DATA) == (
        "this run was made with a network of your own. "
        f"Pass a network with the run's architecture: network=... {without}"
    )
    assert said(data=DATA, network=tiny_net("group")) == (
        "network differs from the run's network: its tensor '1.running_mean' is missing, "
        "but the run's is float32 6. Pass a network with the run's architecture: network=..."
    )
    other = DATA.to("cpu")
    other.train.images[0, 0, 0, 0] += 1
    message = said(data=other, network=tiny_net())
    other.train.images[0, 0, 0, 0] -= 1  # the tensor is shared
    assert message.startswith(
        "data differs from the run's data: its train split is uint8 64x1x8x8, "
    )
    assert message.endswith(own)


def _with_frozen(*frozen: str) -> nn.Module:
    made = tiny_net()
    for name in frozen:
        made.get_parameter(name).requires_grad_(False)
    return made


FROZEN = "4.weight"


@pytest.mark.parametrize(
    "others", [[], ["4.bias"], [FROZEN, "4.bias"]], ids=["none", "another", "more"]
)
def test_what_was_frozen_stays_so(others: list[str], tmp_path: Path) -> None:
    """Otherwise the optimizer's moments would belong to other parameters."""
    options: dict[str, Any] = {"seed": 3, "device": "cpu", "precision": "float32"}
    twin = Trainer(_with_frozen(FROZEN), DATA, PLAN, **options)
    made = Trainer(_with_frozen(FROZEN), DATA, PLAN, folder=tmp_path / "a", **options)
    go(made, 5)
    made.save()
    made.close()
    with pytest.raises(ValueError, match=r".") as caught:
        Trainer.resume(tmp_path / "a", network=_with_frozen(*others), data=DATA)
    name, trained = ("4.bias", True) if FROZEN in others else (FROZEN, False)
    assert str(caught.value) == (
        "network must have the same frozen parameters as the run's network, and "
        f"{name!r} has requires_grad={not trained}, but the run's has {trained}. "
        f"Set it before: network.get_parameter({name!r}).requires_grad_({trained})."
    )
    with Trainer.resume(tmp_path / "a", network=_with_frozen(FROZEN), data=DATA) as resumed:
        assert_same(finish(resumed), finish(twin))
    assert torch.equal(resumed.network.get_parameter(FROZEN), tiny_net().get_parameter(FROZEN))


def test_a_run_of_before_frozen_parameters_were_written_down(tmp_path: Path) -> None:
    make(tmp_path / "a").close()
    file = tmp_path / "a" / "config.json"
    content = json.loads(file.read_text())
    assert content.pop("frozen") == []
    file.write_text(json.dumps(content))
    assert Trainer.at(tmp_path / "a", network=tiny_net(), data=DATA).position.step == 0


def test_other_surroundings_are_told(tmp_path: Path) -> None:
    make(tmp_path / "a").close()
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with pytest.warns(UserWarning, match=r"^The run continues") as warned:
            resume(tmp_path / "a").close()
    finally:
        torch.set_num_threads(threads)
    assert [str(each.message) for each in warned] == [
        "The run continues in a different environment from the one it started in: the number of "
        f"threads was {threads} and is {threads + 1}. From now on its numbers may differ in their "
        "last bits."
    ]
    assert warned[0].filename == __file__.replace("test_resume", "conftest")


def test_the_lock_is_given_back_when_nothing_comes_of_a_resume(tmp_path: Path) -> None:
    make(tmp_path / "a").close()
    with pytest.raises(ValueError, match=r"^this run was made with"):
        Trainer.resume(tmp_path / "a")
    Lock(tmp_path / "a").release()


def test_a_write_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    files.write(file, b"old")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
