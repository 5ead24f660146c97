"""A neuron's incoming weights as pictures: those of now, and of past epochs whose state is kept.

All of it runs in the session's thread, between two steps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from snnviz.lab.session.states import PastStates
from snnviz.structure import SwitchGroup
from snnviz.structure.layers import rows_of
from snnviz.structure.probe import copied
from snnviz.training import AlternatingTrainer

MOST_KERNELS = 64  # pictures of a convolution's weights
PAST_KERNELS = 16  # the same of each past epoch
MOST_WEIGHTS = 1024  # of a row that is drawn as cells
MOST_PAST = 9  # past epochs that are shown
PAST_VALUES = 40_000  # weights of all of them together


def draw_weights(
    trainer: AlternatingTrainer, switch: SwitchGroup, index: int, kernels: int = MOST_KERNELS
) -> dict[str, Any]:
    """The incoming weights, of the first writer, as the page draws them.

    Args:
        kernels: pictures of a convolution's weights at most.
    """
    name, channel = _find_row(switch, index)
    layer = trainer.network.get_submodule(name)
    kind, shown, of = _arrange(rows_of(layer)[channel], trainer.data.shape, kernels)
    return {
        "kind": kind,
        "data": shown.astype("<f4").tobytes(),
        "count": shown.shape[0],
        "height": shown.shape[1],
        "width": shown.shape[2],
        "shown_of": of,
    }


class PastWeights:
    """The same of past epochs' ends. Those of the neuron that is looked at are read once.

    Args:
        states: the states that are kept.
    """

    def __init__(self, trainer: AlternatingTrainer, states: PastStates) -> None:
        self._trainer, self._states = trainer, states
        self._neuron: tuple[str, int] | None = None
        self._pictures: dict[int, np.ndarray | None] = {}  # {epoch: what could be read}

    def went_back(self) -> None:
        """Forgets what was read: later epochs are no longer what they were."""
        self._neuron = None

    def of(self, group: str, index: int) -> dict[str, Any] | None:
        """A neuron's, as `draw_weights` gives them; `epochs` says of when, and now comes last.

        None: training has not begun. Without `epochs`, none of them is kept.
        """
        at = self._trainer.position
        if at.step == 0:
            return None
        if self._neuron != (group, index):
            self._neuron, self._pictures = (group, index), {}
        switch = self._trainer.switches.groups[group]
        now = draw_weights(self._trainer, switch, index, PAST_KERNELS)
        size = len(now["data"]) // 4
        kept = sorted(epoch for epoch in self._states.epochs if epoch < at.epoch or at.batch)
        chosen = _spread(kept, min(max(PAST_VALUES // size, 1), MOST_PAST))
        pictures = {epoch: self._read(epoch, switch, index) for epoch in chosen}
        found = {epoch: each for epoch, each in pictures.items() if each is not None}
        data = b"".join(each.astype("<f4").tobytes() for each in found.values())
        return {**now, "data": data + now["data"], "epochs": list(found), "kept": len(kept)}

    def _read(self, epoch: int, switch: SwitchGroup, index: int) -> np.ndarray | None:
        if epoch not in self._pictures:
            name, channel = _find_row(switch, index)
            layer = copied(self._trainer.network.get_submodule(name))
            try:
                layer.load_state_dict(self._states.layer_at(epoch, name))
            except (OSError, RuntimeError, ValueError):  # the file is gone, or damaged
                self._pictures[epoch] = None
            else:
                shape = self._trainer.data.shape
                self._pictures[epoch] = _arrange(rows_of(layer)[channel], shape, PAST_KERNELS)[1]
        return self._pictures[epoch]


def _find_row(switch: SwitchGroup, index: int) -> tuple[str, int]:
    """The first layer that computes a neuron, and which of its channels it is."""
    member = switch.written_as[0]
    return member.layer, int(member.channels[np.flatnonzero(member.neurons == index)[0]])


def _arrange(row: Tensor, shape: Sequence[int], kernels: int) -> tuple[str, np.ndarray, int]:
    """What kind of pictures they are, those that are shown (n, height, width), and of how many."""
    own = row.detach().float().cpu()  # (inputs, height, width) or (inputs,)
    if own.ndim >= 3:
        kind, pictures = "kernels", own.reshape(own.shape[0], *own.shape[-2:])
    elif own.numel() == int(np.prod(shape)):
        kind, pictures = "image", own.reshape(*shape)
    else:
        kind, pictures = "row", own.reshape(1, 1, -1)[..., :MOST_WEIGHTS]
    of = own.numel() if kind == "row" else pictures.shape[0]
    return kind, pictures[:kernels].contiguous().numpy(), of


def _spread(epochs: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly: the first, and where there is room the last."""
    if len(epochs) <= most:
        return list(epochs)
    places = np.linspace(0, len(epochs) - 1, most).round().astype(int)
    return [epochs[k] for k in places]
