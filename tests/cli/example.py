"""A small run of the command line: its options, the same run in Python, and what a command did."""

import json
import os
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import snnviz as sv
from snnviz.runs import Trainer
from snnviz.training import Schedule

# Four task steps an epoch, of which the later ones have switcher steps between them.
SMALL = shlex.split(
    "--network mlp --data folder:img --holdout 16 --augment shift --seed 3 --device cpu "
    "--precision float32 --schedule.epochs 3 --schedule.batch-size 16 --schedule.task-steps 3 "
    "--schedule.switcher-steps 2"
)
OWN = ["--data", "folder:img"]

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has other signals")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=pytest.fail)


def data() -> sv.ImageData:
    return sv.ImageData.from_folder("img", holdout=16, augment="shift", device="cpu")


def at(folder: Path | str, epoch: int | None = None) -> Trainer:
    return Trainer.at(folder, epoch, data=data())


def by_hand() -> Trainer:
    """What the options of `SMALL` say, in Python."""
    images = data()
    schedule = Schedule(epochs=3, batch_size=16, task_steps=3, switcher_steps=2)
    trainer = Trainer(
        sv.network("mlp", images, 3), images, schedule, seed=3, device="cpu", precision="float32"
    )
    trainer.run(progress=False)
    return trainer
