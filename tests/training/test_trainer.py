"""Whole runs: against the slow twin, repeated, resumed, changed midway, and gone wrong."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from snnviz.data import BatchOrder, ImageData
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.switcher import ACTIVATIONS, SwitcherConfig
from snnviz.training import Position, Schedule, StepRecord, TrainingStopped
from tests import reference
from tests.helpers import assert_same_history, message_of
from tests.reference import LAYERS, Alternating, Residual, tiny_data
from tests.training.test_learners import same

FAST = SwitcherConfig(gain=20.0, gain_rule="fixed")
QUICK = Schedule(epochs=4, batch_size=16, task_steps=2, switcher_steps=1, switcher_lr=0.02)


def small(classes: int = 3) -> nn.Module:
    """A convolution with its norm, and a hidden layer; quick enough for hypothesis."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(36, 6),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(6, classes),
    )


def trainer(
    net: nn.Module | None = None,
    schedule: Schedule = QUICK,
    data: ImageData | None = None,
    **options: Any,
) -> Trainer:
    options = {"switcher": FAST, "device": "cpu", "precision": "float32"} | options
    return Trainer(small() if net is None else net, data or tiny_data(), schedule, **options)


def go(made: Trainer, steps: int) -> list[StepRecord]:
    return [made.step() for _ in range(steps)]


def future(made: Trainer) -> dict[str, Any]:
    """All of the state but for the seconds, which differ from run to run."""
    state = made.state_dict()
    running = state.pop("running")
    return {**state, "running": (running.loss, running.accuracy, running.steps)}


# --- against the reference -----------------------------------------------------------------------

RUNS: dict[str, tuple[Callable[[ImageData], nn.Module], tuple[int, int, int], Schedule]] = {
    "mlp": (lambda data: network("mlp", data), (1, 6, 6), Schedule()),
    "lenet5": (
        lambda data: network("lenet5", data),
        (1, 16, 16),
        Schedule(switcher_steps=2, freeze_epochs=1, switcher_decay="constant"),
    ),
    "vgg_small": (
        lambda data: network("vgg_small", data),
        (1, 4, 4),
        Schedule(switcher_data="holdout", warmup_epochs=0, task_decay="constant"),
    ),
    "own": (
        lambda data: reference.own(),
        (1, 8, 8),
        Schedule(switcher_optimizer="sgd", switcher_lr=0.05, through_switcher=True),
    ),
    "residual": (
        lambda data: Residual(),
        (1, 8, 8),
        Schedule(task_optimizer="adam", task_lr=2e-3, freeze_epochs=2, through_switcher=True),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_whole_run_against_plain_loops_with_hooks(name: str, device: torch.device) -> None:
    build, shape, plan = RUNS[name]
    plan = plan.replace(epochs=6, batch_size=12, task_steps=3)
    # Plain SGD on the switcher: Adam would turn rounding errors around 0 into whole steps.
    plan = plan.replace(switcher_optimizer="sgd", switcher_lr=0.05)
    data = tiny_data(shape, n=100, holdout=20)
    slow = SwitcherConfig(gain=2.0, gain_rule="fixed")  # no chaos within the run
    ours = trainer(build(data), plan, data, seed=5, device=device, switcher=slow)
    twin = Alternating(
        copy.deepcopy(ours.network).cpu(), copy.deepcopy(ours.switcher).cpu(), LAYERS[name], plan
    )
    twin.train(data, seed=5)
    ours.run(progress=False)
    steps = ours.history.steps
    assert len(steps) >= 30
    assert steps.phase.tolist() == [phase for phase, _, _ in twin.records]
    np.testing.assert_allclose(steps.lr, [lr for _, _, lr in twin.records], rtol=1e-12)
    rough = 1.0 if device.type == "cpu" else 10.0
    np.testing.assert_allclose(steps.loss, [x for _, x, _ in twin.records], atol=2e-4 * rough)
    for a, b in (
        (ours.network.state_dict(), twin.network.state_dict()),
        (ours.switcher.state_dict(), twin.switcher.state_dict()),
    ):
        for key, value in a.items():
            torch.testing.assert_close(
                value.cpu(), b[key], rtol=1e-3, atol=2e-4 * rough, msg=lambda m, k=key: f"{k}: {m}"
            )
    assert any(not torch.equal(s, torch.ones_like(s)) for s in ours.factors.values())
    twins = twin.factors or twin._fresh()
    for group, factors in ours.factors.items():
        torch.testing.assert_close(factors.cpu(), twins[group], rtol=1e-3, atol=5e-4 * rough)


@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_dense_run_is_plain_pytorch_to_the_bit(name: str, optimizer: str) -> None:
    plan = Schedule(
        epochs=3, batch_size=16, switcher_steps=0, task_optimizer=optimizer, task_lr=0.01
    )
    data = tiny_data(RUNS[name][1])
    ours = trainer(network(name, data), plan, data)
    plain = network(name, data).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kinds = {
        "sgd": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=5e-4, fused=True),
        "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=5e-4, fused=True),
    }
    theirs = kinds[optimizer](plain.parameters())
    order, losses = BatchOrder(len(data.train), 16, 0), []
    for step in range(3 * order.batches_per_epoch):
        theirs.param_groups[0]["lr"] = plan.learning_rate(
            "task", Position(epoch=step // 5, batch=step % 5), 5
        )
        images, labels = data.batch("train", order.next()[0])
        loss = F.cross_entropy(plain(images.contiguous(memory_format=torch.channels_last)), labels)
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        losses.append(loss.item())
    ours.run(progress=False)
    assert ours.history.steps.loss.tolist() == losses
    assert same(ours.network.state_dict(), plain.state_dict())
    assert all((s == 1).all() for s in ours.factors.values())
    assert ours.evaluate().accuracy == ours.history.epochs.test_accuracy.iloc[-1]


@pytest.mark.parametrize("plan", [QUICK, QUICK.replace(switcher_data="holdout", task_steps=1)])
def test_the_task_network_sees_the_same_batches_with_and_without_a_switcher(
    plan: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_data(holdout=16, augment="shift")
    seen: dict[int, list[Tensor]] = {}
    for steps in (0, 1):
        made = trainer(schedule=plan.replace(switcher_steps=steps), data=data)
        scores = made.learners.task_scores
        seen[steps] = []

        def task_scores(
            images: Tensor, *rest: Any, to: list = seen[steps], scores: Callable = scores
        ) -> Tensor:
            to.append(images.clone())
            return scores(images, *rest)

        monkeypatch.setattr(made.learners, "task_scores", task_scores)
        made.run(progress=False)
    assert len(seen[0]) == 4 * made.batches_per_epoch
    assert same(seen[0], seen[1])


def test_the_phases_of_a_run_are_those_of_its_schedule() -> None:
    plan = QUICK.replace(task_steps=3, switcher_steps=2, freeze_epochs=1)
    made = trainer(schedule=plan)
    made.run(progress=False)
    expected = reference.phases(plan, made.batches_per_epoch)
    steps = made.history.steps
    assert list(zip(steps.epoch - 1, steps.phase, strict=True)) == [(e, p) for e, _, p in expected]
    assert steps.step.tolist() == list(range(1, len(expected) + 1))


# --- frozen --------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("through", [False, True])
def test_what_each_step_of_a_run_leaves_alone(optimizer: str, through: bool) -> None:
    plan = QUICK.replace(
        task_optimizer=optimizer,
        switcher_optimizer=optimizer,
        through_switcher=through,
        freeze_epochs=1,
        task_lr=0.01,
    )
    made = trainer(schedule=plan)
    frozen: dict[str, Tensor] = {}
    while not made.finished:
        phase, stage = made.phase, plan.stage(made.position.epoch)
        before = made.learners.state_dict()
        factors = copy.deepcopy(made.factors)
        made.step()
        after = made.learners.state_dict()
        other = "network" if phase == "switcher" else "switcher"
        optimizers = "task_optimizer" if phase == "switcher" else "switcher_optimizer"
        assert same(before[other], after[other])
        assert same(before[optimizers], after[optimizers])
        if phase == "task" and not (through and stage == "alternating"):
            assert same(factors, made.factors) or (through and stage == "warm-up")
        if stage == "frozen":
            frozen = frozen or factors
            assert same(frozen, made.factors)
    assert frozen
    assert not all((s == 1).all() for s in frozen.values())


def test_the_data_of_the_switcher_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_data(holdout=20)
    made = trainer(data=data, schedule=QUICK.replace(switcher_data="holdout", batch_size=8))
    asked: list[str] = []
    batch = ImageData.batch

    def noted(self: ImageData, split: str, *rest: Any) -> tuple[Tensor, Tensor]:
        asked.append(split)
        return batch(self, split, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageData, "batch", noted)
    for _ in range(20):
        phase = made.phase
        asked.clear()
        made.step()
        assert asked[0] == ("holdout" if phase == "switcher" else "train")


# --- repeatability -------------------------------------------------------------------------------


def test_same_seed_same_run_to_the_bit() -> None:
    data = tiny_data(augment="shift+flip")
    runs = []
    for i in range(2):
        torch.manual_seed(100 + i)  # the user's own random state has no say
        net = small()
        torch.manual_seed(200 + i)
        made = trainer(net, data=data, seed=7)
        for _ in made:
            torch.rand(i + 1)
        runs.append(made)
    assert_same_history(*(run.history for run in runs))
    assert same(future(runs[0]), future(runs[1]))


def test_another_seed_is_another_run() -> None:
    runs = [trainer(seed=seed) for seed in (0, 1)]
    for made in runs:
        made.run(progress=False)
    losses = [made.history.steps.loss.to_numpy() for made in runs]
    assert (losses[0] != losses[1]).mean() > 0.9


def test_torchs_own_random_state_is_the_users() -> None:
    made = trainer()
    before = torch.random.get_rng_state()
    made.run(progress=False)
    made.rollback()
    made.evaluate()
    assert torch.equal(before, torch.random.get_rng_state())


@st.composite
def plans(draw: st.DrawFn) -> Schedule:
    kinds = st.sampled_from(["sgd", "adam"])
    return Schedule(
        epochs=3,
        batch_size=draw(st.sampled_from([16, 24])),
        task_steps=draw(st.integers(1, 4)),
        switcher_steps=draw(st.integers(0, 3)),
        warmup_epochs=draw(st.integers(0, 1)),
        freeze_epochs=draw(st.integers(0, 1)),
        task_optimizer=draw(kinds),
        task_lr=0.01,
        switcher_optimizer=draw(kinds),
        switcher_lr=0.02,
        switcher_data=draw(st.sampled_from(["train", "holdout"])),
        through_switcher=draw(st.booleans()),
    )


@pytest.mark.slow
@settings(max_examples=25)
@given(plans(), st.data())
def test_stopped_and_resumed_is_as_never_stopped(plan: Schedule, data: st.DataObject) -> None:
    images = tiny_data(n=64, holdout=16, augment="flip")
    whole = trainer(schedule=plan, data=images, seed=3)
    whole.run(progress=False)
    count = len(whole.history.steps)
    first = trainer(schedule=plan, data=images, seed=3)
    go(first, data.draw(st.integers(0, count), label="stop after"))
    if data.draw(st.booleans(), label="look"):
        _ = first.factors
        first.evaluate()
    state = first.state_dict()
    kept = copy.deepcopy(state)
    go(first, min(3, count - first.position.step))  # what comes after does not reach the state
    second = trainer(schedule=plan, data=images, seed=3)
    go(second, 2)  # nor what was before
    second.load_state_dict(state)
    while not second.finished:
        second.step()
    assert same(future(whole), future(second))
    assert same(state, kept)


def test_a_state_is_of_plain_values_and_can_be_saved(tmp_path: Any) -> None:
    made = trainer()
    go(made, 8)
    tensors = {k: v for k, v in made.state_dict().items() if k not in _PLAIN}
    torch.save(tensors, tmp_path / "state.pt")
    assert same(torch.load(tmp_path / "state.pt", weights_only=True), tensors)


_PLAIN = ("schedule", "position", "running")


def test_an_iteration_can_be_left_and_taken_up() -> None:
    whole, parts = trainer(), trainer()
    records = [record.step for record in whole]
    taken = [next(iter(parts)).step for _ in range(5)]
    taken += [record.step for record in parts]
    assert taken == records == list(range(1, len(records) + 1))
    assert list(parts) == []
    assert parts.finished
    assert_same_history(whole.history, parts.history)


# --- records -------------------------------------------------------------------------------------


def test_records_and_history_tell_the_same() -> None:
    made = trainer()
    records = list(made)
    steps = made.history.steps
    assert [(r.step, r.epoch, r.phase, r.lr) for r in records] == list(
        zip(steps.step, steps.epoch, steps.phase, steps.lr, strict=True)
    )
    assert [r.loss for r in records] == steps.loss.tolist()
    assert [r.accuracy for r in records] == steps.accuracy.tolist()


def test_epochs_are_recorded_as_they_are() -> None:
    made = trainer(schedule=QUICK.replace(freeze_epochs=1))
    data = made.data
    while not made.finished:
        epoch = made.position.epoch
        made.step()
        if made.position.epoch == epoch:
            continue
        last = made.history.epochs.iloc[-1]
        assert (last.epoch, last.step) == (epoch + 1, made.position.step)
        steps = made.history.steps
        mine = steps[(steps.epoch == epoch + 1) & (steps.phase == "task")]
        assert last.train_loss == pytest.approx(mine.loss.mean())
        assert last.train_accuracy == pytest.approx(mine.accuracy.mean())
        for group, factors in made.factors.items():
            assert made.history.factors[group][-1].tolist() == factors.tolist()
        on = sum(int((s != 0).sum()) for s in made.factors.values())
        assert (last.neurons_on, last.neurons) == (on, 10)
        twin = copy.deepcopy(made.network).eval()
        images, labels = data.batch("test", torch.arange(len(data.test)))
        with reference.hooked(twin, {"0": [("0", "1")], "4": [("4", None)]}, made.factors):
            scores = twin(images).detach()
        assert last.test_loss == pytest.approx(F.cross_entropy(scores, labels).item(), rel=1e-4)
        right = (scores.argmax(1) == labels).float().mean().item()
        assert last.test_accuracy == pytest.approx(right)
        torch.testing.assert_close(made.logits(images), scores, rtol=1e-4, atol=1e-5)
        size = made.switches.size({k: v.numpy() for k, v in made.factors.items()})
        assert (last.parameters, last.macs) == size
    assert made.history.n_epochs == 4
    assert (made.history.epochs.seconds > 0).all()
    assert (made.history.epochs.neurons_on < 10).any()
    assert "off" in set(made.history.events.event)


def test_evaluate_splits() -> None:
    made = trainer(data=tiny_data(holdout=20))
    made.step()
    for split in ("train", "test", "holdout"):
        loss, accuracy = made.evaluate(split)  # type: ignore[arg-type]
        assert math.isfinite(loss)
        assert 0 <= accuracy <= 1
    for bad in ("valid", "name", ""):
        said = f"split must be one of 'train', 'test', 'holdout', got {bad!r}."
        assert message_of(lambda bad=bad: made.evaluate(bad)) == said  # type: ignore[arg-type]
    assert message_of(lambda: trainer().evaluate("holdout")) == (
        "split must be one of 'train', 'test', got 'holdout'. "
        "To hold out some images, use load_data(name, holdout=5000)."
    )


SOME = "Some test images will do: trainer.data.batch('test', torch.arange(8))[0]."
CONVERT = "Convert them: images.to(trainer.device, torch.float32)."


@pytest.mark.parametrize(
    ("images", "got", "advice"),
    [
        (torch.ones(1, 8, 8), "the shape (1, 8, 8)", "For a single image, use images[None]."),
        (torch.ones(2, 3, 8, 8), "the shape (2, 3, 8, 8)", SOME),
        (torch.ones(2, 1, 8, 9), "the shape (2, 1, 8, 9)", SOME),
        (torch.ones(64), "the shape (64,)", SOME),
        (torch.tensor(1.0), "the shape ()", SOME),
        (torch.ones(2, 1, 8, 8).byte(), "values of torch.uint8", SOME),
        (torch.ones(2, 1, 8, 8).double(), "values of torch.float64", CONVERT),
        (torch.ones(2, 1, 8, 8).half(), "values of torch.float16", CONVERT),
        (
            torch.ones(2, 1, 8, 8, device="meta"),
            "a tensor on the device meta, and the data is on cpu",
            CONVERT,
        ),
        ([[0.0]], "list", SOME),
    ],
)
def test_scores_of_what_are_no_such_images(images: Any, got: str, advice: str) -> None:
    assert message_of(lambda: trainer().logits(images)) == (
        "images must be a tensor of normalised images (n, 1, 8, 8), as float32, "
        f"got {got}. {advice}"
    )


def test_evaluation_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    whole = made.evaluate("train")
    monkeypatch.setattr("snnviz.training.evaluation._BATCH", 7)
    parts = made.evaluate("train")
    assert parts.accuracy == whole.accuracy
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)


# --- another schedule ----------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(12))
def test_a_new_schedule_between_any_two_steps_is_an_event(after: int) -> None:
    made = trainer()
    go(made, after)
    at, state = made.position, made.state_dict()
    new = QUICK.replace(task_lr=0.01, task_steps=3)
    made.schedule = new
    assert made.schedule == new
    assert made.between_rounds
    events = made.history.events
    noted = events[events.event == "schedule"].iloc[-1]
    assert (noted.epoch, noted.step) == (at.epoch + 1, after)
    assert (noted.group, noted.neuron) == ("", -1)
    assert noted.detail == "task_steps: 2 → 3, task_lr: 0.05 → 0.01"
    assert same(made.state_dict()["task_optimizer"]["state"], state["task_optimizer"]["state"])
    position = made.position
    assert (position.step, position.epoch, position.batch) == (at.step, at.epoch, at.batch)
    record = made.step()
    assert record.phase == "task"
    assert record.lr == new.learning_rate("task", at, 5)
    made.run(progress=False)
    assert made.history.n_epochs == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"task_momentum": 0.5, "task_weight_decay": 0.0},
        {"switcher_optimizer": "sgd", "switcher_momentum": 0.25},
    ],
)
def test_a_new_schedule_reaches_the_optimizers(changes: dict[str, Any]) -> None:
    made = trainer()
    go(made, 7)
    made.schedule = QUICK.replace(**changes)
    fresh = trainer(schedule=QUICK.replace(**changes))
    for name in ("task_optimizer", "switcher_optimizer"):
        ours, theirs = getattr(made.learners, name), getattr(fresh.learners, name)
        assert type(ours) is type(theirs)
        for a, b in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert {k: v for k, v in a.items() if k != "params"} == {
                k: v for k, v in b.items() if k != "params"
            }


def test_the_same_schedule_again_is_no_event() -> None:
    made = trainer()
    go(made, 7)
    position = made.position
    made.schedule = QUICK.replace()
    assert made.position == position
    assert len(made.history.events[made.history.events.event == "schedule"]) == 0


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (
            {"task_lr": 1},
            TypeError,
            "schedule must be a snnviz.Schedule, got dict. "
            "Make one with Schedule(...) or trainer.schedule.replace(...).",
        ),
        (
            QUICK.replace(switcher_data="holdout"),
            ValueError,
            "schedule.switcher_data is 'holdout', but the data has no held-out split. "
            "Load it with one: load_data(name, holdout=5000).",
        ),
        (
            QUICK.replace(epochs=1),
            ValueError,
            "schedule.epochs must be at least the 2 epochs that are done, got 1. "
            "To start over, use trainer.reset().",
        ),
    ],
)
def test_a_bad_schedule_is_refused_with_the_old_one_in_force(
    bad: Any, error: type[Exception], message: str
) -> None:
    made, other = trainer(), trainer()
    go(made, 16)
    go(other, 16)
    assert made.position.epoch == 2

    def assign() -> None:
        made.schedule = bad

    before = future(made)
    assert message_of(assign, error) == message
    assert made.schedule == QUICK
    assert same(future(made), before)
    for each in (made, other):
        each.run(progress=False)
    assert_same_history(made.history, other.history)


def test_a_bad_schedule_at_the_start() -> None:
    said = message_of(lambda: trainer(schedule=QUICK.replace(switcher_data="holdout")))
    assert said.startswith("schedule.switcher_data is 'holdout', but the data has no held-out")
    with pytest.raises(TypeError, match=r"^schedule must be a snnviz\.Schedule, got dict\."):
        trainer(schedule={"epochs": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((tiny_data(), small()), "network must be a torch.nn.Module, got ImageData. The order is "),
        (("mlp", tiny_data()), "network must be a torch.nn.Module, got str. The order is "),
        ((small(), "fashion-mnist"), "data must be a snnviz.ImageData, got str. Make one with "),
        ((small(), (1, 2)), "data must be a snnviz.ImageData, got tuple. Make one with "),
        ((small(), tiny_data(), None, {"gain": 1}), "switcher must be a snnviz.SwitcherConfig "),
    ],
)
def test_an_argument_of_another_kind(arguments: Any, message: str) -> None:
    assert message_of(lambda: Trainer(*arguments), TypeError).startswith(message)


def test_another_batch_size_in_the_middle_of_an_epoch() -> None:
    made = trainer()
    go(made, 8)
    assert made.position.batch > 0
    made.schedule = QUICK.replace(batch_size=10)
    assert made.position == Position(step=8, epoch=1)  # the epoch starts again, with other batches
    assert made.batches_per_epoch == 8
    made.run(progress=False)
    assert made.history.n_epochs == 4
    steps = made.history.steps
    assert steps.step.tolist() == list(range(1, len(steps) + 1))
    last = steps[(steps.epoch == 4) & (steps.phase == "task")]
    assert len(last) == 8
    second = steps[(steps.epoch == 2) & (steps.step > 8) & (steps.phase == "task")]
    assert len(second) == 8
    assert made.history.epochs.train_loss[1] == pytest.approx(second.loss.mean())


def test_other_data_for_the_switcher_keeps_the_task_batches() -> None:
    data = tiny_data(holdout=16)
    made, other = trainer(data=data), trainer(data=data)
    for each in (made, other):
        go(each, 7)
    made.schedule = QUICK.replace(switcher_data="holdout")
    assert same(made.batches.task_order.state_dict(), other.batches.task_order.state_dict())


def test_a_run_of_more_epochs_moves_the_end_and_says_so() -> None:
    made = trainer(schedule=QUICK.replace(epochs=2))
    made.run(epochs=1, progress=False)
    assert (made.position.epoch, made.schedule.epochs) == (1, 2)
    made.run(progress=False)
    assert made.finished
    history = made.run(epochs=2, progress=False)
    assert history is made.history
    assert (made.position.epoch, made.schedule.epochs) == (4, 4)
    events = history.events
    noted = events[events.event == "schedule"]
    assert noted.detail.tolist() == ["epochs: 2 → 4"]
    assert history.n_epochs == 4


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, "2"])
def test_bad_epochs(epochs: Any) -> None:
    said = message_of(lambda: trainer().run(epochs=epochs))
    assert said == (
        f"epochs must be a whole number of at least 1, got {epochs!r}. Use for example epochs=1."
    )


def test_the_progress_bar_counts_steps(capsys: pytest.CaptureFixture) -> None:
    made = trainer(schedule=QUICK.replace(epochs=2))
    made.run()
    shown = capsys.readouterr().err
    assert "neurons on" in shown
    assert "step" in shown


# --- back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 1, 3, 6])
def test_rollback_returns_to_exactly_the_last_epochs_end(more: int) -> None:
    made, other = trainer(), trainer()
    for each in (made, other):
        while each.position.epoch < 2:
            each.step()
    end = future(made)
    for _ in range(3):  # again and again: what is trained in between does not reach what is kept
        go(made, more)
        made.rollback()
        assert same(future(made), end)
        assert made.history.n_epochs == 2
        assert made.history.steps.step.max() == made.position.step
    events = made.history.events
    noted = events[events.event == "rollback"]
    assert noted.detail.tolist() == ["back to the end of epoch 2"] * 3
    assert noted.step.tolist() == [end["position"].step + more] * 3
    for each in (made, other):
        each.run(progress=False)
    assert_same_history(made.history, other.history, notes=False)
    assert same(future(made), future(other))


def test_rollback_within_the_first_epoch_is_back_to_the_start() -> None:
    made = trainer()
    start = future(made)
    go(made, 3)
    made.rollback()
    assert same(future(made), start)
    assert made.history.events.detail.tolist() == ["back to the start"]


def test_reset_returns_to_exactly_the_start() -> None:
    made = trainer()
    start = future(made)
    for steps in (13, 4, 25):
        while not made.finished and made.position.step < steps:
            made.step()
        made.reset()
        assert same(future(made), start)
        assert made.history.n_epochs == 0
        assert len(made.history.steps) == 0
        made.rollback()  # the last epoch's end is forgotten too
        assert same(future(made), start)
    made.run(progress=False)
    other = trainer()
    other.run(progress=False)
    assert_same_history(made.history, other.history, notes=False)


@pytest.mark.slow
@pytest.mark.parametrize("back", ["rollback", "reset"])
@pytest.mark.parametrize(
    "changes",
    [
        {"task_lr": 0.001, "epochs": 6},
        {"batch_size": 20},
        {"task_optimizer": "adam", "task_lr": 1e-3},
        {"switcher_optimizer": "sgd", "task_momentum": 0.5},
        {"switcher_data": "holdout"},
    ],
)
def test_back_under_the_schedule_in_force(back: str, changes: dict[str, Any]) -> None:
    """As if the new schedule had been set there; only the events and the step tell of the way."""
    data = tiny_data(holdout=16)
    made, other = trainer(data=data), trainer(data=data)
    for each in (made, other):
        while back == "rollback" and each.position.epoch < 2:
            each.step()
    go(made, 3)
    made.schedule = QUICK.replace(**changes)
    go(made, 1)
    getattr(made, back)()
    assert made.schedule == QUICK.replace(**changes)
    other.schedule = QUICK.replace(**changes)
    assert same(future(made), future(other))
    assert made.between_rounds
    for each in (made, other):
        each.run(progress=False)
    assert_same_history(made.history, other.history, notes=False)


def test_a_step_that_fails_has_not_been(monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = trainer(), trainer()
    for after in (0, 4, 7, 9):
        while made.position.step < after:
            made.step()

        def fail(*args: Any) -> None:
            raise MemoryError("the device is full")

        for name in ("task_scores", "switcher_scores"):
            monkeypatch.setattr(made.learners, name, fail)
        with pytest.raises(MemoryError):
            made.step()
        for name in ("task_scores", "switcher_scores"):
            monkeypatch.delattr(made.learners, name)
    for each in (made, other):
        each.run(progress=False)
    assert_same_history(made.history, other.history)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 3, 4])
@pytest.mark.parametrize("again", ["run", "iterate", "step"])
def test_an_interrupt_at_an_epochs_end_loses_no_epoch(
    epoch: int, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook's stop button may well be pressed while the test images are looked at."""
    made, other = trainer(), trainer()

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    while made.position.epoch < epoch - 1:
        made.step()
    monkeypatch.setattr("snnviz.training.trainer.evaluate", stop)
    with pytest.raises(KeyboardInterrupt):
        made.run(progress=False)
    monkeypatch.undo()
    if again == "step" and not made.finished:
        made.step()
    if again == "iterate":
        list(made)
    for each in (made, other):
        each.run(progress=False)
    assert_same_history(made.history, other.history)
    assert same(future(made), future(other))


# --- guards --------------------------------------------------------------------------------------


def nan_pixel(made: Trainer) -> None:
    made.data.mean.fill_(float("nan"))


def test_a_nan_loss_stops_within_the_round() -> None:
    made = trainer()
    while made.position.epoch < 2:
        made.step()
    end = future(made)
    mean = made.data.mean.clone()
    nan_pixel(made)
    step = made.position.step

    def until_stopped() -> None:
        for _ in range(QUICK.task_steps + QUICK.switcher_steps):
            made.step()

    expected = (
        f"The loss became nan at step {step + 1} ({made.phase} phase, epoch 3). Try a lower "
        "schedule.task_lr (now 0.05) or schedule.switcher_lr (now 0.02), or a lower gain of the "
        "switcher. trainer.rollback() returns to the end of epoch 2."
    )
    assert message_of(until_stopped, TrainingStopped) == expected
    for call in (made.step, lambda: next(iter(made)), lambda: made.run(progress=False)):
        assert message_of(call, TrainingStopped) == expected
    made.data.mean.copy_(mean)
    made.rollback()
    assert same(future(made), end)
    made.run(progress=False)
    other = trainer()
    other.run(progress=False)
    assert_same_history(made.history, other.history, notes=False)


def test_a_loss_that_explodes_in_the_first_epoch() -> None:
    made = trainer(schedule=QUICK.replace(task_lr=1e30, warmup_epochs=0))
    start = future(made)
    said = message_of(lambda: list(made), TrainingStopped)
    assert made.position.step <= QUICK.task_steps + QUICK.switcher_steps
    assert said.startswith("The loss became ")
    assert "(task phase, epoch 1). Try a lower schedule.task_lr (now 1e+30)" in said
    assert said.endswith("trainer.rollback() returns to the start.")
    assert made.history.n_epochs == 0
    made.rollback()
    assert same(future(made), start)
    made.schedule = QUICK
    made.run(progress=False)
    assert made.history.n_epochs == 4


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_last_step_that_breaks_the_network_is_not_kept(epoch: int) -> None:
    """No step has seen its update, so the epoch's end must look itself."""
    made = trainer()
    while made.position.epoch < epoch - 1 or made.position.batch < 4 or made.phase != "task":
        made.step()
    made.schedule = QUICK.replace(task_lr=1e30)
    step = made.position.step + 1
    back = f"the end of epoch {epoch - 1}" if epoch > 1 else "the start"
    said = message_of(made.step, TrainingStopped)
    assert said.startswith("The loss became ")
    assert f" after step {step} (at the end of epoch {epoch}). Try a lower" in said
    assert said.endswith(f"trainer.rollback() returns to {back}.")
    assert made.history.n_epochs == epoch - 1
    assert message_of(lambda: list(made), TrainingStopped)
    made.rollback()
    made.schedule = QUICK
    assert math.isfinite(made.evaluate().loss)
    made.run(progress=False)
    assert made.history.n_epochs == 4


@pytest.fixture
def asleep() -> Iterator[str]:
    """A user's activation that turns everything off as soon as a score is not 0."""
    ACTIVATIONS["asleep"] = lambda z: (1 - 1e9 * z.abs()).relu()
    yield "asleep"
    del ACTIVATIONS["asleep"]


def test_a_group_that_is_wholly_off_stops_the_run(asleep: str) -> None:
    made = trainer(switcher=SwitcherConfig(activation="hard_sigmoid"))
    while made.position.epoch < 1:
        made.step()
    end = future(made)
    made.learners.switcher.layers[-1].bias.data.fill_(-1e4)
    made.learners._current = None
    for step in range(made.position.step + 1, made.position.step + 4):
        assert not made.history.steps.step.isin([step]).any()
    said = message_of(lambda: go(made, 3), TrainingStopped)
    assert said == (
        "The switcher turned all neurons of 0, 4 off at step 6 (task phase, epoch 2). Try a lower "
        "schedule.switcher_lr (now 0.02), a lower gain of the switcher, or the activation "
        "'unit_mean', which never turns a whole group off. "
        "trainer.rollback() returns to the end of epoch 1."
    )
    assert made.position.step <= 8
    made.rollback()
    assert same(future(made), end)
    made.run(progress=False)
    assert made.history.n_epochs == 4


def test_a_switcher_that_learns_too_fast_is_found_out() -> None:
    config = SwitcherConfig(activation="relu", gain=100.0, gain_rule="fixed")
    made = trainer(
        schedule=QUICK.replace(switcher_lr=10.0, switcher_clip=1e6, warmup_epochs=0, epochs=20),
        switcher=config,
    )
    said = message_of(lambda: list(made), TrainingStopped)
    assert "rollback() returns to" in said
    made.rollback()
    assert math.isfinite(made.evaluate().loss)


def test_an_activation_of_the_users_that_gives_zeros(asleep: str) -> None:
    made = trainer(
        switcher=SwitcherConfig(activation=asleep), schedule=QUICK.replace(switcher_lr=1.0)
    )
    made.learners.switcher.layers[-1].bias.data.fill_(1.0)
    said = message_of(lambda: list(made), TrainingStopped)
    assert said.startswith("The switcher turned all neurons of 0, 4 off at step 1 (task phase, ")


def test_a_group_that_dies_in_an_epochs_last_step_is_not_kept() -> None:
    """Through the switcher, the weights' last step moves the factors too."""
    made = trainer(
        switcher=SwitcherConfig(activation="relu"), schedule=QUICK.replace(through_switcher=True)
    )
    while made.position.batch < 4:
        made.step()
    moved = made.learners.task_moved

    def kill(**options: Any) -> None:
        moved(**options)
        made.learners.switcher.layers[-1].bias.data.fill_(-1e4)

    made.learners.task_moved = kill  # type: ignore[method-assign]
    said = message_of(made.step, TrainingStopped)
    assert said.startswith(
        "The switcher turned all neurons of 0, 4 off after step 5 (at the end of epoch 1). Try "
    )
    assert made.history.n_epochs == 0
    made.rollback()
    assert all((s == 1).all() for s in made.factors.values())


# --- no waiting for the device -------------------------------------------------------------------


class Reads(TorchDispatchMode):
    """Counts values that are read from tensors, as `.item()` and `if tensor:` do."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.is_nonzero.default,
            torch.ops.aten.nonzero.default,
            torch.ops.aten.equal.default,
        )
        return func(*args, **(kwargs or {}))


def test_values_are_read_at_round_ends_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # SGD, for Adam reads its step count, which is on the CPU on every device.
    plan = QUICK.replace(
        task_steps=3, switcher_steps=2, warmup_epochs=1, switcher_optimizer="sgd", switcher_lr=0.01
    )
    made = trainer(schedule=plan)
    lists = 0
    tolist = Tensor.tolist

    def counted(self: Tensor) -> Any:
        nonlocal lists
        lists += 1
        return tolist(self)

    monkeypatch.setattr(Tensor, "tolist", counted)
    for name in ("cpu", "numpy", "item"):
        method = getattr(Tensor, name)

        def called(self: Tensor, *args: Any, method: Callable = method, **options: Any) -> Any:
            nonlocal lists
            lists += 1
            return method(self, *args, **options)

        monkeypatch.setattr(Tensor, name, called)
    ends, quiet = 0, 0
    while not made.finished:
        at, before = made.position, lists
        with Reads() as reads:
            made.step()
        epoch_ends = made.position.epoch > at.epoch
        round_ends = plan.alternates(at.epoch) and made.between_rounds
        if epoch_ends or round_ends:
            ends += 1
            assert lists > before
        else:
            quiet += 1
            assert lists == before
            assert reads.count == 0
    assert ends > 4
    assert quiet > 10


def test_long_phases_are_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnviz.training.meter._READ_EVERY", 3)
    made = trainer(schedule=QUICK.replace(task_steps=1000, warmup_epochs=0))
    read = []
    for _ in range(5):
        made.step()
        read.append(len(made.history.steps))
    assert read == [0, 0, 3, 3, 5]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["mlp", "lenet5", "vgg_small"])
def test_a_trainer_on_meta_goes_all_the_way_to_a_rounds_end(name: str, optimizer: str) -> None:
    """Data, augmentation and both steps: no value is read, no CPU tensor comes along."""
    shape = RUNS[name][1]
    data = tiny_data(shape, n=100, augment="shift+flip", holdout=20)
    plan = Schedule(
        batch_size=8,
        warmup_epochs=0,
        switcher_steps=3,
        task_optimizer=optimizer,
        switcher_optimizer=optimizer,
        switcher_data="holdout",
    )
    made = trainer(network(name, data), plan, data, device="meta", precision="auto")
    records = go(made, 6)
    assert [r.phase for r in records] == ["task"] * 4 + ["switcher"] * 2
    assert all(r.measured.is_meta for r in records)
    assert message_of(lambda: made.run(progress=False)) == (
        "device must be one that computes, got 'meta', on which tensors have no values. Make a new "
        'network and a trainer with device="auto".'
    )
    with pytest.raises(NotImplementedError, match="meta"):
        made.step()  # the round's end, where values are read


# --- the user's network --------------------------------------------------------------------------


def test_the_users_network_is_the_one_that_is_trained() -> None:
    net = small()
    before = copy.deepcopy(net.state_dict())
    made = trainer(net)
    assert made.network is net
    made.run(progress=False)
    assert net.state_dict().keys() == before.keys()
    assert not same(dict(net.state_dict()), dict(before))
    for module in net.modules():
        assert not module._forward_hooks


def test_dropout_is_repeatable_and_at_work() -> None:
    made, other = trainer(), trainer()
    first, second = made.step(), other.step()
    assert first.loss == second.loss
    other = trainer(seed=0)
    other.network[6].p = 0.0  # type: ignore[union-attr,index]
    assert other.step().loss != first.loss


def test_dropout_draws_from_the_seed_and_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    @contextmanager
    def noted(seed: int, step: int, device: torch.device) -> Iterator[None]:
        seen.append((seed, step))
        yield

    monkeypatch.setattr("snnviz.training.trainer.random_state", noted)
    go(trainer(seed=9), 3)
    assert seen == [(9, 0), (9, 1), (9, 2)]


def test_fewer_images_than_a_batch() -> None:
    made = trainer(data=tiny_data(n=10), schedule=QUICK.replace(batch_size=128))
    made.run(progress=False)
    assert made.batches_per_epoch == 1
    assert made.history.n_epochs == 4


def test_defaults() -> None:
    made = Trainer(small(), tiny_data(), device="cpu")
    assert made.schedule == Schedule()
    assert made.switcher.config == SwitcherConfig()
    assert made.position == Position()
    assert (made.phase, made.finished, made.between_rounds) == ("task", False, True)


def test_main_training_on_each_device(device: torch.device) -> None:
    """The default recipe learns, turns neurons off, and says what it did."""
    data = tiny_data(n=200)
    plan = Schedule(epochs=6, batch_size=20, switcher_lr=0.01)
    made = Trainer(small(), data, plan, SwitcherConfig(gain=4.0), device=device)
    history = made.run(progress=False)
    assert history.epochs.test_accuracy.iloc[-1] > 0.8
    assert history.epochs.neurons_on.iloc[-1] < 10
    assert made.device.type == device.type
    assert {s.device.type for s in made.factors.values()} == {device.type}
    assert history.factors["4"][-1].mean() == pytest.approx(1, abs=1e-5)
    made.rollback()
    assert future(made)["position"].epoch == 6


def test_a_branch_goes_on_as_the_run_did_and_leaves_it_alone() -> None:
    made = trainer(exclude=["0"])
    made.run(2, progress=False)
    state = made.state_dict()
    made.run(1, progress=False)
    before = copy.deepcopy(future(made))
    other = made.branch(state)
    assert other.history.n_epochs == 2
    assert other.exclude == ("0",)
    other.run(1, progress=False)
    assert same(future(other), future(made))
    assert_same_history(other.history, made.history)
    other.schedule = other.schedule.replace(task_lr=0.5)
    other.run(1, progress=False)
    assert same(future(made), before)  # the parent has not moved
    assert "schedule" not in set(made.history.events.event)
    other.rollback()
    other.reset()
    assert other.position == Position()
    assert made.position.epoch == 3


def test_a_network_with_too_few_scores() -> None:
    assert message_of(lambda: trainer(small(classes=2))) == (
        "network gives 2 class scores, and the data has 3 classes. "
        "Give its last layer one output per class."
    )


@pytest.mark.parametrize("images", [1, 8])
def test_batches_of_one_image_that_a_norm_cannot_take(images: int) -> None:
    """Batch norm of a linear layer needs two values; the error comes before training starts."""
    data = tiny_data()
    few = (data.train.images[:images], data.train.labels[:images])
    data = ImageData.from_tensors(few, few, classes=["a", "b", "c"], device="cpu")
    plan = QUICK.replace(batch_size=1 if images > 1 else 16)
    got = "1" if images > 1 else "16, of which the data has only 1 (train)"
    said = message_of(lambda: Trainer(reference.own(), data, plan, device="cpu"))
    assert said.startswith(
        "schedule.batch_size must be large enough that this network can be trained on each batch, "
        f"got {got}. On a single image it fails in training mode: Expected more than 1 value per "
    )
    assert Trainer(small(), data, plan, device="cpu").step().step == 1


def test_a_later_schedule_is_checked_for_batches_of_one_image() -> None:
    trainer = Trainer(reference.own(), tiny_data(), QUICK, device="cpu")
    with pytest.raises(ValueError, match=r"schedule\.batch_size must be large enough"):
        trainer.schedule = QUICK.replace(batch_size=1)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (torch.inference_mode, "was made in inference mode. Build the network outside "),
        (lambda: torch.device("meta"), "is on the device 'meta' and has no values. Build the "),
    ],
)
def test_networks_that_were_made_so_that_nothing_can_be_trained(
    made: Callable[[], Any], words: str
) -> None:
    with made():
        network = small()
    said = message_of(lambda: Trainer(network, tiny_data(), device="cpu"))
    assert f"network must have parameters that can be trained, and '0.weight' {words}" in said


def test_parameters_of_another_precision() -> None:
    network = small()
    network[-1].double()
    assert message_of(lambda: Trainer(network, tiny_data(), device="cpu")) == (
        "network must have parameters of torch.float32, and '7.weight' is torch.float64. Convert "
        "them with network.float(); to compute in bfloat16, give the trainer "
        'precision="bfloat16".'
    )


# --- how factors come about -----------------------------------------------------------------------


def test_right_after_a_switcher_step_the_explanation_gives_the_factors_in_use() -> None:
    made = trainer()
    while made.phase == "task" or made.position.epoch < 2:
        made.step()
    made.step()
    made.pin("0", 1, on=True)
    told = made.explain()
    for group, factors in made.learners._current.free.items():
        assert torch.equal(told[group].factors, factors)
    go(made, 1)  # the weights have moved, and the factors wait for the next switcher step
    later = made.explain()
    assert not any(torch.equal(later[g].scores, told[g].scores) for g in told)


def test_data_of_one_class_is_refused() -> None:
    images, labels = torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.int64)
    data = ImageData.from_tensors((images, labels), (images, labels), classes=["cat"], device="cpu")
    assert message_of(lambda: trainer(data=data)) == (
        "data must have at least two classes to tell apart, got only 'cat'. Add images of another "
        "class."
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite_are_named(value: float) -> None:
    net = small()
    name, parameter = next(iter(net.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[0] = value
    assert message_of(lambda: trainer(net)) == (
        f"network must have finite parameters, and {name!r} has NaN or infinity. Build the network "
        "again, or load an earlier state of it."
    )


def test_layers_with_several_names_are_trained_like_others() -> None:
    class Renamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = small()
            self.hidden, self.norm = self.layers.get_submodule("4"), self.layers.get_submodule("1")
            self.ends = nn.ModuleList([self.layers.get_submodule("0"), self.hidden])

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x)

    usual, renamed = trainer(nn.Sequential(small())), trainer(Renamed())
    for made in (usual, renamed):
        made.run(2, progress=False)
    expected = dict(usual.network[0].named_parameters())  # type: ignore[index]
    for name, parameter in renamed.network.named_parameters():
        assert type(parameter) is nn.Parameter
        assert torch.equal(parameter, expected[name.removeprefix("layers.")])
