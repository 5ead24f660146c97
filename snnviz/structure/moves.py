"""Which factors may be moved to where their neurons are read: the same scores for less work.

ReLU and pooling give s times as much for s times the input (s >= 0), and GELU does not. Where only
such things lie between a neuron and its readers, the factor can multiply the readers' weights in
place of the writer's. That pays where those are fewer; and in a switcher step it pays as well
where the readers' weights get a gradient anyway, for then nothing before them needs one.
"""

from collections.abc import Container
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from snnviz.structure.costs import add_costs
from snnviz.structure.groups import SwitchGroup
from snnviz.structure.leaks import draw_at_random
from snnviz.structure.scaling import scaled_parameters

_DECADES = 3  # factors go up and down so far, for what saturates does not do so near 1
_CLOSE = 1e-3  # of the greatest value; what a factor does not go through differs by far more


def choose_moves(
    probe: nn.Module,
    example: Tensor,
    groups: dict[str, SwitchGroup],
    positions: dict[str, int],
    shared: Container[Tensor],
) -> dict[str, SwitchGroup]:
    """The groups, with `moved` set where it pays and gives the readers the same sums."""

    def fewer(group: SwitchGroup) -> bool:
        return _weights(probe, group.readers) < _weights(probe, group.writers)

    def same(group: SwitchGroup) -> bool:
        return _gives_the_same(probe, example, group, positions)

    free = {name: g for name, g in groups.items() if _may_move(probe, g, shared)}
    both = {name for name, g in free.items() if fewer(g) and same(g)}
    scaled = {layer for name, g in groups.items() if name not in both for layer in g.scaled}
    found = dict(groups)
    for name, group in free.items():
        if name in both:
            found[name] = replace(group, moved="both")
        elif scaled.issuperset(group.readers) and same(group):
            found[name] = replace(group, moved="switcher")
    return found


def _may_move(probe: nn.Module, group: SwitchGroup, shared: Container[Tensor]) -> bool:
    """Whether it has no norm, and its readers weigh each input by weights of their own."""
    readers: list[Any] = [probe.get_submodule(layer) for layer in group.readers]
    plain = all(
        getattr(reader, "groups", 1) == 1 and reader.weight not in shared for reader in readers
    )
    return plain and not group.carried_as


def _weights(probe: nn.Module, layers: tuple[str, ...]) -> int:
    found: list[Any] = [probe.get_submodule(layer) for layer in layers]
    return sum(layer.weight.numel() for layer in found)


@torch.no_grad()
def _gives_the_same(
    probe: nn.Module, example: Tensor, group: SwitchGroup, positions: dict[str, int]
) -> bool:
    """Runs the copy, drawn at random, with random factors at either place."""
    moved = {group.name: replace(group, moved="both")}
    switches = add_costs(probe, moved, {}, positions).to(example.device)
    generator = torch.Generator().manual_seed(0)
    exponents = (torch.rand(group.neurons, generator=generator) * 2 - 1) * _DECADES
    factors = {group.name: (10**exponents).to(example)}
    told = False
    for sign in (1, -1):
        with draw_at_random(probe, sign):
            before = _sums(probe, example, group, {})
            written = _sums(probe, example, group, scaled_parameters(probe, switches, factors))
            at_readers = scaled_parameters(probe, switches, factors, phase="task")
            read = _sums(probe, example, group, at_readers)
        if not _close(written, read):
            return False
        told = told or not _close(before, read)  # or the neurons were silent with all factors
    return told


def _sums(
    probe: nn.Module, example: Tensor, group: SwitchGroup, parameters: dict[str, Tensor]
) -> list[Tensor]:
    """What the readers give, and the class scores."""
    seen: list[Tensor] = []

    def note(module: Any, inputs: Any, output: Any) -> None:
        seen.append(output)

    handles = [probe.get_submodule(layer).register_forward_hook(note) for layer in group.readers]
    try:
        scores = functional_call(probe, parameters, (example,))
        return [*seen, scores]
    finally:
        for handle in handles:
            handle.remove()


def _close(some: list[Tensor], others: list[Tensor]) -> bool:
    if [a.shape for a in some] != [b.shape for b in others]:
        return False
    pairs = zip(some, others, strict=True)
    return all(bool((a - b).abs().max() <= _CLOSE * a.abs().max()) for a, b in pairs)
