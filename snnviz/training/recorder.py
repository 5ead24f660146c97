"""What a trainer tells whoever keeps its run. `snnviz.runs` has a recorder that writes a folder."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Recorder(Protocol):
    """Keeps a run. Each method is called by the trainer, which passes itself."""

    def watch_step(self, trainer: Any) -> AbstractContextManager[None]:
        """Surrounds a step, from before its batch is drawn until its results are noted."""
        ...

    def catch_up(self, trainer: Any) -> None:
        """Before training goes on: saves what could not be saved before, or raises."""
        ...

    def epoch_ended(self, trainer: Any) -> None:
        """An epoch is in the history, and the state at its end is `trainer.epoch_end`."""
        ...

    def turned(self, trainer: Any, event: str) -> None:
        """The run took a turn (the event's name in the history), and the state is after it."""
        ...


class NoRecorder:
    """Keeps nothing."""

    def watch_step(self, trainer: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def catch_up(self, trainer: Any) -> None:
        pass

    def epoch_ended(self, trainer: Any) -> None:
        pass

    def turned(self, trainer: Any, event: str) -> None:
        pass
