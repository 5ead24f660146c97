"""Why neurons cannot be taken out, in terms of what the network computes."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from snnviz.structure.groups import SwitchGroup
from snnviz.structure.probe import WRITERS

EXCLUDED = "excluded by the user"
OTHERS = "so without one of them the others would change"
MEAN = f"takes a mean over all channels, {OTHERS}"
TIED = "all its channels are tied together, so none can be taken out without all others"
TANGLED = "each of them is tied to very many others, as in recurrent layers"
RESPONSES = f"divides each channel by what its neighbours give, {OTHERS}"
NEIGHBOURS = f"runs along the channels and reads each one's neighbours, {OTHERS}"
SPREAD = f"divides its weights by their spread over all inputs, {OTHERS}"
FIXED_HEADS = (
    "needs a size that does not follow the number of its heads, so none can be taken out alone"
)
FIXED_WIDTH = "is made for a number of channels, so none of those that it reads or gives can go"
NO_HEADS = {
    "one": "has one head alone",
    "own": "is of a class of its own, whose heads may be arranged in another way",
    "shared": "shares its parameters with another layer",
    "computed": "computes its weights from other parameters",
    "unused": "is not called, and may be used in another way",
}
FIXED_SIZE = "a size that it needs does not follow their number"
COMBINES = "combines them, and is no weight of a linear layer or a convolution"
AS_MATRICES = "multiplies them as matrices with others, which is not followed"
# Operations by the names that Torch-Pruning gives them.
_CALLED = {
    "ReshapeOp": "a reshape",
    "ConcatOp": "a concatenation",
    "SplitOp": "a split",
    "SliceOp": "a slice",
    "UnbindOp": "an unbind",
    "ExpandOp": "an expansion",
}
_CLOSE = 1e-5  # of the largest value of an output


def kind_of(module: Any) -> str:
    return type(module).__name__.strip("_")


def called(module: Any) -> str:
    """A layer by its class, and an operation in plain words."""
    kind = kind_of(module)
    return _CALLED.get(kind, "an operation" if kind.endswith("Op") else kind)


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
        after = seen[1].get(name, before)
        given, came = (_change(*pair, group.neurons) for pair in zip(before, after, strict=True))
        if came and not given:
            kind = type(probe.get_submodule(name)).__name__
            return f"{name} ({kind}) computes each channel from the others too, {OTHERS}"
    return ""


def _change(before: Tensor | None, after: Tensor | None, neurons: int) -> bool:
    """Whether channels besides the first are other ones."""
    if before is None or after is None or after.shape != before.shape:
        return False
    dims = [d for d in range(1, before.ndim) if before.shape[d] == neurons]
    others = [(after - before).narrow(d, 1, neurons - 1).abs().max() for d in dims]
    return bool(dims) and not any(change <= _CLOSE * before.abs().max() for change in others)


class _Outputs:
    """What modules between a group's writers and the end of its first reader get and give."""

    def __init__(self, probe: nn.Module, group: SwitchGroup) -> None:
        self.found: dict[str, tuple[Tensor | None, Tensor]] = {}
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
                given = inputs[0].clone() if inputs and isinstance(inputs[0], Tensor) else None
                self.found.setdefault(name, (given, output.clone()))

        return hook

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
