"""The lesson's questions: their answers against a plain computation, and the hints."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from snnviz.data import ImageData
from snnviz.lab.lessons import (
    Choice,
    check_factors,
    find_neuron_parameters,
    find_waterline,
    guess_accuracy,
    read_difference,
    say_which_go_off,
    say_why_off,
)
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.switcher import unit_mean
from tests.helpers import message_of
from tests.lab.conftest import make_trainer

CHOICES = (say_which_go_off, say_why_off)


def difference(points: float) -> Choice:
    """The question on two runs of which the one with switching is better by so much."""
    runs = (
        SimpleNamespace(history=SimpleNamespace(last_epoch={"test_accuracy": accuracy}))
        for accuracy in (0.8 + points / 100, 0.8)
    )
    return read_difference(*runs)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [*CHOICES, lambda: difference(0.24)])
def test_every_wrong_option_has_a_hint_of_its_own(make) -> None:
    question = make()
    wrong = [question.check(option) for option in question.options if option != question.right]
    assert question.check(question.right).right
    assert not any(reply.right for reply in wrong)
    assert all("?" in reply.text or "Look" in reply.text for reply in wrong)
    assert len({reply.text for reply in wrong}) == len(wrong) >= 2


def test_the_difference_is_that_of_the_two_runs() -> None:
    assert "ended at 80.24%, and without at 80.00%." in difference(0.24).text
    assert "ended at 78.50%, and without at 80.00%." in difference(-1.5).text


def test_guessing() -> None:
    question = guess_accuracy()
    assert question.check(10).right
    assert question.check("10 %").right
    assert "two kinds" in question.check(50).text
    assert "share" in question.check(0.1).text
    assert "How often" in question.check(20).text


@pytest.mark.parametrize(
    "scores", [(3, 2, 2, 0), (5, 1, 1, 1), (6, 1, 1, 0), (0.5, 0.5), (7,), (-3, 4, 0.25, 1, 1, 9)]
)
def test_the_waterline_is_the_switchers(scores: tuple) -> None:
    question = find_waterline(scores)
    z = torch.tensor(scores, dtype=torch.float64)
    assert np.maximum(np.array(scores) - question.right, 0).mean() == pytest.approx(1)
    assert torch.allclose((z - question.right).clamp_min(0), unit_mean(z))
    assert question.check(question.right).right


def test_a_wrong_waterline_gets_its_factors() -> None:
    question = find_waterline((3, 2, 2, 0))
    assert question.check(0).text == (
        "With 0 the factors are 3, 2, 2, 0, and their mean is 1.75. Raise the waterline."
    )
    assert question.check(2).text == (
        "With 2 the factors are 1, 0, 0, 0, and their mean is 0.25. Lower the waterline."
    )
    assert repr(question.check(1)) == "Correct. 1 of 4 neurons are off."


def test_scores_are_numbers() -> None:
    assert message_of(lambda: find_waterline(())) == (
        "scores must have at least one number, got none. Use for example (3, 1)."
    )
    assert message_of(lambda: find_waterline((1, math.nan))) == (
        "scores must be a finite number, got nan."
    )


def test_parameters_of_a_neuron() -> None:
    trainer = make_trainer()
    question = find_neuron_parameters(trainer, "fc1")  # 784 - 300 - 100
    assert question.check(784 + 1 + 100).right
    before = trainer.switches.size().parameters
    off = {group.name: np.ones(group.neurons) for group in trainer.switches.groups.values()}
    off["fc1"][0] = 0
    assert before - trainer.switches.size(off).parameters == question.right
    assert "bias, and is read" in question.check(784).text
    assert "Right so far" in question.check(785).text
    assert "Nearly" in question.check(884).text
    assert "784 inputs" in question.check(3).text


def test_parameters_of_a_channel_are_not_asked_for(rng: np.random.Generator) -> None:
    images = torch.from_numpy(rng.integers(0, 256, (20, 1, 28, 28), dtype=np.uint8))
    split = images, torch.arange(20) % 10
    data = ImageData.from_tensors(split, split, device="cpu")
    trainer = Trainer(network("lenet5", data), data, device="cpu")
    assert message_of(lambda: find_neuron_parameters(trainer, "conv1")) == (
        "group must be of one linear layer that one linear layer reads, got 'conv1'. "
        "Use the last group of mlp or lenet5."
    )
    assert message_of(lambda: find_neuron_parameters(trainer, "fc9")).startswith(
        "group must be one of 'conv1', 'conv2', 'fc1', got 'fc9'."
    )


def test_factors_are_checked_step_by_step() -> None:
    trainer = make_trainer(warmup_epochs=0, switcher_lr=0.05)
    trainer.run(progress=False)
    told = trainer.explain()["fc1"]
    right = (told.scores - told.waterline).clamp(min=0)
    assert check_factors(right, told).right
    assert check_factors(right.tolist(), told).right
    assert check_factors("none", told).text == "Give a tensor or a list of numbers."
    assert "Replace None" in check_factors(None, told).text
    assert check_factors(right[:3], told).text == "These are 3 numbers; fc1 has 300."
    assert "above the waterline" in check_factors(told.scores.clamp(min=0) + 1, told).text
    below = right - 2
    assert "below 0" in check_factors(below, told).text
