"""Why neurons cannot be taken out, in terms of what the network computes."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from snnviz.structure.groups import SwitchGroup
from snnviz.structure.probe import WRITERS

OTHERS = "so without one of them the others would change"
MEAN = f"takes a mean over all channels, {OTHERS}"
TIED = "all its channels are tied together, so none can be taken out without all others"
RESPONSES = f"divides each channel by what its neighbours give, {OTHERS}"
NEIGHBOURS = f"runs along the channels and reads each one's neighbours, {OTHERS}"
SPREAD = f"divides its weights by their spread over all inputs, {OTHERS}"
FIXED_HEADS = (
    "gives all heads together as many channels as it gets, so no head can be taken out alone"
)
_CLOSE = 1e-5  # of the largest value of an output


def find_mixing(
    probe: nn.Module, run: Callable[[Mapping[str, Tensor]], Any], group: SwitchGroup, like: Tensor
) -> str:
    """What computes each of a group's channels from the others too, as a sentence, or "".

    Only what runs before the first reader has ended can tell, for later the channels may differ
    because they are read.

    Args:
        probe: a copy of the network, drawn at random.
        run: runs it with these factors for the group.
        group: whose neurons cannot be removed.
        like: a tensor of the device and precision to use.
    """
    ones = like.new_ones(group.neurons)
    one_off = ones.clone()
    one_off[0] = 0
    seen = []
    for factors in (ones, one_off):
        with _Outputs(probe, group) as outputs:
            run({group.name: factors})
        seen.append(outputs.found)
    for name, before in seen[0].items():
        after = seen[1].get(name)
        if after is None or after.shape != before.shape:
            continue
        dims = [d for d in range(1, before.ndim) if before.shape[d] == group.neurons]
        others = [(after - before).narrow(d, 1, group.neurons - 1).abs().max() for d in dims]
        if dims and not any(change <= _CLOSE * before.abs().max() for change in others):
            kind = type(probe.get_submodule(name)).__name__
            return f"{name} ({kind}) computes each channel from the others too, {OTHERS}"
    return ""


class _Outputs:
    """The outputs of modules between a group's writers and the end of its first reader."""

    def __init__(self, probe: nn.Module, group: SwitchGroup) -> None:
        self.found: dict[str, Tensor] = {}
        self._probe, self._readers, self._begun, self._ended = probe, group.readers, False, False
        self._first = group.writers[0]

    def __enter__(self) -> "_Outputs":
        self._handles = [
            module.register_forward_hook(self._hook(name))
            for name, module in self._probe.named_modules()
            if name
        ]
        return self

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._begun = self._begun or name == self._first
            self._ended = self._ended or name in self._readers
            told = isinstance(output, Tensor) and not isinstance(module, WRITERS)
            if self._begun and not self._ended and told:
                self.found.setdefault(name, output.clone())

        return hook

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
