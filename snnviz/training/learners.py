"""The two learners: a task network and its switcher, with an optimizer each.

How one step of either is made stands in the trainer. Here is what a step needs: the factors, and
the class scores of the task network with these factors.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from snnviz import distributed
from snnviz.structure import Factors, NeuronWeights, Switches, neuron_weights, scaled_parameters
from snnviz.switcher import DirectionReader, FreeFactors, Switcher, SwitcherConfig
from snnviz.training.meter import count_neurons_on
from snnviz.training.optimizers import keep_momentum, make_optimizer, trainable_parameters
from snnviz.training.schedule import Phase, Schedule

Shrink = Callable[[], None]


class Learners:
    """A task network and its switcher, with an optimizer each, and the factors in force.

    Args:
        network: the task network, on the device.
        switches: its switch groups.
        config: how the switcher is built; or one that has learned, which is copied.
        schedule: names the optimizers.
        seed: of the switcher's weights.
        device: where both live.
        precision: "float32" or "bfloat16" (autocast of the task network).
        images_format: how images lie in memory; see `snnviz.memory_format`.
        gates: makes a module that takes the switcher's place and learns in the task network's
            steps; it has `factors()`, {group: (neurons,)}, and `config`. `snnviz.rivals` use it.
        shrinkage: makes a function that adds to the gradients before each update of the task
            network, so that some of its neurons shrink. `snnviz.rivals` use it.
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
        self.switches = switches
        self.groups = tuple(switches.groups.values())
        made: Any = gates(self) if gates else self._make_switcher(config or SwitcherConfig(), seed)
        self.switcher = made.to(device)
        # {group: (neurons,) on the CPU}: factors held fast by hand; below 0: free.
        self.pins = {g.name: torch.full((g.neurons,), -1.0) for g in self.groups}
        self._pinned: dict[str, Tensor] = {}  # those of groups that have any, on the device
        self._readings: Any = None  # None: the task network has moved since
        self._in_force: _InForce | None = None  # None: the switcher has moved since
        self._scaled: dict[str, Tensor] | None = None  # the parameters that `logits` uses
        self.together: distributed.Together | None = None  # where several processes train
        self._one_process_only = gates is not None
        self.began_learned = isinstance(config, Switcher)
        if self.began_learned:  # as with a new one, factors are 1 until the first switcher phase
            ones = {g.name: torch.ones(g.neurons, device=device) for g in self.groups}
            self._put_in_force(ones)
        self.schedule = schedule
        made = self.make_optimizers(schedule)
        self.task_optimizer, self.switcher_optimizer = made["task"], made["switcher"]
        self._shrink = shrinkage(self) if shrinkage else None

    # What the trainer's steps are made of -------------------------------------------------------

    def task_factors(self, through_switcher: bool = False) -> tuple[Factors, Tensor]:
        """The factors of a task step, and how many neurons of each group are on (groups,).

        They are constants, unless the gradient is to pass through the switcher.
        """
        if not through_switcher:
            _, factors, on = self._factors_in_force()
            return factors, on
        factors = self.apply_pins(self.switcher.factors(self._read()))
        return factors, count_neurons_on(factors)

    def switcher_factors(self) -> tuple[Factors, Tensor]:
        """The factors of a switcher step, attached to the switcher, and the neurons on."""
        factors = self.apply_pins(self.switcher.factors(self._constant_readings()))
        return factors, count_neurons_on(factors)

    def task_scores(self, images: Tensor, factors: Factors) -> Tensor:
        """Class scores that the task network learns from."""
        parameters = scaled_parameters(self.network, self.switches, factors, phase="task")
        return self._run("task", parameters, images)

    def switcher_scores(self, images: Tensor, factors: Factors) -> Tensor:
        """Class scores that the switcher learns from; the task network is constant."""
        parameters = scaled_parameters(
            self.network, self.switches, factors, constant=True, phase="switcher"
        )
        # Norms use the batch's statistics as in a task phase, and move only these copies of theirs.
        statistics = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        return self._run("switcher", {**parameters, **statistics}, images)

    def shrink(self) -> None:
        """Adds to the task network's gradients, if a method of `snnviz.rivals` asks for it."""
        if self._shrink is not None:
            self._shrink()

    def stop_shrinking(self) -> None:
        """From now on `shrink` adds nothing."""
        self._shrink = None

    def task_moved(self, factors_too: bool = False) -> None:
        """The task network has made a step: what was computed from its weights is out of date."""
        if self.together:
            self.together.settle()
        self._scaled = self._readings = None
        if factors_too:
            self._in_force = None

    def switcher_moved(self) -> None:
        """The switcher has made a step: its factors are out of date."""
        self._in_force = self._scaled = None

    def join(self) -> None:
        """From now on several processes take the same steps, each with its share of a batch."""
        if self._one_process_only:
            raise ValueError(
                "this method trains in one process, and torchrun started several. Start it "
                "without torchrun."
            )
        self.together = distributed.Together(self.network, self.switcher)

    def apply_pins(self, free: Factors) -> dict[str, Tensor]:
        """The switcher's factors, but for those that are held by hand."""
        held = self._pinned.items()
        return dict(free) | {name: torch.where(pin < 0, free[name], pin) for name, pin in held}

    def autocast(self) -> AbstractContextManager:
        """Within it the task network computes in the precision that was asked for."""
        if self.precision == "float32":
            return nullcontext()  # not all devices know autocast
        return torch.autocast(self.device.type, torch.bfloat16)

    @property
    def factors(self) -> dict[str, Tensor]:
        """{group: (neurons,)}: the factors in force, computed once after a switcher phase."""
        return self._factors_in_force().factors

    def set_pins(self, pins: Mapping[str, Tensor]) -> None:
        """Holds factors fast from now on; see `pins`."""
        self.pins = dict(pins)
        some = {name: pin for name, pin in pins.items() if (pin >= 0).any()}
        self._pinned = {name: pin.to(self.device) for name, pin in some.items()}
        if self._in_force:
            self._put_in_force(self._in_force.free)

    @torch.no_grad()
    def logits(self, images: Tensor, factors: Mapping[str, Tensor] | None = None) -> Tensor:
        """Class scores (n, classes) of normalised images; `factors` in place of those in force."""
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
                return functional_call(self.network, scaled, (images,)).float()
        finally:
            self.network.train(training)

    def make_optimizers(self, schedule: Schedule) -> dict[Phase, torch.optim.Optimizer]:
        """New optimizers as the schedule has them."""
        task, switcher = trainable_parameters(self.network), trainable_parameters(self.switcher)
        return {
            "task": make_optimizer(schedule, "task", task),
            "switcher": make_optimizer(schedule, "switcher", switcher),
        }

    def renew_optimizers(self, schedule: Schedule) -> None:
        """Takes the optimizers' settings from the schedule, and new optimizers where it says so."""
        new = self.make_optimizers(schedule)
        self.schedule = schedule
        self.task_optimizer = keep_momentum(self.task_optimizer, new["task"])
        self.switcher_optimizer = keep_momentum(self.switcher_optimizer, new["switcher"])

    def state_dict(self) -> dict[str, Any]:
        """Both networks, both optimizers and the factors in force; a copy."""
        state = {
            "network": self.network.state_dict(),
            "switcher": self.switcher.state_dict(),
            "task_optimizer": self.task_optimizer.state_dict(),
            "switcher_optimizer": self.switcher_optimizer.state_dict(),
            "factors": self._in_force and self._in_force.free,
            "pins": self.pins,
        }
        return copy.deepcopy(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up where `state_dict` was called, under optimizers of the same kinds."""
        self.network.load_state_dict(state["network"])
        self.switcher.load_state_dict(state["switcher"])
        # Copies, for an optimizer keeps the tensors that it is given and moves them in place.
        self.task_optimizer.load_state_dict(copy.deepcopy(state["task_optimizer"]))
        self.switcher_optimizer.load_state_dict(copy.deepcopy(state["switcher_optimizer"]))
        factors = copy.deepcopy(state["factors"])
        self._in_force = self._scaled = self._readings = None
        self.set_pins(copy.deepcopy(state["pins"]))
        if factors:
            self._put_in_force(factors)

    def _run(self, phase: Phase, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        """Class scores of the task network, to learn from."""
        with self.autocast():
            if self.together:
                return self.together.scores(phase, parameters, images)
            # Where two layers share a parameter, no factor acts on it; but as a constant it is
            # named once and meant for both.
            tied = phase == "switcher"
            return functional_call(self.network, parameters, (images,), tie_weights=tied)

    def _make_switcher(self, config: SwitcherConfig | Switcher, seed: int) -> Any:
        if isinstance(config, Switcher):
            learned = copy.deepcopy(config)
            learned.seed = seed  # what its controls read is drawn for this run
            return learned
        if config.reads == "nothing":
            return FreeFactors({g.name: g.neurons for g in self.groups}, config)
        if config.reads == "weights":
            fan_in = {name: w.incoming.shape[1] for name, w in self._weights().items()}
            return DirectionReader(fan_in, config, seed)
        return Switcher(config, seed)

    def _weights(self) -> dict[str, NeuronWeights]:
        return {g.name: neuron_weights(self.network, g) for g in self.groups}

    def _read(self) -> Any:
        """What the switcher reads."""
        nothing = self.switcher.config.reads == "nothing"
        return None if nothing else self.switcher.read(self._weights())

    def _constant_readings(self) -> Any:
        """Read once while the task network stays as it is: for a phase, and the factors after."""
        if self._readings is None:
            with torch.no_grad():  # the gradient is not to reach the task network
                self._readings = self._read()
        return self._readings

    def _put_in_force(self, free: dict[str, Tensor]) -> None:
        factors = self.apply_pins(free)
        self._in_force, self._scaled = _InForce(free, factors, count_neurons_on(factors)), None

    def _factors_in_force(self) -> "_InForce":
        if self._in_force is None:
            with torch.no_grad():
                self._put_in_force(self.switcher.factors(self._constant_readings()))
            assert self._in_force is not None
        return self._in_force


class _InForce(NamedTuple):
    free: dict[str, Tensor]  # the switcher's own
    factors: dict[str, Tensor]  # with the pins
    on: Tensor  # (groups,)
