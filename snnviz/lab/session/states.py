"""What a run looked like at its past epochs' ends, to branch off from there.

All of it runs in the session's thread, between two steps.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from snnviz import runs
from snnviz.runs.checkpoint import tensors_in
from snnviz.training import AlternatingTrainer, Schedule
from snnviz.training.copies import copy_network

MOST_BYTES = 2**30  # that past states may take in memory


class PastStates:
    """States at past epochs' ends: of a recorded run those in its folder, else in memory.

    In memory as many are kept as there is room for.
    """

    def __init__(self, trainer: AlternatingTrainer) -> None:
        self._trainer = trainer
        self._states: dict[int, Mapping[str, Any]] = {0: trainer.initial}
        self.epochs: frozenset[int] = frozenset()
        self.keep()

    def keep(self) -> None:
        """Takes the state at the last epoch's end."""
        if isinstance(self._trainer, runs.Trainer) and self._trainer.folder is not None:
            self.epochs = self._trainer.kept
            return
        state = self._trainer.epoch_end
        self._states[state["position"].epoch] = state
        while len(self._states) > 2 and self._bytes() > MOST_BYTES:
            del self._states[sorted(self._states)[1]]  # the start and the newest stay
        self.epochs = frozenset(self._states)

    def went_back(self, to: int | None = None) -> None:
        """Forgets what came after an epoch; None: after the present one."""
        now = self._trainer.position.epoch if to is None else to
        self._states = {epoch: state for epoch, state in self._states.items() if epoch <= now}
        self.keep()

    def layer_at(self, epoch: int, layer: str) -> dict[str, Tensor]:
        """A layer of the task network at the end of an epoch: {name in the layer: tensor}.

        Raises:
            ValueError: that state was not kept, or is damaged.
            OSError: its file cannot be read.
        """
        trainer = self._trainer
        if isinstance(trainer, runs.Trainer) and trainer.folder is not None:
            return trainer.layer_at(epoch, layer)
        inside = f"{layer}." if layer else ""
        network = self._states[epoch]["network"]
        return {k.removeprefix(inside): v for k, v in network.items() if k.startswith(inside)}

    def branch(
        self, epoch: int, schedule: Schedule | None = None, name: str = ""
    ) -> AlternatingTrainer:
        """A trainer that goes on from the end of an epoch.

        Args:
            schedule: from there on; None: the one of that time.
            name: of the new run's folder, if this one has a folder.
        """
        trainer = self._trainer
        if isinstance(trainer, runs.Trainer) and trainer.folder is not None:
            # Copied, and in this thread: another one would find it in the middle of a step.
            network = copy_network(trainer.network, trainer.epoch_end)
            return runs.Trainer.fork(
                trainer.folder, epoch, schedule, name or None, network=network, data=trainer.data
            )
        if epoch not in self._states:
            kept = ", ".join(map(str, sorted(self._states))) or "none"
            raise ValueError(
                f"the state at the end of epoch {epoch} is not kept; kept are {kept}. "
                "To keep them all, give the trainer a folder: Trainer(..., folder=...)."
            )
        made = trainer.branch(self._states[epoch])
        if schedule is not None:
            made.schedule = schedule
        return made

    def _bytes(self) -> int:
        return sum(t.nbytes for state in self._states.values() for t in tensors_in(state))
