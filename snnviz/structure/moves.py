"""Which factors may be moved to where their neurons are read: the same scores for less work.

ReLU and pooling give s times as much for s times the input (s >= 0), and GELU does not. Where only
such things lie between a neuron and its readers, the factor can multiply the readers' weights in
place of the writer's. That pays where those are fewer; and in a switcher step it pays as well
where the readers' weights get a gradient anyway, for then nothing before them needs one.
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.structure.costs import add_costs
from snnviz.structure.groups import Member, SwitchGroup
from snnviz.structure.leaks import draw_at_random
from snnviz.structure.scaling import run_scaled, scaled_parameters
from snnviz.structure.standardised import standardises

_DECADES = 3  # factors go up and down so far, for what saturates does not do so near 1
_CLOSE = 1e-3  # of the greatest value; what a factor does not go through differs by far more


def choose_moves(
    probe: nn.Module,
    example: Tensor,
    groups: dict[str, SwitchGroup],
    positions: dict[str, float],
    shared: Container[Tensor],
) -> dict[str, SwitchGroup]:
    """The groups, with `moved` set where it pays and gives the readers the same sums."""
    free = {name: g for name, g in groups.items() if _may_move(probe, g, shared)}
    fewer = [g for g in free.values() if _weights(probe, g.readers) < _weights(probe, g.writers)]
    same = _find_same(probe, example, list(free.values()), positions)
    both = {g.name for g in fewer if g.name in same}
    scaled = {
        layer
        for name, g in groups.items()
        if name not in both
        for layer in (g.readers if g.moved == "always" else g.scaled)
    }
    tried = [g for g in free.values() if g.name not in both and scaled.issuperset(g.readers)]
    switcher = {g.name for g in tried if g not in fewer and g.name in same}
    chosen = [groups[name] for name in both | switcher]
    if chosen and not _give_the_same(probe, example, chosen, positions):
        return groups
    found = dict(groups)
    found |= {name: replace(groups[name], moved="switcher") for name in switcher}
    return found | {name: replace(groups[name], moved="both") for name in both}


def _may_move(probe: nn.Module, group: SwitchGroup, shared: Container[Tensor]) -> bool:
    """Whether it has no norm, and its readers weigh each input by weights of their own."""
    readers: list[Any] = [probe.get_submodule(layer) for layer in group.readers]
    plain = all(
        getattr(reader, "groups", 1) == 1
        and reader.weight not in shared
        and not standardises(reader)
        for reader in readers
    )
    return plain and not group.carried_as and group.moved != "always"


def _weights(probe: nn.Module, layers: tuple[str, ...]) -> int:
    found: list[Any] = [probe.get_submodule(layer) for layer in layers]
    return sum(layer.weight.numel() for layer in found)


@torch.no_grad()
def _find_same(
    probe: nn.Module, example: Tensor, groups: list[SwitchGroup], positions: dict[str, float]
) -> set[str]:
    """The groups whose factors arrive at their readers as they are.

    Each reader goes on with what it gets without factors, so that one run tells it of all groups.
    """
    if not groups:
        return set()
    switches = add_costs(probe, {g.name: g for g in groups}, {}, positions).to(example.device)
    factors = _random_factors(groups, example)
    heard, failing = set(), set()
    for sign in (1, -1):
        with draw_at_random(probe, sign):
            plain = _Inputs(groups)
            plain.run(probe, {}, example)
            scaled = _Inputs(groups, factors, plain.given)
            scaled.run(probe, scaled_parameters(probe, switches, factors), example)
        if not _close(plain.scores, scaled.scores):
            return set()
        heard |= plain.heard
        failing |= scaled.failing
    return heard - failing  # of a silent group this says nothing


class _Inputs:
    """What the readers of some groups get in a run; with factors, whether these arrive."""

    def __init__(
        self,
        groups: list[SwitchGroup],
        factors: Mapping[str, Tensor] | None = None,
        expected: Mapping[str, list[Tensor]] | None = None,
    ) -> None:
        self.given: dict[str, list[Tensor]] = {}
        self.heard: set[str] = set()
        self.failing: set[str] = set()
        self._factors, self._expected = factors or {}, expected
        self._members: dict[str, list[tuple[str, Member]]] = {}
        for group in groups:
            for member in group.read_as:
                self._members.setdefault(member.layer, []).append((group.name, member))

    def run(self, probe: nn.Module, parameters: dict[str, Tensor], example: Tensor) -> None:
        handles = [
            probe.get_submodule(layer).register_forward_pre_hook(
                self._hook(layer, members), with_kwargs=True
            )
            for layer, members in self._members.items()
        ]
        try:
            self.scores: Tensor = run_scaled(probe, parameters, example)
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, layer: str, members: list[tuple[str, Member]]) -> Callable[..., Any]:
        calls = self.given.setdefault(layer, [])

        def hook(module: Any, inputs: Any, by_name: Any) -> Any:
            given = inputs[0] if inputs else by_name["input"]
            calls.append(given.clone())  # a later step may change it in place
            last = isinstance(module, nn.Linear)
            by_channel = given.movedim(-1 if last else 1, 0).flatten(1)
            if self._expected is None:
                for name, member in members:
                    if by_channel[torch.from_numpy(member.channels).to(given.device)].any():
                        self.heard.add(name)
                return None
            before = self._expected[layer][len(calls) - 1]
            if before.shape != given.shape:
                self.failing.update(name for name, _ in members)
                return None
            wanted = before.movedim(-1 if last else 1, 0).flatten(1)
            for name, member in members:
                own = torch.from_numpy(member.channels).to(given.device)
                factor = self._factors[name][torch.from_numpy(member.neurons).to(given.device)]
                if not _close(wanted[own], by_channel[own] / factor[:, None]):
                    self.failing.add(name)
            return ((before, *inputs[1:]), by_name) if inputs else ((), by_name | {"input": before})

        return hook


def _random_factors(
    groups: list[SwitchGroup], example: Tensor, decades: float = _DECADES
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    factors = {}
    for group in groups:
        exponents = (torch.rand(group.neurons, generator=generator) * 2 - 1) * decades
        factors[group.name] = (10**exponents).to(example)
    return factors


@torch.no_grad()
def _give_the_same(
    probe: nn.Module, example: Tensor, groups: list[SwitchGroup], positions: dict[str, float]
) -> bool:
    """Whether the class scores are the same, with the factors of all groups at either place."""
    moved = {group.name: replace(group, moved="both") for group in groups}
    switches = add_costs(probe, moved, {}, positions).to(example.device)
    factors = _random_factors(groups, example, decades=0.3)  # many large ones would overflow
    for sign in (1, -1):
        with draw_at_random(probe, sign):
            at_writers = scaled_parameters(probe, switches, factors)
            at_readers = scaled_parameters(probe, switches, factors, phase="task")
            written = run_scaled(probe, at_writers, example)
            read = run_scaled(probe, at_readers, example)
        if not _close(written, read):
            return False
    return True


def _close(one: Tensor, other: Tensor) -> bool:
    same = one.shape == other.shape
    return same and bool((one - other).abs().max() <= _CLOSE * one.abs().max())
