"""The direction reader: a switcher that reads each neuron's incoming weights directly.

Each group has its own reader, so what it learns about one group does not apply to another. It is
kept for comparison with the switcher that reads descriptors.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.structure import NeuronWeights
from snnviz.switcher import hashing
from snnviz.switcher.activations import factors_of
from snnviz.switcher.config import SwitcherConfig
from snnviz.switcher.hashing import hashed, random_signs
from snnviz.switcher.layout import Layout

_HIDDEN = 32


class Readings(NamedTuple):
    """The network's inputs, computed from the weights. N: the neurons of all groups."""

    rows: tuple[Tensor, ...]  # for each group (neurons, inputs): incoming weights, or their hash
    unit: Tensor  # (N, 1): brings each row to a length of the root of its fan-in
    measures: Tensor  # (N, 3): log length, scale and shift, standardised in the group
    layout: Layout


class DirectionReader(nn.Module):
    """Reads the weights of every group and gives every neuron a factor.

    Each group has its own reader, from the direction of a neuron's incoming weights to `hidden`
    numbers; the groups share everything else: how long the weights are, the norm's scale and shift,
    what the group's neurons have in common, and the head that scores. More than `MOST_INPUTS`
    weights per neuron are first hashed to that many numbers, so that wide layers cost little.

    Args:
        fan_in: {group: incoming weights of each of its neurons}.
        config: how to build it.
        seed: seed of the initial weights; torch's own random state does not change.
    """

    def __init__(
        self, fan_in: Mapping[str, int], config: SwitcherConfig | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.config, self.seed = config or SwitcherConfig(reads="weights"), seed
        self.groups = tuple(fan_in)
        hidden = _HIDDEN
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inputs = [min(n, hashing.MOST_INPUTS) for n in fan_in.values()]
            self.readers = nn.ModuleList(nn.Linear(n, hidden) for n in inputs)
            self.measures = nn.Linear(3, hidden, bias=False)
            self.fellows = nn.Linear(hidden, hidden, bias=False)
            self.norm = nn.LayerNorm(hidden)
            self.middle = nn.Linear(hidden, hidden)
            self.score = nn.Linear(hidden, 1)
        for i, n in enumerate(fan_in.values()):
            # Always drawn from the same seed, so it need not be saved.
            signs = random_signs(n) if n > hashing.MOST_INPUTS else None
            self.register_buffer(f"signs{i}", signs, persistent=False)
        self._kept_rows: dict[int, tuple[Any, Tensor]] = {}
        # A score of 0 for every neuron is a factor of 1 for every neuron.
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, weights: Mapping[str, NeuronWeights]) -> dict[str, Tensor]:
        """{group: the weights of its neurons} -> {group: factors (neurons,)}."""
        return self.factors(self.read(weights))

    def read(self, weights: Mapping[str, NeuronWeights]) -> Readings:
        """The inputs of `factors`, computed from the weights; valid until the weights change.

        Without gradients, the next call reuses the memory of wide layers' hashes.
        """
        own = self.score.weight.dtype  # the switcher's, which may differ from the task network's
        parts = [
            [part.to(own) for part in (known.incoming, known.scale, known.shift)]
            for known in (weights[name] for name in self.groups)
        ]
        rows = []
        for i, part in enumerate(parts):
            row, signs = part[0], getattr(self, f"signs{i}")
            if signs is not None:
                row = hashed(row, signs, self._row_memory(i, row))
            rows.append(row)  # (neurons of a group, at most MOST_INPUTS)
        lengths = [torch.linalg.vector_norm(incoming, dim=1) for incoming, *_ in parts]
        layout = self._layout(tuple(len(length) for length in lengths), lengths[0])
        length = torch.cat(lengths).clamp_min(1e-12)  # (neurons,)
        scale = torch.cat([scale for _, scale, _ in parts])
        shift = torch.cat([shift for _, _, shift in parts])
        measures = layout.standardised(torch.stack([length.log(), scale, shift], 1))  # (neurons, 3)
        # The direction has the length of the root of the fan-in, so that a weight is about 1 in
        # every group. It is scaled behind the reader, where there are fewer numbers.
        roots = [math.sqrt(incoming.shape[1]) for incoming, *_ in parts]
        unit = (layout.members @ length.new_tensor(roots) / length).unsqueeze(1)
        return Readings(tuple(rows), unit, measures, layout)

    def factors(self, readings: Readings) -> dict[str, Tensor]:
        """{group: factors (neurons,)} from what `read` gave."""
        z = self.compute_scores(readings)
        factors = factors_of(z, self.config.activation, readings.layout)
        return dict(zip(self.groups, factors, strict=True))

    def compute_scores(self, readings: Readings) -> Tensor:
        """(neurons of all groups,): the scores that become factors."""
        layout = readings.layout
        read = [
            rows @ reader.weight.T  # type: ignore[operator]
            for rows, reader in zip(readings.rows, self.readers, strict=True)
        ]
        shifts = torch.stack([reader.bias for reader in self.readers])  # type: ignore[misc]
        # (neurons of all groups, hidden); in place, because allocating memory takes longest
        h = torch.cat(read).mul_(readings.unit)
        h = h.addmm_(readings.measures, self.measures.weight.T)
        # Each group has one shift: its reader's bias and the mean over its neurons.
        means = layout.means(h) + shifts  # (groups, hidden)
        h = h.addmm_(layout.members, shifts + self.fellows(means))
        h = self.norm(h)
        z = self.score(F.gelu(self.middle(h))).squeeze(1)  # (neurons of all groups,)
        return z * layout.members.mv(z.new_tensor([self.config.gain_of(n) for n in layout.counts]))

    def _row_memory(self, group: int, incoming: Tensor) -> Tensor | None:
        """Memory for the hash; allocating it on each call would take much of the time."""
        if torch.is_grad_enabled():
            return None
        kind = (len(incoming), incoming.device, incoming.dtype, type(incoming))
        kept = self._kept_rows.get(group)
        if kept is None or kept[0] != kind:
            memory = incoming.new_empty(len(incoming), hashing.MOST_INPUTS)
            kept = self._kept_rows[group] = kind, memory
        return kept[1]

    def _layout(self, counts: tuple[int, ...], like: Tensor) -> Layout:
        kept: Layout | None = getattr(self, "_kept_layout", None)
        if kept is None or not kept.fits(counts, like):
            self._kept_layout = kept = Layout(counts, like)
        return kept
