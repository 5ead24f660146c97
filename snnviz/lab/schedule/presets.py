"""Ready-made schedules, as changes of the current one: lengths and learning rates stay."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snnviz.training import Schedule


@dataclass(frozen=True)
class Preset:
    """A kind of schedule.

    Attributes:
        name: in the CSS class of its button.
        label: what its button says.
        help: what it does, in a sentence.
        fields: the fields that make it, for the current number of epochs.
        needs_holdout: whether it trains the switcher on held-out images.
    """

    name: str
    label: str
    help: str
    fields: Callable[[Schedule], dict[str, Any]]
    needs_holdout: bool = False

    def changes(self, plan: Schedule) -> dict[str, Any]:
        """What it changes in this schedule; nothing where the schedule is of its kind already."""
        wanted = self.fields(plan)
        return {name: value for name, value in wanted.items() if getattr(plan, name) != value}


def _alternating(
    plan: Schedule, warmup: int = 0, freeze: int = 0, switcher_data: str = "train"
) -> dict[str, Any]:
    return {
        "warmup_epochs": warmup,
        "freeze_epochs": freeze,
        "switcher_steps": plan.switcher_steps or Schedule().switcher_steps,
        "switcher_data": switcher_data,
    }


def _an_eighth(plan: Schedule) -> int:
    return max(1, plan.epochs // 8)


PRESETS = (
    Preset(
        "abstract",
        "as in the abstract",
        "Task and switcher alternate from the first round to the last, on the same training data.",
        _alternating,
    ),
    Preset(
        "warm-up-first",
        "warm-up first",
        "The task network trains alone for the first eighth of the epochs.",
        lambda plan: _alternating(plan, warmup=_an_eighth(plan)),
    ),
    Preset(
        "freeze-early",
        "freeze early",
        "After a warm-up, the factors stay constant for the second half of the epochs.",
        lambda plan: _alternating(plan, warmup=_an_eighth(plan), freeze=plan.epochs // 2),
    ),
    Preset(
        "dense",
        "dense only",
        "No switcher steps: the ordinary network, for comparison.",
        lambda plan: {"switcher_steps": 0, "size": None},
    ),
    Preset(
        "holdout",
        "switcher on held-out data",
        "After a warm-up, switcher steps use images on which the task network is not trained.",
        lambda plan: _alternating(plan, warmup=_an_eighth(plan), switcher_data="holdout"),
        needs_holdout=True,
    ),
)
