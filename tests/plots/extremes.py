"""Histories of unusual shapes, and whether the texts of a figure can be read."""

from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from snnviz.history import History
from snnviz.plots import figures

LONG = "backbone.stages.0.blocks.1.attention.output.dense.projection_layer_with_a_long_name"
SHAPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "one epoch": {"epochs": 1},
    "300 epochs": {"epochs": 300, "steps": 2},
    "20 groups": {"groups": {f"layer{i // 4}.{i % 4}.conv{i % 2}": 16 + 4 * i for i in range(20)}},
    "40 groups": {"groups": {f"features.{i}.conv.0.0": 16 + 8 * i for i in range(40)}},
    "120 groups": {
        "groups": {
            f"features.denseblock{i // 30 + 1}.denselayer{i % 30 + 1}.conv": 16 + i
            for i in range(120)
        }
    },
    "long names": {"groups": {LONG: 40, "backbone.stages.1.blocks.2.mlp.fc1": 80, "h": 60}},
    "5,000 neurons": {"groups": {"conv": 16, "fc1": 5000, "fc2": 500}},
    "nearly all off": {"off": 0.995},
    "one neuron": {"groups": {"fc": 1}, "off": 0.0},
    "Greek and Cyrillic": {"groups": {"στρώμα": 20, "слой $x_1$": 30}},
}


def extreme(
    epochs: int = 6, groups: dict[str, int] | None = None, off: float = 0.5, steps: int = 8
) -> History:
    """Some neurons go off at random times; the others drift apart. Accuracy rises and flattens."""
    rng = np.random.default_rng(0)
    history = History(groups or {"conv1": 20, "conv2": 50, "fc1": 500})
    total, step = sum(history.groups.values()), 0
    when = {
        group: np.where(rng.random(n) < off, rng.uniform(1, epochs + 1, n), np.inf)
        for group, n in history.groups.items()
    }
    for times in when.values():
        times[0] = np.inf
    sizes = {group: rng.gamma(9, 1 / 9, n) for group, n in history.groups.items()}
    for epoch in range(1, epochs + 1):
        for i in range(steps):
            step += 1
            done = step / (steps * epochs)
            phase = "switcher" if epoch > 1 and i % 5 == 4 else "task"
            accuracy = float(np.clip(0.9 - 0.9 * np.exp(-12 * done) + rng.normal(0, 0.03), 0, 1))
            loss = float(2 * np.exp(-6 * done) + 0.3)
            history.add_step(
                step=step, epoch=epoch, phase=phase, loss=loss, accuracy=accuracy, lr=0.05
            )
        now = {group: np.where(when[group] <= epoch, 0, size) for group, size in sizes.items()}
        on = sum(int((values != 0).sum()) for values in now.values())
        accuracy = 0.9 * (1 - 0.4 * np.exp(-epoch / 2))
        values = {"train_loss": 0.3, "train_accuracy": accuracy, "test_loss": 0.3, "seconds": 3.0}
        counts = {"neurons_on": on, "neurons": total, "parameters": 900 * on, "macs": 5000 * on}
        history.add_epoch(now, epoch=epoch, step=step, test_accuracy=accuracy, **values, **counts)
    return history


def texts_at(ax: Axes, width: float) -> list[tuple[str, Bbox]]:
    """Every text of the figure and its box in pixels, at the size in which it is saved."""
    figure: Any = ax.get_figure(root=True)
    with figures._size(figure, width):
        figures._begin_layout(figure)
        figure.draw_without_rendering()
        found = [text for each in all_axes(figure) for text in visible_texts(each)]
        return [(text.get_text(), text.get_window_extent()) for text in found]


def all_axes(figure: Any) -> list[Axes]:
    return [*figure.axes, *(child for ax in figure.axes for child in ax.child_axes)]


def visible_texts(ax: Axes) -> list[Text]:
    found = [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        room = 1e-6 * (high - low)
        inside = [t for t in axis.get_major_ticks() if low - room <= t.get_loc() <= high + room]
        found += [label for tick in inside for label in (tick.label1, tick.label2)]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def unreadable(ax: Axes, width: float) -> list[str]:
    """What is wrong with the texts of a figure of this width: cut at an edge, or overlapping."""
    texts = texts_at(ax, width)
    figure: Any = ax.get_figure(root=True)
    with figures._size(figure, width):
        whole = figure.bbox.frozen()
    faults = [
        f"{words!r} is cut at {box}"
        for words, box in texts
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > whole.x1 + 0.5 or box.y1 > whole.y1 + 0.5
    ]
    for (one, box), (other, its) in combinations(texts, 2):
        wide = min(box.x1, its.x1) - max(box.x0, its.x0)
        high = min(box.y1, its.y1) - max(box.y0, its.y0)
        if wide > 1 and high > 1:
            faults.append(f"{one!r} and {other!r} overlap by {wide:.1f} × {high:.1f} pixels")
    return faults
