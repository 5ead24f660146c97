"""How neurons answer to one image, against the network's own layers; and what is no image."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from snnviz.data import ImageData
from snnviz.lab.session.image import answer_image, check_image, scale_answers
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.helpers import message_of
from tests.lab.conftest import make_trainer

IMAGES = torch.randint(0, 256, (20, 1, 28, 28), generator=torch.Generator().manual_seed(0))
DATA = ImageData.from_tensors(
    (IMAGES.to(torch.uint8), torch.arange(20) % 10),
    (IMAGES[:10].to(torch.uint8), torch.arange(10)),
    device="cpu",
)


def made(name: str) -> Trainer:
    """A trainer after some steps, so that its factors differ."""
    plan = Schedule(epochs=4, warmup_epochs=0, task_steps=1, batch_size=10, switcher_lr=0.05)
    trainer = Trainer(network(name, DATA), DATA, plan, device="cpu", precision="float32")
    for _ in range(8):
        trainer.step()
    return trainer


def slow_answers(trainer: Trainer, image: Tensor) -> tuple[dict, Tensor]:
    """Layer by layer: each neuron's greatest output times its factor, where it is above 0."""
    found, x = {}, DATA.normalise(image[None])
    for name, layer in trainer.network.named_modules():
        if list(layer.children()):
            continue
        x = layer(x)
        if name in trainer.factors:
            factors = trainer.factors[name].reshape(-1, *[1] * (x.ndim - 2))
            x = x * factors
            peaks = [float(x[0, i].max()) for i in range(x.shape[1])]
            found[name] = [max(peak, 0.0) for peak in peaks]
    return found, x[0].softmax(0)


@pytest.mark.parametrize("name", ["mlp", "lenet5"])
def test_against_the_layers_one_by_one(name: str) -> None:
    trainer = made(name)
    assert isinstance(trainer.network, nn.Sequential), "so that its layers run in their order"
    with torch.no_grad():
        wanted, chances = slow_answers(trainer, DATA.test.images[3])
    answer = answer_image(trainer, 3)
    assert answer.answers.keys() == wanted.keys() == trainer.factors.keys()
    for group, values in wanted.items():
        assert_allclose(answer.answers[group], values, rtol=1e-4, atol=1e-5)
        assert np.count_nonzero(values) > 0
    assert_allclose(list(answer.probabilities.values()), chances, rtol=1e-4, atol=1e-6)
    assert (answer.index, answer.label) == (3, DATA.classes[3])
    assert answer.predicted == DATA.classes[int(chances.argmax())]


def test_a_drawing_is_taken_like_the_test_image_that_it_equals() -> None:
    trainer = make_trainer()
    image = trainer.data.test.images[4]
    first, second = answer_image(trainer, 4), answer_image(trainer, image)
    assert first.probabilities == second.probabilities
    assert (second.index, second.label) == (None, "")
    for drawn in (image.numpy(), image[0].numpy(), image.int()):
        taken = check_image(trainer.data, drawn)
        assert isinstance(taken, Tensor)
        assert torch.equal(taken, image)
    assert check_image(trainer.data, np.int64(7)) == 7


def test_training_is_not_disturbed() -> None:
    trainer, other = make_trainer(), make_trainer()
    for k in range(4):
        answer_image(trainer, k)
        trainer.step()
        other.step()
    assert trainer.history.steps.equals(other.history.steps)
    assert all(not module._forward_hooks for module in trainer.network.modules())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (50, "image must be the number of a test image, 0 to 49, got 50. "
             "Or give an image of the shape (1, 28, 28)."),
        (-1, "image must be the number of a test image, 0 to 49, got -1. "
             "Or give an image of the shape (1, 28, 28)."),
        (np.zeros((3, 28, 28), np.uint8), "image must have the shape (1, 28, 28) (channels, "
            "height, width), like the test images, got (3, 28, 28). Resize it, or give the number "
            "of a test image."),
        (np.full((28, 28), 0.5), "image must hold whole numbers from 0 to 255, like the test "
            "images, got float64 from 0.5 to 0.5. Of floats from 0 to 1, give "
            "(255 * image).round() as uint8."),
        (np.full((28, 28), np.nan), "image must be finite numbers, got NaN or infinity."),
    ],
)  # fmt: skip
def test_what_is_no_image(wrong: object, said: str) -> None:
    data = make_trainer().data
    assert message_of(lambda: check_image(data, wrong)) == said


@pytest.mark.parametrize("wrong", ["seven", None, True, [1, 2], 2.5])
def test_what_is_not_even_numbers(wrong: object) -> None:
    data = make_trainer().data
    assert message_of(lambda: check_image(data, wrong)).startswith(
        "image must be a torch tensor or a NumPy array of numbers, got "
    )


def test_answers_are_scaled_in_their_groups() -> None:
    scaled = scale_answers({"a": np.array([0.0, 1.0, 4.0]), "b": np.zeros(2)})
    assert_allclose(scaled["a"], [0, 0.25, 1])
    assert_allclose(scaled["b"], [0, 0])
