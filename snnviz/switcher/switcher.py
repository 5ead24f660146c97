"""The switcher (SNN: switcher neural network, not spiking): from weights to factors.

It reads a few descriptors of each neuron's weights (`descriptors.py`), relative to those of the
neuron's group, and gives the neuron a score. The scores of a group become factors s >= 0, and a
factor of exactly 0 turns the neuron off. One small network does this for all groups. So what
it learns about weights does not depend on the layer, and it can be used on another network.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snnviz import files
from snnviz.devices import MOST_SEED, check_seed, seeded, standard_settings
from snnviz.structure import NeuronWeights
from snnviz.switcher.activations import factors_of
from snnviz.switcher.config import SwitcherConfig
from snnviz.switcher.descriptors import describe_neurons
from snnviz.switcher.layout import Layout

FORMAT = 1  # of a saved switcher
HIDDEN = 32
LEARNED = Path(__file__).with_name("learned.safetensors")


class Readings(NamedTuple):
    """The switcher's inputs, computed from the weights."""

    groups: tuple[str, ...]
    values: Tensor  # (neurons of all groups, descriptors), standardised in each group
    layout: Layout


class Switcher(nn.Module):
    """Gives each neuron a factor from its descriptors. Permuting neurons permutes their factors.

    Args:
        config: how to build it.
        seed: seed of the initial weights and of the controls' inputs; torch's own random state does
            not change.
    """

    @standard_settings()
    def __init__(self, config: SwitcherConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config, self.seed = config or SwitcherConfig(), check_seed("seed", seed)
        with seeded(seed):
            self.layers = nn.Sequential(
                nn.Linear(len(self.config.descriptors), HIDDEN),
                nn.ReLU(),
                nn.Linear(HIDDEN, HIDDEN),
                nn.ReLU(),
                nn.Linear(HIDDEN, 1),
            )
        # A score of 0 for every neuron is a factor of 1 for every neuron.
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)
        self._kept: tuple[Layout, Tensor] | None = None

    def forward(self, weights: Mapping[str, NeuronWeights]) -> dict[str, Tensor]:
        """{group: the weights of its neurons} -> {group: factors (neurons,)}."""
        return self.factors(self.read(weights))

    def read(self, weights: Mapping[str, NeuronWeights]) -> Readings:
        """The inputs of `factors`, computed from the weights; valid until the weights change."""
        # The switcher's precision may differ from the task network's.
        own = next(self.parameters()).dtype
        read = [
            describe_neurons(group.map(lambda part: part.to(own)), self.config.descriptors)
            for group in weights.values()
        ]
        if self.config.reads != "descriptors":
            read = [self._control_inputs(i, values) for i, values in enumerate(read)]
        values = torch.cat(read)  # (neurons of all groups, descriptors)
        layout, _ = self._layout(tuple(map(len, read)), values)
        return Readings(tuple(weights), layout.standardised(values), layout)

    def factors(self, readings: Readings) -> dict[str, Tensor]:
        """{group: factors (neurons,)} from the result of `read`."""
        z = self.compute_scores(readings)
        factors = factors_of(z, self.config.activation, readings.layout)
        return dict(zip(readings.groups, factors, strict=True))

    def compute_scores(self, readings: Readings) -> Tensor:
        """(neurons of all groups,): the scores that become factors."""
        _, gains = self._layout(readings.layout.counts, readings.values)
        return self.layers(readings.values).squeeze(1) * gains

    # Saving and loading -------------------------------------------------------------------------

    @standard_settings()
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Saves its weights and config in one file (`.safetensors`).

        `Trainer(..., switcher=Switcher.load(path))` uses it on another network.
        """
        from safetensors.torch import save

        file = files.home_path("path", path)
        files.check_new_names("path", file)
        content = {"format": FORMAT, "seed": self.seed, "config": asdict(self.config)}
        tensors = {name: tensor.cpu() for name, tensor in self.state_dict().items()}
        with files.writing("path", file):
            file.parent.mkdir(parents=True, exist_ok=True)
            files.write(file, save(tensors, {"switcher": json.dumps(content, allow_nan=False)}))
        return file

    @classmethod
    @standard_settings()
    def load(cls, path: str | os.PathLike[str]) -> "Switcher":
        """Loads a switcher that `save` wrote, on the CPU.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file contains no switcher, is damaged, from a newer version of snnviz,
                or needs your own descriptor that is not in `DESCRIPTORS`.
        """
        from safetensors import SafetensorError, safe_open

        how = "Give a file that trainer.switcher.save(path) has written."
        file = files.home_path("path", path)
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {str(file)!r}. {how}")
        try:
            with safe_open(file, "pt") as opened:
                content = (opened.metadata() or {}).get("switcher")
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise files.Damaged(file, str(error).splitlines()[0]) from error
        if content is None:
            raise ValueError(f"the file {str(file)!r} contains no switcher. {how}")
        return cls._rebuild(file, content, tensors)

    @classmethod
    def learned(cls) -> "Switcher":
        """The switcher that ships with snnviz, which has learned on `mlp` and `lenet5`.

        With it neurons go off as soon as the warm-up is over: `Trainer(...,
        switcher=Switcher.learned())`. `benchmarks/learned_switcher.py` made it.
        """
        return cls.load(LEARNED)

    @classmethod
    def _rebuild(cls, file: Path, text: str, tensors: Mapping[str, Tensor]) -> "Switcher":
        try:
            content = json.loads(text)
            if content["format"] > FORMAT:
                raise files.Newer(f"the file {str(file)!r}", content["format"], FORMAT)
            switcher = cls(SwitcherConfig(**content["config"]), int(content["seed"]))
            switcher.load_state_dict(tensors)
        except files.Newer:
            raise
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"the file {str(file)!r} cannot be used: {error}") from error
        if not all(parameter.isfinite().all() for parameter in switcher.parameters()):
            raise files.Damaged(file, "its weights are not all finite")
        return switcher

    # --------------------------------------------------------------------------------------------

    def _control_inputs(self, group: int, values: Tensor) -> Tensor:
        """A control's inputs: another neuron's descriptors, or noise, the same in each call.

        Both are drawn from the seed, and so need not be saved.
        """
        generator = torch.Generator().manual_seed((self.seed * 1009 + group) % (MOST_SEED + 1))
        if self.config.reads == "shuffled":
            order = torch.randperm(len(values), generator=generator)
            return values.index_select(0, order.to(values.device))
        return torch.randn(values.shape, generator=generator).to(values)

    def _layout(self, counts: tuple[int, ...], like: Tensor) -> tuple[Layout, Tensor]:
        """The groups' layout, and the gain of each neuron (neurons of all groups,)."""
        if self._kept is None or not self._kept[0].fits(counts, like):
            layout = Layout(counts, like)
            gains = like.new_tensor([self.config.gain_of(n) for n in counts])
            self._kept = layout, layout.members.mv(gains)
        return self._kept
