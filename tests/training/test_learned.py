"""A switcher that has learned, on another network: trained on or held, recorded and resumed."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from snnviz.runs import Trainer
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import Schedule
from snnviz.training.trainer import switcher_step
from tests.reference import own, tiny_data
from tests.runs.conftest import PLAN, assert_same, finish, go, make, resume

HELD = Schedule(switcher_lr=0.0, epochs=2, batch_size=20, task_steps=1, warmup_epochs=1)


@pytest.fixture(scope="module")
def learned() -> Switcher:
    """Learned on a network of other groups."""
    plan = HELD.replace(switcher_lr=0.02, warmup_epochs=0, epochs=3)
    config = SwitcherConfig(gain=2.0, gain_rule="fixed")
    trainer = Trainer(own(), tiny_data(), plan, config, seed=4, precision="float32")
    trainer.run(progress=False)
    return trainer.switcher


def state_of(switcher: Switcher) -> list[Tensor]:
    return [tensor.clone() for tensor in switcher.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_it_begins_where_it_was_and_goes_on_learning(learned: Switcher) -> None:
    before = state_of(learned)
    trainer = make(switcher=learned)
    assert trainer.switcher is not learned
    assert same(state_of(trainer.switcher), before)
    assert (trainer.switcher.config, trainer.switcher.seed) == (learned.config, trainer.seed)
    finish(trainer)
    assert not same(state_of(trainer.switcher), before)
    assert same(state_of(learned), before)  # several trainers can begin with it


def test_held_it_reads_the_weights_of_now_and_learns_nothing(learned: Switcher) -> None:
    trainer = make(switcher=learned, schedule=HELD)
    seen = []
    while not trainer.finished:
        phase = trainer.phase
        trainer.step()
        if phase == "switcher":
            with torch.no_grad():
                wanted = trainer.switcher(trainer.learners._weights())
            for group, factors in trainer.factors.items():
                assert torch.equal(factors, wanted[group])
            seen.append({group: factors.clone() for group, factors in trainer.factors.items()})
    assert same(state_of(trainer.switcher), state_of(learned))
    assert len(seen) == 2
    assert all(not torch.equal(seen[0][g], seen[-1][g]) for g in seen[0])  # weights have moved
    moments = trainer.state_dict()["switcher_optimizer"]["state"]
    assert moments == {}  # the optimizer has taken no step


def test_a_held_step_measures_the_loss_that_a_learning_one_would(learned: Switcher) -> None:
    held, other = make(switcher=learned, schedule=HELD), make(switcher=learned)
    images, labels = held.data.batch("train", torch.arange(8))
    measured = []
    for trainer, lr in ((held, 0.0), (other, 0.1)):
        torch.manual_seed(0)  # of dropout
        measured.append(switcher_step(trainer.learners, images, labels, lr, 1.0))
    assert torch.equal(*measured)


def test_until_the_first_switcher_phase_all_factors_are_1(learned: Switcher) -> None:
    trainer = make(switcher=learned, schedule=HELD)
    while trainer.phase == "task":
        assert all((factors == 1).all() for factors in trainer.factors.values())
        trainer.step()
    trainer.step()
    assert any((factors != 1).any() for factors in trainer.factors.values())
    trainer.reset()
    assert all((factors == 1).all() for factors in trainer.factors.values())


def test_without_switcher_phases_nothing_is_switched(learned: Switcher) -> None:
    trainer = make(switcher=learned, schedule=PLAN.replace(switcher_steps=0))
    finish(trainer)
    assert all((factors == 1).all() for factors in trainer.factors.values())


@pytest.mark.parametrize("plan", [PLAN, HELD.replace(epochs=3)], ids=["learns on", "held"])
@pytest.mark.parametrize("steps", [1, 7])
def test_stopped_and_resumed_it_is_the_same_run(
    learned: Switcher, plan: Schedule, steps: int, tmp_path: Path
) -> None:
    whole = finish(make(switcher=learned, schedule=plan))
    trainer = make(tmp_path / "run", switcher=learned, schedule=plan)
    go(trainer, steps)
    trainer.save()
    trainer.close()
    again = finish(resume(tmp_path / "run"))
    assert_same(again, whole)
    again.reset()
    assert same(state_of(again.switcher), state_of(learned))


def test_the_run_says_what_it_began_with(learned: Switcher, tmp_path: Path) -> None:
    said = []
    for name, switcher in (("one", learned), ("two", learned), ("new", None)):
        make(tmp_path / name, switcher=switcher).close()
        said.append(json.loads((tmp_path / name / "config.json").read_text()))
    assert said[0]["learned"] == said[1]["learned"] != ""
    assert said[2]["learned"] == ""
    assert said[0]["switcher"]["gain"] == 2.0


def test_saved_by_one_run_and_loaded_by_another(learned: Switcher, tmp_path: Path) -> None:
    trainer = finish(make(switcher=learned))
    file = trainer.switcher.save(tmp_path / "taught.safetensors")
    other = Trainer(own(), tiny_data(), HELD, Switcher.load(file), seed=9, precision="float32")
    assert same(state_of(other.switcher), state_of(trainer.switcher))
    other.run(progress=False)
    assert any((factors != 1).any() for factors in other.factors.values())


def test_what_is_no_switcher() -> None:
    with pytest.raises(TypeError) as caught:
        make(switcher="switcher.safetensors")
    assert str(caught.value) == (
        "switcher must be a snnviz.SwitcherConfig or a Switcher, got str. Make one with "
        "SwitcherConfig(...), or load a trained one with Switcher.load."
    )
