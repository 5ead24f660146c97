"""What benchmarks/lab.py runs within a kernel."""

import gc
import threading
import time
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import psutil
import torch
from torch import nn

import snnviz as sv
from snnviz.history import tables
from snnviz.lab import Lab
from snnviz.training import Position
from tests.lab.monkey import tiny_trainer

WARM = 60  # steps before the clock runs
STEPS = 1200  # two epochs' ends are among them
EPOCHS = 1000
STEPS_AN_EPOCH = 585  # of lenet5 on Fashion-MNIST
_DATA: dict[str, sv.ImageData] = {}
_MOMENTS: WeakKeyDictionary[Any, list[float]] = WeakKeyDictionary()


def trainer() -> sv.Trainer:
    """lenet5 on Fashion-MNIST, with the moment of each step."""
    data = _DATA.setdefault("fashion-mnist", sv.load_data("fashion-mnist"))
    made = sv.Trainer(sv.network("lenet5", data), data, sv.Schedule(epochs=50, warmup_epochs=0))
    step = made.step
    moments = _MOMENTS.setdefault(made, [])

    def timed() -> Any:
        record = step()
        moments.append(time.perf_counter())
        return record

    made.step = timed
    return made


def rate(made: Any) -> float:
    """Steps a second, after the warm-up."""
    moments = _MOMENTS[made]
    return STEPS / (moments[WARM + STEPS - 1] - moments[WARM - 1])


def rate_without() -> float:
    """Of a script's loop."""
    made = trainer()
    for _ in range(WARM + STEPS):
        made.step()
    return rate(made)


def timed(lab: Lab) -> str:
    """Whether the steps that are timed have been made: "done" or "not yet"."""
    assert lab.session.status.running or not lab.session.caught_up, "it does not play"
    return "done" if len(_MOMENTS[lab.trainer]) >= WARM + STEPS else "not yet"


def seconds_beside_training() -> float:
    """Processor time so far of this kernel's Python threads, but for those that train."""
    seconds = {t.id: t.user_time + t.system_time for t in psutil.Process().threads()}
    threads = [t for t in threading.enumerate() if t.name != "snnviz-training"]
    return sum(seconds.get(thread.native_id or 0, 0) for thread in threads)


class Refreshed:
    """A lab whose page is brought up to date again and again; its history stays small."""

    def __init__(self) -> None:
        self.lab, self.shown = Lab(tiny_trainer()), 0
        self._changed, show = threading.Condition(), self.lab._parts.show

        def counted(late: bool) -> bool:
            more = show(late)
            with self._changed:
                self.shown += 1
                self._changed.notify_all()
            return more

        self.lab._parts.show = counted

    def refresh(self, times: int) -> dict[str, int]:
        """So many times, each with another state; then memory in bytes."""
        target = self.shown + times
        while self.shown < target:
            seen = self.shown
            if self.lab.session.status.position.step >= 40:
                self.lab.reset()
            else:
                self.lab.step()
            with self._changed:
                while self.shown == seen:
                    assert self._changed.wait(60), "the page is not refreshed any more"
        gc.collect()
        return {"refreshes": self.shown, "kernel": psutil.Process().memory_info().rss}


def small_data() -> sv.ImageData:
    """256 random images, always the same."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (512, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.arange(512) % 10
    return sv.ImageData.from_tensors((images[:256], labels[:256]), (images[256:], labels[256:]))


def make_run(folder: Path) -> None:
    """A run of many short epochs."""
    data = small_data()
    plan = sv.Schedule(epochs=EPOCHS, warmup_epochs=0, task_steps=1, task_lr=0.01)
    made = sv.Trainer(sv.network("mlp", data), data, plan, folder=folder, keep_every=50)
    made.run(progress=False)
    made.close()


def long_trainer() -> sv.Trainer:
    """10,000 neurons with a history as after many whole epochs of lenet5."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 4, 4), dtype=torch.uint8, generator=generator)
    labels = torch.arange(60) % 3
    data = sv.ImageData.from_tensors((images, labels), (images, labels))
    layers = [nn.Linear(16, 9000), nn.ReLU(), nn.Linear(9000, 1000), nn.ReLU(), nn.Linear(1000, 3)]
    plan = sv.Schedule(epochs=EPOCHS + 10, batch_size=20)
    made = sv.Trainer(nn.Sequential(nn.Flatten(), *layers), data, plan)
    rng, factors = np.random.default_rng(0), np.ones(10_000, np.float32)
    history, ends = made.history, np.cumsum([0, *made.history.groups.values()])
    for epoch in range(1, EPOCHS + 1):
        factors = np.maximum(factors + 0.02 * rng.normal(size=10_000).astype(np.float32), 0)
        for step in range((epoch - 1) * STEPS_AN_EPOCH + 1, epoch * STEPS_AN_EPOCH + 1):
            phase = "switcher" if step % 5 == 0 else "task"
            history.add_step(
                step=step, epoch=epoch, phase=phase, loss=1 / epoch, accuracy=0.9, lr=0.05
            )
        values = dict.fromkeys(tables.COLUMNS["epochs"], 0.9)
        values |= dict.fromkeys(("neurons", "neurons_on", "parameters", "macs"), 10_000)
        values |= {"epoch": epoch, "step": epoch * STEPS_AN_EPOCH}
        parts = {g: factors[ends[i] : ends[i + 1]] for i, g in enumerate(history.groups)}
        history.add_epoch(parts, **values)
    made.position = Position(EPOCHS * STEPS_AN_EPOCH, EPOCHS)
    return made
