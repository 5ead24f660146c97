"""The numbers of a report: what the lab's scripts are given, as JSON and as arrays of bytes."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from snnviz.history import EPOCH_COLUMNS, History
from snnviz.lab.neurons.numbering import encode
from snnviz.lab.page.names import drop_prefix
from snnviz.lab.report.subject import Subject
from snnviz.lab.schedule.past import PastCourse
from snnviz.lab.schedule.timeline import draw_course
from snnviz.lab.session.neuron import factor_history, make_page
from snnviz.training import AlternatingTrainer

MOST_WEIGHTS = 1_500_000  # of all neurons together, one byte each
LEFT_OUT = "Its weights are left out here, to keep the file small."
STEPS = 127  # of the scale on which weights are stored, to either side of 0


class Bytes:
    """Arrays of bytes in a document of JSON: each once, under its number."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def add(self, data: bytes) -> dict[str, int]:
        """What stands for it in the document."""
        return {"bytes": self._numbers.setdefault(data, len(self._numbers))}

    def written(self) -> list[str]:
        return [b64encode(data).decode() for data in self._numbers]

    def replace_in(self, value: Any) -> Any:
        """The value with each array of bytes in it replaced; NaN and infinity become None."""
        if isinstance(value, bytes):
            return self.add(value)
        if isinstance(value, Mapping):
            return {key: self.replace_in(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.replace_in(each) for each in value]
        if isinstance(value, float) and not np.isfinite(value):
            return None
        return value


def collect_contents(subject: Subject, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that the page is drawn from.

    Args:
        figures: what places the epoch that is shown in each figure.
    """
    history, store = subject.history, Bytes()
    past = PastCourse()
    past.read(history, subject.batches)
    kinds = past.kinds(subject.schedule)
    group = next(iter(history.groups), None)
    stages = factor_history(history, group, 0, kinds)["stages"] if group is not None else []
    factors = b"".join(encode(history.groups, values) for values in history.epoch_factors())
    course = draw_course(past, subject.schedule, subject.schedule, subject.batches, past.end)
    contents: dict[str, Any] = {
        "groups": list(history.groups.items()),
        "labels": list(drop_prefix(history.groups).values()),
        "epochs": history.n_epochs,
        "factors": factors,  # float32, (epochs, neurons): exactly those of the history
        "moments": [describe_moment(history, epoch) for epoch in range(history.n_epochs + 1)],
        "stages": stages,
        "course": course,
        "neurons": _describe_neurons(subject.trainer) if subject.trainer else [],
        "figures": list(figures),
    }
    return {**store.replace_in(contents), "bytes": store.written()}


def describe_moment(history: History, epoch: int) -> str:
    """The state at the end of an epoch in a few words; 0 is the start."""
    n = history.n_epochs
    if epoch == 0:
        return f"the start of {n} {'epoch' if n == 1 else 'epochs'}: every factor is 1"
    row = dict(zip(EPOCH_COLUMNS, history.epoch_rows()[epoch - 1], strict=True))
    return (
        f"epoch {epoch} of {n}: test accuracy {100 * row['test_accuracy']:.2f} %, "
        f"{row['neurons_on']:,} of {row['neurons']:,} neurons on"
    )


def _describe_neurons(trainer: AlternatingTrainer) -> list[dict[str, Any]]:
    """For each group what its neurons share, and for each of them the rest."""
    found, room = [], MOST_WEIGHTS
    for group, n in trainer.history.groups.items():
        pages = [make_page(trainer, group, i, answers=False).facts for i in range(n)]
        needed = sum(len(page["weights"]["data"]) // 4 for page in pages)
        fits = needed <= room
        room -= needed if fits else 0
        for page in pages:
            page["weights"] = _quantise(page["weights"]) if fits else None
            page["notes"] = [*page["notes"], *([] if fits else [LEFT_OUT])]
        shared = dict(_common(pages))
        own = [{k: v for k, v in page.items() if k not in shared} for page in pages]
        found.append({"shared": shared, "own": own})
    return found


def _common(pages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in pages[0].items():
        if all(page[name] == value for page in pages):
            yield name, value


def _quantise(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The pictures of the weights with one byte a weight, which is more than colours can show.

    The largest weight is stored as it is in `most`. Weights that are not finite stay as they are.
    """
    values = np.frombuffer(weights["data"], "<f4")
    if not np.isfinite(values).all():
        return {**weights, "most": None}
    most = float(np.abs(values).max(initial=0))
    steps = np.rint(values / (most or 1) * STEPS).astype(np.int8)
    return {**weights, "data": steps.tobytes(), "most": most}
