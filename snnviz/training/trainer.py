"""The trainer: task network and switcher, trained alternately under the same task loss.

`for record in trainer:` advances one step at a time; to pause is not to ask for the next one. The
trainer knows nothing of notebooks, plots or files.
"""

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz import checks, distributed
from snnviz.data import BatchOrder, ImageData, SplitName
from snnviz.devices import pick_device, pick_precision, random_state
from snnviz.history import History
from snnviz.structure import Switches, find_switches, memory_format
from snnviz.structure.probe import copied
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import pins
from snnviz.training.checks import check_images, check_kinds, check_schedule, check_scores
from snnviz.training.learners import Learners
from snnviz.training.records import Evaluation, Running, StepRecord, TrainingStopped
from snnviz.training.schedule import Phase, Position, Schedule

_EVALUATION_BATCH = 1000
_READ_EVERY = 32  # steps without a round's end after which results are read all the same


class Trainer:
    """Trains a task network and its switcher, one step at a time.

    Args:
        network: from images to class scores; trained in place. Its kernels become channels_last,
            which is faster, unless that is unsafe or the network does not run in it.
        data: training and test images.
        schedule: which phase when, and how fast; the default is `Schedule()`.
        switcher: how the switcher is built; the default is `SwitcherConfig()`. Or a `Switcher` that
            has learned, on any network: a copy of it takes part from the first switcher phase on,
            and learns further, or is held (`schedule.switcher_lr` of 0).
        seed: of data order, augmentation, dropout and the switcher's weights.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "float32", "bfloat16" (autocast), or "auto": bfloat16 where the device does it
            well. In float32 the same seed repeats a run bit for bit on the same machine.
        exclude: patterns of layer names, as in a shell (`"layer1.*"`), whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors though a LayerNorm or GroupNorm
            mixes them: `compact` folds the factors in and takes none of them out.
        learners: how the two take their steps; `snnviz.rivals` have others.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: an argument is not allowed, or the network has nothing to switch.
    """

    def __init__(
        self,
        network: nn.Module,
        data: ImageData,
        schedule: Schedule | None = None,
        switcher: SwitcherConfig | Switcher | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
        precision: str = "auto",
        exclude: Sequence[str] = (),
        *,
        weighted: Sequence[str] = (),
        learners: type[Learners] = Learners,
    ) -> None:
        check_kinds(network, data, switcher)
        checks.whole("seed", seed, 0)
        self._schedule = check_schedule(schedule or Schedule(), data)
        self.seed, self.exclude, self.weighted = seed, tuple(exclude), tuple(weighted)
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        example = data.batch("train", torch.arange(min(2, len(data.train))))[0]
        switches = find_switches(network.to(example.device), example, exclude, weighted)
        self.switches: Switches = switches.to(self.device)
        self.data = data.to(self.device)
        network = network.to(self.device)
        images_format = memory_format.prepare(network, example.to(self.device))
        self._way = learners  # a branch learns in the same way
        self.learners = learners(
            network,
            self.switches,
            switcher,
            self.schedule,
            seed,
            self.device,
            self.precision,
            images_format,
        )
        check_scores(self.learners, self.data, example.to(self.device))
        self.history = History({g.name: g.neurons for g in self.switches.groups.values()})
        self.position = Position()
        self._task_order, self._switcher_order = self._orders()
        self._unread: list[StepRecord] = []
        self._running = Running()
        self._stopped: TrainingStopped | None = None
        self._initial = self._epoch_end = self.state_dict()

    # Training ---------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[StepRecord]:
        """Steps until the schedule's end; may be left and taken up again at any time."""
        self._close_epoch()
        while not self.finished:
            yield self.step()

    def step(self) -> StepRecord:
        """One step of the phase that is due.

        Raises:
            TrainingStopped: the loss is not finite or a group is wholly off. Found out when a
                round's results are read, at its end.
        """
        if self._stopped:
            raise self._stopped
        self._join()
        self._close_epoch()
        began = time.perf_counter()
        at, phase, plan = self.position, self.phase, self.schedule
        lr = plan.learning_rate(phase, at, self.batches_per_epoch)
        drawn = self._task_order.state_dict(), self._switcher_order.state_dict()
        try:
            with random_state(self.seed, at.step, self.device):
                images, labels = self._batch(phase)
                if phase == "task":
                    through = plan.through_switcher and plan.stage(at.epoch) != "frozen"
                    measured = self.learners.task_step(images, labels, lr, through)
                else:
                    measured = self.learners.switcher_step(images, labels, lr, plan.switcher_clip)
                if distributed.several():
                    measured[:2] *= self.learners.weight
                    measured = distributed.total(measured) / distributed.processes()
        except BaseException:  # out of memory, say: the step has not been, so its batch comes again
            self._task_order.load_state_dict(drawn[0])
            self._switcher_order.load_state_dict(drawn[1])
            raise
        record = StepRecord(at.step + 1, at.epoch + 1, phase, lr, measured)
        self._unread.append(record)
        self.position = plan.after(at, self.batches_per_epoch)
        epoch_ends = self.position.epoch > at.epoch
        round_ends = plan.alternates(at.epoch) and self.between_rounds
        if epoch_ends or round_ends or len(self._unread) >= _READ_EVERY:
            self.flush()
        self._running.seconds += time.perf_counter() - began
        if epoch_ends:
            self._close_epoch()
        return record

    def run(self, epochs: int | None = None, progress: bool = True) -> History:
        """Trains for so many epochs more (None: to the schedule's end); returns the history.

        A run that would go past the schedule's end moves that end, which the history notes.
        """
        from tqdm.auto import tqdm

        self._close_epoch()
        target = self._target(epochs)
        steps = self.schedule.replace(epochs=target).steps_left(
            self.position, self.batches_per_epoch
        )
        quiet = not (progress and distributed.first())
        with tqdm(total=steps, unit="step", disable=quiet) as bar:
            while self.position.epoch < target:
                epoch = self.position.epoch
                self.step()
                bar.update()
                if self.position.epoch > epoch:
                    bar.set_postfix_str(self._summary())
        return self.history

    # What is in force -------------------------------------------------------------------------

    @property
    def schedule(self) -> Schedule:
        """The plan. Assign another between any two steps: it begins a new round with the next."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self.check_schedule(schedule)
        changes, at = self._schedule.changes(schedule), self.position
        if not changes:
            return
        self.flush()
        self._adopt(schedule)
        self.history.add_event(
            epoch=at.epoch + 1,
            step=at.step,
            event="schedule",
            detail=", ".join(f"{name}: {old} → {new}" for name, (old, new) in changes.items()),
        )
        self._turned("schedule")

    def check_schedule(self, schedule: Schedule) -> None:
        """Whether a schedule may be assigned here.

        Raises:
            ValueError: it may not: it ends before this epoch, or needs data that is not there.
        """
        check_schedule(schedule, self.data)
        epoch = self.position.epoch
        if self._schedule.epochs != schedule.epochs < max(epoch, 1):
            raise ValueError(
                f"schedule.epochs must be at least the {epoch} epochs that are done, "
                f"got {schedule.epochs}. To train anew, use trainer.reset()."
            )

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
        """{group: (neurons,)}: the factors in force."""
        return self.learners.factors

    @property
    def pins(self) -> dict[str, dict[int, float]]:
        """{group: {neuron: factor}}: what `pin` holds fast."""
        return pins.held(self.learners.pins)

    def pin(self, group: str, neurons: int | Sequence[int], on: bool) -> None:
        """Holds neurons on (a factor of 1) or off (0); the switcher no longer moves them.

        Raises:
            ValueError: there is no such group or neuron, or the group would be wholly off.
        """
        chosen = pins.chosen(self.history.groups, group, neurons)
        held = self.learners.pins[group].clone()
        held[chosen] = float(on)
        left = torch.where(held < 0, self.factors[group].cpu(), held)
        if not (left > 0).any():
            raise ValueError(
                f"neurons of {group!r} would all be off with these, and training would stop. "
                "Leave at least one on."
            )
        self._hold(group, held, "pin", f"{pins.ranges(chosen)} {'on' if on else 'off'}", chosen)

    def unpin(self, group: str, neurons: int | Sequence[int] | None = None) -> None:
        """Lets go of neurons that are pinned (None: of the whole group): the switcher moves them.

        Raises:
            ValueError: there is no such group or neuron.
        """
        chosen = pins.chosen(self.history.groups, group, neurons)
        pinned = self.pins.get(group, {})
        if chosen := [i for i in chosen if i in pinned]:
            held = self.learners.pins[group].clone()
            held[chosen] = -1.0
            self._hold(group, held, "unpin", pins.ranges(chosen), chosen)

    @property
    def phase(self) -> Phase:
        """The phase of the next step."""
        return self.schedule.phase(self.position)

    @property
    def batches_per_epoch(self) -> int:
        """Task steps in an epoch."""
        return self._task_order.batches_per_epoch

    @property
    def finished(self) -> bool:
        """Whether the schedule's epochs are done."""
        return self.position.epoch >= self.schedule.epochs

    @property
    def between_rounds(self) -> bool:
        """Whether no round is under way, so that a new schedule cuts none short."""
        return self.position.round_step == 0

    def logits(self, images: Tensor) -> Tensor:
        """Class scores (n, classes) of normalised images, with the factors in force.

        Args:
            images: (n, channels, height, width), as `data.batch` gives them.

        Raises:
            ValueError: they are of another shape, or not normalised.
        """
        check_images(images, self.data)
        return self.learners.logits(images)

    def evaluate(self, split: SplitName = "test") -> Evaluation:
        """Loss and accuracy on a split, with the factors in force."""
        return self._evaluate(split)

    @torch.no_grad()
    def _evaluate(self, split: SplitName, own: int = 0, processes: int = 1) -> Evaluation:
        """Each of the processes looks at some of the images, and all get the whole's result."""
        images = getattr(self.data, split, None) if split in _SPLITS else None
        if images is None:
            raise ValueError(
                f"split must be 'train', 'test' or 'holdout' (if the data has one), got {split!r}."
            )
        sums = []
        for index in torch.arange(len(images))[own::processes].split(_EVALUATION_BATCH):
            batch, labels = self.data.batch(split, index)
            scores = self.logits(batch)
            right = (scores.argmax(1) == labels).sum().float()
            sums.append(torch.stack([F.cross_entropy(scores, labels, reduction="sum"), right]))
        whole = torch.stack(sums).cpu().double().sum(0)  # (2,)
        if processes > 1:
            whole = distributed.total(whole)
        loss, accuracy = (whole / len(images)).tolist()
        return Evaluation(loss, accuracy)

    # State ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a run's future depends on, in plain tensors and numbers; a copy."""
        self.flush()
        return {
            **self.learners.state_dict(),
            "task_order": self._task_order.state_dict(),
            "switcher_order": self._switcher_order.state_dict(),
            "schedule": self.schedule,
            "position": self.position,
            "running": copy.copy(self._running),
        }

    @property
    def epoch_end(self) -> Mapping[str, Any]:
        """The state at the last epoch's end, or at the start. Not to be changed."""
        return self._epoch_end

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up where `state_dict` was called."""
        self._schedule, self.position = state["schedule"], state["position"]
        self.learners.renew_optimizers(self._schedule)
        self.learners.load_state_dict(state)
        self._task_order, self._switcher_order = self._orders()
        self._task_order.load_state_dict(state["task_order"])
        self._switcher_order.load_state_dict(state["switcher_order"])
        self._running = copy.copy(state["running"])
        self._unread, self._stopped = [], None

    def branch(self, state: Mapping[str, Any]) -> "Trainer":
        """Another trainer, of copies, that goes on from a state of this one at an epoch's end.

        Both see the same images. Its history is this one's up to there.
        """
        other = Trainer(
            copied(self.network),
            self.data,
            state["schedule"],
            self.switcher.config,
            self.seed,
            self.device,
            self.precision,
            self.exclude,
            weighted=self.weighted,
            learners=self._way,
        )
        other._initial = self._initial
        other.load_state_dict(state)
        other.history = self.history.until(other.position.epoch)
        other._epoch_end = state
        return other

    def rollback(self) -> None:
        """Back to the last epoch's end (or the start), under the schedule that is in force now."""
        self._return_to(self._epoch_end, "rollback")
        self._turned("rollback")

    def reset(self) -> None:
        """Back to the start, under the schedule that is in force now."""
        self._return_to(self._initial, "reset")
        self._epoch_end = self._initial
        self._turned("reset")

    # What a trainer that records does besides (snnviz.runs); here there is nothing to do ------

    def _epoch_ended(self) -> None:
        """An epoch's bookkeeping is done, and its end's state is in `_epoch_end`."""

    def _turned(self, event: str) -> None:
        """The run took a turn (the event's name in the history), and the state is after it."""

    # ------------------------------------------------------------------------------------------

    def _hold(self, group: str, held: Tensor, event: str, detail: str, chosen: list[int]) -> None:
        self.flush()
        self.learners.set_pins({**self.learners.pins, group: held})
        at, neuron = self.position, chosen[0] if len(chosen) == 1 else -1
        self.history.add_event(
            epoch=at.epoch + 1,
            step=at.step,
            event=event,
            detail=detail,
            group=group,
            neuron=neuron,
        )
        self._turned(event)

    def _return_to(self, state: dict[str, Any], event: str) -> None:
        at, schedule = self.position, self.schedule
        self.load_state_dict(state)
        self._adopt(schedule)
        self.history.truncate(epochs=self.position.epoch, steps=self.position.step)
        epoch = self.position.epoch
        self.history.add_event(
            epoch=at.epoch + 1,
            step=at.step,
            event=event,
            detail=f"back to the end of epoch {epoch}" if epoch else "back to the start",
        )

    def _adopt(self, schedule: Schedule) -> None:
        """Puts another schedule in force: a new round begins, in new batches if need be."""
        changes = self._schedule.changes(schedule)
        if not changes:
            return
        self._schedule, at = schedule, self.position
        self.position = Position(at.step, at.epoch, at.batch)
        if "batch_size" in changes:  # the epoch begins anew, for its batches are others
            self.position, self._running = Position(at.step, at.epoch), Running()
        if changes.keys() & {"batch_size", "switcher_data"}:
            self._task_order, self._switcher_order = self._orders()
        self.learners.renew_optimizers(schedule)

    # Within a step ----------------------------------------------------------------------------

    def _join(self) -> None:
        """Before their first step, several processes see whether they hold the same."""
        if not distributed.several() or self.learners.together:
            return
        train = self.data.train
        distributed.check_alike(
            {
                "network": self.network.state_dict().values(),
                "switcher": self.switcher.state_dict().values(),
                "data": (torch.tensor(train.images.shape), train.labels),
                "schedule": repr(self.schedule),
                "seed": str(self.seed),
            },
        )
        self.learners.join()

    def _orders(self) -> tuple[BatchOrder, BatchOrder]:
        """The order of task batches from the position on, and one of switcher batches.

        Two orders, so that the task network sees the same batches with and without a switcher.
        """
        size, at = self.schedule.batch_size, self.position
        task = BatchOrder(len(self.data.train), size, 2 * self.seed)
        drawn = at.epoch * task.batches_per_epoch + at.batch
        task.load_state_dict({**task.state_dict(), "drawn": drawn})
        images = getattr(self.data, self.schedule.switcher_data)
        return task, BatchOrder(len(images), size, 2 * self.seed + 1)

    def _batch(self, phase: Phase) -> tuple[Tensor, Tensor]:
        if phase == "task":
            split, order = "train", self._task_order
        else:
            split, order = self.schedule.switcher_data, self._switcher_order
        index, generator = order.next()
        part, self.learners.weight = distributed.share(len(index))
        images, labels = self.data.batch(split, index, generator, part)  # type: ignore[arg-type]
        return images.contiguous(memory_format=self.learners.images_format), labels

    def flush(self) -> None:
        """Reads the steps' results from the device in one go, checks them, and notes them."""
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        measured = torch.stack([record.measured for record in unread]).tolist()
        for record, (loss, accuracy, *on) in zip(unread, measured, strict=True):
            where = f"at step {record.step} ({record.phase} phase, epoch {record.epoch})"
            self._check(where, loss, on)
            self.history.add_step(
                step=record.step,
                epoch=record.epoch,
                phase=record.phase,
                loss=loss,
                accuracy=accuracy,
                lr=record.lr,
            )
            if record.phase == "task":
                self._running.loss += loss
                self._running.accuracy += accuracy
                self._running.steps += 1

    def _check(self, where: str, loss: float, on: Sequence[float]) -> None:
        dead = [name for name, n in zip(self.history.groups, on, strict=True) if n == 0]
        if math.isfinite(loss) and not dead:
            return
        rates = self.schedule
        if math.isfinite(loss):
            problem = (
                f"The switcher turned all neurons of {', '.join(dead)} off {where}. Try a lower "
                f"schedule.switcher_lr (now {rates.switcher_lr:g}), a lower gain of the switcher, "
                "or the activation 'unit_mean', which never turns a whole group off."
            )
        else:
            problem = (
                f"The loss became {loss} {where}. Try a lower schedule.task_lr "
                f"(now {rates.task_lr:g}) or schedule.switcher_lr (now {rates.switcher_lr:g}), "
                "or a lower gain of the switcher."
            )
        epochs = self.history.n_epochs
        back = f"the end of epoch {epochs}" if epochs else "the start"
        self._stopped = TrainingStopped(f"{problem} trainer.rollback() returns to {back}.")
        self._stopped.problem = problem
        raise self._stopped

    def _close_epoch(self) -> None:
        """Ends the epoch that is done, if that has not been: a run may be interrupted just here."""
        if self.position.batch == 0:
            self.flush()
            if self._running.steps:
                self._finish_epoch()

    def _finish_epoch(self) -> None:
        test = self._evaluate("test", distributed.rank(), distributed.processes())
        epoch = self._running
        factors = {name: s.cpu().numpy() for name, s in self.factors.items()}
        # The last step's own update has not been seen by any step: what is kept must be sound.
        where = f"after step {self.position.step} (at the end of epoch {self.position.epoch})"
        self._check(where, test.loss, [int((s > 0).sum()) for s in factors.values()])
        size = self.switches.size(factors)
        self.history.add_epoch(
            factors,
            epoch=self.position.epoch,
            step=self.position.step,
            train_loss=epoch.loss / epoch.steps,
            train_accuracy=epoch.accuracy / epoch.steps,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
            neurons_on=sum(int((s != 0).sum()) for s in factors.values()),
            neurons=sum(self.history.groups.values()),
            parameters=size.parameters,
            macs=size.macs,
            seconds=epoch.seconds,
        )
        self._running = Running()
        self._epoch_end = self.state_dict()
        self._epoch_ended()

    def _target(self, epochs: int | None) -> int:
        """The epoch that a run goes to; the schedule's end moves there if it comes before."""
        if epochs is None:
            return self.schedule.epochs
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
            raise ValueError(f"epochs must be a whole number of at least 1, got {epochs!r}.")
        target = self.position.epoch + epochs
        if target > self.schedule.epochs:
            self.schedule = self.schedule.replace(epochs=target)
        return target

    def _summary(self) -> str:
        last = self.history.epochs.iloc[-1]
        return f"test {last.test_accuracy:.2%}, {last.neurons_on:.0f}/{last.neurons:.0f} neurons on"


_SPLITS = ("train", "test", "holdout")
