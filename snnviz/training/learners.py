"""The two learners side by side: one step of the task network, one step of the switcher.

Both lower the same task loss. In a task step the factors are constants and the task network moves;
in a switcher step the task network is constant and the switcher moves.
"""

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from snnviz import distributed
from snnviz.structure import NeuronWeights, Switches, neuron_weights, scaled_parameters
from snnviz.switcher import DirectionReader, FreeFactors, Switcher, SwitcherConfig
from snnviz.training.meter import measured, neurons_on
from snnviz.training.optimizers import adjusted, make_optimizer, trainable, update
from snnviz.training.schedule import Phase, Schedule


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
    ) -> None:
        self.network, self.device, self.precision = network, device, precision
        self.images_format = images_format
        self.switches = switches
        self.groups = tuple(switches.groups.values())
        self.began_learned = isinstance(config, Switcher)
        self.switcher: Any = self._make_switcher(config or SwitcherConfig(), seed).to(device)
        # {group: (neurons,) on the CPU}: factors held fast by hand; below 0: free.
        self.pins = {g.name: torch.full((g.neurons,), -1.0) for g in self.groups}
        self._pinned: dict[str, Tensor] = {}  # those of groups that have any, on the device
        self._readings: Any = None  # None: the task network has moved since
        self._in_force: _InForce | None = None  # None: the switcher has moved since
        self._scaled: dict[str, Tensor] | None = None  # the parameters that `logits` uses
        # Where several processes train: what they do together, and how much the images that this
        # one sees of a batch weigh in the mean over processes.
        self.together: distributed.Together | None = None
        self.weight = 1.0
        self.renew_optimizers(schedule)
        if self.began_learned:  # as with a new one, factors are 1 until the first switcher phase
            ones = {g.name: torch.ones(g.neurons, device=device) for g in self.groups}
            self._put_in_force(ones)

    def task_step(
        self, images: Tensor, labels: Tensor, lr: float, through_switcher: bool = False
    ) -> Tensor:
        """Updates the task network; the factors are constants unless `through_switcher`.

        Returns:
            Loss, accuracy and neurons on, before the update: (2 + groups,), on the device.
        """
        self.network.train()
        if through_switcher:
            factors = self._pinned_over(self.switcher.factors(self._read()))
            on = neurons_on(factors)
            self._in_force = None  # they move with the weights
        else:
            _, factors, on = self._factors_in_force()
        parameters = scaled_parameters(self.network, self.switches, factors, phase="task")
        scores = self._run("task", parameters, images)
        loss = F.cross_entropy(scores.float(), labels)
        self.task_optimizer.zero_grad(set_to_none=True)
        # Attached to the switcher, the factors would take the gradient on to it.
        inputs = trainable(self.network) if through_switcher else None
        self._weighed(loss).backward(inputs=inputs)
        self._shrink()
        update(self.task_optimizer, lr)
        if self.together:
            self.together.settle()
        self._scaled = self._readings = None
        return measured(loss, scores, labels, on)

    def _shrink(self) -> None:
        """Adds to the task network's gradients before its update; here there is nothing to add."""

    def switcher_step(self, images: Tensor, labels: Tensor, lr: float, clip: float) -> Tensor:
        """Updates the switcher; the task network's parameters and norm statistics stay.

        At a learning rate of 0 the switcher is held: it reads the weights as they are now, gives
        factors, and learns nothing.

        Returns:
            Loss, accuracy and neurons on, before the update: (2 + groups,), on the device.
        """
        self.network.train()
        with torch.set_grad_enabled(lr > 0):
            factors = self._pinned_over(self.switcher.factors(self._constant_readings()))
            parameters = scaled_parameters(
                self.network, self.switches, factors, constant=True, phase="switcher"
            )
            # Norms use the batch's statistics as in a task phase, and move only these copies.
            statistics = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
            scores = self._run("switcher", {**parameters, **statistics}, images)
            loss = F.cross_entropy(scores.float(), labels)
        if lr > 0:
            self.switcher_optimizer.zero_grad(set_to_none=True)
            self._weighed(loss).backward()
            nn.utils.clip_grad_norm_(self.switcher.parameters(), clip)
            update(self.switcher_optimizer, lr)
        self._in_force = self._scaled = None
        return measured(loss, scores, labels, neurons_on(factors))

    def join(self) -> None:
        """From now on several processes take the same steps, each with its share of a batch."""
        self.together = distributed.Together(self.network, self.switcher)

    def _run(self, phase: Phase, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        """Class scores of the task network, to learn from."""
        with self._autocast():
            if self.together:
                return self.together.scores(phase, parameters, images)
            # Where two layers share a parameter, no factor acts on it; but as a constant it is
            # named once and meant for both.
            tied = phase == "switcher"
            return functional_call(self.network, parameters, (images,), tie_weights=tied)

    def _weighed(self, loss: Tensor) -> Tensor:
        return loss if self.weight == 1 else loss * self.weight

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
            with self._autocast():
                return functional_call(self.network, scaled, (images,)).float()
        finally:
            self.network.train(training)

    def renew_optimizers(self, schedule: Schedule) -> None:
        """Takes the optimizers' settings from the schedule, and new optimizers where it says so."""
        task = make_optimizer(schedule, "task", trainable(self.network))
        switcher = make_optimizer(schedule, "switcher", trainable(self.switcher))
        self.task_optimizer = adjusted(getattr(self, "task_optimizer", None), task)
        self.switcher_optimizer = adjusted(getattr(self, "switcher_optimizer", None), switcher)

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

    def _pinned_over(self, free: dict[str, Tensor]) -> dict[str, Tensor]:
        """The switcher's factors, but for those that are held fast."""
        held = self._pinned.items()
        return free | {name: torch.where(pin < 0, free[name], pin) for name, pin in held}

    def _put_in_force(self, free: dict[str, Tensor]) -> None:
        factors = self._pinned_over(free)
        self._in_force, self._scaled = _InForce(free, factors, neurons_on(factors)), None

    def _factors_in_force(self) -> "_InForce":
        if self._in_force is None:
            with torch.no_grad():
                self._put_in_force(self.switcher.factors(self._constant_readings()))
            assert self._in_force is not None
        return self._in_force

    def _autocast(self) -> AbstractContextManager:
        if self.precision == "float32":
            return nullcontext()  # not all devices know autocast
        return torch.autocast(self.device.type, torch.bfloat16)


class _InForce(NamedTuple):
    free: dict[str, Tensor]  # the switcher's own
    factors: dict[str, Tensor]  # with the pins
    on: Tensor  # (groups,)
