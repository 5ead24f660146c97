"""From a network with factors to a smaller one with the same outputs.

Folding multiplies the factors into the parameters, by the very scaling that training uses. Then the
neurons that are off are taken out, and the outputs are compared on real images: a network that
differs is never handed out.
"""

import copy
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.switches import Size, Switches, scaled_parameters
from snnviz.tracing import find_switches
from snnviz.trainer import Trainer

if TYPE_CHECKING:
    from pandas import DataFrame

TOLERANCE = 1e-4  # of the largest class score
_CHECKED_IMAGES = 256
_LATENCY_BATCHES = (1, 128)


class OutputsDiffer(RuntimeError):
    """The smaller network would not give what the larger one gives."""


@dataclass(frozen=True)
class CompactReport:
    """What compacting did.

    Attributes:
        widths: {layer: (units or channels before, after)}, of layers that were made narrower.
        before, after: parameters and MACs.
        bytes_before, bytes_after: of all parameters and buffers.
        latency: {batch size: time of the smaller network / time of the larger}, measured.
        difference: greatest output difference, as a share of the largest output.
        images: how many images that was measured on.
        kept: groups, and layers that write a part of one, that are wholly off: one zeroed neuron
            of each was kept.
    """

    widths: dict[str, tuple[int, int]]
    before: Size
    after: Size
    bytes_before: int
    bytes_after: int
    latency: dict[int, float]
    difference: float
    images: int
    kept: tuple[str, ...] = ()

    def frame(self) -> "DataFrame":
        """A row for each layer that was made narrower: layer, before, after."""
        import pandas as pd

        rows = [(name, *widths) for name, widths in self.widths.items()]
        return pd.DataFrame(rows, columns=["layer", "before", "after"])

    def __str__(self) -> str:
        lines = [
            f"parameters {self.before.parameters:,} → {self.after.parameters:,}"
            f" ({self.after.parameters / self.before.parameters:.1%})",
            f"MACs       {self.before.macs:,} → {self.after.macs:,}"
            f" ({self.after.macs / max(self.before.macs, 1):.1%})",
            f"size       {self.bytes_before:,} → {self.bytes_after:,} bytes",
            f"difference {self.difference:.1e} of the largest output, on {self.images} images",
        ]
        lines += [f"latency    {r:.2f} of before, batch {b}" for b, r in self.latency.items()]
        lines += [f"{name} is wholly off: one zeroed neuron of it was kept" for name in self.kept]
        return "\n".join(lines)


def compact(
    source: Trainer | nn.Module,
    factors: Mapping[str, Tensor] | None = None,
    example: Tensor | None = None,
    *,
    switches: Switches | None = None,
    tolerance: float = TOLERANCE,
    latency: bool = True,
) -> tuple[nn.Module, CompactReport]:
    """Folds the factors in, takes out the neurons that are off, and checks the outputs.

    Args:
        source: a trainer, with the factors in force, or a network with `factors` and `example`.
        factors: {group: (neurons,)}; a trainer's own if left out.
        example: normalised images (n, channels, height, width) to compare outputs on; test images
            of the trainer's data if left out.
        switches: what `find_switches` gave for the network, if it is at hand.
        tolerance: greatest difference allowed, as a share of the largest output.
        latency: measure how much faster the result is; takes a few seconds.

    Returns:
        An ordinary module, in the mode of the source, and a report. The source is left as it was.

    Raises:
        ValueError: an argument is missing or does not fit.
        OutputsDiffer: the outputs differ by more than `tolerance`; says where that begins.

    Source: removal by the dependency graphs of Fang et al. 2023 (DepGraph), in Torch-Pruning.
    """
    if isinstance(source, Trainer):
        network, switches = source.network, source.switches
        factors = source.factors if factors is None else factors
        if example is None:
            n = min(_CHECKED_IMAGES, len(source.data.test))
            example = source.data.batch("test", torch.arange(n))[0]
    else:
        network = source
        if factors is None or example is None:
            missing = "factors" if factors is None else "example"
            raise ValueError(
                f"{missing} must be given with a network: compact(network, factors, example). "
                "With a trainer, compact(trainer) is enough."
            )
        switches = find_switches(network, example) if switches is None else switches
    factors = _checked_factors(factors, switches, example)
    training = network.training
    folded = _folded(network, switches, factors)
    small = copy.deepcopy(folded)
    off = {name: s.cpu().numpy() == 0 for name, s in factors.items()}
    kept = _keep_one(switches, off)
    _remove(small, switches, off)
    widths = _widths(folded, small)
    difference = _compare(network, switches, factors, folded, small, off, example, tolerance)
    report = CompactReport(
        widths=widths,
        before=switches.size(),
        after=switches.size({name: (~gone).astype(float) for name, gone in off.items()}),
        bytes_before=_bytes(folded),
        bytes_after=_bytes(small),
        latency=_latency(folded, small, example) if latency else {},
        difference=difference,
        images=len(example),
        kept=kept,
    )
    return small.train(training), report


def _checked_factors(
    factors: Mapping[str, Tensor], switches: Switches, example: Tensor
) -> dict[str, Tensor]:
    wanted = {name: group.neurons for name, group in switches.groups.items()}
    if set(factors) != set(wanted):
        raise ValueError(
            f"factors must be given for the groups {', '.join(wanted)}, "
            f"got {', '.join(factors) or 'none'}."
        )
    checked = {}
    for name, neurons in wanted.items():
        values = torch.as_tensor(factors[name]).detach()
        if values.shape != (neurons,):
            raise ValueError(
                f"factors[{name!r}] must have the shape ({neurons},), got {tuple(values.shape)}."
            )
        if not bool((torch.isfinite(values) & (values >= 0)).all()):
            raise ValueError(
                f"factors[{name!r}] must be finite and at least 0, got values from "
                f"{float(values.min()):g} to {float(values.max()):g}."
            )
        checked[name] = values.to(example)
    return checked


def _folded(network: nn.Module, switches: Switches, factors: Mapping[str, Tensor]) -> nn.Module:
    """A copy with the factors in its parameters."""
    folded = copy.deepcopy(network).eval()
    scaled = scaled_parameters(folded, switches, factors, constant=True)
    for name, parameter in folded.named_parameters():
        parameter.data.copy_(scaled[name])
    return folded


def _keep_one(switches: Switches, off: dict[str, np.ndarray]) -> tuple[str, ...]:
    """A layer cannot have no channels: in each a neuron stays, folded to 0 as it is."""
    kept = [name for name, gone in off.items() if gone.all()]
    for name in kept:
        off[name][0] = False
    # Layers whose outputs are joined write a part of a group each.
    rows, _ = _staying(switches, off)
    for group in switches.groups.values():
        for member in group.written_as:
            if not rows[member.layer].any():
                rows[member.layer][member.channels[0]] = True
                off[group.name][member.neurons[0]] = False
                if group.name not in kept:
                    kept.append(member.layer)
    return tuple(kept)


def _remove(network: nn.Module, switches: Switches, off: Mapping[str, np.ndarray]) -> None:
    """Takes the neurons out of the layers that write, carry and read them."""
    rows, columns = _staying(switches, off)
    for layer in switches.layers:
        if layer.name in rows or layer.name in columns:
            out = rows.get(layer.name, np.ones(layer.units, dtype=bool))
            into = columns.get(layer.name, np.ones(layer.inputs * layer.reads_in, dtype=bool))
            # The parts of a grouped convolution lose the same places; a depthwise one loses parts.
            _narrow(network.get_submodule(layer.name), out, into[: layer.inputs])


def _staying(
    switches: Switches, off: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Which outputs and which inputs stay, of each layer that has neurons of a group."""
    layers = {layer.name: layer for layer in switches.layers}
    rows: dict[str, np.ndarray] = {}
    columns: dict[str, np.ndarray] = {}
    for group in switches.groups.values():
        stays = ~off[group.name]
        for member in (*group.written_as, *group.carried_as):
            whole = np.ones(layers[member.layer].units, dtype=bool)
            rows.setdefault(member.layer, whole)[member.channels] = stays[member.neurons]
        for member in group.read_as:
            layer = layers[member.layer]
            whole = np.ones(layer.inputs * layer.reads_in, dtype=bool)
            columns.setdefault(member.layer, whole)[member.channels] = stays[member.neurons]
    return rows, columns


def _narrow(module: Any, rows: np.ndarray, columns: np.ndarray) -> None:
    """Keeps some of a layer's outputs, and some of the inputs that each of them reads."""
    device = module.weight.device
    out, into = (torch.from_numpy(np.flatnonzero(kept)).to(device) for kept in (rows, columns))
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is None or tensor.ndim == 0:  # no bias; a norm's count of batches
            continue
        kept = tensor.detach().index_select(0, out)
        if tensor.ndim > 1:
            kept = kept.index_select(1, into)
        if isinstance(tensor, nn.Parameter):
            kept = nn.Parameter(kept, tensor.requires_grad)
        setattr(module, name, kept)
    n = len(out)
    if isinstance(module, nn.Linear):
        module.in_features, module.out_features = len(into), n
    elif isinstance(module, nn.PReLU):
        module.num_parameters = n
    elif not hasattr(module, "groups"):
        module.num_features = n
    else:
        if module.groups == module.in_channels == module.out_channels:
            module.groups = n
        module.in_channels, module.out_channels = len(into) * module.groups, n


@torch.no_grad()
def _compare(
    network: nn.Module,
    switches: Switches,
    factors: Mapping[str, Tensor],
    folded: nn.Module,
    small: nn.Module,
    off: Mapping[str, np.ndarray],
    example: Tensor,
    tolerance: float,
) -> float:
    training = network.training
    network.eval()
    try:
        parameters = scaled_parameters(network, switches, factors)
        expected = torch.func.functional_call(network, parameters, (example,))
    finally:
        network.train(training)
    scale = float(expected.abs().max())
    try:
        difference = float((small(example) - expected).abs().max()) / max(scale, 1e-30)
    except RuntimeError as error:
        raise OutputsDiffer(
            f"The smaller network does not run ({error}). Exclude the layers concerned "
            "with find_switches(network, example, exclude=[…])."
        ) from error
    if not difference <= tolerance:
        raise OutputsDiffer(
            f"The smaller network's outputs would differ by {difference:.1e} of the largest "
            f"output, and {tolerance:g} is allowed. The difference begins at "
            f"{_first_difference(folded, small, switches, off, example, tolerance)}."
        )
    return difference


def _first_difference(
    folded: nn.Module,
    small: nn.Module,
    switches: Switches,
    off: Mapping[str, np.ndarray],
    example: Tensor,
    tolerance: float,
) -> str:
    """The first layer whose remaining channels differ."""
    before, after = _outputs(folded, example), _outputs(small, example)
    rows, _ = _staying(switches, off)
    for name, expected in before.items():
        came = after[name]
        dim = -1 if isinstance(folded.get_submodule(name), nn.Linear) else 1
        if name in rows:
            stay = torch.from_numpy(np.flatnonzero(rows[name]))
            expected = expected.index_select(dim, stay.to(expected.device))
        if came.shape != expected.shape:
            continue
        if float((came - expected).abs().max()) > tolerance * float(expected.abs().max()):
            return f"layer {name}"
    return "the network's end"


def _outputs(network: nn.Module, example: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(
            lambda _, __, output, name=name: found.setdefault(name, output)
        )
        for name, module in network.named_modules()
        if name and not list(module.children()) and list(module.parameters(recurse=False))
    ]
    try:
        network(example)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _widths(before: nn.Module, after: nn.Module) -> dict[str, tuple[int, int]]:
    sizes = dict(after.named_parameters())
    widths = {}
    for name, parameter in before.named_parameters():
        layer = name.rpartition(".")[0]
        if name.endswith("weight") and len(parameter) != len(sizes[name]):
            widths[layer] = (len(parameter), len(sizes[name]))
    return widths


def _bytes(network: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in network.state_dict().values())


@torch.no_grad()
def _latency(before: nn.Module, after: nn.Module, example: Tensor) -> dict[int, float]:
    """Median ratio over pairs, the two in turn, for the machine's speed may drift."""
    ratios = {}
    for size in _LATENCY_BATCHES:
        images = example[torch.arange(size, device=example.device) % len(example)]
        pairs = []
        for _ in range(6):
            large = _seconds(before, images)
            pairs.append(_seconds(after, images) / large)
        ratios[size] = statistics.median(pairs[1:])
    return ratios


def _seconds(network: nn.Module, images: Tensor) -> float:
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    began = time.perf_counter()
    for _ in range(3):
        network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - began
