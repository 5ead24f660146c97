"""The runs that the lab shows, and what of them a figure is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from snnviz.history import History
from snnviz.lab.session.classes import Classes
from snnviz.plots import RIVALS


@dataclass(frozen=True)
class Shown:
    """One run that is shown."""

    name: str
    history: History
    colour: str
    classes: Classes | None = None  # what it predicts, while somebody watches it


def in_colours(
    histories: Mapping[str, History], classes: Mapping[str, Classes | None] = MappingProxyType({})
) -> list[Shown]:
    """Runs in the palette's colours, in turn."""
    return [
        Shown(name, history, RIVALS[i % len(RIVALS)], classes.get(name))
        for i, (name, history) in enumerate(histories.items())
    ]


@dataclass(frozen=True)
class Scene:
    """All that a figure of the lab depends on.

    `run` is the one that a figure of a single run shows; None means all of them together.
    """

    runs: Sequence[Shown]  # those that are not hidden
    moment: int | None = None  # the epoch that is looked back at; None: now
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def run(self) -> Shown | None:
        """The run that was chosen, or the only one."""
        chosen = [run for run in self.runs if run.name == self.choices.get("run")]
        return chosen[0] if chosen else self.runs[0] if len(self.runs) == 1 else None

    @property
    def first(self) -> Shown:
        """The run that was chosen, or else the first."""
        return self.run or self.runs[0]

    def at(self, run: Shown) -> History:
        """A run's history, up to the moment."""
        return run.history if self.moment is None else run.history.until(self.moment)

    def whole(self, run: Shown) -> History | None:
        """The whole run, of which a picture of the moment shows a part; None: the moment is now."""
        finished = run.history.n_epochs
        return None if self.moment is None or finished <= self.moment else run.history

    @property
    def histories(self) -> dict[str, History]:
        """All runs up to the moment."""
        return {run.name: self.at(run) for run in self.runs}

    @property
    def wholes(self) -> dict[str, History] | None:
        """All runs as long as they are; None: the moment is now."""
        return None if self.moment is None else {run.name: run.history for run in self.runs}

    @property
    def colours(self) -> dict[str, str]:
        """The colour of each run."""
        return {run.name: run.colour for run in self.runs}
