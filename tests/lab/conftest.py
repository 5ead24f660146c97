"""A trainer small enough to train whole runs within a test, and a gate to stop it mid-step."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
import torch

from snnviz.data import ImageData
from snnviz.lab import Lab
from snnviz.lab.session import Session
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.training import Schedule, StepRecord

T = TypeVar("T", Session, Lab)

TIMEOUT = 60  # seconds; only a test that fails waits so long


def make_trainer(**schedule: object) -> Trainer:
    """400 random images in batches of 50: 8 task steps an epoch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (450, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.arange(450) % 10
    data = ImageData.from_tensors(
        (images[:400], labels[:400]), (images[400:], labels[400:]), device="cpu"
    )
    plan = Schedule(**{"batch_size": 50, "epochs": 3, **schedule})  # type: ignore[arg-type]
    return Trainer(network("mlp", data), data, plan, device="cpu", precision="float32")


class Gate:
    """Lets a trainer make a step only when told to; keeps who made it."""

    def __init__(self, trainer: Trainer) -> None:
        self._step, self._changed = trainer.step, threading.Condition()
        self._allowed = self._begun = 0
        self.threads: set[str] = set()
        trainer.step = self.step  # type: ignore[method-assign]

    def step(self) -> StepRecord:
        with self._changed:
            self._begun += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._allowed > 0, TIMEOUT)
            self._allowed -= 1
        self.threads.add(threading.current_thread().name)
        return self._step()

    def open(self, steps: int) -> None:
        """Allows this many more steps."""
        with self._changed:
            self._allowed += steps
            self._changed.notify_all()

    def wait_for(self, step: int) -> None:
        """Until this step has begun, counted from 1; it waits at the gate if that is closed."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._begun >= step, TIMEOUT)


def until(condition: Callable[[], object]) -> None:
    """Waits for what another thread does."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def open_session() -> Iterator[Callable[[Trainer], Session]]:
    """Opens sessions that close with the test."""
    yield from closing_with_the_test(Session)


def closing_with_the_test(kind: type[T]) -> Iterator[Callable[[Trainer], T]]:
    """Gives a function that opens one for a trainer, then closes all that were opened."""
    opened: list[T] = []

    def open_one(trainer: Trainer) -> T:
        opened.append(kind(trainer))
        return opened[-1]

    yield open_one
    for each in opened:
        gate = getattr(each.trainer.step, "__self__", None)
        if isinstance(gate, Gate):
            gate.open(1_000_000)
        each.close()
