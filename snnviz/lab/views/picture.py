"""One picture of the lab's last state, for a notebook that is read without a kernel."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnviz import plots
from snnviz.lab.session.status import Status
from snnviz.lab.views.shown import Scene, Shown
from snnviz.plots import DARK, FONT
from snnviz.plots.cells import draw_neurons

SIZE, DPI = (10.0, 6.4), 110  # inches, dots an inch
NEURONS = (0.02, 0.03, 0.44, 0.84)  # left, bottom, width, height, in shares of the picture


def last_state(
    status: Status,
    runs: Sequence[Shown],
    factors: Mapping[str, np.ndarray],
    moment: int | None = None,
) -> bytes:
    """The state of training, every neuron's factor, learning curves and switch map, as PNG.

    Args:
        runs: the active one first.
        factors: {group: (neurons,)} of the active run, now or at the moment.
        moment: the epoch that is looked back at; None is now.
    """
    figure = plots.PaperFigure(figsize=SIZE, dpi=DPI, facecolor="white", layout="constrained")
    style: dict[str, Any] = {"fontfamily": FONT, "parse_math": False, "color": DARK, "va": "top"}
    name, rest = headline(status, runs[0], factors, moment)
    figure.text(0.02, 0.975, name, fontsize=13, fontweight="bold", **style)
    figure.text(0.02, 0.93, rest, fontsize=9, **style)
    draw_neurons(figure.add_axes(NEURONS), factors)
    scene = Scene(runs, moment)
    layout = figure.get_layout_engine()
    assert layout is not None
    layout.set(rect=(0, 0, 0.98, 0.88))  # type: ignore[call-arg]
    right = figure.subfigures(1, 2, width_ratios=[0.47, 0.53], squeeze=False)[0, 1]
    heights = [1, min(max(len(factors) / 6, 1), 2)]
    curves, switch_map = right.subplots(2, 1, height_ratios=heights)
    if len(runs) > 1:
        style = {"colours": scene.colours, "within": scene.wholes}
        plots.compare_curves(scene.histories, curves, **style)
    else:
        plots.learning_curves(scene.at(runs[0]), curves, within=scene.whole(runs[0]))
    plots.switch_map(scene.at(runs[0]), ax=switch_map, within=scene.whole(runs[0]))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def headline(
    status: Status, run: Shown, factors: Mapping[str, np.ndarray], moment: int | None
) -> tuple[str, str]:
    """The run's name and its state: epoch, accuracy, neurons on."""
    scene = Scene([run], moment)
    rows = scene.at(run).epochs
    done = len(rows)
    facts = [f"epoch {done} of {status.schedule.epochs}"]
    if moment is None:
        facts.append(f"step {status.position.step}")
    else:
        facts[0] = f"looking back at {facts[0]}" if moment else "looking back at the start"
    if done:
        facts.append(f"test accuracy {100 * rows['test_accuracy'].iloc[-1]:.1f} %")
    neurons = sum(map(len, factors.values()))
    on = sum(int((np.asarray(values) != 0).sum()) for values in factors.values())
    facts.append(f"{on} of {neurons} neurons on ({100 * on / max(neurons, 1):.0f} %)")
    return run.name, " · ".join(facts)
