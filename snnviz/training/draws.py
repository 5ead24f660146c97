"""Draws the next batch of a phase; the order of batches comes from `snnviz.data.BatchOrder`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnviz import distributed
from snnviz.data import BatchOrder, ImageData
from snnviz.training.schedule import Phase, Position, Schedule


class Batch(NamedTuple):
    """This process's share of a batch; a single process has the whole batch."""

    images: Tensor
    labels: Tensor
    weight: float  # weight of this share in the mean over processes


class Batches:
    """The batches of the task network and of the switcher, starting at a position.

    There are two orders, so that the task network's batches do not depend on the switcher.
    """

    def __init__(
        self,
        data: ImageData,
        schedule: Schedule,
        seed: int,
        at: Position,
        images_format: torch.memory_format,
    ) -> None:
        size = schedule.batch_size
        self._data, self._switcher_split = data, schedule.switcher_data
        self._images_format = images_format
        self.task_order = BatchOrder(len(data.train), size, 2 * seed)
        drawn = at.epoch * self.per_epoch + at.batch
        self.task_order.load_state_dict({**self.task_order.state_dict(), "drawn": drawn})
        images = getattr(data, self._switcher_split)
        self.switcher_order = BatchOrder(len(images), size, 2 * seed + 1)

    @property
    def per_epoch(self) -> int:
        """Task batches in an epoch."""
        return self.task_order.batches_per_epoch

    def draw(self, phase: Phase) -> Batch:
        """The phase's next batch."""
        if phase == "task":
            split, order = "train", self.task_order
        else:
            split, order = self._switcher_split, self.switcher_order
        index, generator = order.next()
        part, weight = distributed.share(len(index))
        images, labels = self._data.batch(split, index, generator, part)  # type: ignore[arg-type]
        images = images.contiguous(memory_format=self._images_format)
        return Batch(images, labels, weight)

    @contextmanager
    def repeated_on_error(self) -> Iterator[None]:
        """Undoes a step that fails (out of memory, for example): its batch is drawn again."""
        before = self.state_dict()
        try:
            yield
        except BaseException:
            self.load_state_dict(before)
            raise

    def state_dict(self) -> dict[str, Any]:
        """The positions of both orders."""
        return {
            "task_order": self.task_order.state_dict(),
            "switcher_order": self.switcher_order.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was called."""
        self.task_order.load_state_dict(state["task_order"])
        self.switcher_order.load_state_dict(state["switcher_order"])
