"""Histories to plot, and a look at what a plot holds."""

from typing import Any

import numpy as np

from snnviz.history import History

# Neuron 0 goes off in epoch 3, 1 never, 2 in epoch 2 and comes back, 3 in epoch 2, 4 never.
STORY = [[1, 1, 1, 1, 1], [1, 2, 0, 0, 1], [0, 2, 0.5, 0, 1]]


def make_history(factors: dict[str, Any], steps: int = 10, **columns: Any) -> History:
    """A history from {group: (epochs, neurons)}, with `steps` steps an epoch, every fifth a
    switcher step."""
    arrays = {group: np.array(values, np.float32) for group, values in factors.items()}
    history = History({group: values.shape[1] for group, values in arrays.items()})
    for epoch in range(1, len(next(iter(arrays.values()))) + 1):
        for i in range(1, steps + 1):
            step = (epoch - 1) * steps + i
            phase = "task" if i % 5 else "switcher"
            accuracy = 0.8 + 0.1 * (phase == "task")
            row = {"loss": 1 / step, "accuracy": accuracy, "lr": 0.1} | columns
            row = {key: row[key] for key in ("loss", "accuracy", "lr")}
            history.add_step(step=step, epoch=epoch, phase=phase, **row)
        now = {group: values[epoch - 1] for group, values in arrays.items()}
        values = {"test_loss": 0.5 / epoch, "test_accuracy": 0.9 + 0.01 * epoch} | columns
        values = {key: values[key] for key in ("test_loss", "test_accuracy")}
        rest = dict.fromkeys(
            ("train_loss", "train_accuracy", "neurons_on", "neurons", "parameters", "macs"), 1
        )
        history.add_epoch(now, epoch=epoch, step=epoch * steps, seconds=1, **values, **rest)
    return history


def line(ax: Any, label: str) -> Any:
    (found,) = [artist for artist in ax.lines if artist.get_label() == label]
    return found


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def off_patches(ax: Any) -> list[Any]:
    return [patch for patch in ax.patches if patch.get_label() == "off"]
