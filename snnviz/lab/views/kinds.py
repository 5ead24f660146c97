"""What the lab's cards show: how each is drawn, what can be chosen, and the numbers behind it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from matplotlib.axes import Axes

from snnviz import plots
from snnviz.lab.page.names import drop_prefix
from snnviz.lab.views import classes
from snnviz.lab.views.events import KINDS as EVENTS
from snnviz.lab.views.events import choose_events, events_html
from snnviz.lab.views.shown import Scene
from snnviz.plots.curves import curve_table

if TYPE_CHECKING:
    from pandas import DataFrame

Options = list[tuple[str, str]]  # what is read, and its value; the first is what is so at first
PERCENT = {"accuracy": "accuracy_percent", "loss": "loss", "neurons_on": "neurons_on_percent"}
PHASES = {"": ("task", "switcher"), "task": ("task",), "switcher": ("switcher",), "none": ()}


@dataclass(frozen=True)
class Choice:
    """Something that can be chosen of a card. With one option there is nothing to choose."""

    name: str
    options: Callable[[Scene], Options]


@dataclass(frozen=True)
class Kind:
    """A kind of card.

    `draw` gives a figure; a card without one shows the HTML that `write` gives. `table` holds
    exactly what is shown. `missing` says why there is nothing to show, or "". `say` gives the
    figure in words, where its texts do not.
    """

    name: str
    title: str
    tab: str  # the same in a word
    choices: Sequence[Choice]
    table: Callable[[Scene], "DataFrame"]
    draw: Callable[[Scene], Axes] | None = None
    write: Callable[[Scene], str] | None = None
    by_step: bool = False  # it changes with every step, not only with an epoch
    missing: Callable[[Scene], str] = lambda _: ""
    say: Callable[[Scene], str] | None = None


# What can be chosen ---------------------------------------------------------------------------


def _of_all(scene: Scene) -> Options:
    return [("all runs", ""), *_of_one(scene)] if len(scene.runs) > 1 else []


def _of_one(scene: Scene) -> Options:
    return [(run.name, run.name) for run in scene.runs]


def _groups(scene: Scene) -> Options:
    short = drop_prefix(scene.first.history.groups)
    return [("all groups", ""), *((label, name) for name, label in short.items())]


def _fix_options(*options: tuple[str, str], one_run: bool = False) -> Callable[[Scene], Options]:
    """Options that are always the same; `one_run`: none while several are overlaid."""
    return lambda scene: [] if one_run and scene.run is None else list(options)


def _groups_of_one(scene: Scene) -> Options:
    return [] if scene.run is None else _groups(scene)


ANY_RUN, ONE_RUN = Choice("run", _of_all), Choice("run", _of_one)
GROUP = Choice("group", _groups)


# Figures --------------------------------------------------------------------------------------


def _curves(scene: Scene) -> Axes:
    metric: Any = scene.choices.get("metric") or "accuracy"
    if (run := scene.run) is None:
        style = {"colours": scene.colours, "within": scene.wholes}
        return plots.compare_curves(scene.histories, metric=metric, **style)
    phases = PHASES[scene.choices.get("phases", "")]
    within = scene.whole(run)
    return plots.learning_curves(scene.at(run), metric=metric, phases=phases, within=within)


def _switch_map(scene: Scene) -> Axes:
    run, group = scene.first, scene.choices.get("group") or None
    return plots.switch_map(scene.at(run), group, within=scene.whole(run))


def _neurons_on(scene: Scene) -> Axes:
    if (run := scene.run) is None:
        style = {"colours": scene.colours, "within": scene.wholes}
        return plots.compare_curves(scene.histories, metric="neurons_on", **style)
    group = scene.choices.get("group") or None
    return plots.neurons_on(scene.at(run), group=group, within=scene.whole(run))


def _distribution(scene: Scene) -> Axes:
    run, group = scene.first, scene.choices.get("group") or None
    return plots.factor_distribution(scene.at(run), group=group, within=scene.whole(run))


def _sizes(scene: Scene) -> Axes:
    size: Any = scene.choices.get("size") or "parameters"
    if (run := scene.run) is None:
        style = {"colours": scene.colours, "within": scene.wholes}
        return plots.size_accuracy(scene.histories, size=size, **style)
    return plots.size_accuracy(scene.at(run), size=size, within=scene.whole(run))


def _describe_map(scene: Scene) -> str:
    last = [values[-1:] for values in scene.at(scene.first).factors.values()]
    if not scene.at(scene.first).n_epochs:
        return "no epoch finished yet"
    off = sum(int((values == 0).sum()) for values in last)
    return f"{off} of {sum(values.size for values in last)} neurons off"


def _events(scene: Scene) -> str:
    return events_html(_choose_events(scene))


# The numbers behind them ----------------------------------------------------------------------


def _curves_table(scene: Scene) -> "DataFrame":
    metric: Any = scene.choices.get("metric") or "accuracy"
    if (run := scene.run) is None:
        return _epochs_table(scene, metric)
    table = curve_table(scene.at(run), metric, PHASES[scene.choices.get("phases", "")])
    position = "epochs_done" if scene.at(run).n_epochs else "steps_done"
    table = table.rename(columns={"x": position, metric: PERCENT[metric]})
    return _with_run(table, run.name)


def _epochs_table(scene: Scene, metric: str) -> "DataFrame":
    import pandas as pd

    parts = []
    for name, history in scene.histories.items():
        epochs = history.epochs
        if metric == "neurons_on":
            values = 100 * epochs["neurons_on"] / epochs["neurons"]
        else:
            values = epochs[f"test_{metric}"] * (100 if metric == "accuracy" else 1)
        columns = {"epoch": epochs["epoch"], "step": epochs["step"], PERCENT[metric]: values}
        parts.append(_with_run(pd.DataFrame(columns), name))
    return _stack_tables(parts)


def _factors_table(scene: Scene) -> "DataFrame":
    frame = _of_group(scene, scene.at(scene.first).frame())
    return _with_run(frame.reset_index(drop=True), scene.first.name)


def _last_factors_table(scene: Scene) -> "DataFrame":
    frame = _factors_table(scene)
    last = cast("DataFrame", frame[frame["epoch"] == frame["epoch"].max()])
    return last.reset_index(drop=True)


def _of_group(scene: Scene, frame: "DataFrame") -> "DataFrame":
    group = scene.choices.get("group")
    return cast("DataFrame", frame[frame["group"] == group]) if group else frame


def _shares_table(scene: Scene) -> "DataFrame":
    if scene.run is None:
        return _epochs_table(scene, "neurons_on")
    frame = scene.at(scene.run).frame()
    together = frame.assign(group="all together")
    parts = []
    for part in (_of_group(scene, frame), together):
        part = part.assign(on=~part["off"], group=part["group"].astype(str))
        by = part.groupby(["group", "epoch"], sort=False)["on"]
        counted = by.agg(neurons_on="sum", neurons="count").reset_index()
        percent = 100 * counted["neurons_on"] / counted["neurons"]
        parts.append(counted.assign(neurons_on_percent=percent))
    return _with_run(_stack_tables(parts), scene.run.name)


def _sizes_table(scene: Scene) -> "DataFrame":
    size = scene.choices.get("size") or "parameters"
    runs = scene.runs if scene.run is None else [scene.run]
    parts = []
    for run in runs:
        table = scene.at(run).epochs[["epoch", size, "test_accuracy"]]
        table = table.assign(test_accuracy=100 * table["test_accuracy"])
        table = table.rename(columns={"test_accuracy": "test_accuracy_percent"})
        parts.append(_with_run(table, run.name))
    return _stack_tables(parts)


def _choose_events(scene: Scene) -> "DataFrame":
    choices = scene.choices
    return choose_events(scene.at(scene.first), choices.get("event", ""), choices.get("group", ""))


def _events_table(scene: Scene) -> "DataFrame":
    return _with_run(_choose_events(scene), scene.first.name)


def _with_run(frame: "DataFrame", name: str) -> "DataFrame":
    frame = frame.copy()
    frame.insert(0, "run", name)
    return frame


def _stack_tables(parts: list["DataFrame"]) -> "DataFrame":
    import pandas as pd

    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


# All of them ----------------------------------------------------------------------------------

METRIC = Choice("metric", _fix_options(("accuracy", "accuracy"), ("loss", "loss")))
SHOWN_PHASES = Choice(
    "phases",
    _fix_options(
        ("both phases", ""),
        ("task phase", "task"),
        ("switcher phase", "switcher"),
        ("test only", "none"),
        one_run=True,
    ),
)
SIZE = Choice(
    "size", _fix_options(("parameters", "parameters"), ("MACs", "macs"), ("neurons", "neurons_on"))
)
KINDS = (
    Kind(
        "learning_curves",
        "Learning curves",
        "Curves",
        (ANY_RUN, METRIC, SHOWN_PHASES),
        _curves_table,
        draw=_curves,
        by_step=True,
    ),
    Kind(
        "switch_map",
        "Switch map",
        "Map",
        (ONE_RUN, GROUP),
        _factors_table,
        draw=_switch_map,
        say=_describe_map,
    ),
    Kind(
        "neurons_on",
        "Neurons on",
        "On",
        (ANY_RUN, Choice("group", _groups_of_one)),
        _shares_table,
        draw=_neurons_on,
    ),
    Kind(
        "factor_distribution",
        "Factors",
        "Factors",
        (ONE_RUN, GROUP),
        _last_factors_table,
        draw=_distribution,
    ),
    Kind("size_accuracy", "Size and accuracy", "Size", (ANY_RUN, SIZE), _sizes_table, draw=_sizes),
    Kind(
        "classes",
        "Classes",
        "Classes",
        (ONE_RUN, Choice("show", _fix_options(*classes.SHOWN.items()))),
        classes.tabulate,
        draw=classes.draw,
        missing=classes.missing,
        say=classes.say,
    ),
    Kind(
        "events",
        "Events",
        "Events",
        (ONE_RUN, Choice("event", _fix_options(*EVENTS.items())), GROUP),
        _events_table,
        write=_events,
    ),
)


def file_name(kind: Kind, scene: Scene) -> str:
    """The name of what is saved: the card's, and what is out of the ordinary about it."""
    parts = [kind.name]
    if len(scene.runs) > 1 and kind.choices[0] is ONE_RUN:
        parts.append(scene.first.name)  # or the next run's figure would take its place
    for choice in kind.choices:
        if choice is ONE_RUN:
            continue
        options = [value for _, value in choice.options(scene)]
        value = scene.choices.get(choice.name, "")
        if value in options[1:]:
            parts.append("test" if value == "none" else value)
    if len(scene.runs) > 1 and kind.choices[0] is ANY_RUN and scene.run is None:
        parts.append("runs")
    if scene.moment is not None:
        parts.append(f"epoch_{scene.moment}")
    return re.sub(r"[^\w.-]+", "_", "_".join(parts)).strip("._")
