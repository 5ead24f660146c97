"""Off means off: no reader of a group may notice a neuron whose factor is 0."""

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.structure.costs import add_costs
from snnviz.structure.grouping import weighs_inputs
from snnviz.structure.groups import Member, SwitchGroup
from snnviz.structure.kept_norms import is_bias
from snnviz.structure.probe import MIXING, NORMS, WRITERS, is_vector
from snnviz.structure.scaling import run_scaled, scaled_parameters


def drop_leaking(
    probe: nn.Module,
    example: Tensor,
    groups: dict[str, SwitchGroup],
    positions: dict[str, float],
    shared: Container[Tensor],
) -> tuple[dict[str, SwitchGroup], dict[str, str]]:
    """The groups whose off neurons reach no reader, and why the others are left out."""
    leaks = _leaks(probe, example, groups, positions)
    # Where some reader takes the neurons as they are and another takes them through a norm, the
    # factor has to act in the writers as well.
    groups = {k: _scale_in_writers_too(g) if k in leaks else g for k, g in groups.items()}
    leaks = _leaks(probe, example, groups, positions) if leaks else {}
    # A norm that mixes channels must get 0 from off neurons, and give 0 for them too.
    biases = {name: _biases_of(probe, groups[name]) for name in leaks}
    if any(biases.values()):
        groups = groups | {k: _scale_too(groups[k], more) for k, more in biases.items()}
        leaks = _leaks(probe, example, groups, positions)
    # What gives something for 0, as a sigmoid does, is silent if nobody reads it.
    unread = {name: scale_in_readers(probe, groups[name], shared) for name in leaks}
    groups = groups | {name: group for name, group in unread.items() if group}
    leaks = {name: reader for name, reader in leaks.items() if not unread[name]}
    reasons = {
        writer: f"off neurons would still reach {reader}: what lies between does not keep 0 at 0"
        for name, reader in leaks.items()
        for writer in groups[name].writers
    }
    return {name: group for name, group in groups.items() if name not in leaks}, reasons


def scale_in_readers(
    probe: nn.Module, group: SwitchGroup, shared: Container[Tensor]
) -> SwitchGroup | None:
    """The group with factors on the weights that read its neurons, if these can be scaled."""
    readers = map(probe.get_submodule, group.readers)
    if group.mixed_by or not all(weighs_inputs(reader, shared) for reader in readers):
        return None
    return replace(group, moved="always")


def _scale_in_writers_too(group: SwitchGroup) -> SwitchGroup:
    present = set(group.scaled)
    norm_of = dict(zip(group.writers, group.norms, strict=True))
    carried = {m.layer: m for m in group.carried_as}
    more = tuple(
        carried[norm] if (norm := norm_of[m.layer]) else m
        for m in group.written_as
        if (norm_of[m.layer] or m.layer) not in present
    )
    return _scale_too(group, more)


def _biases_of(probe: nn.Module, group: SwitchGroup) -> tuple[Member, ...]:
    parameters = dict(probe.named_parameters())
    return tuple(m for m in group.carried_as if m.layer in parameters and is_bias(probe, m.layer))


def _scale_too(group: SwitchGroup, more: tuple[Member, ...]) -> SwitchGroup:
    scaled = (*group.scaled_as, *more)
    return replace(group, scaled=tuple(m.layer for m in scaled), scaled_as=scaled)


@contextmanager
def draw_at_random(probe: nn.Module, sign: int) -> Iterator[None]:
    """Fresh norms and zero biases would hide a leak, and ReLU those of one sign."""
    generator = torch.Generator().manual_seed(0)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        before.append((tensor, tensor.detach().clone()))
        values = torch.rand(tensor.shape, generator=generator) * (high - low) + low
        tensor.data.copy_(values)

    before: list[tuple[Tensor, Tensor]] = []

    for module in probe.modules():
        if getattr(module, "bias", None) is not None and isinstance(module.bias, Tensor):
            draw(module.bias, -0.5 * sign, 0.5 * sign)
        if isinstance(module, NORMS):
            if module.weight is not None:
                draw(module.weight, 0.5, 1.5)
            if module.running_mean is not None and module.running_var is not None:
                draw(module.running_mean, -0.5 * sign, 0.5 * sign)
                draw(module.running_var, 0.5, 1.5)
        if not isinstance(module, (*WRITERS, *NORMS, *MIXING)):
            for name, own in module.named_parameters(recurse=False):
                if name != "bias" and is_vector(own):
                    draw(own, -0.5 * sign, 0.5 * sign)
    try:
        yield
    finally:
        for tensor, values in reversed(before):
            tensor.data.copy_(values)


@torch.no_grad()
def _leaks(
    probe: nn.Module, example: Tensor, groups: dict[str, SwitchGroup], positions: dict[str, float]
) -> dict[str, str]:
    """Runs the copy with every second neuron off: {group: a reader that an off neuron reaches}."""
    if not groups:
        return {}
    leaks: dict[str, str] = {}
    factors = {g.name: (torch.arange(g.neurons) % 2).to(example) for g in groups.values()}

    def watch(group: SwitchGroup, member: Member) -> Callable[..., None]:
        off = torch.from_numpy(member.channels[member.neurons % 2 == 0]).to(example.device)

        def hook(module: Any, inputs: Any, by_name: Any) -> None:
            dim = -1 if isinstance(module, nn.Linear) else 1
            read = inputs[0] if inputs else by_name["input"]
            if read.index_select(dim, off).any():
                leaks.setdefault(group.name, member.layer)

        return hook

    handles = [
        probe.get_submodule(member.layer).register_forward_pre_hook(
            watch(group, member), with_kwargs=True
        )
        for group in groups.values()
        for member in group.read_as
        if group.moved != "always"
    ]
    switches = add_costs(probe, groups, {}, positions)
    switches = switches.to(example.device)
    try:
        for sign in (1, -1):
            with draw_at_random(probe, sign):
                parameters = scaled_parameters(probe, switches, factors)
                run_scaled(probe, parameters, example)
    finally:
        for handle in handles:
            handle.remove()
    return leaks
