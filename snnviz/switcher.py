"""The switcher (SNN: switcher neural network, not spiking): from weights to factors.

For each switch group it reads the weights of the group's neurons and gives each neuron a factor
s >= 0. A factor of exactly 0 turns the neuron off. It is equivariant: permuting the neurons of a
group permutes their factors.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.switches import NeuronWeights

MOST_INPUTS = 1024  # numbers that a reader takes from a neuron's incoming weights


def unit_mean(z: Tensor) -> Tensor:
    """s = relu(z - tau), with tau such that the mean of s is 1.

    The neurons of a group compete for a fixed total, and those below the waterline tau are off
    exactly. The gradient on the support S is I - 11'/|S|.

    Args:
        z: scores (n,).

    Returns:
        Factors (n,) with mean 1.

    Source: sparsemax (Martins & Astudillo 2016, algorithm 1), scaled from sum 1 to sum n.
    """
    n = z.shape[0]
    z = z - z.max().detach()  # changes no factor, and keeps sums exact however large the scores
    with torch.no_grad():  # only the support comes from here, and it has no gradient
        descending = torch.sort(z, descending=True).values
        count = torch.arange(1, n + 1, device=z.device, dtype=z.dtype)
        waterline = (descending.cumsum(0) - n) / count  # were the `count` largest the support
        last = (descending > waterline).sum(0, keepdim=True) - 1
        tau = waterline.gather(0, last.clamp_min(0))  # NaN scores leave `last` at -1
        support = (z > tau).to(z.dtype)
    tau = ((z * support).sum() - n) / support.sum()
    return F.relu(z - tau) * support


def hard_sigmoid(z: Tensor) -> Tensor:
    """s = 1 + z, cut off below 0 and above 1."""
    # Not `clamp`: its gradient at z = 0 is 0 in some releases, and a fresh switcher stands there.
    return torch.where(z > 0, torch.ones_like(z), F.relu(1 + z))


def relu(z: Tensor) -> Tensor:
    """s = relu(1 + z), without an upper limit."""
    return F.relu(1 + z)


# All of them map 0 to 1: a fresh switcher leaves the task network as it is. A user may add one.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "unit_mean": unit_mean,
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
}


@dataclass(frozen=True)
class SwitcherConfig:
    """How the switcher is built.

    Attributes:
        activation: from scores to factors: "unit_mean", "hard_sigmoid", "relu", or a name added to
            `snnviz.switcher.ACTIVATIONS`.
        hidden: width of the switcher.
        gain: multiplies the scores; it decides how fast a group parts into on and off.
        gain_rule: "per_neuron" (the gain is multiplied by the group's number of neurons) or
            "fixed" (the same in every group).
    """

    activation: str = "unit_mean"
    hidden: int = 32
    gain: float = 0.06
    gain_rule: str = "per_neuron"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"switcher.activation must be one of {', '.join(map(repr, ACTIVATIONS))}, "
                f"got {self.activation!r}. Add your own to snnviz.switcher.ACTIVATIONS."
            )
        if isinstance(self.hidden, bool) or not isinstance(self.hidden, int) or self.hidden < 1:
            raise ValueError(
                f"switcher.hidden must be a whole number of at least 1, got {self.hidden!r}."
            )
        number = isinstance(self.gain, int | float) and not isinstance(self.gain, bool)
        if not number or not 0 < self.gain < math.inf:
            raise ValueError(f"switcher.gain must be a number above 0, got {self.gain!r}.")
        if self.gain_rule not in ("per_neuron", "fixed"):
            raise ValueError(
                f"switcher.gain_rule must be 'per_neuron' or 'fixed', got {self.gain_rule!r}."
            )

    def gain_of(self, neurons: int) -> float:
        """The gain in a group of so many neurons."""
        return self.gain * neurons if self.gain_rule == "per_neuron" else self.gain


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
    """

    def __init__(
        self, fan_in: Mapping[str, int], config: SwitcherConfig | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.config = config or SwitcherConfig()
        self.groups = tuple(fan_in)
        hidden = self.config.hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inputs = [min(n, MOST_INPUTS) for n in fan_in.values()]
            self.readers = nn.ModuleList(nn.Linear(n, hidden) for n in inputs)
            self.measures = nn.Linear(3, hidden, bias=False)
            self.fellows = nn.Linear(hidden, hidden, bias=False)
            self.norm = nn.LayerNorm(hidden)
            self.middle = nn.Linear(hidden, hidden)
            self.score = nn.Linear(hidden, 1)
        for i, n in enumerate(fan_in.values()):
            # Drawn anew from the same seed whenever a switcher is made, so never saved.
            self.register_buffer(f"signs{i}", _signs(n) if n > MOST_INPUTS else None, False)
        # A score of 0 for every neuron is a factor of 1 for every neuron.
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, weights: Mapping[str, NeuronWeights]) -> dict[str, Tensor]:
        """{group: what `neuron_weights` gives} -> {group: factors (neurons,)}."""
        rows = [
            self._read(weights[name], reader, getattr(self, f"signs{i}"))
            for i, (name, reader) in enumerate(zip(self.groups, self.readers, strict=True))
        ]
        h = self.norm(torch.cat(rows))  # (neurons of all groups, hidden)
        z = self.score(F.gelu(self.middle(h))).squeeze(1)  # (neurons of all groups,)
        activation = ACTIVATIONS[self.config.activation]
        scores = z.split([len(row) for row in rows])
        return {
            name: activation(score * self.config.gain_of(len(score)))
            for name, score in zip(self.groups, scores, strict=True)
        }

    def _read(self, weights: NeuronWeights, reader: Any, signs: Tensor | None) -> Tensor:
        """What the switcher knows of a group's neurons: (neurons, hidden)."""
        dtype = self.score.weight.dtype  # the switcher's own, whatever the task network's is
        incoming, scale, shift = (w.to(dtype) for w in weights)
        length = torch.linalg.vector_norm(incoming, dim=1).clamp_min(1e-12)  # (neurons,)
        measures = torch.stack([length.log(), scale, shift], 1)  # (neurons, 3)
        std, mean = torch.std_mean(measures, 0, correction=0)
        # The direction has the length of the root of the fan-in, so that a weight is about 1 in
        # every group. It is scaled behind the reader, where there are fewer numbers.
        unit = (math.sqrt(incoming.shape[1]) / length).unsqueeze(1)  # (neurons, 1)
        if signs is not None:
            incoming = _hashed(incoming, signs)  # (neurons, MOST_INPUTS)
        h = (incoming @ reader.weight.T) * unit + reader.bias  # (neurons, hidden)
        h = h + self.measures((measures - mean) / (std + 1e-5))
        return h + self.fellows(h.mean(0))


def _signs(fan_in: int) -> Tensor:
    """(parts, MOST_INPUTS): +1 or -1 for each incoming weight, over the root of the parts."""
    parts = math.ceil(fan_in / MOST_INPUTS)
    generator = torch.Generator().manual_seed(fan_in)
    signs = torch.randint(0, 2, (parts, MOST_INPUTS), generator=generator) * 2.0 - 1.0
    return signs / math.sqrt(parts)


def _hashed(incoming: Tensor, signs: Tensor) -> Tensor:
    """Sums parts of the fan-in with random signs: (neurons, fan_in) -> (neurons, MOST_INPUTS).

    Source: feature hashing (Weinberger et al. 2009); it keeps inner products on average.
    """
    n, width = len(incoming), signs.shape[1]
    total = incoming.new_zeros(n, width)
    for part, sign in zip(incoming.split(width, 1), signs, strict=True):
        missing = width - part.shape[1]
        total = torch.addcmul(total, F.pad(part, (0, missing)) if missing else part, sign)
    return total
