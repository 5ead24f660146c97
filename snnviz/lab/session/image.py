"""How strongly each neuron answers to one image, and what the network predicts for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnviz import checks
from snnviz.data import ImageData
from snnviz.data.checks import check_one_image
from snnviz.lab.session.listening import find_channel_axis, listen
from snnviz.structure import SwitchGroup
from snnviz.training import AlternatingTrainer


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of one image.

    Attributes:
        image: as it was given, (channels, height, width).
        index: of the test image; None: it is another image.
        label: name of its class; "" if that is not known.
        probabilities: {class: 0 to 1}, in the order of the classes.
        answers: {group: (neurons,)}, each neuron's pre-activation times its factor, where in the
            image it is greatest; 0 if it is below 0 everywhere, or not a number.
        step: steps that were done.
    """

    image: Tensor = field(repr=False)
    index: int | None
    label: str
    probabilities: Mapping[str, float]
    answers: Mapping[str, np.ndarray] = field(repr=False)
    step: int

    @property
    def predicted(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


def check_image(data: ImageData, what: Any) -> int | Tensor:
    """The number of a test image, or an image like those of the data.

    Raises:
        ValueError: there is no such test image, or it is no such image.
    """
    number = checks.plain(what)
    if isinstance(number, int) and not isinstance(number, bool):
        if not 0 <= number < len(data.test):
            raise ValueError(
                f"image must be the number of a test image, 0 to {len(data.test) - 1}, "
                f"got {number}. Or give an image of the shape {data.shape}."
            )
        return number
    return check_one_image("image", what, data.test.images[:1])


@torch.no_grad()
def answer_image(trainer: AlternatingTrainer, what: int | Tensor) -> Answer:
    """Shows an image to the network as it is now, with the factors in use.

    Args:
        what: see `check_image`.
    """
    data = trainer.data
    if isinstance(what, int):
        images, labels = data.batch("test", torch.tensor([what]))
        raw, label = data.test.images[what].cpu(), data.classes[int(labels[0])]
    else:
        images, raw, label = data.normalise(what[None].to(data.device)), what, ""
    found: dict[str, np.ndarray] = {}
    handles = [_listen(trainer, group, found) for group in trainer.switches.groups.values()]
    try:
        chances = trainer.learners.logits(images, trainer.factors)[0].softmax(0)
    finally:
        for handle in handles:
            handle.remove()
    probabilities = dict(zip(data.classes, chances.tolist(), strict=True))
    index = what if isinstance(what, int) else None
    return Answer(raw, index, label, probabilities, found, trainer.position.step)


def scale_answers(answers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each group's answers from 0 to 1, its strongest."""
    return {
        group: values / most if (most := values.max(initial=0)) > 0 else np.zeros_like(values)
        for group, values in answers.items()
    }


def _listen(trainer: AlternatingTrainer, group: SwitchGroup, found: dict[str, np.ndarray]) -> Any:
    """Has the next pass through the network write the group's answers into `found`."""
    member = (group.scaled_as or group.written_as)[0]
    module = trainer.network.get_submodule(member.layer)

    def keep(output: Tensor) -> None:
        axis = find_channel_axis(module, output, int(member.channels.max()))
        places = output.float().movedim(axis, 0)  # (channels, 1, …)
        peaks = places.reshape(len(places), -1).amax(1).nan_to_num().cpu().numpy()  # (channels,)
        values = np.zeros(group.neurons, np.float32)
        np.maximum.at(values, member.neurons, peaks[member.channels])
        if not group.scaled_as:  # the factors are on the layers that read it
            values *= trainer.factors[group.name].detach().nan_to_num().cpu().numpy()
        found[group.name] = values

    return listen(module, keep)
