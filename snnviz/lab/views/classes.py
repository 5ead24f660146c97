"""A card of the present: which classes are taken for which, and how often each is right."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from snnviz import plots
from snnviz.lab.session.classes import Classes
from snnviz.lab.views.shown import Scene

if TYPE_CHECKING:
    from pandas import DataFrame

# What is read of a choice, and its value; the first is shown at first.
SHOWN = {"accuracy by class": "", "confusion": "confusion"}


def missing(scene: Scene) -> str:
    """Why there is nothing to show, or ""."""
    if scene.moment is not None:
        return "What was predicted at past epochs is not kept. Press Now to see the present."
    if scene.first.classes is None:
        return (
            "The test images are being classified, which takes as long as an evaluation. While "
            "training goes on, that waits for the epoch's end."
        )
    return ""


def draw(scene: Scene) -> Axes:
    """The confusion matrix, or the accuracy by class."""
    found = _find(scene)
    plot = plots.confusion if _is_matrix(scene) else plots.class_accuracy
    axes = plot(found.predictions)
    axes.set_xlabel(f"{axes.get_xlabel()}, {found.moment}")
    return axes


def say(scene: Scene) -> str:
    """What the figure says: the best and the worst class."""
    predictions = _find(scene).predictions
    shares = 100 * predictions.class_accuracy
    best, worst = int(np.nanargmax(shares)), int(np.nanargmin(shares))
    names = predictions.classes
    return (
        f"best {names[best]} {shares[best]:.1f} %, worst {names[worst]} {shares[worst]:.1f} %, "
        f"all {100 * predictions.accuracy:.1f} %"
    )


def tabulate(scene: Scene) -> "DataFrame":
    """A row for each pair of true and predicted class, or for each class."""
    import pandas as pd

    predictions = _find(scene).predictions
    names, counts = list(predictions.classes), predictions.confusion
    n = len(names)
    if _is_matrix(scene):
        columns = {"true": np.repeat(names, n), "predicted": names * n, "images": counts.ravel()}
    else:
        shares = 100 * predictions.class_accuracy
        columns = {"class": names, "images": counts.sum(1), "accuracy_percent": shares}
    frame = pd.DataFrame(columns)
    frame.insert(0, "run", scene.first.name)
    return frame


def _find(scene: Scene) -> Classes:
    found = scene.first.classes
    assert found is not None, "`missing` says whether there is one"
    return found


def _is_matrix(scene: Scene) -> bool:
    return scene.choices.get("show") == "confusion"
