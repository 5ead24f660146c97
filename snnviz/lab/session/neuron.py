"""One neuron: its weights, the layers around it, the images that activate it most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnviz.history import History
from snnviz.lab.session.chain import make_chain
from snnviz.lab.session.listening import find_channel_axis, listen
from snnviz.lab.session.weights import draw_weights
from snnviz.structure import SwitchGroup, neuron_weights
from snnviz.training import AlternatingTrainer

ANSWERS = 12  # test images that activate a neuron most
IMAGES = 2000  # test images that are looked through for them


@dataclass(frozen=True)
class Page:
    """All that the lab tells of a neuron.

    Attributes:
        group, index: which one.
        facts: plain values and bytes for the page; `page.js` draws them.
    """

    group: str
    index: int
    facts: dict[str, Any]


def make_page(trainer: AlternatingTrainer, group: str, index: int, answers: bool = True) -> Page:
    """Looks at a neuron as it is now.

    Args:
        answers: also look for the test images that activate it most.
    """
    switch = trainer.switches.groups[group]
    incoming = neuron_weights(trainer.network, switch).incoming.detach().float()
    there = not trainer.data.missing
    norms = torch.linalg.vector_norm(incoming, dim=1)  # (neurons,)
    rank = 1 + int((norms > norms[index]).sum())
    facts = {
        "group": group,
        "index": index,
        "factor": float(trainer.factors[group][index]),
        "at": f"step {trainer.position.step}",
        "pinned": trainer.pins.get(group, {}).get(index),
        "norm": float(norms[index]),
        "norm_rank": f"{_ordinal(rank)} of {len(norms)}",
        "fan_in": incoming.shape[1],
        "writers": list(switch.writers),
        "reads": _layers_before(trainer, switch),
        "feeds": list(switch.readers),
        "chain": make_chain(trainer, group, index),
        "weights": draw_weights(trainer, switch, index),
        "answers": _top_images(trainer, switch, index) if answers and there else None,
        "notes": _notes(switch),
    }
    return Page(group, index, facts)


def factor_history(
    history: History, group: str, index: int, kinds: Sequence[str]
) -> dict[str, Any]:
    """The neuron's factor at each epoch's end, and what kinds of epochs those were."""
    factors = history.of_neuron(group, index)
    stages: list[list[Any]] = []
    for epoch, kind in enumerate(kinds[: len(factors)], 1):
        if stages and stages[-1][2] == kind:
            stages[-1][1] = epoch
        else:
            stages.append([epoch, epoch, kind])
    return {"factors": factors.tobytes(), "stages": stages}


def _layers_before(trainer: AlternatingTrainer, switch: SwitchGroup) -> list[str]:
    groups = trainer.switches.groups.values()
    found = [group.name for group in groups if set(group.readers) & set(switch.writers)]
    if found:
        return found
    first = next(iter(groups))
    return ["the image"] if switch is first else ["layers without switches"]


def _notes(switch: SwitchGroup) -> list[str]:
    n = len(switch.writers)
    return (
        [f"{n} layers compute it together; the weights shown are those of the first."]
        if n > 1
        else []
    )


@torch.no_grad()
def _top_images(trainer: AlternatingTrainer, switch: SwitchGroup, index: int) -> dict[str, Any]:
    """The test images that activate it most. A neuron that is off is tested as if it were on."""
    data = trainer.data
    factors = {name: s.clone() for name, s in trainer.factors.items()}
    if factors[switch.name][index] == 0:
        factors[switch.name][index] = 1.0
    member = (switch.scaled_as or switch.written_as)[0]
    channel = int(member.channels[np.flatnonzero(member.neurons == index)[0]])
    order = torch.arange(min(IMAGES, len(data.test)))
    peaks = _peaks(trainer, factors, member.layer, channel, order)  # (images,)
    best = peaks.topk(min(ANSWERS, len(peaks))).indices
    images = as_bytes(data.test.images[best.to(data.device)].cpu())  # (count, channels, h, w)
    labels = data.test.labels[best.to(data.device)].tolist()
    return {
        "data": images.permute(0, 2, 3, 1).contiguous().numpy().tobytes(),
        "count": images.shape[0],
        "channels": images.shape[1],
        "height": images.shape[2],
        "width": images.shape[3],
        "labels": [data.classes[i] for i in labels],
        "values": [round(value, 4) for value in peaks[best].tolist()],
        "of": len(order),
        "never": bool((peaks <= 0).all()),  # no image activates it at all
    }


def _peaks(
    trainer: AlternatingTrainer, factors: dict[str, Tensor], layer: str, channel: int, order: Tensor
) -> Tensor:
    """The greatest pre-activation over an image's places, for each image."""
    found: list[Tensor] = []
    module = trainer.network.get_submodule(layer)

    def keep(output: Tensor) -> None:
        own = output.select(find_channel_axis(module, output, channel), channel)
        found.append(own.float().reshape(len(own), -1).amax(1))

    handle = listen(module, keep)
    try:
        for index in order.split(500):
            trainer.learners.logits(trainer.data.batch("test", index)[0], factors)
    finally:
        handle.remove()
    return torch.cat(found).cpu()


def as_bytes(images: Tensor) -> Tensor:
    """Images as uint8; those of floating point stretched from their least to their greatest."""
    if images.dtype == torch.uint8:
        return images
    images = images.float()
    least, most = images.amin(), images.amax()
    return (255 * (images - least) / (most - least).clamp_min(1e-12)).round().to(torch.uint8)


def _ordinal(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
