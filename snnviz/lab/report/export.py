"""Writes a report: what was seen of a run, as one file that opens in any browser."""

import os
from pathlib import Path
from typing import Any

from torch import nn

from snnviz import files
from snnviz.data import ImageData
from snnviz.history import History
from snnviz.lab.report.contents import collect_contents
from snnviz.lab.report.document import make_document
from snnviz.lab.report.pictures import draw_pictures
from snnviz.lab.report.subject import Subject, find_subject
from snnviz.lab.schedule.course import count_noun
from snnviz.lab.views.events import events_html
from snnviz.training import AlternatingTrainer, predict

ENDINGS = (".html", ".htm")


def export_html(
    run: AlternatingTrainer | History | str | os.PathLike[str] | Any,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    network: nn.Module | None = None,
    data: ImageData | None = None,
    weights: bool = True,
) -> Path:
    """Writes a run into one HTML file: neurons, slider, replay, schedule, figures and events.

    It opens in any browser, without Python and without a network, and no script comes from the
    run's names or numbers. It shows the factors of every epoch, exactly as they are in the history.
    It holds no images of the data.

    With the networks at hand it also shows the incoming weights of each neuron at the end (stored
    in 254 steps between the largest of a neuron and its negative), and which classes are taken for
    which. That takes the run's network and data.

    Args:
        run: a trainer, a lab, a history, or the folder of a run or of a history.
        path: the file; one that is there is replaced.
        name: what the run is called; None: its folder's name.
        network, data: for the folder of a run with a network or data of your own. Without them the
            file has no weights.
        weights: False leaves out all that needs the networks.

    Raises:
        TypeError: `run` is nothing of this kind.
        FileNotFoundError: the folder holds no history.
        OSError: the file cannot be written.
        ValueError: the path does not end in .html, no epoch is finished, a file is damaged, or the
            lab is training.
    """
    file = files.home_path("path", path)
    if file.suffix.lower() not in ENDINGS:
        raise ValueError(f"path must end in .html, got {str(file)!r}. Use {file.name + '.html'!r}.")
    files.check_new_names("path", file)
    subject = find_subject(run, name, network, data, weights)
    history = subject.history
    if history.n_epochs == 0:
        raise ValueError(
            "run must have at least one finished epoch to be shown, and none is finished yet. "
            "Train it first."
        )
    predictions = predict(subject.trainer) if subject.trainer else None
    pictures = list(draw_pictures(subject.name, history, predictions))
    axes = [{"name": picture.name, "axis": picture.axis} for picture in pictures]
    text = make_document(
        subject.name,
        _describe(subject),
        events_html(history.events),
        pictures,
        collect_contents(subject, axes),
    )
    with files.writing("path", file):
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, text.encode("utf-8", "replace"))
    return file


def _describe(subject: Subject) -> str:
    history = subject.history
    neurons = count_noun(sum(history.groups.values()), "neuron")
    size = f"{count_noun(history.n_epochs, 'epoch')}, {neurons}"
    return f"{subject.about}: {size}" if subject.about else size
