"""Changes of the schedule that wait for the next round, so that none is cut short.

All of it runs in the session's thread, between two steps.
"""

from typing import Any

from snnviz.lab.session.status import Notice, describe_changes
from snnviz.training import AlternatingTrainer, Schedule


class PendingChanges:
    """What was asked for and is not yet used in training."""

    def __init__(self, trainer: AlternatingTrainer) -> None:
        self._trainer = trainer
        self._changes: dict[str, Any] = {}

    @property
    def planned(self) -> Schedule:
        """The schedule from the next round on."""
        plan = self._trainer.schedule
        return plan.replace(**self._changes) if self._changes else plan

    def add(self, changes: dict[str, Any]) -> Notice | None:
        """Adds changes, all of them or none; what to say if they are not allowed."""
        now = self._trainer.schedule
        try:
            planned = now.replace(**self._changes | changes)
            self._trainer.check_schedule(planned)
        except (ValueError, TypeError) as error:
            return _refuse(error)
        self._wait_for(planned)
        return None

    def apply(self) -> Notice | None:
        """Applies what waits, if that cuts no round short; returns what to say of it."""
        trainer = self._trainer
        if not (self._changes and trainer.between_rounds):
            return None
        planned = self.planned
        self._changes = {}
        text = describe_changes(trainer.schedule, planned)
        try:
            trainer.schedule = planned
        except (ValueError, TypeError) as error:
            return _refuse(error)
        except Exception:  # for example training stopped: what is not applied yet goes on waiting
            self._wait_for(planned)
            raise
        return Notice("applied", f"{text}: applied at step {trainer.position.step}.")

    def _wait_for(self, planned: Schedule) -> None:
        changes = self._trainer.schedule.changes(planned)
        self._changes = {name: new for name, (_, new) in changes.items()}


def _refuse(error: Exception) -> Notice:
    return Notice("refused", f"Refused: {error} The schedule stays as it was.")
