"""The two learners: a task network and its switcher, each with an optimizer.

The trainer makes their steps. This file computes what a step needs: the factors, and the class
scores of the task network with these factors.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from snnviz import distributed
from snnviz.data import ImageData
from snnviz.structure import (
    Factors,
    NeuronWeights,
    Switches,
    neuron_weights,
    run_scaled,
    scaled_parameters,
)
from snnviz.switcher import (
    Explanation,
    FreeFactors,
    Switcher,
    SwitcherConfig,
    explain,
)
from snnviz.training import checks, sizing
from snnviz.training.meter import count_neurons_on
from snnviz.training.optimizers import keep_momentum, make_optimizer, trainable_parameters
from snnviz.training.schedule import Phase, Position, Schedule
from snnviz.training.unregistered import copy_of, find_unregistered, put_back

Shrink = Callable[[], None]


class Learners:
    """A task network and its switcher, each with an optimizer, and the current factors.

    Args:
        network: the task network, on the device.
        switches: its switch groups.
        config: how to build the switcher; or a trained one, which is copied.
        schedule: names the optimizers.
        seed: seed of the switcher's weights.
        device: the device of both.
        precision: "float32" or "bfloat16" (autocast of the task network).
        images_format: memory format of images; see `structure.memory_format`.
        gates: makes a module that replaces the switcher and learns in the task network's
            steps; it has `factors()`, {group: (neurons,)}, and `config`. `snnviz.rivals` uses it.
        shrinkage: makes a function that adds to the gradients before each update of the task
            network, so that some of its neurons shrink. `snnviz.rivals` uses it.
    """

    def __init__(
        self,
        network: nn.Module,
        switches: Switches,
        config: SwitcherConfig | Switcher | None,
        schedule: Schedule,
        seed: int,
        device: torch.device,
        precision: str,
        images_format: torch.memory_format = torch.contiguous_format,
        *,
        gates: "Callable[[Learners], nn.Module] | None" = None,
        shrinkage: "Callable[[Learners], Shrink] | None" = None,
    ) -> None:
        self.network, self.device, self.precision = network, device, precision
        self.images_format = images_format
        self._unregistered = find_unregistered(network)
        self.switches = switches
        self.groups = tuple(switches.groups.values())
        made: Any = gates(self) if gates else self._make_switcher(config or SwitcherConfig(), seed)
        self.switcher = made.to(device)
        # {group: (neurons,) on the CPU}: factors pinned by the user; below 0: free.
        self.pins = {g.name: torch.full((g.neurons,), -1.0) for g in self.groups}
        self._pinned: dict[str, Tensor] = {}  # the pins of groups that have any, on the device
        self._wanted = sizing.Wanted(switches)
        self._kept = sizing.Kept(self._all_kept(), 0.0, device)  # the neurons that a size leaves
        self._readings: Any = None  # None: the task network has changed since
        self._current: _Current | None = None  # None: the switcher has changed since
        self._scaled: dict[str, Tensor] | None = None  # the parameters that `logits` uses
        self.together: distributed.Together | None = None  # where several processes train
        self._one_process_only = gates is not None
        self.schedule = schedule
        self._wanted.check(schedule, self.pins)
        self._keep(self._kept.masks)
        self.began_learned = isinstance(config, Switcher)
        if self.began_learned:  # as for a new one, factors are 1 until the first switcher phase
            ones = {g.name: torch.ones(g.neurons, device=device) for g in self.groups}
            self._set_current(ones)
        made = self.make_optimizers(schedule)
        self.task_optimizer, self.switcher_optimizer = made["task"], made["switcher"]
        self._shrink = shrinkage(self) if shrinkage else None

    # Parts of the trainer's steps --------------------------------------------------------------

    def task_factors(self, through_switcher: bool = False) -> tuple[Factors, Tensor]:
        """The factors of a task step, and how many neurons of each group are on (groups,).

        They are constants, unless the gradient should pass through the switcher.
        """
        if not through_switcher:
            _, factors, on = self._compute_current()
            return factors, on
        factors = self.apply_pins(self._make_factors(self._read()))
        return factors, count_neurons_on(factors)

    def switcher_factors(self) -> tuple[Factors, Tensor]:
        """The factors of a switcher step, attached to the switcher, and the neurons on."""
        factors = self.apply_pins(self._make_factors(self._constant_readings()))
        return factors, count_neurons_on(factors)

    def task_scores(self, images: Tensor, factors: Factors) -> Tensor:
        """Class scores for a step of the task network."""
        parameters = scaled_parameters(self.network, self.switches, factors, phase="task")
        return self._run("task", parameters, images)

    def switcher_scores(self, images: Tensor, factors: Factors) -> Tensor:
        """Class scores for a step of the switcher; the task network is constant."""
        parameters = scaled_parameters(
            self.network, self.switches, factors, constant=True, phase="switcher"
        )
        # Norms use batch statistics as in a task phase, and update only these copies of theirs.
        statistics = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        return self._run("switcher", {**parameters, **statistics}, images)

    def shrink(self) -> None:
        """Adds to the task network's gradients, if a method of `snnviz.rivals` asks for it."""
        if self._shrink is not None:
            self._shrink()

    def stop_shrinking(self) -> None:
        """Makes `shrink` do nothing from now on."""
        self._shrink = None

    def task_moved(self, factors_too: bool = False) -> None:
        """Call after a task step: discards values computed from the old weights."""
        if self.together:
            self.together.settle()
        self._scaled = self._readings = None
        if factors_too:
            self._current = None

    def switcher_moved(self) -> None:
        """Call after a switcher step: discards the old factors."""
        self._current = self._scaled = None

    def join(self, data: ImageData, seed: int) -> None:
        """If several processes train: checks that all have the same values, and joins them."""
        if self.together or not distributed.several():
            return
        checks.check_processes(self.network, self.switcher, data, self.schedule, seed)
        if self._one_process_only:
            raise ValueError(
                "this method trains in one process, and torchrun started several. Start it "
                "without torchrun."
            )
        self.together = distributed.Together(self.network, self.switcher)

    def apply_pins(self, free: Factors) -> dict[str, Tensor]:
        """The switcher's factors, except for pinned neurons, which have their pins."""
        held = self._pinned.items()
        return dict(free) | {name: torch.where(pin < 0, free[name], pin) for name, pin in held}

    def autocast(self) -> AbstractContextManager:
        """A context in which the task network computes in the chosen precision."""
        if self.precision == "float32":
            return nullcontext()  # not all devices support autocast
        # Within an autocast of the user's, kept weights would outlive the steps that change them.
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)

    @property
    def factors(self) -> dict[str, Tensor]:
        """{group: (neurons,)}: the current factors, computed once after a switcher phase."""
        return self._compute_current().factors

    def explain(self) -> dict[str, Explanation]:
        """{group: how the switcher gets from the current weights to factors}, without the pins."""
        stays = None if self._kept.is_whole else self._kept.masks
        return explain(self.switcher, self._weights(), stays, self._kept.least)

    def set_pins(self, pins: Mapping[str, Tensor]) -> None:
        """Pins factors from now on; see `pins`.

        Raises:
            ValueError: with these, the schedule's size cannot be reached.
        """
        self._wanted.check(self.schedule, pins)
        self._take_pins(pins)

    def _take_pins(self, pins: Mapping[str, Tensor]) -> None:
        self.pins = dict(pins)
        some = {name: pin for name, pin in pins.items() if (pin >= 0).any()}
        self._pinned = {name: pin.to(self.device) for name, pin in some.items()}
        if self._current:
            self._set_current(self._current.free)

    def check_size(self, schedule: Schedule, images: int, at: Position) -> None:
        """Checks that a schedule's size can be reached from here, with the pins, and be chosen.

        Args:
            images: of the training split.

        Raises:
            ValueError: it cannot.
        """
        self._wanted.check(schedule, self.pins)
        if schedule.size is not None:
            scores = self._scores()
            if bool((scores == scores[0]).all()):  # as of a new switcher
                sizing.check_learns(schedule, images, at)

    @torch.no_grad()
    def _scores(self) -> Tensor:
        """(neurons of all groups,)"""
        return self.switcher.compute_scores(self._constant_readings())

    def keep_size(self, done: float) -> str:
        """Chooses the neurons that stay, between rounds; its description if a size is reached.

        Args:
            done: how much of the ramp to the schedule's size is over, from 0 to 1.
        """
        wanted, kept = self._wanted.counts(self.schedule), self._kept.masks
        if wanted is None or (done == 0 and self._kept.is_whole):
            return ""
        counts = sizing.count_kept(kept, wanted, done)
        if sizing.is_settled(kept, self.pins, counts):
            return ""
        scores, was_reached = sizing.split_scores(self._scores(), self.pins), self._kept.least > 0
        self._keep(
            {
                name: sizing.choose_kept(mask, scores[name], self.pins[name], counts[name])
                for name, mask in kept.items()
            }
        )
        newly = self._kept.least > 0 and not was_reached
        return sizing.describe_size(self.schedule, wanted, kept) if newly else ""

    @torch.no_grad()
    def logits(self, images: Tensor, factors: Mapping[str, Tensor] | None = None) -> Tensor:
        """Class scores (n, classes) of normalised images; `factors` replace the current ones."""
        training = self.network.training
        self.network.eval()
        try:
            if factors is not None:
                scaled = scaled_parameters(self.network, self.switches, factors)
            else:
                if self._scaled is None:
                    self._scaled = scaled_parameters(self.network, self.switches, self.factors)
                scaled = self._scaled
            images = images.to(self.device).contiguous(memory_format=self.images_format)
            with self.autocast():
                return run_scaled(self.network, scaled, images).float()
        finally:
            self.network.train(training)

    def make_optimizers(self, schedule: Schedule) -> dict[Phase, torch.optim.Optimizer]:
        """New optimizers with the schedule's settings."""
        task, switcher = trainable_parameters(self.network), trainable_parameters(self.switcher)
        return {
            "task": make_optimizer(schedule, "task", task),
            "switcher": make_optimizer(schedule, "switcher", switcher),
        }

    def renew_optimizers(self, schedule: Schedule) -> None:
        """Applies the schedule's settings; makes new optimizers where their kind changes."""
        new = self.make_optimizers(schedule)
        self.schedule = schedule
        self._keep(self._all_kept() if schedule.size is None else self._kept.masks)
        self.task_optimizer = keep_momentum(self.task_optimizer, new["task"])
        self.switcher_optimizer = keep_momentum(self.switcher_optimizer, new["switcher"])

    def state_dict(self) -> dict[str, Any]:
        """Both networks, both optimizers and the current factors; a copy."""
        state = {
            "network": self.network.state_dict(),
            "unregistered": copy_of(self.network, self._unregistered),
            "switcher": self.switcher.state_dict(),
            "task_optimizer": self.task_optimizer.state_dict(),
            "switcher_optimizer": self.switcher_optimizer.state_dict(),
            "factors": self._current and self._current.free,
            "pins": self.pins,
            "kept": self._kept.masks,
        }
        return copy.deepcopy(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was called, with optimizers of the same kinds."""
        self.network.load_state_dict(state["network"])
        put_back(self.network, state["unregistered"])
        self.switcher.load_state_dict(state["switcher"])
        # Copies, because an optimizer keeps the tensors that it gets and changes them in place.
        self.task_optimizer.load_state_dict(copy.deepcopy(state["task_optimizer"]))
        self.switcher_optimizer.load_state_dict(copy.deepcopy(state["switcher_optimizer"]))
        factors = copy.deepcopy(state["factors"])
        self._keep(copy.deepcopy(state["kept"]))
        self._current = self._scaled = self._readings = None
        self._take_pins(copy.deepcopy(state["pins"]))
        if factors:
            self._set_current(factors)

    def _run(self, phase: Phase, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        """Class scores of the task network, with gradients."""
        with self.autocast():
            if self.together:
                return self.together.scores(phase, parameters, images)
            return run_scaled(self.network, parameters, images)

    def _make_switcher(self, config: SwitcherConfig | Switcher, seed: int) -> Any:
        if isinstance(config, Switcher):
            learned = copy.deepcopy(config)
            learned.seed = seed  # for this run's random control inputs
            return learned
        if config.reads == "nothing":
            return FreeFactors({g.name: g.neurons for g in self.groups}, config)
        return Switcher(config, seed)

    def _weights(self) -> dict[str, NeuronWeights]:
        return {g.name: neuron_weights(self.network, g) for g in self.groups}

    def _read(self) -> Any:
        """The switcher's inputs."""
        nothing = self.switcher.config.reads == "nothing"
        return None if nothing else self.switcher.read(self._weights())

    def _constant_readings(self) -> Any:
        """The switcher's inputs, computed once until the task network changes."""
        if self._readings is None:
            with torch.no_grad():  # the gradient must not reach the task network
                self._readings = self._read()
        return self._readings

    def _make_factors(self, readings: Any) -> dict[str, Tensor]:
        """The switcher's factors; of the neurons that a size leaves, if there is one."""
        if self._kept.is_whole:
            return self.switcher.factors(readings)
        scores = self.switcher.compute_scores(readings)
        return self._kept.factors(scores, self.switcher.config.activation)

    def _all_kept(self) -> sizing.Masks:
        return {g.name: torch.ones(g.neurons, dtype=torch.bool) for g in self.groups}

    def _keep(self, masks: sizing.Masks) -> None:
        """Keeps these neurons; discards the old factors if that changes them."""
        wanted = self._wanted.counts(self.schedule)
        reached = wanted == {name: int(mask.sum()) for name, mask in masks.items()}
        kept = sizing.Kept(masks, sizing.LEAST_FACTOR if reached else 0.0, self.device)
        if not kept.is_same(self._kept):
            self._kept, self._current, self._scaled = kept, None, None

    def _set_current(self, free: dict[str, Tensor]) -> None:
        factors = self.apply_pins(free)
        self._current, self._scaled = _Current(free, factors, count_neurons_on(factors)), None

    def _compute_current(self) -> "_Current":
        if self._current is None:
            with torch.no_grad():
                self._set_current(self._make_factors(self._constant_readings()))
            assert self._current is not None
        return self._current


class _Current(NamedTuple):
    free: dict[str, Tensor]  # the switcher's own
    factors: dict[str, Tensor]  # with the pins
    on: Tensor  # (groups,)
