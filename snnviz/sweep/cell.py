"""One run of a study: its settings, the training, and its row in the results."""

import json
import os
import platform
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnviz import files, rivals
from snnviz.data import ImageData, choosing, harder, load_data
from snnviz.devices import standard_settings
from snnviz.history import EPOCH_COLUMNS, History
from snnviz.networks import network
from snnviz.runs.fingerprints import now, surroundings
from snnviz.structure import Switches, find_switches
from snnviz.switcher import SwitcherConfig
from snnviz.training import AlternatingTrainer, Schedule, TrainingStopped

Row = dict[str, Any]  # {column of the results: value}

_MOST_LETTERS = 1000  # of an error; the rest is dropped


@dataclass(frozen=True)
class Conditions:
    """The conditions of a run.

    Attributes:
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".
        holdout: number of training images to set aside, or their share.
        choose: evaluate on the held-out images, which then replace the test images. A method whose
            switcher phases need held-out images sets aside the same number once more.
        augment: augmentation of training images.
    """

    device: str = "auto"
    precision: str = "auto"
    holdout: int | float = 0
    choose: bool = False
    augment: str = "none"


@dataclass(frozen=True)
class Cell:
    """All settings of one run.

    Attributes:
        study: name of the study, which is not a setting.
        classes: 0 for all.
        method: its label in the study.
        kind: its name in `rivals.METHODS`.
        settings: further settings of the method.
        reference: the switched run that the method needs, if it needs one.
    """

    study: str
    network: str
    width: float
    data: str
    classes: int
    noise: float
    share: float
    method: str
    kind: str
    seed: int
    schedule: Schedule
    switcher: SwitcherConfig
    conditions: Conditions
    settings: Mapping[str, Any]
    reference: "Cell | None" = None

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """All settings, in the types of JSON."""
        values = {name: getattr(self, name) for name in AXES}
        return _plain_numbers(
            {
                **values,
                "kind": self.kind,
                "schedule": _plan(self.schedule),
                "switcher": asdict(self.switcher),
                "run": asdict(self.conditions),
                "settings": dict(self.settings),
                "reference": self.reference and self.reference.key,
            }
        )

    @cached_property
    def key(self) -> str:
        """A hash of `resolved`: a run with other settings is another run."""
        return files.digest(files.canonical(self.resolved))[:20]

    def __str__(self) -> str:
        words = [self.network, f"width {self.width:g}", self.data]
        words += [f"{self.classes} classes"] if self.classes else []
        words += [f"noise {self.noise:g}"] if self.noise else []
        words += [f"share {self.share:g}"] if self.share != 1 else []
        return ", ".join([*words, self.method, f"seed {self.seed}"])


AXES = ("network", "width", "data", "classes", "noise", "share", "method", "seed")


def _plan(schedule: Schedule) -> dict[str, Any]:
    """The schedule's fields; without those of a size where none is asked for, as before sizes."""
    values = asdict(schedule)
    asked = schedule.size is not None
    return {k: v for k, v in values.items() if asked or not k.startswith("size")}


def _plain_numbers(value: Any) -> Any:
    """Writes 1.0 as 1: both are the same setting."""
    if isinstance(value, Mapping):
        return {key: _plain_numbers(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_numbers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


# --- the run ------------------------------------------------------------------------------------


@standard_settings()
def make(cell: Cell, reference: Row | None = None) -> Row:
    """Makes the run. An error in it becomes a row, too.

    Args:
        reference: the row of `cell.reference`.
    """
    began = time.perf_counter()
    try:
        measured = _train_and_measure(cell, reference)
    except Exception as error:
        return row_of_failure(cell, describe_error(error), time.perf_counter() - began)
    took = time.perf_counter() - began
    row = {"status": "done", "error": "", "wall_seconds": took, "ended": now()}
    return {**_identity(cell), **measured, **row}


def row_of_failure(cell: Cell, why: str, wall_seconds: float | None = None) -> Row:
    """The row of a run that failed."""
    row = {"status": "failed", "error": why, "wall_seconds": wall_seconds, "ended": now()}
    return {**_identity(cell), **row}


def describe_error(error: BaseException) -> str:
    """An error in one line; with the place that raised it, if it is not written for the user."""
    # The trainer that could roll back is gone.
    whole = error.problem if isinstance(error, TrainingStopped) else str(error)
    text = " ".join(whole.split())[:_MOST_LETTERS]
    if isinstance(error, ValueError | OSError | ImportError | TrainingStopped) and text:
        return text
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(at.filename).name}, line {at.lineno})" for at in place)
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"


def _identity(cell: Cell) -> Row:
    row = {name: getattr(cell, name) for name in ("study", "key", *AXES, "kind")}
    return {**row, "settings": json.dumps(cell.resolved, sort_keys=True)}


def _train_and_measure(cell: Cell, reference: Row | None) -> Row:
    factors = None if reference is None else _factors_of(reference)
    data, conditions = _data(cell), cell.conditions
    made = network(cell.network, data, cell.seed, cell.width)
    # Find them before the method changes the network.
    whole = find_switches(made, data.batch("train", torch.arange(2))[0])
    trainer = rivals.train(
        cell.kind,
        made,
        data,
        cell.schedule,
        cell.switcher,
        cell.seed,
        conditions.device,
        conditions.precision,
        factors,
        **cell.settings,
    )
    return {**_outcome(trainer), **_size(trainer.history, whole), **_where(trainer.device)}


def _outcome(trainer: AlternatingTrainer) -> Row:
    history, plan = trainer.history, trainer.schedule
    last = history.last_epoch
    row = {k: last[k] for k in ("test_accuracy", "test_loss", "train_accuracy", "train_loss")}
    phases = [phase for _, _, phase, *_ in history.step_rows()]
    batches = {"train": len(trainer.data.train), "holdout": len(trainer.data.holdout or ())}
    images = {"task": "train", "switcher": plan.switcher_data}
    seen = {k: phases.count(k) * min(plan.batch_size, batches[v]) for k, v in images.items()}
    seconds = EPOCH_COLUMNS.index("seconds")
    return {
        **row,
        "examples": seen["task"],
        "switcher_examples": seen["switcher"],
        "seconds": sum(values[seconds] for values in history.epoch_rows()),
        "epochs": history.n_epochs,
        "precision": trainer.precision,
    }


def _size(history: History, whole: Switches) -> Row:
    before, last = whole.size(), history.last_epoch
    groups = {group.name: group.neurons for group in whole.groups.values()}
    on = {name: s != 0 for name, s in history.factors_at(history.n_epochs).items()}
    # In a method that trains a smaller network, the groups have fewer neurons.
    widths = {name: [int(s.sum()), groups.get(name, len(s))] for name, s in on.items()}
    neurons = sum(groups.values())
    return {
        "neurons": neurons,
        # The units of gates that a method adds are not neurons of the network.
        "neurons_on": min(sum(int(s.sum()) for s in on.values()), neurons),
        "parameters_before": before.parameters,
        "parameters": last["parameters"],
        "macs_before": before.macs,
        "macs": last["macs"],
        "on": json.dumps({name: np.packbits(s).tobytes().hex() for name, s in on.items()}),
        "widths": json.dumps(widths),
    }


def _factors_of(reference: Row) -> dict[str, np.ndarray]:
    """{group: (neurons,) of 0 and 1}: which neurons of the reference were on at its end."""
    if reference["status"] != "done":
        raise ValueError(
            f"this run needs the one of method {reference['method']!r}, which failed: "
            f"{reference['error']}"
        )
    widths = json.loads(reference["widths"])
    bits = {k: np.frombuffer(bytes.fromhex(v), np.uint8) for k, v in _on(reference).items()}
    return {k: np.unpackbits(v, count=widths[k][1]).astype(np.float32) for k, v in bits.items()}


def _on(row: Row) -> dict[str, str]:
    return json.loads(row["on"])


# --- shared by the runs of one process -----------------------------------------------------------


def _data(cell: Cell) -> ImageData:
    conditions = cell.conditions
    images = _images(cell.data, conditions.holdout, conditions.augment)
    # The seed draws which classes and images are kept, so that no result depends on one choice.
    data = harder(images, cell.classes or None, cell.noise, cell.share, cell.seed)
    again = cell.schedule.switcher_data == "holdout"
    return choosing(data, again) if conditions.choose else data


@lru_cache(maxsize=4)
def _images(name: str, holdout: int | float, augment: str) -> ImageData:
    return load_data(name, "cpu", holdout, augment=augment)


def _where(device: torch.device) -> Row:
    found = surroundings(device)
    versions = [f"{name} {found[name]}" for name in ("snnviz", "torch", "numpy", "python")]
    accelerator = [] if device.type == "cpu" else [str(found["device"])]
    machine = [f"{_processor()} ({found['cpu']})", f"{os.cpu_count()} cores", *accelerator]
    row = {"device": device.type, "machine": ", ".join(machine)}
    return {**row, "versions": ", ".join(versions)}


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
