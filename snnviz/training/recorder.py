"""The interface through which a trainer's run is saved; `snnviz.runs` writes it to a folder."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Recorder(Protocol):
    """Saves a run. The trainer calls each method and passes itself."""

    def watch_step(self, trainer: Any) -> AbstractContextManager[None]:
        """Surrounds a step, from before its batch is drawn until its results are recorded."""
        ...

    def catch_up(self, trainer: Any) -> None:
        """Called before training continues: saves what could not be saved earlier, or raises."""
        ...

    def epoch_ended(self, trainer: Any) -> None:
        """Called when the history has a new epoch; `trainer.epoch_end` is the state at its end."""
        ...

    def turned(self, trainer: Any, event: str) -> None:
        """Called after an event (its name in the history) that changed the run's course."""
        ...


class NoRecorder:
    """Saves nothing."""

    def watch_step(self, trainer: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def catch_up(self, trainer: Any) -> None:
        pass

    def epoch_ended(self, trainer: Any) -> None:
        pass

    def turned(self, trainer: Any, event: str) -> None:
        pass
