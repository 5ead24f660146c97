"""The trainer: task network and switcher, trained alternately under the same task loss.

`task_step` and `switcher_step` are the method; `make_step` makes one of them at a time. To pause
training, do not call the next one. The trainer does not depend on notebooks, plots or files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz import distributed
from snnviz.data import ImageData, SplitName
from snnviz.devices import in_standard_settings, random_state
from snnviz.history import History
from snnviz.switcher import Explanation, Switcher
from snnviz.training import checks
from snnviz.training.config import TrainingConfig
from snnviz.training.copies import copy_network
from snnviz.training.draws import Batches
from snnviz.training.evaluation import evaluate
from snnviz.training.learners import Learners
from snnviz.training.meter import Meter, average_over_processes, measure_step
from snnviz.training.optimizers import take_clipped_step, take_step, trainable_parameters
from snnviz.training.pins import PinChange, hold_neurons, list_pins, release_neurons
from snnviz.training.progress import run_epochs
from snnviz.training.recorder import NoRecorder, Recorder
from snnviz.training.records import Evaluation, StepRecord, TrainingStopped
from snnviz.training.schedule import Phase, Position, Schedule
from snnviz.training.setup import make_parts

State = Mapping[str, Any]  # the result of `state_dict`


def make_step(
    learners: Learners, batches: Batches, plan: Schedule, at: Position, config: TrainingConfig
) -> StepRecord:
    """One step of the current phase: learning rate, batch, forward, backward, update."""
    phase = plan.phase(at)
    lr = plan.learning_rate(phase, at, batches.per_epoch)
    with batches.repeated_on_error(), random_state(config.seed, at.step, learners.device):
        images, labels, weight = batches.draw(phase)
        if phase == "task":
            through = plan.through_switcher and plan.stage(at.epoch) != "frozen"
            step = config.task_step or task_step
            own = step(learners, images, labels, lr, through, weight)
            measured = average_over_processes(own, weight)
        else:
            measured = switcher_step(learners, images, labels, lr, plan.switcher_clip, weight)
    return StepRecord(at.step + 1, at.epoch + 1, phase, lr, measured)


def task_step(
    learners: Learners,
    images: Tensor,
    labels: Tensor,
    lr: float,
    through_switcher: bool = False,
    weight: float = 1.0,
) -> Tensor:
    """Updates the task network; the factors are constants unless `through_switcher`.

    If several processes share a batch, `weight` is the weight of this one's loss. Returns loss,
    accuracy and neurons on, before the update: (2 + groups,), on the device.
    """
    learners.network.train()
    factors, on = learners.task_factors(through_switcher)
    scores = learners.task_scores(images, factors)
    loss = F.cross_entropy(scores.float(), labels)
    learners.task_optimizer.zero_grad(set_to_none=True)
    # If the factors are attached to the switcher, the gradient would reach it too.
    inputs = trainable_parameters(learners.network) if through_switcher else None
    (loss if weight == 1 else loss * weight).backward(inputs=inputs)
    learners.shrink()
    take_step(learners.task_optimizer, lr)
    learners.task_moved(factors_too=through_switcher)
    return measure_step(loss, scores, labels, on)


def switcher_step(
    learners: Learners, images: Tensor, labels: Tensor, lr: float, clip: float, weight: float = 1.0
) -> Tensor:
    """Updates the switcher; the task network's parameters and norm statistics do not change.

    Gradients with a norm above `clip` are scaled down to it. With a learning rate of 0 the switcher
    reads the current weights but does not learn. Returns what `task_step` does, of the whole batch.
    """
    learners.network.train()
    with torch.set_grad_enabled(lr > 0):
        factors, on = learners.switcher_factors()
        scores = learners.switcher_scores(images, factors)
        loss = F.cross_entropy(scores.float(), labels)
    measured = average_over_processes(measure_step(loss, scores, labels, on), weight)
    if lr > 0:
        learners.switcher_optimizer.zero_grad(set_to_none=True)
        (loss if weight == 1 else loss * weight).backward()
        take_clipped_step(learners.switcher_optimizer, lr, clip, loss=measured[0])
    learners.switcher_moved()
    return measured


@in_standard_settings
class AlternatingTrainer:
    """Trains a task network and its switcher, one step at a time.

    Args:
        network: maps images to class scores; trained in place. Its kernels become channels_last,
            which is faster, unless that is unsafe or the network does not run in it.
        data: training and test images.
        config: the settings.
        recorder: saves the run; None: nothing is saved.
    """

    def __init__(
        self,
        network: nn.Module,
        data: ImageData,
        config: TrainingConfig | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        parts = make_parts(network, data, config or TrainingConfig())
        self.config, self.device, self.precision = parts.config, parts.device, parts.precision
        self.data, self.switches, self.learners = parts.data, parts.switches, parts.learners
        self._schedule, self.seed = self.config.schedule, self.config.seed
        self.exclude, self.weighted = tuple(self.config.exclude), tuple(self.config.weighted)
        self.history = History({g.name: g.neurons for g in self.switches.groups.values()})
        self.position, self._meter = Position(), Meter()
        self.batches = self._make_batches()
        self.recorder: Recorder = recorder or NoRecorder()
        # The states at the start and at the last epoch's end; never change them.
        self.initial: State = self.state_dict()
        self.epoch_end = self.initial

    def __iter__(self) -> Iterator[StepRecord]:
        """Steps until the schedule's end; you may stop and continue the iteration at any time."""
        self.settle()
        while not self.finished:
            yield self.step()

    def step(self) -> StepRecord:
        """One step of the current phase.

        Raises:
            TrainingStopped: the loss is not finite or a group is entirely off. This is detected
                when a round's results are read, at its end.
            NotSaved: the run's folder, if it has one, cannot be written. The training state is
                intact; the next step tries to save first.
        """
        if self.stopped:
            raise self.stopped
        at = self.position
        with self.recorder.watch_step(self):
            self.learners.join(self.data, self.seed)
            self._close_epoch()
            with self._meter.timed():
                plan = self.schedule
                record = make_step(self.learners, self.batches, plan, at, self.config)
                self._meter.add(record)
                self.position = plan.after(at, self.batches_per_epoch)
                epoch_ends = self.position.epoch > at.epoch
                if round_ends := plan.alternates(at.epoch) and self.between_rounds:
                    self._keep_size(at.epoch)
                if epoch_ends or round_ends or self._meter.is_full:
                    self.flush()
            if epoch_ends:
                self._close_epoch()
        return record

    def run(self, epochs: int | None = None, progress: bool = True) -> History:
        """Trains for more epochs (None: to the schedule's end); returns the history.

        Training past the schedule's end moves that end, which the history records.
        """
        self._close_epoch()
        run_epochs(self, epochs, progress)
        return self.history

    @property
    def schedule(self) -> Schedule:
        """The plan. Another one can be assigned between steps; it starts a new round."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self.check_schedule(schedule)
        if not (changes := self._schedule.changes(schedule)):
            return
        self.flush()
        told = ", ".join(f"{name}: {old} → {new}" for name, (old, new) in changes.items())
        self._note("schedule", told)
        self._adopt(schedule)
        self.recorder.turned(self, "schedule")

    def check_schedule(self, schedule: Schedule) -> None:
        """Checks whether a schedule may be assigned now.

        Raises:
            ValueError: it ends before this epoch, needs missing data, or has an impossible size.
        """
        checks.check_schedule(schedule, self.data)
        checks.check_batch_size(self.network, schedule, self.data)
        checks.check_end(schedule, self._schedule, self.position.epoch)
        self.learners.check_size(schedule, len(self.data.train), self.position)

    @property
    def network(self) -> nn.Module:
        """The task network, without the factors."""
        return self.learners.network

    @property
    def switcher(self) -> Switcher:
        """The network from weights to factors."""
        return self.learners.switcher

    @property
    def factors(self) -> dict[str, Tensor]:
        """{group: (neurons,)}: the factors in use."""
        return self.learners.factors

    def explain(self) -> dict[str, Explanation]:
        """{group: how the switcher gets from the weights of now to factors}, without the pins."""
        return self.learners.explain()

    @property
    def pins(self) -> dict[str, dict[int, float]]:
        """{group: {neuron: factor}}: the pinned neurons."""
        return list_pins(self.learners.pins)

    def pin(self, group: str, neurons: int | Sequence[int], on: bool) -> None:
        """Holds neurons on (a factor of 1) or off (0); the switcher no longer moves them.

        Raises:
            ValueError: there is no such group or neuron, or the group would be entirely off.
        """
        self._change_pins(hold_neurons(self.learners.pins, self.factors, group, neurons, on))

    def unpin(self, group: str, neurons: int | Sequence[int] | None = None) -> None:
        """Releases pinned neurons (None: of the whole group): the switcher moves them again.

        Raises:
            ValueError: there is no such group or neuron.
        """
        if let_go := release_neurons(self.learners.pins, group, neurons):
            self._change_pins(let_go)

    @property
    def phase(self) -> Phase:
        """The phase of the next step."""
        return self.schedule.phase(self.position)

    @property
    def batches_per_epoch(self) -> int:
        """Task steps in an epoch."""
        return self.batches.per_epoch

    @property
    def finished(self) -> bool:
        """Whether the schedule's epochs are done."""
        return self.position.epoch >= self.schedule.epochs

    @property
    def between_rounds(self) -> bool:
        """Whether no round is in progress, so that a new schedule interrupts none."""
        return self.position.round_step == 0

    def logits(self, images: Tensor) -> Tensor:
        """Class scores (n, classes) with the current factors.

        Raises:
            ValueError: images are not (n, channels, height, width), normalised as in `data.batch`.
        """
        checks.check_images(images, self.data)
        return self.learners.logits(images)

    def evaluate(self, split: SplitName = "test") -> Evaluation:
        """Loss and accuracy on a split, with the current factors."""
        return evaluate(self.learners.logits, self.data, split)

    @property
    def stopped(self) -> TrainingStopped | None:
        """Why training cannot continue, until `rollback()` or `reset()`; None if it can."""
        return self._meter.stopped

    def flush(self) -> None:
        """Reads the steps' results from the device at once, checks them, and records them."""
        self._meter.flush(self.history, self.schedule)

    def settle(self) -> None:
        """Closes a finished epoch and reads all results; raises TrainingStopped if one is bad."""
        if self.stopped:
            raise self.stopped
        self._close_epoch()
        self.flush()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the run's future depends on, as plain tensors and numbers; a copy."""
        self.flush()
        return {
            **self.learners.state_dict(),
            **self.batches.state_dict(),
            "schedule": self.schedule,
            "position": self.position,
            "running": self._meter.running,
        }

    def load_state_dict(self, state: State) -> None:
        """Continues where `state_dict` was called."""
        self._schedule, self.position = state["schedule"], state["position"]
        self.learners.renew_optimizers(self._schedule)
        self.learners.load_state_dict(state)
        self.batches = self._make_batches()
        self.batches.load_state_dict(state)
        self._meter.go_on_from(state["running"])

    def take_up(self, state: State, epoch_end: State, initial: State, history: History) -> None:
        """Continues a run of the same networks from this state, with its history."""
        self.load_state_dict(state)
        self.epoch_end, self.initial, self.history = epoch_end, initial, history

    def branch(self, state: State) -> "AlternatingTrainer":
        """Another trainer, with copies, that continues from a state of this one at an epoch's end.

        Both see the same images. Its history is this one's up to that epoch.
        """
        config = replace(self.config, schedule=state["schedule"])
        other = AlternatingTrainer(copy_network(self.network, self.epoch_end), self.data, config)
        other.take_up(state, state, self.initial, self.history.until(state["position"].epoch))
        return other

    def rollback(self) -> None:
        """Returns to the last epoch's end (or the start), with the current schedule."""
        self._return_to(self.epoch_end, "rollback")

    def reset(self) -> None:
        """Returns to the start, with the current schedule."""
        self._return_to(self.initial, "reset")

    def _change_pins(self, change: PinChange) -> None:
        self.flush()
        self.learners.set_pins({**self.learners.pins, change.group: change.pins})
        self._note(change.event, change.detail, change.group, change.neuron)
        self.recorder.turned(self, change.event)

    def _note(self, event: str, detail: str, group: str = "", neuron: int = -1) -> None:
        where = {"epoch": self.position.epoch + 1, "step": self.position.step}
        self.history.add_event(**where, event=event, detail=detail, group=group, neuron=neuron)

    def _return_to(self, state: State, event: str) -> None:
        before, schedule = self.position, self.schedule
        self.load_state_dict(state)
        self._adopt(schedule)
        at = self.position
        self.history.truncate(epochs=at.epoch, steps=at.step)
        back = f"the end of epoch {at.epoch}" if at.epoch else "the start"
        where: dict[str, Any] = {"epoch": before.epoch + 1, "step": before.step}
        self.history.add_event(**where, event=event, detail=f"back to {back}")
        self.epoch_end = state
        self.recorder.turned(self, event)

    def _adopt(self, schedule: Schedule) -> None:
        """Follows another schedule: a new round begins, with new batches if needed."""
        if not (changes := self._schedule.changes(schedule)):
            return
        self._schedule, at = schedule, self.position
        self.position = Position(at.step, at.epoch, at.batch)
        if "batch_size" in changes:  # the epoch begins again, because its batches change
            self.position = Position(at.step, at.epoch)
            self._meter.begin_epoch()
        if changes.keys() & {"batch_size", "switcher_data"}:
            self.batches = self._make_batches()
        self.learners.renew_optimizers(schedule)
        self._keep_size(self.position.epoch)

    def _keep_size(self, epoch: int) -> None:
        """Between rounds: chooses the neurons that stay, if the schedule asks for a size."""
        done = self.schedule.ramp_done(at := self.position, self.batches_per_epoch)
        if reached := self.learners.keep_size(done):
            self.history.add_event(epoch=epoch + 1, step=at.step, event="size", detail=reached)

    def _make_batches(self) -> Batches:
        images_format = self.learners.images_format
        return Batches(self.data, self.schedule, self.seed, self.position, images_format)

    def _close_epoch(self) -> None:
        """Closes a finished epoch if it is open: a run may be interrupted just before this."""
        self.recorder.catch_up(self)
        if self.position.batch > 0:
            return
        self.flush()
        if not self._meter.epoch_is_open:
            return
        own, processes, at = distributed.rank(), distributed.processes(), self.position
        test = evaluate(self.learners.logits, self.data, "test", own, processes)
        factors = {name: s.cpu().numpy() for name, s in self.factors.items()}
        self._meter.finish_epoch(self.history, self.schedule, at, test, factors, self.switches)
        self.epoch_end = self.state_dict()
        self.recorder.epoch_ended(self)
