"""How long each neuron's weights were at the end of each epoch.

All of it runs in the session's thread, between two steps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from snnviz.structure import neuron_weights
from snnviz.structure.probe import copied
from snnviz.training import AlternatingTrainer

Lengths = dict[str, np.ndarray]  # {group: (2, neurons): incoming, outgoing}


class Norms:
    """The lengths at the start, and at the end of each epoch that this session has seen."""

    def __init__(self, trainer: AlternatingTrainer) -> None:
        self._trainer = trainer
        self._lengths: dict[int, Lengths] = {}
        if trainer.position.step:
            start = copied(trainer.network)
            start.load_state_dict(trainer.initial["network"])
            self._lengths[0] = self._measure(start)
        self.keep()

    def keep(self) -> None:
        """Measures them, if now is the end of an epoch."""
        now = self._trainer.position
        if now == self._trainer.epoch_end["position"]:
            self._lengths[now.epoch] = self._measure(self._trainer.network)

    def went_back(self, to: int | None = None) -> None:
        """Forgets what came after an epoch; None: after the present one."""
        now = self._trainer.position.epoch if to is None else to
        self._lengths = {epoch: each for epoch, each in self._lengths.items() if epoch <= now}

    def of(self, group: str, index: int) -> Mapping[str, Any]:
        """A neuron's, as the page takes them: epochs, incoming and outgoing (float32)."""
        epochs = sorted(self._lengths)
        rows = np.stack([self._lengths[epoch][group][:, index] for epoch in epochs], 1)
        incoming, outgoing = rows.astype("<f4")  # (epochs,) each
        read = bool(self._trainer.switches.groups[group].readers)
        return {
            "epochs": epochs,
            "incoming": incoming.tobytes(),
            "outgoing": outgoing.tobytes() if read else b"",
        }

    @torch.no_grad()
    def _measure(self, network: nn.Module) -> Lengths:
        found = {}
        for name, group in self._trainer.switches.groups.items():
            weights = neuron_weights(network, group)
            both = torch.stack([weights.length, weights.outgoing])
            found[name] = both.float().cpu().numpy()
        return found
