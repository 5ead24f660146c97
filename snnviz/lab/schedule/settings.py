"""The fields of a schedule as the editor has them: labels, sliders, and what is allowed."""

from dataclasses import dataclass
from typing import Any

from snnviz.lab.schedule.field import Field
from snnviz.lab.session.status import Status
from snnviz.structure import Switches
from snnviz.structure.sizes import SIZES
from snnviz.training import Schedule
from snnviz.training.schedule import DECAYS, OPTIMIZERS, SWITCHER_DATA
from snnviz.training.sizing import check_size

_COSINE = "cosine: falls to 0 at the end of the planned epochs."


@dataclass(frozen=True)
class Setting:
    """How a field of the schedule is edited. See `Field` for kinds and spans."""

    name: str
    label: str
    kind: str
    help: str
    span: tuple[float, float] | None = None
    options: tuple[str, ...] = ()


# In groups, each under a heading: the main settings, and more.
MAIN: dict[str, tuple[Setting, ...]] = {
    "epochs": (
        Setting(
            "epochs",
            "number of epochs",
            "count",
            "Passes over the training images. Both learning rates finish their decay at the end.",
        ),
        Setting(
            "warmup_epochs",
            "warm-up epochs",
            "count",
            "Epochs before the first switcher phase.",
            (0, 1),
        ),
        Setting(
            "freeze_epochs",
            "frozen epochs",
            "count",
            "Epochs at the end during which the factors stay constant.",
            (0, 1),
        ),
    ),
    "round": (
        Setting("task_steps", "task steps per round", "count", "Task steps in a round.", (1, 50)),
        Setting(
            "switcher_steps",
            "switcher steps per round",
            "count",
            "Switcher steps in a round; 0 trains the dense network without the switcher.",
            (0, 20),
        ),
    ),
    "task network": (
        Setting(
            "task_lr", "task learning rate", "rate", "The learning rate at the start.", (1e-4, 1.0)
        ),
        Setting("task_decay", "task rate decay", "choice", _COSINE, options=DECAYS),
    ),
    "switcher": (
        Setting(
            "switcher_lr",
            "switcher learning rate",
            "rate",
            "The learning rate at the start.",
            (1e-5, 1.0),
        ),
        Setting("switcher_decay", "switcher rate decay", "choice", _COSINE, options=DECAYS),
    ),
    "size (an extension, not in the paper)": (
        Setting(
            "size",
            "size to end at",
            "share",
            "An extension, not in the paper. Share of the network that is left in the end, such as "
            "0.5; off: only the task loss decides. The switcher chooses which neurons stay.",
            (0, 1),
        ),
        Setting(
            "size_of",
            "size is a share of the",
            "choice",
            "What the size is a share of: parameters, multiply-accumulates (MACs) or neurons.",
            options=SIZES,
        ),
    ),
}
OTHERS: dict[str, tuple[Setting, ...]] = {
    "batches": (
        Setting("batch_size", "batch size", "count", "Images per batch, in both phases."),
        Setting(
            "switcher_data",
            "data for switcher steps",
            "choice",
            "Training images, or the images of the held-out split.",
            options=SWITCHER_DATA,
        ),
        Setting(
            "through_switcher",
            "task gradient through the switcher",
            "flag",
            "Let the gradient of the task phase also flow through the switcher to its inputs, the "
            "weights.",
        ),
    ),
    "task network": (
        Setting("task_optimizer", "task optimizer", "choice", "SGD or Adam.", options=OPTIMIZERS),
        Setting("task_momentum", "task momentum", "number", "Momentum of SGD."),
        Setting(
            "task_weight_decay",
            "task weight decay",
            "number",
            "L2 penalty on the weights of the task network, not on the factors.",
        ),
    ),
    "switcher": (
        Setting(
            "switcher_optimizer",
            "switcher optimizer",
            "choice",
            "SGD or Adam.",
            options=OPTIMIZERS,
        ),
        Setting("switcher_momentum", "switcher momentum", "number", "Momentum of SGD."),
        Setting(
            "switcher_clip",
            "switcher gradient clip",
            "number",
            "Largest norm of the switcher's gradient; larger gradients are scaled down to it.",
        ),
    ),
    "ramp to the size": (
        Setting(
            "size_from",
            "ramp begins at",
            "number",
            "Where neurons begin to go off for good, as a share (0 to 1) of the epochs between "
            "warm-up and frozen epochs.",
        ),
        Setting(
            "size_until",
            "ramp ends at",
            "number",
            "Where the size is reached, as such a share.",
        ),
    ),
}
SETTINGS = [each for groups in (MAIN, OTHERS) for group in groups.values() for each in group]

# What the page can still draw and the status still count.
MOST = {"epochs": 100_000, "warmup_epochs": 100_000, "freeze_epochs": 100_000}
MOST |= dict.fromkeys(("batch_size", "task_steps", "switcher_steps"), 1_000_000_000)
_NUMBERS = {each.name for each in SETTINGS if each.kind in ("rate", "number", "share")}
_SHARES = {each.name for each in SETTINGS if each.kind == "share"}


def make_field(setting: Setting, value: Any) -> Field:
    """The input of a setting, with the class `snnviz-<field of the schedule>`."""
    made = Field(
        name=setting.name,
        label=setting.label,
        help=f"{setting.help} In code: schedule.{setting.name}. Applies from the next round on.",
        kind=setting.kind,
        options=list(setting.options),
        span=list(setting.span or ()),
        value=value,
    )
    return made.add_class(f"snnviz-{setting.name}")


def convert_value(name: str, value: Any) -> Any:
    """What came from the page, as the schedule has it: 1 for a rate is 1.0, a share may be off."""
    if name in _SHARES and value in ("off", ""):
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and name in _NUMBERS and abs(value) < 1e300 else value


def refusal(
    plan: Schedule, changes: dict[str, Any], done: int, has_holdout: bool, switches: Switches
) -> str:
    """Why a schedule may not be changed so; "" if it may.

    Args:
        plan: the schedule.
        changes: new values of its fields.
        done: epochs that the run has finished.
        has_holdout: whether the data has a held-out split.
        switches: of the network.
    """
    try:
        new = plan.replace(**changes)
        if changes.keys() & {"size", "size_of"}:
            check_size(new, switches)
    except (ValueError, TypeError) as error:
        return str(error)
    for name, most in MOST.items():
        if name in changes and (value := getattr(new, name)) > most:
            return f"schedule.{name} must be at most {most:,} in the lab, got {value:,}."
    if "epochs" in changes and new.epochs < done:
        return (
            f"schedule.epochs must be at least the {done} epochs that are done, got {new.epochs}. "
            "To start over, reset the run."
        )
    if "switcher_data" in changes and new.switcher_data == "holdout" and not has_holdout:
        return (
            "schedule.switcher_data is 'holdout', but the data has no held-out split. "
            "Load it with one: load_data(name, holdout=5000)."
        )
    return ""


def find_hints(status: Status, plan: Schedule, live: bool) -> dict[str, str]:
    """{field: a hint below it}: what waits for the next round, and what has no effect."""
    found = {}
    if live:
        waiting = status.schedule.changes(plan)
        words = {name: "off" if old is None else old for name, (old, _) in waiting.items()}
        found = {name: f"still {word} in this round" for name, word in words.items()}
    for who in ("task", "switcher"):
        if getattr(plan, f"{who}_optimizer") == "adam":
            found.setdefault(f"{who}_momentum", "not used by Adam")
    if plan.size is None:
        for name in ("size_of", "size_from", "size_until"):
            found.setdefault(name, "not used without a size")
    return found
