"""Makes a smaller network with the same outputs.

First the factors are multiplied into the parameters, exactly as in training. Then the neurons that
are off are removed, and whole branches where no neuron is left. At the end the outputs are compared
on real images: a network whose outputs differ is never returned.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.checks import number
from snnviz.devices import standard_settings
from snnviz.shrink.branches import remove_branches
from snnviz.shrink.comparing import check_training, compare_outputs
from snnviz.shrink.measure import bytes_of, latency_ratios, size_of
from snnviz.shrink.report import CompactReport
from snnviz.structure import Switches, find_switches, run_scaled, scaled_parameters
from snnviz.structure.layers import own_channel_dim, units_of
from snnviz.structure.memory_format import make_safe
from snnviz.structure.narrow import keep_one, remove
from snnviz.structure.probe import check_arguments, copied, running
from snnviz.training import AlternatingTrainer

TOLERANCE = 1e-4  # of the largest class score
_CHECKED_IMAGES = 256


@standard_settings()
def compact(
    source: AlternatingTrainer | nn.Module,
    factors: Mapping[str, Tensor] | None = None,
    example: Tensor | None = None,
    *,
    switches: Switches | None = None,
    tolerance: float = TOLERANCE,
    latency: bool = True,
) -> tuple[nn.Module, CompactReport]:
    """Folds the factors into the weights, removes the neurons that are off, checks the outputs.

    Args:
        source: a trainer (with its present factors), or a network with `factors` and `example`.
        factors: {group: (neurons,)}; a trainer's own if left out.
        example: normalised images (n, channels, height, width) to compare outputs on; test images
            of the trainer's data if left out.
        switches: the result of `find_switches` for the network, to save the time of finding it.
        tolerance: greatest difference allowed, as a share of the largest output.
        latency: measure how much faster the result is; takes a few seconds.

    Returns:
        An ordinary module, in the modes of the source, and a report. The source is left as it was.
        Where a group is entirely off and its branch was removed, the module is not of the source's
        class but a `torch.fx.GraphModule` of the same layers, as `load_compact` returns.

    Raises:
        ValueError: an argument is missing or does not fit.
        OutputsDiffer: the outputs differ by more than `tolerance`; names the first layer that does.

    Source: removal by the dependency graphs of Fang et al. 2023 (DepGraph), in Torch-Pruning.
    """
    if isinstance(source, AlternatingTrainer):
        network, switches = source.network, source.switches
        factors = source.factors if factors is None else factors
        if example is None:
            n = min(_CHECKED_IMAGES, len(source.data.test))
            example = source.data.batch("test", torch.arange(n))[0]
    elif isinstance(source, nn.Module):
        network = source
    else:
        raise ValueError(
            f"source must be a Trainer or a torch.nn.Module, got {type(source).__name__}. "
            "Use compact(trainer), or compact(network, factors, example)."
        )
    if factors is None or example is None:
        missing = "factors" if factors is None else "example"
        raise ValueError(
            f"{missing} must be given with a network: compact(network, factors, example). "
            "With a trainer, compact(trainer) is enough."
        )
    check_arguments(network, example)
    number("tolerance", tolerance, 0)
    switches = find_switches(network, example) if switches is None else switches
    _check_switches(switches, network)
    factors = _check_factors(factors, switches, example)
    expected = _scores_with_factors(network, switches, factors, example)
    folded = _fold(network, switches, factors)
    small = copy.deepcopy(folded)
    off = switches.removable({name: s.float().cpu().numpy() for name, s in factors.items()})
    entirely, parts = keep_one(switches, off)
    plain = remove(small, switches, off)
    removed, kept = {}, {}
    if entirely and _runs(small, example):
        small, removed, kept = remove_branches(small, switches, entirely, example, tolerance)
    small = make_safe(small, example)
    difference = compare_outputs(
        expected, switches, folded, small, off, example, tolerance, layers=not removed
    )
    check_training(network, small, example)
    report = CompactReport(
        widths=_widths(folded, small),
        before=switches.size(),
        after=size_of(small, example),
        bytes_before=bytes_of(folded),
        bytes_after=bytes_of(small),
        latency=latency_ratios(folded, small, example) if latency else {},
        difference=difference,
        images=len(example),
        removed=removed,
        kept=kept | parts,
        plain=plain,
    )
    return _copy_modes(network, small), report


def _check_switches(switches: Switches, network: nn.Module) -> None:
    modules: dict[str, Any] = dict(network.named_modules())
    tensors = dict((*network.named_parameters(), *network.named_buffers()))
    own = {name: t.shape[own_channel_dim(t)] for name, t in tensors.items() if t.ndim}
    for layer in switches.layers:
        module = modules.get(layer.name)
        units = own.get(layer.name, 0) if module is None else units_of(module)
        if units != layer.units:
            raise ValueError(
                "switches must be those of this network, got those of a network with a layer "
                f"{layer.name!r} of {layer.units} neurons. Leave out switches, or find them again "
                "with find_switches(network, example)."
            )


@torch.no_grad()
def _scores_with_factors(
    network: nn.Module, switches: Switches, factors: Mapping[str, Tensor], example: Tensor
) -> Tensor:
    """The outputs that the smaller network must have."""
    with _in_evaluation_mode(network), running(network, example):
        parameters = scaled_parameters(network, switches, factors)
        return run_scaled(network, parameters, example)


@contextmanager
def _in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Sets evaluation mode within the block; afterwards each module is in its own mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _copy_modes(network: nn.Module, small: nn.Module) -> nn.Module:
    modes = {name: module.training for name, module in network.named_modules()}
    for name, module in small.named_modules():
        module.training = modes.get(name, network.training)
    return small


def _runs(network: nn.Module, example: Tensor) -> bool:
    """Whether it runs; if not, `compare_outputs` raises the error."""
    try:
        with torch.no_grad():
            network(example[:1])
    except Exception:  # whatever the user's code does with other sizes
        return False
    return True


def _check_factors(
    factors: Mapping[str, Tensor], switches: Switches, example: Tensor
) -> dict[str, Tensor]:
    wanted = {name: group.neurons for name, group in switches.groups.items()}
    given = list(factors) if isinstance(factors, Mapping) else [type(factors).__name__]
    if set(given) != set(wanted):
        raise ValueError(
            f"factors must be given for the groups {', '.join(wanted)}, "
            f"got {', '.join(map(str, given)) or 'none'}."
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


def _fold(network: nn.Module, switches: Switches, factors: Mapping[str, Tensor]) -> nn.Module:
    """A copy whose parameters are multiplied by the factors."""
    folded = copied(network).eval()
    scaled = scaled_parameters(folded, switches, factors, constant=True)
    for name, parameter in folded.named_parameters():
        parameter.data.copy_(scaled[name])
    return folded


def _widths(before: nn.Module, after: nn.Module) -> dict[str, tuple[int, int]]:
    sizes = dict(after.named_parameters())
    widths = {}
    for name, parameter in before.named_parameters():
        layer = name.rpartition(".")[0]
        if name.endswith("weight"):
            width = len(sizes[name]) if name in sizes else 0
            if width != len(parameter):
                widths[layer] = (len(parameter), width)
    return widths
