"""A size that is asked for: reached on networks by name, held, and the same after every detour."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from snnviz import rivals, runs
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import Switches
from snnviz.switcher import ACTIVATIONS, Switcher, SwitcherConfig
from snnviz.training import Schedule, sizing
from tests.helpers import message_of
from tests.reference import tiny_data
from tests.runs.conftest import DATA, PLAN, finish, go, make, resume, tiny_net
from tests.training.test_learners import same
from tests.training.test_trainer import QUICK, future, small, trainer

READS = ("descriptors", "shuffled", "random", "nothing")
# 5 of 10 neurons; the ramp: epochs 2.5 to 3.25
SIZED = QUICK.replace(size=0.5, size_of="neurons", size_from=0.5, size_until=0.75)


def count_on(made: Trainer) -> dict[str, int]:
    return {name: int((s > 0).sum()) for name, s in made.factors.items()}


def size_of(made: Trainer, what: str = "parameters") -> float:
    factors = {name: s.cpu().numpy() for name, s in made.factors.items()}
    if what == "neurons":
        return sum(count_on(made).values()) / sum(made.history.groups.values())
    return getattr(made.switches.size(factors), what) / getattr(made.switches.size(), what)


def on(made: Trainer) -> dict[str, list[bool]]:
    return {name: (s > 0).tolist() for name, s in made.factors.items()}


# --- parts, against slow references --------------------------------------------------------------


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[bool], list[float], list[int], int]:
    """Which neurons stay, their scores and pins, and how many shall stay: never impossible."""
    n = draw(st.integers(1, 8))
    many = {"min_size": n, "max_size": n}
    kept = draw(st.lists(st.booleans(), **many))
    scores = draw(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 2.0]), **many))
    pins = draw(st.lists(st.sampled_from([-1, -1, -1, 0, 1]), **many))
    return kept, scores, pins, draw(st.integers(pins.count(1), n - pins.count(0)))


@given(groups())
def test_the_choice_is_the_best_of_all_sets(
    group: tuple[list[bool], list[float], list[int], int],
) -> None:
    kept, scores, pins, k = group
    chosen = sizing.choose_kept(
        torch.tensor(kept), np.array(scores), torch.tensor(pins, dtype=torch.float32), k
    )
    free = [i for i, pin in enumerate(pins) if pin != 0]

    def worth(some: tuple[int, ...]) -> tuple[int, int, float, list[int]]:
        stays = [i for i in some if kept[i] and pins[i] < 0]
        others = [i for i in some if not kept[i] and pins[i] < 0]
        return (
            sum(pins[i] > 0 for i in some),
            len(stays),
            sum(scores[i] for i in stays + others),
            [-i for i in some],  # of equal ones, the first
        )

    best = max(itertools.combinations(free, k), key=worth)
    assert tuple(chosen.nonzero().flatten().tolist()) == best


@given(st.integers(1, 60), st.floats(0, 1), st.data())
def test_the_ramp_only_goes_down(n: int, end: float, data: st.DataObject) -> None:
    last = min(max(round(end * n), 1), n)
    shares = sorted(data.draw(st.lists(st.floats(0, 1), max_size=6)))
    kept = torch.ones(n, dtype=torch.bool)
    for share in [*shares, 1.0]:
        count = sizing.count_kept({"a": kept}, {"a": last}, share)["a"]
        assert last <= count <= kept.sum()
        assert count == min(int(kept.sum()), n - round((n - last) * share))
        kept = torch.arange(n) < count
    assert kept.sum() == last
    # Where the ramp is put off, none come back; where more are asked for, they do.
    assert sizing.count_kept({"a": kept}, {"a": last}, 0.0)["a"] == last
    assert sizing.count_kept({"a": kept}, {"a": n}, 0.0)["a"] == n


@pytest.mark.parametrize("least", [0.0, sizing.LEAST_FACTOR])
@pytest.mark.parametrize("activation", ["unit_mean", "hard_sigmoid", "relu"])
def test_factors_of_those_that_stay(
    activation: str, least: float, rng: np.random.Generator
) -> None:
    masks = {"a": rng.random(7) < 0.5, "b": rng.random(4) < 0.7, "c": np.ones(3, bool)}
    masks["a"][2] = masks["b"][0] = True
    z = torch.tensor(rng.normal(0, 2, 14), dtype=torch.float32, requires_grad=True)
    kept = sizing.Kept(
        {name: torch.from_numpy(mask) for name, mask in masks.items()}, least, torch.device("cpu")
    )
    found = kept.factors(z, activation)
    expected = torch.zeros(14)
    whole = np.concatenate(list(masks.values()))
    for i, name in ((0, "a"), (7, "b"), (11, "c")):
        index = torch.from_numpy(masks[name].nonzero()[0] + i)
        s = least + (1 - least) * ACTIVATIONS[activation](z[index])
        assert activation != "unit_mean" or s.mean().item() == pytest.approx(1, abs=1e-5)
        expected = expected.index_put((index,), s)
    torch.testing.assert_close(torch.cat(list(found.values())), expected)
    assert (torch.cat(list(found.values()))[~whole] == 0).all()
    weights = torch.tensor(rng.normal(size=14), dtype=torch.float32)
    (ours,) = torch.autograd.grad((torch.cat(list(found.values())) * weights).sum(), z)
    (its,) = torch.autograd.grad((expected * weights).sum(), z)
    torch.testing.assert_close(ours, its)
    assert (ours[~whole] == 0).all()


# --- whole runs -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.5, 0.2])
@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet8"])
def test_networks_by_name_end_at_the_size(name: str, size: float) -> None:
    data = tiny_data((1, 16, 16), n=60)
    plan = Schedule(epochs=2, batch_size=20, task_steps=1, warmup_epochs=0, size=size)
    made = trainer(network(name, data), plan, data, switcher=SwitcherConfig())
    history = made.run(progress=False)
    assert size_of(made) == pytest.approx(size, rel=0.01)
    assert history.last_epoch["parameters"] == made.switches.size(on_factors(made)).parameters
    images = data.batch("test", torch.arange(8))[0]
    shrunk, report = compact(made)
    torch.testing.assert_close(shrunk.eval()(images), made.logits(images), rtol=1e-4, atol=1e-5)
    assert report.after.parameters == pytest.approx(size * report.before.parameters, rel=0.01)
    assert report.difference < 1e-4


def on_factors(made: Trainer) -> dict[str, np.ndarray]:
    return {name: s.cpu().numpy() for name, s in made.factors.items()}


@pytest.mark.parametrize("what", ["parameters", "macs", "neurons"])
@pytest.mark.parametrize("reads", READS)
def test_every_reader_ends_at_the_size(reads: str, what: str, device: torch.device) -> None:
    data = tiny_data((1, 8, 8), n=60)
    plan = Schedule(epochs=3, batch_size=20, task_steps=1, size=0.3, size_of=what)
    config = SwitcherConfig(reads=reads)
    made = trainer(network("mlp", data), plan, data, switcher=config, device=device)
    made.run(progress=False)
    assert size_of(made, what) == pytest.approx(0.3, rel=0.01)


def test_factors_at_a_size_are_explained(device: torch.device) -> None:
    made = trainer(schedule=SIZED.replace(switcher_decay="constant"), device=device)
    made.run(progress=False)
    with torch.no_grad():
        wanted = made.learners._make_factors(made.learners._read())
    for group, told in made.explain().items():
        assert torch.equal(told.stays, wanted[group].cpu() > 0)
        torch.testing.assert_close(told.factors, wanted[group].cpu())
        again = torch.where(told.stays, told.factors_from(told.scores), 0)
        torch.testing.assert_close(again, told.factors, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("activation", ["unit_mean", "hard_sigmoid", "relu"])
def test_the_set_is_fixed_and_goes_on_being_weighted(activation: str, through: bool) -> None:
    plan = SIZED.replace(epochs=8, switcher_lr=0.1, through_switcher=through)  # 4.5 to 6.25
    made = trainer(schedule=plan, switcher=SwitcherConfig(activation=activation))
    gone: dict[str, Tensor] = {}
    for record in made:
        masks = made.learners.state_dict()["kept"]
        for name, mask in masks.items():
            assert not (mask & gone.get(name, torch.zeros_like(mask))).any()
            gone[name] = ~mask
        if record.epoch >= 8:
            before = made.factors
            assert sum(count_on(made).values()) == 5
            assert min(float(s[s > 0].min()) for s in before.values()) >= sizing.LEAST_FACTOR - 1e-6
        if made.position.epoch < 4:
            assert all(mask.all() for mask in masks.values())
    last, one_before = ({n: f[e] for n, f in made.history.factors.items()} for e in (7, 6))
    assert all(np.array_equal(last[n] > 0, one_before[n] > 0) for n in last)
    if activation != "hard_sigmoid":  # where all may be at 1, as without a size
        assert any(not np.array_equal(last[n], one_before[n]) for n in last)
    (event,) = made.history.note_rows()
    assert event[2:] == ("size", "", -1, -1, "0.5 of the neurons: 5 of 10 neurons")


def test_masks_change_only_between_rounds() -> None:
    made = trainer(schedule=SIZED.replace(task_steps=3, switcher_steps=2))
    before, changed = made.learners.state_dict()["kept"], 0
    for _ in made:
        after = made.learners.state_dict()["kept"]
        if any(not after[name].equal(mask) for name, mask in before.items()):
            assert made.between_rounds
            changed += 1
        before = after
    assert changed > 1


def test_the_highest_scores_stay() -> None:
    made = trainer(schedule=SIZED.replace(size_from=0.75, size_until=0.75))
    while made.learners.state_dict()["kept"]["4"].all():
        made.step()
    assert made.between_rounds
    scores = made.learners.switcher.compute_scores(made.learners._constant_readings())
    highest = scores[4:].argsort(descending=True)[:3]
    assert (made.factors["4"] > 0).nonzero().flatten().tolist() == sorted(highest.tolist())


def test_a_held_switcher_chooses(tmp_path: Path) -> None:
    taught = trainer()
    taught.run(progress=False)
    learned = Switcher.load(taught.switcher.save(tmp_path / "learned.safetensors"))
    made = trainer(schedule=SIZED.replace(switcher_lr=0.0), switcher=learned)
    made.run(progress=False)
    assert sum(count_on(made).values()) == 5
    for name, value in made.switcher.state_dict().items():
        assert value.equal(learned.state_dict()[name])


@pytest.mark.parametrize(
    "changes",
    [
        {"size_from": 1.0, "size_until": 1.0},  # the last moment
        {"task_steps": 14, "switcher_steps": 5},  # no round ends before the epochs do
        {"freeze_epochs": 2, "size_until": 1.0},
        {"warmup_epochs": 3, "freeze_epochs": 0},
        {"size": 0.999},  # all of them, and none may go off by itself
    ],
)
def test_the_size_is_reached_whatever_the_rounds(changes: dict[str, Any]) -> None:
    plan = SIZED.replace(**changes)
    made = trainer(schedule=plan)
    made.run(progress=False)
    assert sum(count_on(made).values()) == round(10 * (plan.size or 1))


def test_a_switcher_that_has_no_step_cannot_choose(tmp_path: Path) -> None:
    """All scores of a new one are the same, and the first neurons stayed whatever they did."""
    told = (
        "schedule.size needs a switcher that has learned which neurons to keep, and with "
        "task_steps=15 it would have no step: the epochs in which it learns have only 15 batches "
        "of 16 images. Use fewer task_steps, smaller batches or more epochs, or begin with a "
        "switcher that has learned."
    )
    plan = SIZED.replace(task_steps=15)
    assert message_of(lambda: trainer(schedule=plan)) == told
    made = trainer(schedule=SIZED.replace(size=None, task_steps=15))
    assert message_of(lambda: set_schedule(made, size=0.5)) == told
    made.schedule = made.schedule.replace(task_steps=14, size=0.5)
    made.run(progress=False)
    made.schedule = made.schedule.replace(epochs=5, task_steps=100)  # it has learned
    taught = trainer()
    taught.run(progress=False)
    learned = Switcher.load(taught.switcher.save(tmp_path / "learned.safetensors"))
    assert sum(count_on(finish(trainer(schedule=plan, switcher=learned))).values()) == 5


def test_the_epoch_in_which_a_size_is_reached() -> None:
    made = finish(trainer(schedule=SIZED.replace(size_from=1.0, size_until=1.0)))
    events = made.history.events
    [when] = events.loc[events["event"] == "size", ["epoch", "step"]].to_numpy().tolist()
    assert when == [made.schedule.epochs, made.position.step]


def test_without_a_size_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    for name in ("count_kept", "choose_kept", "is_settled", "keep_counts"):
        monkeypatch.setattr(sizing, name, None)
    monkeypatch.setattr(sizing.Kept, "factors", None)
    made.run(2, progress=False)


# --- pins and changes during a run ----------------------------------------------------------------


def test_pins_count() -> None:
    made = trainer(schedule=SIZED)
    made.pin("4", [0, 1], on=True)
    made.pin("4", 5, on=False)
    made.run(progress=False)
    assert count_on(made) == {"0": 2, "4": 3}
    assert made.factors["4"][[0, 1, 5]].tolist() == [1, 1, 0]
    assert float(made.factors["0"].sum()) == pytest.approx(4 * 0.5, abs=1e-5)


def test_pins_after_the_choice_move_it() -> None:
    made = trainer(schedule=SIZED.replace(epochs=8))
    made.run(7, progress=False)
    off = made.factors["4"] == 0
    made.pin("4", int(off.nonzero()[0]), on=True)
    assert count_on(made)["4"] == 4  # at once; from the next round on it is one of three
    made.run(progress=False)
    assert count_on(made) == {"0": 2, "4": 3}
    assert made.factors["4"][off.nonzero()[0]] == 1


def test_impossible_pins_are_refused() -> None:
    made = trainer(schedule=SIZED)
    made.pin("4", [0, 1, 2], on=True)
    told = "Release some of them with unpin, or use another size."
    assert message_of(lambda: made.pin("4", 3, on=True)) == (
        "schedule.size is 0.5 of the neurons, which leaves 3 of the 6 neurons of '4', but 4 are "
        f"pinned on. {told}"
    )
    made.unpin("4")
    made.pin("0", [0, 1], on=False)
    assert message_of(lambda: made.pin("0", 2, on=False)) == (
        "schedule.size is 0.5 of the neurons, which leaves 2 of the 4 neurons of '0', but 3 are "
        f"pinned off. {told}"
    )
    assert message_of(lambda: set_schedule(made, size=0.9)) == (
        "schedule.size is 0.9 of the neurons, which leaves 4 of the 4 neurons of '0', but 2 are "
        f"pinned off. {told}"
    )
    assert made.schedule == SIZED
    assert made.pins == {"0": {0: 0.0, 1: 0.0}}


def set_schedule(made: Trainer, **changes: Any) -> None:
    made.schedule = made.schedule.replace(**changes)


def test_a_larger_size_brings_the_best_back_and_none_brings_all() -> None:
    made = trainer(schedule=SIZED.replace(epochs=8))
    made.run(7, progress=False)
    before = on(made)
    set_schedule(made, size=0.8)
    made.run(progress=False)
    assert sum(count_on(made).values()) == 8
    for name, values in on(made).items():
        assert all(now for now, was in zip(values, before[name], strict=True) if was)
    set_schedule(made, size=None)
    assert all(mask.all() for mask in made.learners.state_dict()["kept"].values())
    set_schedule(made, size=0.3)  # all epochs are done, and so is the ramp
    assert sum(count_on(made).values()) == 3


def test_a_smaller_size_takes_more_away() -> None:
    made = trainer(schedule=SIZED.replace(epochs=8))
    made.run(7, progress=False)
    before = on(made)
    set_schedule(made, size=0.3)
    assert sum(count_on(made).values()) == 3
    for name, values in on(made).items():
        assert all(was for now, was in zip(values, before[name], strict=True) if now)
    made.run(progress=False)
    assert sum(count_on(made).values()) == 3


def test_a_longer_run_brings_none_back() -> None:
    made = trainer(schedule=SIZED)
    made.run(progress=False)
    before = on(made)
    set_schedule(made, epochs=12)  # puts the ramp off
    made.run(progress=False)
    assert on(made) == before


def test_an_end_that_comes_earlier_ends_the_ramp() -> None:
    made = trainer(schedule=SIZED)
    made.run(2, progress=False)
    assert all(mask.all() for mask in made.learners.state_dict()["kept"].values())
    set_schedule(made, freeze_epochs=2)
    assert sum(count_on(made).values()) == 5
    factors = {name: s.clone() for name, s in made.factors.items()}
    made.run(progress=False)
    assert all(s.equal(factors[name]) for name, s in made.factors.items())


def test_back_and_again() -> None:
    plan = SIZED.replace(size_from=0.25)  # epochs 1.75 to 3.25
    made, twin = trainer(schedule=plan), trainer(schedule=plan)
    made.run(3, progress=False)
    half = made.learners.state_dict()["kept"]
    assert not all(mask.all() for mask in half.values())
    go(made, 7)
    made.rollback()
    assert all(mask.equal(half[n]) for n, mask in made.learners.state_dict()["kept"].items())
    state = made.state_dict()
    other = trainer(small(), plan)
    other.load_state_dict(state)
    branch = made.branch(made.epoch_end)
    for each in (made, other, branch, twin):
        for _ in each:
            pass
        assert same(future(each), future(made))
    set_schedule(made, size=None)
    made.rollback()
    assert all(mask.all() for mask in made.learners.state_dict()["kept"].values())
    made.reset()
    assert all(mask.all() for mask in made.learners.state_dict()["kept"].values())


def test_a_forked_run_goes_on_with_the_choice(tmp_path: Path) -> None:
    plan = PLAN.replace(size=0.6, size_of="neurons", size_from=0.25)
    made = finish(make(tmp_path / "a", plan))
    made.close()
    again = runs.Trainer.fork(tmp_path / "a", 2, network=tiny_net(), data=DATA)
    assert on(finish(again)) == on(made)
    again.close()
    back = resume(tmp_path / "a", epoch=2)
    assert back.schedule == plan
    assert on(finish(back)) == on(made)
    back.close()


# --- errors ---------------------------------------------------------------------------------------


def test_a_size_that_is_too_small_is_refused() -> None:
    told = (
        "schedule.size must be at least {} of the {} for this network, because every group keeps "
        "a neuron, and layers without switches stay whole; got {}. Use a larger size, or another "
        "schedule.size_of."
    )
    made = trainer()
    assert message_of(lambda: set_schedule(made, size=0.01)) == told.format(
        0.097, "parameters", 0.01
    )
    assert message_of(lambda: trainer(schedule=SIZED.replace(size=0.1))) == told.format(
        0.2, "neurons", 0.1
    )
    set_schedule(made, size=0.2, size_of="neurons")
    made.run(progress=False)
    assert count_on(made) == {"0": 1, "4": 1}


def test_dense_rivals_leave_the_size_out() -> None:
    made = rivals.train("dense", small(), tiny_data(), SIZED, device="cpu")
    assert made.schedule == SIZED.replace(switcher_steps=0, size=None)
    assert size_of(made) == 1


@pytest.mark.slow
def test_equal_size_for_controls_in_a_study() -> None:
    for method in ("switched", "shuffled", "random_features", "free"):
        made = rivals.train(method, small(), tiny_data(), SIZED, device="cpu")
        assert sum(count_on(made).values()) == 5, method


def test_every_group_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are computed once for each size, not in every round."""
    calls: list[tuple] = []

    def counted(switches: Switches, size: float, what: str) -> dict[str, int]:
        calls.append((size, what))
        return {name: g.neurons // 2 for name, g in switches.groups.items()}

    monkeypatch.setattr(sizing, "keep_counts", counted)
    made = trainer(schedule=SIZED)
    made.run(progress=False)
    assert calls == [(0.5, "neurons")]
