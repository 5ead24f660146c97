"""The switcher (SNN: switcher neural network, not spiking): from weights to factors.

For each switch group it reads the weights of the group's neurons and gives each neuron a factor
s >= 0. A factor of exactly 0 turns the neuron off. It is equivariant: permuting the neurons of a
group permutes their factors.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.structure import NeuronWeights
from snnviz.switcher import hashing
from snnviz.switcher.activations import ACTIVATIONS, unit_mean, unit_means
from snnviz.switcher.config import SwitcherConfig
from snnviz.switcher.hashing import hashed, random_signs
from snnviz.switcher.layout import Layout


class Switcher(nn.Module):
    """Reads the weights of every group and gives every neuron a factor.

    Each group has its own reader, from the direction of a neuron's incoming weights to `hidden`
    numbers; all else is shared by the groups: how long the weights are, the norm's scale and shift,
    what the group's neurons have in common, and the head that scores. More than `MOST_INPUTS`
    weights a neuron are hashed to that many numbers first, so that wide layers cost little.

    Args:
        fan_in: {group: incoming weights of each of its neurons}.
        config: how it is built.
        seed: of the initial weights; torch's own random state is left as it was.
        neurons: {group: how many}, for a switcher that reads movement.
    """

    def __init__(
        self,
        fan_in: Mapping[str, int],
        config: SwitcherConfig | None = None,
        seed: int = 0,
        neurons: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.config, self.seed = config or SwitcherConfig(), seed
        self.groups = tuple(fan_in)
        hidden = self.config.hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inputs = [min(n, hashing.MOST_INPUTS) for n in fan_in.values()]
            self.readers = nn.ModuleList(nn.Linear(n, hidden) for n in inputs)
            measures = 3 + self.config.outgoing + 2 * self._watches
            self.measures = nn.Linear(measures, hidden, bias=False)
            self.fellows = nn.Linear(hidden, hidden, bias=False)
            self.norm = nn.LayerNorm(hidden)
            self.middle = nn.Linear(hidden, hidden)
            self.score = nn.Linear(hidden, 1)
            if self.config.attention:
                self.looks = nn.Linear(hidden, 3 * hidden, bias=False)  # query, key, value
        for i, n in enumerate(fan_in.values()):
            # Drawn anew from the same seed whenever a switcher is made, so never saved.
            self.register_buffer(
                f"signs{i}", random_signs(n) if n > hashing.MOST_INPUTS else None, False
            )
        if self._watches:
            if neurons is None:
                raise ValueError("neurons must be given where switcher.reads is 'movement'.")
            for i, (name, n) in enumerate(zip(fan_in, inputs, strict=True)):
                for when in ("now", "before"):  # part of the state, for a run that is taken up
                    self.register_buffer(f"{when}{i}", torch.zeros(neurons[name], n))
        self._kept_rows: dict[int, tuple[Any, Tensor]] = {}
        # A score of 0 for every neuron is a factor of 1 for every neuron.
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(
        self, weights: Mapping[str, NeuronWeights], outgoing: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """{group: what `neuron_weights` gives} -> {group: factors (neurons,)}."""
        return self.factors(self.read(weights, outgoing))

    def read(
        self, weights: Mapping[str, NeuronWeights], outgoing: Mapping[str, Tensor] | None = None
    ) -> "Readings":
        """What `factors` needs to know of the weights; it stays as long as they stay.

        Without gradients, hashes of wide layers lie in memory that the next call uses again.
        `outgoing` is {group: what `outgoing_lengths` gives}, if the switcher reads that.
        """
        own = self.score.weight.dtype  # the switcher's, whatever the task network's is
        parts = [[w.to(own) for w in weights[name]] for name in self.groups]
        if self.config.outgoing:
            assert outgoing is not None
            for name, part in zip(self.groups, parts, strict=True):
                part.append(outgoing[name].to(own).clamp_min(1e-12).log())
        if self.config.reads in ("shuffled", "random"):
            parts = [self._instead(i, part) for i, part in enumerate(parts)]
        rows = []
        for i, part in enumerate(parts):
            row, signs = part[0], getattr(self, f"signs{i}")
            if signs is not None:
                row = hashed(row, signs, self._row_memory(i, row))
            rows.append(row)  # (neurons of a group, at most hashing.MOST_INPUTS)
            if self._watches:
                part.extend(self._movement(i, row))
        lengths = [torch.linalg.vector_norm(incoming, dim=1) for incoming, *_ in parts]
        layout = self._layout(tuple(len(length) for length in lengths), lengths[0])
        length = torch.cat(lengths).clamp_min(1e-12)  # (neurons,)
        measures = [length.log(), *(torch.cat(each) for each in list(zip(*parts, strict=True))[1:])]
        centred = layout.centred(torch.stack(measures, 1))  # (neurons, 3 to 6)
        # A root's slope at 0 is infinite.
        variance = layout.means(centred.square()).clamp_min(1e-30)
        # The direction has the length of the root of the fan-in, so that a weight is about 1 in
        # every group. It is scaled behind the reader, where there are fewer numbers.
        roots = [math.sqrt(incoming.shape[1]) for incoming, *_ in parts]
        unit = (layout.members @ length.new_tensor(roots) / length).unsqueeze(1)
        spread = layout.members @ variance.sqrt()
        return Readings(tuple(rows), unit, centred / (spread + 1e-5), layout)

    def factors(self, readings: "Readings") -> dict[str, Tensor]:
        """{group: factors (neurons,)} from what `read` gave."""
        layout = readings.layout
        read = [
            rows @ reader.weight.T  # type: ignore[operator]
            for rows, reader in zip(readings.rows, self.readers, strict=True)
        ]
        shifts = torch.stack([reader.bias for reader in self.readers])  # type: ignore[misc]
        # (neurons of all groups, hidden); in place, for new memory is what would take the time
        h = torch.cat(read).mul_(readings.unit)
        h = h.addmm_(readings.measures, self.measures.weight.T)
        # Each group has one shift: its reader's, and what its neurons have in common.
        means = layout.means(h) + shifts  # (groups, hidden)
        h = h.addmm_(layout.members, shifts + self.fellows(means))
        if self.config.attention:
            h = h + self._attended(self.norm(h), layout.counts)
        h = self.norm(h)
        z = self.score(F.gelu(self.middle(h))).squeeze(1)  # (neurons of all groups,)
        z = z * layout.members.mv(z.new_tensor([self.config.gain_of(n) for n in layout.counts]))
        activation = ACTIVATIONS[self.config.activation]
        if activation is unit_mean:
            return dict(zip(self.groups, unit_means(z, layout).split(layout.counts), strict=True))
        return {
            name: activation(score)
            for name, score in zip(self.groups, z.split(layout.counts), strict=True)
        }

    def _attended(self, h: Tensor, counts: tuple[int, ...]) -> Tensor:
        """What the neurons of each group see in one another: (neurons, hidden)."""
        seen = [
            F.scaled_dot_product_attention(*part.unsqueeze(0).chunk(3, 2)).squeeze(0)
            for part in self.looks(h).split(counts)
        ]
        return torch.cat(seen)

    def _instead(self, group: int, part: list[Tensor]) -> list[Tensor]:
        """What is read in the weights' place; drawn anew from the same seed, so never saved."""
        generator = torch.Generator().manual_seed(self.seed * 1009 + group)
        if self.config.reads == "shuffled":
            order = torch.randperm(len(part[0]), generator=generator).to(part[0].device)
            return [each.index_select(0, order) for each in part]
        return [torch.randn(each.shape, generator=generator).to(each) for each in part]

    @property
    def _watches(self) -> bool:
        return self.config.reads == "movement"

    def _movement(self, group: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(neurons,) twice: how far weights have moved for their length, and how much outwards.

        Since the last reading that found other weights than these: to read twice changes nothing.
        """
        now, before = getattr(self, f"now{group}"), getattr(self, f"before{group}")
        with torch.no_grad():
            moved = (rows != now).any()  # stays on the device
            before.copy_(torch.where(moved, now, before))
            now.copy_(rows)
        way = rows - before
        far = torch.linalg.vector_norm(way, dim=1)
        length = torch.linalg.vector_norm(rows, dim=1).clamp_min(1e-12)
        return far / length, (way * rows).sum(1) / (far.clamp_min(1e-12) * length)

    def _row_memory(self, group: int, incoming: Tensor) -> Tensor | None:
        """Where to hash to: new memory is what would take much of the time."""
        if torch.is_grad_enabled():
            return None
        kind = (len(incoming), incoming.device, incoming.dtype, type(incoming))
        kept = self._kept_rows.get(group)
        if kept is None or kept[0] != kind:
            kept = self._kept_rows[group] = (
                kind,
                incoming.new_empty(len(incoming), hashing.MOST_INPUTS),
            )
        return kept[1]

    def _layout(self, counts: tuple[int, ...], like: Tensor) -> "Layout":
        kept: Layout | None = getattr(self, "_kept_layout", None)
        if kept is None or not kept.fits(counts, like):
            self._kept_layout = kept = Layout(counts, like)
        return kept


class Readings(NamedTuple):
    """What the switcher knows of the weights before it thinks. N: the neurons of all groups."""

    rows: tuple[Tensor, ...]  # for each group (neurons, inputs): incoming weights, or their hash
    unit: Tensor  # (N, 1): brings each row to a length of the root of its fan-in
    measures: Tensor  # (N, 3 to 6): log length, scale, shift and so on, standardised in the group
    layout: "Layout"
