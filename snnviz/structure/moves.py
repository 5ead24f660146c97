"""Which factors may be moved to where their neurons are read: the same scores for less work.

ReLU and pooling give s times as much for s times the input (s >= 0), and GELU does not. Where only
such things lie between a neuron and its readers, the factor can multiply the readers' weights in
place of the writer's. That pays where those are fewer; and in a switcher step it pays as well
where the readers' weights get a gradient anyway, for then nothing before them needs one.
"""

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from snnviz.structure.costs import add_costs
from snnviz.structure.groups import Member, SwitchGroup
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

    def same(tried: list[SwitchGroup]) -> set[str]:
        """The names of those for which it does: all are tried at once, then halves."""
        if not tried:
            return set()
        if _give_the_same(probe, example, tried, positions):
            return {group.name for group in tried}
        half = len(tried) // 2
        return same(tried[:half]) | same(tried[half:]) if half else set()

    free = {name: g for name, g in groups.items() if _may_move(probe, g, shared)}
    fewer = [g for g in free.values() if _weights(probe, g.readers) < _weights(probe, g.writers)]
    both = same(fewer)
    scaled = {layer for name, g in groups.items() if name not in both for layer in g.scaled}
    tried = [g for g in free.values() if g.name not in both and scaled.issuperset(g.readers)]
    switcher = same([g for g in tried if g not in fewer])
    found = dict(groups)
    found |= {name: replace(groups[name], moved="switcher") for name in switcher}
    return found | {name: replace(groups[name], moved="both") for name in both}


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
def _give_the_same(
    probe: nn.Module, example: Tensor, groups: list[SwitchGroup], positions: dict[str, int]
) -> bool:
    """Runs the copy, drawn at random, with random factors at either place."""
    moved = {group.name: replace(group, moved="both") for group in groups}
    switches = add_costs(probe, moved, {}, positions).to(example.device)
    generator = torch.Generator().manual_seed(0)
    factors = {}
    for group in groups:
        exponents = (torch.rand(group.neurons, generator=generator) * 2 - 1) * _DECADES
        factors[group.name] = (10**exponents).to(example)
    heard: set[str] = set()
    for sign in (1, -1):
        with draw_at_random(probe, sign):
            at_writers = scaled_parameters(probe, switches, factors)
            written, loud = _sums(probe, example, groups, at_writers)
            at_readers = scaled_parameters(probe, switches, factors, phase="task")
            read, _ = _sums(probe, example, groups, at_readers)
        if not _close(written, read):
            return False
        heard |= loud
    return len(heard) == len(groups)  # of a silent group this says nothing


def _sums(
    probe: nn.Module, example: Tensor, groups: list[SwitchGroup], parameters: dict[str, Tensor]
) -> tuple[list[Tensor], set[str]]:
    """What the readers give, and the class scores; and the groups of which something is heard."""
    seen: list[Tensor] = []
    heard: set[str] = set()

    def note(module: Any, inputs: Any, output: Any) -> None:
        seen.append(output)

    def listen(group: SwitchGroup, member: Member) -> Callable[..., None]:
        own = torch.from_numpy(member.channels).to(example.device)

        def hook(module: Any, inputs: Any, by_name: Any) -> None:
            given = inputs[0] if inputs else by_name["input"]
            dim = -1 if isinstance(module, nn.Linear) else 1
            if given.index_select(dim, own).any():
                heard.add(group.name)

        return hook

    handles = []
    for group in groups:
        for member in group.read_as:
            reader = probe.get_submodule(member.layer)
            handles.append(reader.register_forward_hook(note))
            hook = listen(group, member)
            handles.append(reader.register_forward_pre_hook(hook, with_kwargs=True))
    try:
        scores = functional_call(probe, parameters, (example,))
        return [*seen, scores], heard
    finally:
        for handle in handles:
            handle.remove()


def _close(some: list[Tensor], others: list[Tensor]) -> bool:
    if [a.shape for a in some] != [b.shape for b in others]:
        return False
    pairs = zip(some, others, strict=True)
    return all(bool((a - b).abs().max() <= _CLOSE * a.abs().max()) for a, b in pairs)
