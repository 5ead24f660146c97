"""A network whose outputs differ is never returned."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.shrink import OutputsDiffer, compact
from snnviz.structure import find_switches
from tests.helpers import message_of
from tests.shrink.nets import OWN_IMAGES, own_factors

# --- outputs that differ -------------------------------------------------------------------------


def test_a_network_that_differs_is_never_handed_out(
    own: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = __import__("snnviz.shrink.compact", fromlist=["_fold"])
    fold = module._fold

    def wrongly(*arguments: Any) -> nn.Module:
        folded = fold(*arguments)
        folded.get_submodule("8").bias.data += 1
        return folded

    monkeypatch.setattr(module, "_fold", wrongly)
    factors = own_factors(**{"7": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 0.0])})
    said = message_of(lambda: compact(own, factors, OWN_IMAGES, latency=False), OutputsDiffer)
    start, _, end = said.partition(" of the largest output, and ")
    assert start.startswith("The smaller network's outputs would differ by ")
    # It is wrong in both; but the next layer no longer gets 0 from the neurons that are off.
    assert end == "0.0001 is allowed. The difference begins at layer 10."
    said = message_of(lambda: compact(own, own_factors(), OWN_IMAGES), OutputsDiffer)
    assert said.endswith(" The difference begins at the end of the network.")


@pytest.mark.parametrize(("layer", "neuron"), [("0", 2), ("4", 1), ("7", 5)])
def test_where_the_difference_begins(
    own: nn.Module, monkeypatch: pytest.MonkeyPatch, layer: str, neuron: int
) -> None:
    """Removal that is wrong in one layer: the message names it."""
    module: Any = __import__("snnviz.shrink.compact", fromlist=["remove"])
    remove = module.remove

    def wrongly(small: nn.Module, *arguments: Any) -> None:
        remove(small, *arguments)
        small.get_submodule(layer).weight.data *= 1.5

    monkeypatch.setattr(module, "remove", wrongly)
    factors = own_factors()
    factors[layer][neuron] = 0
    said = message_of(lambda: compact(own, factors, OWN_IMAGES, latency=False), OutputsDiffer)
    assert said.endswith(f"0.0001 is allowed. The difference begins at layer {layer}.")
    start = "The smaller network's outputs would differ by "
    share = float(said.removeprefix(start).split()[0])
    assert share > 1e-4
    _, report = compact(own, factors, OWN_IMAGES, tolerance=share * 1.1, latency=False)
    assert report.difference == pytest.approx(share, rel=0.1)


def test_a_network_that_no_longer_runs(own: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = __import__("snnviz.shrink.compact", fromlist=["remove"])

    def wrongly(small: nn.Module, *arguments: Any) -> None:
        small.get_submodule("10").weight = nn.Parameter(torch.ones(3, 6))

    monkeypatch.setattr(module, "remove", wrongly)
    said = message_of(lambda: compact(own, own_factors(), OWN_IMAGES), OutputsDiffer)
    assert said.replace("(addmm: ", "(") == (  # some releases of torch name the operation
        "The smaller network does not run (mat1 and mat2 shapes cannot be multiplied "
        "(5x7 and 6x3)). Exclude the layers concerned with find_switches(network, example, "
        "exclude=[…])."
    )


def test_outputs_that_are_not_numbers(own: nn.Module) -> None:
    own.get_submodule("10").bias.data[0] = float("nan")
    said = message_of(lambda: compact(own, own_factors(), OWN_IMAGES), OutputsDiffer)
    assert said.startswith("The smaller network's outputs would differ by nan of the largest")
    assert F.softmax(own(OWN_IMAGES), 1).isnan().any()


def test_a_head_of_zeros_hides_no_error(own: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = __import__("snnviz.shrink.compact", fromlist=["remove"])
    remove = module.remove
    head: Any = own.get_submodule("10")
    nn.init.zeros_(head.weight)
    factors = own_factors(**{"4": torch.tensor([1.0, 0.0, 2.0, 0.0])})
    switches = find_switches(own, OWN_IMAGES)
    assert compact(own, factors, OWN_IMAGES, latency=False)[1].difference == 0

    def wrongly(small: nn.Module, *arguments: Any) -> None:
        remove(small, *arguments)
        small.get_submodule("7").weight.data *= 1.5

    monkeypatch.setattr(module, "remove", wrongly)
    said = message_of(
        lambda: compact(own, factors, OWN_IMAGES, switches=switches, latency=False), OutputsDiffer
    )
    assert said == (
        "The network's outputs are the same for all images, and in the smaller network those of "
        "layer 7 would differ. Train the network first, or exclude this layer with "
        "find_switches(network, example, exclude=[…])."
    )


class InTraining(nn.Module):
    """A layer that is called in training mode only is too wide for the smaller network."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.f, self.aux = nn.Linear(64, 16), nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.a(images.flatten(1)))
        return self.f(x) + self.aux(x) if self.training and self.wide else self.f(x)

    wide = True


def test_a_network_that_would_not_run_in_training_mode() -> None:
    net = InTraining()
    net.wide = False
    switches = find_switches(net, OWN_IMAGES)
    net.wide = True
    factors = {"a": (torch.arange(16) % 2).float()}
    said = message_of(
        lambda: compact(net, factors, OWN_IMAGES, switches=switches, latency=False), OutputsDiffer
    )
    assert said.replace("(addmm: ", "(") == (
        "The smaller network does not run in training mode (mat1 and mat2 shapes cannot be "
        "multiplied (2x8 and 16x4)). Exclude the layers concerned with "
        "find_switches(network, example, exclude=[…])."
    )
