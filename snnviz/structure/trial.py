"""Tries out, before anything is trained, whether neurons can be removed.

On a copy with random parameters and buffers, some neurons of each group are off. The scores of this
network must be those of a smaller one without these neurons, in evaluation and in training mode. A
group for which they are not is left alone.
"""

from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.structure.costs import add_costs
from snnviz.structure.differing import first_difference, layer_outputs
from snnviz.structure.drawing import draw_all
from snnviz.structure.groups import Switches, SwitchGroup
from snnviz.structure.layers import inputs_of, units_of
from snnviz.structure.leaks import scale_in_readers
from snnviz.structure.modes import in_mode
from snnviz.structure.narrow import keep_one, remove
from snnviz.structure.own_forward import find_deaf, has_own_forward
from snnviz.structure.probe import copied
from snnviz.structure.reasons import FIXED_HEADS, FIXED_SIZE, find_mixing
from snnviz.structure.scaling import scaled_parameters

_ALLOWED = {"evaluation": 1e-3, "training": 1e-2}  # of the largest score; wrong ones are far off
_ALLOWED_IN_DOUBLE = 1e-6
_FAILS = "not asked"  # why a trial fails, where nobody asks


def drop_failing(
    probe: nn.Module,
    example: Tensor,
    groups: dict[str, SwitchGroup],
    positions: dict[str, float],
    shared: Container[Tensor],
    larger: Collection[list[SwitchGroup]] = (),
    heads: Collection[list[SwitchGroup]] = (),
) -> tuple[dict[str, SwitchGroup], dict[str, str]]:
    """The groups whose neurons can be removed, and why the others are left out.

    Args:
        probe: a copy of the user's network, in evaluation mode; it is left as it is.
        example: at least two images.
        groups: what to try.
        positions: of `count_positions`.
        shared: parameters of several layers.
        larger: groups with more neurons than those of the same names, in lists of alternatives: the
            first that holds is taken.
        heads: groups of neurons that may be in none of them, in such lists as well.
    """
    tried = [group for group in groups.values() if not group.mixed_by]
    if not tried and not heads:
        return groups, {}
    trial = _Trial(probe, example, positions)
    deaf = find_deaf(trial.probe, example)
    for group in tried:
        undoing = deaf.intersection(group.scaled) if group.moved != "always" else ()
        if undoing and (moved := scale_in_readers(probe, group, shared)):
            groups = groups | {group.name: moved}
        elif undoing:
            trial.rejected[group.name] = f"{min(undoing)} undoes a factor on its weights"
    trial.accept([groups[g.name] for g in tried if g.name not in trial.rejected])
    trial.choose([options for options in larger if options[0].name not in trial.rejected])
    written = {writer for group in trial.accepted for writer in group.writers}
    heads = [options for options in heads if written.isdisjoint(options[0].writers)]
    trial.choose(heads)
    groups = groups | {group.name: group for group in trial.accepted}
    others = {group.name: group for options in heads for group in reversed(options)}
    others |= groups
    reasons = {
        writer: why for name, why in trial.rejected.items() for writer in others[name].writers
    }
    left = {name: group for name, group in groups.items() if name not in trial.rejected}
    return left, reasons


class _Trial:
    """All groups are tried together, and halves of them where that fails."""

    def __init__(self, probe: nn.Module, example: Tensor, positions: dict[str, float]) -> None:
        self.probe, self.example, self.positions = copied(probe), example, positions
        self.in_double = False
        self.accepted: list[SwitchGroup] = []
        self.rejected: dict[str, str] = {}
        draw_all(self.probe)
        if not self._scores(self.probe, "evaluation").isfinite().all():
            self.probe = copied(probe)  # with the values that it has

    def accept(self, groups: list[SwitchGroup]) -> None:
        """Adds those of the groups to the accepted ones that can be removed together with them.

        Those that cannot are searched for in evaluation mode alone, and in both modes only if what
        is left after that is not the same in both.
        """
        before, rejected = list(self.accepted), dict(self.rejected)
        if not groups:
            return
        if not self._why_not([*before, *groups], explain=False):
            self.accepted += groups
            return
        self._halve(groups, quickly=True, fails=True)
        if self.accepted != before and self._why_not(self.accepted, explain=False):
            self.accepted, self.rejected = before, rejected
            self._halve(groups, quickly=False, fails=True)

    def _halve(self, groups: list[SwitchGroup], quickly: bool, fails: bool = False) -> None:
        """Accepts or rejects each of the groups.

        Args:
            groups: those to add.
            quickly: whether evaluation mode is enough.
            fails: whether it is known that some of them cannot be removed.
        """
        explain = len(groups) == 1
        if fails and not explain:
            why = _FAILS
        else:
            why = self._why_not([*self.accepted, *groups], explain, quickly) if groups else ""
        if not why:
            self.accepted += groups
        elif explain:
            self.rejected[groups[0].name] = self._mixing(groups[0]) or why
        else:
            before, half = len(self.accepted), len(groups) // 2
            self._halve(groups[:half], quickly)
            self._halve(groups[half:], quickly, fails=len(self.accepted) == before + half)

    def _mixing(self, group: SwitchGroup) -> str:
        group = replace(group, moved="")  # where it is read, it would come too late
        switches = add_costs(self.probe, {group.name: group}, {}, self.positions)

        def run(factors: Mapping[str, Tensor]) -> None:
            with _gated(self.probe, switches, factors):
                self._scores(self.probe, "evaluation")

        return find_mixing(self.probe, run, group, self.example)

    def choose(self, proposed: Collection[list[SwitchGroup]]) -> None:
        """Accepts of each list the first group that can be removed too, or rejects all of it.

        What holds for one layer of a network usually holds for all that are built like it, so those
        of the same kind are tried together.
        """
        alike: dict[Any, list[list[SwitchGroup]]] = {}
        for options in proposed:
            owners = {number.module for group in options for number in group.numbers}
            kinds = frozenset(type(self.probe.get_submodule(owner)) for owner in owners)
            first = options[0]
            read = len(first.read_as[0].channels)
            shares = [len(member.channels) / read for member in first.written_as]
            kind = (kinds, len(options), *shares, len(first.carried_as))
            alike.setdefault(kind, []).append(options)
        for several in alike.values():
            for groups in zip(*several, strict=True):
                own = {group.name for group in groups}
                others = [group for group in self.accepted if group.name not in own]
                why = self._why_not([*others, *groups])
                for group in groups if why else ():
                    owner = name_of(group.numbers[0].module) if group.numbers else ""
                    if owner and FIXED_SIZE in why:
                        self.rejected[group.name] = f"{owner} {FIXED_HEADS}"
                    self.rejected.setdefault(group.name, why)
                if not why:
                    self.accepted = [*others, *groups]
                    break
        taken = {group.name for group in self.accepted}
        self.rejected = {name: why for name, why in self.rejected.items() if name not in taken}

    def _why_not(
        self, groups: list[SwitchGroup], explain: bool = True, quickly: bool = False
    ) -> str:
        why = self._try(groups, explain, quickly)
        if why and not self.in_double and self._change_to_double():
            why = self._try(groups, explain, quickly)  # it may have been rounding alone
        return why

    def _change_to_double(self) -> bool:
        self.in_double = True
        probe, example = copied(self.probe).double(), self.example.double()
        try:
            self._scores(probe, "evaluation", example)
        except Exception:  # the user's code may insist on its own precision
            return False
        self.probe, self.example = probe, example
        return True

    @torch.no_grad()
    def _try(self, groups: list[SwitchGroup], explain: bool, quickly: bool) -> str:
        """Why the smaller network is not the same, or "" if it is."""
        switches = add_costs(self.probe, {g.name: g for g in groups}, {}, self.positions)
        switches = switches.to(self.example.device)
        chosen = {g.name: _choose(g) for g in groups}
        others = {name: ~off for name, off in chosen.items()}
        thorough = ((("evaluation", "training"), chosen), (("evaluation",), others))
        for modes, pattern in ((("evaluation",), chosen),) if quickly else thorough:
            why = self._compare(switches, pattern, modes, explain)
            if why:
                return why
        return ""

    def _compare(
        self,
        switches: Switches,
        off: dict[str, np.ndarray],
        modes: tuple[str, ...],
        explain: bool,
    ) -> str:
        generator = torch.Generator().manual_seed(1)
        factors = {
            name: ((torch.rand(len(gone), generator=generator) + 0.5) * torch.from_numpy(~gone)).to(
                self.example
            )
            for name, gone in off.items()
        }
        off = {name: gone.copy() for name, gone in off.items()}
        keep_one(switches, off)
        small = _make_small(self.probe, switches, factors, off)
        for mode in modes:
            with _gated(self.probe, switches, factors):
                expected = self._scores(self.probe, mode)
                try:
                    came = self._scores(small, mode)
                except Exception:
                    if not explain:
                        return _FAILS
                    layer = self._failing_layer(small, mode)
                    return f"without some of them, {layer} would not run{_in(mode)}: {FIXED_SIZE}"
                if self._differ(expected, came, mode):
                    if not explain:
                        return _FAILS
                    layer = self._first_difference(switches, small, off, mode)
                    return f"without some of them, the outputs of {layer} would change{_in(mode)}"
        return ""

    def _differ(self, expected: Tensor, came: Tensor, mode: str) -> bool:
        if came.shape != expected.shape:
            return True
        if not expected.isfinite().all():
            return False
        if (came - expected).abs().max() <= self._allowed(mode) * expected.abs().max():
            return False
        # A network that is random in training, dropout aside, draws other numbers when it is
        # smaller: that it runs is then all that can be checked.
        return mode == "evaluation" or torch.equal(expected, self._scores(self.probe, mode, seed=1))

    def _allowed(self, mode: str) -> float:
        return _ALLOWED[mode] if self.example.dtype != torch.float64 else _ALLOWED_IN_DOUBLE

    def _scores(
        self, network: nn.Module, mode: str, example: Tensor | None = None, seed: int = 0
    ) -> Tensor:
        example = self.example if example is None else example
        with in_mode(network, mode, example, seed):
            return network(example)

    def _failing_layer(self, small: nn.Module, mode: str) -> str:
        running: list[str] = []
        handles = []
        for name, module in small.named_modules():
            push = lambda *_, name=name: running.append(name)  # noqa: E731
            pop = lambda *_: running.pop() and None  # noqa: E731
            handles += [module.register_forward_pre_hook(push), module.register_forward_hook(pop)]
        try:
            self._scores(small, mode)
        except Exception:
            return name_of(running[-1] if running else "")
        finally:
            for handle in handles:
                handle.remove()
        return name_of("")

    def _first_difference(
        self, switches: Switches, small: nn.Module, off: dict[str, np.ndarray], mode: str
    ) -> str:
        def outputs(network: nn.Module) -> dict[str, Tensor]:
            with in_mode(network, mode, self.example, 0):
                return layer_outputs(network, self.example)

        found = first_difference(outputs, self.probe, small, switches, off, self._allowed(mode))
        return name_of(found)


def _choose(group: SwitchGroup) -> np.ndarray:
    """(neurons,): about half of them; one at least, and not all unless there is only one."""
    n = group.neurons
    order = np.random.default_rng(n).permutation(n)
    return np.isin(np.arange(n), order[: max(1, n // 2)])


def _make_small(
    probe: nn.Module,
    switches: Switches,
    factors: Mapping[str, Tensor],
    off: Mapping[str, np.ndarray],
) -> nn.Module:
    """A copy with the factors in its parameters and without the neurons; it shares the others."""
    small = copied(probe, sharing=list(probe.parameters()))
    for name, value in scaled_parameters(probe, switches, factors).items():
        layer, _, own = name.rpartition(".")
        small.get_submodule(layer)._parameters[own] = nn.Parameter(value.detach(), False)
    remove(small, switches, off)
    return small


@contextmanager
def _gated(network: nn.Module, switches: Switches, factors: Mapping[str, Tensor]) -> Iterator[None]:
    """Multiplies what the scaled layers return by the factors, with no use of their parameters.

    Only layers with a `forward` of their own, and bare parameters, get scaled parameters.
    """
    written: dict[str, Tensor] = {}
    read: dict[str, Tensor] = {}
    modules = dict(network.named_modules())
    for group in switches.groups.values():
        always = group.moved == "always"
        for member in group.read_as if always else group.scaled_as:
            layer: Any = modules.get(member.layer)
            if layer is None or has_own_forward(layer):
                continue
            of_layer, count = (read, inputs_of) if always else (written, units_of)
            ones = layer.weight.new_ones(count(layer))
            of_layer.setdefault(member.layer, ones)[torch.from_numpy(member.channels)] = factors[
                group.name
            ][torch.from_numpy(member.neurons)]

    def times_inputs(factor: Tensor) -> Callable[..., Any]:
        def hook(module: nn.Module, inputs: Any, by_name: Any) -> Any:
            given = inputs[0] if inputs else by_name["input"]
            dims = 0 if isinstance(module, nn.Linear) else given.ndim - 2
            given = given * factor.view(-1, *(1,) * dims)
            return ((given, *inputs[1:]), by_name) if inputs else ((), by_name | {"input": given})

        return hook

    def times(factor: Tensor) -> Callable[..., Tensor]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            dims = 0 if isinstance(module, nn.Linear) else output.ndim - 2
            return output * factor.view(-1, *(1,) * dims)

        return hook

    handles = [
        network.get_submodule(layer).register_forward_hook(times(factor))
        for layer, factor in written.items()
    ]
    handles += [
        network.get_submodule(layer).register_forward_pre_hook(
            times_inputs(factor), with_kwargs=True
        )
        for layer, factor in read.items()
    ]
    before = []
    for name, value in scaled_parameters(network, switches, factors).items():
        layer, _, own = name.rpartition(".")
        module = network.get_submodule(layer)
        if has_own_forward(module):
            before.append((module, own, module._parameters[own]))
            module._parameters[own] = nn.Parameter(value, False)
    try:
        yield
    finally:
        for module, own, parameter in before:
            module._parameters[own] = parameter
        for handle in handles:
            handle.remove()


def name_of(layer: str) -> str:
    return f"layer {layer}" if layer else "the network itself"


def _in(mode: str) -> str:
    return " in training mode" if mode == "training" else ""
