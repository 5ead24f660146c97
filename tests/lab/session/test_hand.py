"""What is tried out, pinned and looked at, and the way back to past epochs."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call

from snnviz.lab.session import Session, states
from snnviz.lab.session.hand import Hand
from snnviz.lab.session.states import PastStates
from snnviz.lab.session.whatif import check_changes, evaluate_changes
from snnviz.runs import Trainer
from snnviz.training import AlternatingTrainer
from tests.helpers import message_of
from tests.lab.conftest import TIMEOUT, make_trainer


@pytest.fixture
def trainer() -> Trainer:
    """After an epoch of alternation."""
    made = make_trainer(warmup_epochs=0, epochs=6)
    made.run(1, progress=False)
    return made


def groups_of(trainer: Trainer) -> list[str]:
    return list(trainer.history.groups)


def by_hand(trainer: Trainer, factors: dict[str, torch.Tensor]) -> list[tuple[int, int]]:
    """(images, right) of each class, one image at a time."""
    from snnviz.structure import scaled_parameters

    data, counts = trainer.data, [[0, 0] for _ in range(trainer.data.n_classes)]
    scaled = scaled_parameters(trainer.network, trainer.switches, factors)
    trainer.network.eval()
    for i in range(len(data.test)):
        images, labels = data.batch("test", torch.tensor([i]))
        with torch.no_grad():
            scores = functional_call(trainer.network, scaled, (images,))
        label = int(labels)
        counts[label][0] += 1
        counts[label][1] += int(scores.argmax()) == label
    return [(n, right) for n, right in counts]


def test_a_trial_is_the_network_with_those_neurons_switched(trainer: Trainer) -> None:
    first = groups_of(trainer)[0]
    order = trainer.factors[first].argsort(descending=True).tolist()
    changes = {first: {order[0]: False, order[1]: False, order[2]: True}}
    before = {name: s.clone() for name, s in trainer.factors.items()}
    trial = evaluate_changes(trainer, changes)
    after = {name: s.clone() for name, s in before.items()}
    after[first][order[:2]] = 0  # the third is on as it was
    for scores, factors in ((trial.before, before), (trial.after, after)):
        assert list(zip(scores.images, scores.right, strict=True)) == by_hand(trainer, factors)
        assert scores.accuracy == sum(scores.right) / 50
    assert trial.before.accuracy == pytest.approx(trainer.evaluate().accuracy)
    assert trial.changes == changes
    assert trial.already == {first: {order[2]}}
    assert (trial.step, trial.of) == (trainer.position.step, 50)
    for name, s in trainer.factors.items():
        assert s.equal(before[name])  # nothing has changed yet


def test_a_neuron_that_is_off_comes_on_with_a_factor_of_1(trainer: Trainer) -> None:
    first = groups_of(trainer)[0]
    trainer.pin(first, [3, 4], on=False)
    trial = evaluate_changes(trainer, {first: {3: True}})
    factors = {name: s.clone() for name, s in trainer.factors.items()}
    factors[first][3] = 1
    assert list(zip(trial.after.images, trial.after.right, strict=True)) == by_hand(
        trainer, factors
    )


def test_a_class_without_images_has_no_accuracy() -> None:
    from snnviz.lab.session.whatif import Scores

    scores = Scores((4, 0), (3, 0))
    assert scores.of_class(0) == 0.75
    assert scores.of_class(1) is None


def test_trials_add_up_are_kept_and_let_go(trainer: Trainer) -> None:
    first, second = groups_of(trainer)[:2]
    ours = Hand(trainer, PastStates(trainer))
    ours.try_out({first: {0: False, 1: False}})
    ours.try_out({first: {1: True}, second: {2: False}})
    assert ours.trial is not None
    assert ours.trial.changes == {first: {0: False, 1: True}, second: {2: False}}
    assert trainer.pins == {}
    ours.keep()
    assert ours.trial is None
    assert ours.pins == trainer.pins == {first: {0: 0.0, 1: 1.0}, second: {2: 0.0}}
    assert ours.factors[first][0] == 0
    assert ours.factors[first][1] == 1
    ours.try_out({second: {5: False}})
    ours.let_go({first: [0, 7]})
    assert ours.pins == {first: {1: 1.0}, second: {2: 0.0}}
    assert ours.trial is not None  # of another neuron
    ours.let_go({second: [5]})
    assert ours.trial is None
    ours.try_out({second: {5: False}})
    ours.let_go(None)
    assert (ours.pins, ours.trial) == ({}, None)
    ours.try_out({second: {5: False}})
    ours.try_out({})
    assert ours.trial is None


def test_a_whole_group_can_be_tried_off_but_not_kept(trainer: Trainer) -> None:
    first, second = groups_of(trainer)[:2]
    ours = Hand(trainer, PastStates(trainer))
    everything = dict.fromkeys(range(trainer.history.groups[first]), False)
    ours.try_out({second: {0: False}, first: everything})
    assert ours.trial is not None
    events = len(trainer.history.events)
    assert message_of(ours.keep) == (
        f"{first} would be entirely off, and training would stop. "
        "Leave at least one of its neurons on."
    )
    assert trainer.pins == {}  # nothing of it
    assert len(trainer.history.events) == events
    assert ours.trial is not None


def test_what_a_neurons_page_says(trainer: Trainer) -> None:
    first, second = groups_of(trainer)[:2]
    trainer.pin(first, 7, on=False)
    ours = Hand(trainer, PastStates(trainer))
    ours.look_at(first, 7)
    assert ours.page is not None
    facts = ours.page.facts
    weights = dict(trainer.network.named_parameters())[f"{first}.weight"].detach()
    norms = weights.flatten(1).norm(dim=1)
    assert facts["factor"] == 0
    assert facts["pinned"] == 0.0
    assert facts["norm"] == pytest.approx(float(norms[7]), rel=1e-5)
    assert facts["fan_in"] == 784
    rank = int((norms > norms[7]).sum()) + 1
    assert facts["norm_rank"].startswith(str(rank))
    assert facts["norm_rank"].endswith(f" of {len(norms)}")
    assert facts["reads"] == ["the image"]
    assert facts["feeds"] == [second]
    picture = facts["weights"]
    assert (picture["kind"], picture["count"]) == ("image", 1)
    assert (picture["height"], picture["width"]) == (28, 28)
    np.testing.assert_array_equal(np.frombuffer(picture["data"], np.float32), weights[7].numpy())
    # It answers most to the images whose product with its weights is greatest.
    images, labels = trainer.data.batch("test", torch.arange(50))
    bias = dict(trainer.network.named_parameters())[f"{first}.bias"].detach()
    products = images.flatten(1) @ weights[7] + bias[7]
    best = products.topk(12)
    answers = facts["answers"]
    np.testing.assert_allclose(answers["values"], best.values, atol=1e-3)
    assert answers["labels"] == [trainer.data.classes[i] for i in labels[best.indices]]
    shown = np.frombuffer(answers["data"], np.uint8).reshape(12, 28, 28)
    np.testing.assert_array_equal(shown, trainer.data.test.images[best.indices][:, 0])
    ours.look_at(second, 0)
    assert ours.page.group == second
    assert ours.page.facts["reads"] == [first]
    assert ours.page.facts["weights"]["kind"] == "row"
    ours.look_at(None, 0)
    assert ours.page is None


def test_ordinals() -> None:
    from snnviz.lab.session.neuron import _ordinal

    said = [_ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]


def test_past_states_lead_to_branches_and_take_bounded_memory(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_trainer(epochs=6)
    past = PastStates(made)
    for _ in range(4):
        made.run(1, progress=False)
        past.keep()
    assert past.epochs == {0, 1, 2, 3, 4}
    other = past.branch(2)
    assert other.history.n_epochs == 2
    other.run(2, progress=False)
    for group, factors in made.history.factors.items():
        np.testing.assert_array_equal(other.history.factors[group], factors)
    made.reset()
    past.went_back()
    assert past.epochs == {0}
    assert message_of(lambda: past.branch(2)) == (
        "the state at the end of epoch 2 is not kept; kept are 0. "
        "To keep them all, give the trainer a folder: Trainer(..., folder=...)."
    )
    size = past._bytes()
    monkeypatch.setattr(states, "MOST_BYTES", int(3.5 * size))
    for _ in range(5):
        made.run(1, progress=False)
        past.keep()
    assert 0 in past.epochs
    assert 5 in past.epochs
    assert len(past.epochs) <= 3


def test_commands_of_a_session() -> None:
    session = Session(make_trainer(warmup_epochs=0))
    try:
        first = next(iter(session.trainer.history.groups))
        session.step("epoch")
        session.try_out({first: {1: False}})
        session.look_at(first, 1)
        session.wait(timeout=TIMEOUT)
        status = session.status
        assert status.trial is not None
        assert status.trial.changes == {first: {1: False}}
        assert status.page is not None
        assert status.forkable == {0, 1}
        session.keep()
        session.wait(timeout=TIMEOUT)
        assert session.status.pins == {first: {1: 0.0}}
        assert session.status.factors[first][1] == 0
        assert session.status.page is not None
        assert session.status.page.facts["pinned"] == 0.0
        assert session.trainer.history.events.event.tolist().count("pin") == 1
        session.try_out({first: {10_000: False}})
        session.wait(timeout=TIMEOUT)
        refusal = session.status.refusal
        assert refusal.startswith(f"Refused: neurons of {first!r} must be whole numbers")
        session.try_out({})
        session.wait(timeout=TIMEOUT)
        assert session.status.refusal == ""
        assert session.status.problem is None
        made: list[AlternatingTrainer | Exception] = []
        session.branch(1, made.append)
        session.branch(9, made.append)
        session.step("epoch")
        session.let_go({first: [1]})
        session.wait(timeout=TIMEOUT)
        assert isinstance(made[0], AlternatingTrainer)
        assert made[0].history.n_epochs == 1
        assert isinstance(made[1], ValueError)
        assert session.status.pins == {}
        session.rollback()
        session.wait(timeout=TIMEOUT)
        assert session.status.problem is None
        assert session.status.trial is None
    finally:
        session.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fc2": 3},
            "changes must be {group: {neuron: on}} or {group: [neurons that are off]}, "
            "got 3 for 'fc2'.",
        ),
        (
            {"fc2": "12"},
            "changes must be {group: {neuron: on}} or {group: [neurons that are off]}, "
            "got '12' for 'fc2'.",
        ),
        ({"fc2": [0, 100]}, "neurons of 'fc2' must be whole numbers from 0 to 99, got 100."),
    ],
)
def test_changes_of_another_form(changes: Any, message: str) -> None:
    assert message_of(lambda: check_changes({"fc2": 100}, changes)) == message


def test_a_list_is_short_for_off() -> None:
    assert check_changes({"a": 9, "b": 3}, {"a": [5, 7], "b": {1: True}}) == {
        "a": {5: False, 7: False},
        "b": {1: True},
    }


def test_training_in_a_cell_is_seen_with_the_next_command() -> None:
    session = Session(make_trainer(warmup_epochs=0))
    try:
        session.wait(timeout=TIMEOUT)
        session.trainer.run(2, progress=False)
        session.pause()
        session.wait(timeout=TIMEOUT)
        for group, factors in session.trainer.factors.items():
            np.testing.assert_array_equal(session.status.factors[group], factors.numpy())
        assert session.status.position == session.trainer.position
    finally:
        session.close()
