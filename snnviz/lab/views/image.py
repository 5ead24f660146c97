"""A card with one image: picked or drawn, and what the network makes of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from torch import Tensor

from snnviz.lab.page.pieces import put
from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget
from snnviz.lab.session import Session, Status, wait_for_answer
from snnviz.lab.session.image import Answer, answer_image, check_image, scale_answers
from snnviz.lab.session.neuron import as_bytes
from snnviz.training import AlternatingTrainer

HERE = Path(__file__).parent
BEST = 5  # classes that are listed
START = "Pick a test image{}. The squares of the neurons then show how strongly each answers to it."
PAST = "What neurons answered at past epochs is not kept. Press Now to see the present."


class ImageView(ScriptWidget):
    """What the card shows. It sends {"do": "pick", "of": class or -1}, {"do": "draw"} with the
    drawing's bytes, and {"do": "leave"}.
    """

    _esm = join_script(HERE / "image.js")
    _css = join_styles(HERE / "image.css")

    classes = traitlets.List().tag(sync=True)
    sides = traitlets.List(help="height and width of an image").tag(sync=True)
    drawable = traitlets.Bool().tag(sync=True)
    picture = traitlets.Dict(help="bytes, and the channels; {}: none").tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    chances = traitlets.List(help="[class, probability], the best first").tag(sync=True)
    verdict = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)


class ImageCard:
    """One image, shown to the network of the active run.

    Args:
        session: of the run that is active at first.
        wake: called in any thread when `show` should be called soon; it must return at once.
    """

    name, title, tab = "image", "One image", "Image"

    def __init__(self, session: Session, wake: Callable[[], None]) -> None:
        self.session, self._wake = session, wake
        self._what: int | Tensor | None = None  # a test image, or another one
        self._count = 0  # of the images that were wished for
        self._asked: tuple | None = None
        self._answer: Answer | None = None
        data = session.trainer.data
        self._drawable = data.shape[0] == 1 and data.test.images.dtype == torch.uint8
        self.view = ImageView(
            classes=list(data.classes), sides=list(data.shape[1:]), drawable=self._drawable
        )
        self.view.on_msg(self._wished)
        self.widget = widgets.VBox([self.view])
        self.widget.add_class("snnviz-card").add_class("snnviz-card-image")

    def turn_to(self, session: Session) -> None:
        """Shows the image to another run's network from now on."""
        self.session, self._answer = session, None

    def ask(self, image: Any) -> Answer:
        """Shows an image to the network for a cell, which waits; ValueError if it is none."""
        what = check_image(self.session.trainer.data, image)
        answer = wait_for_answer(self.session, partial(answer_image, what=what), "")
        self._wish(what)
        self._answer = answer
        return answer

    def show(self, status: Status, moment: int | None, seen: bool) -> Mapping[str, np.ndarray]:
        """The newest answers from 0 to 1, for the squares of the neurons; {}: none are shown."""
        if self.session.trainer.data.missing:
            put(self.view, note="The images of this run are not here.")
            return {}
        if seen and moment is None:
            self._ask(status)
        answer = self._answer if self._what is not None else None
        draw = " or draw one" if self._drawable else ""
        put(self.view, note=PAST if moment is not None else "" if answer else START.format(draw))
        with self.view.hold_sync():
            self._write(answer if moment is None else None)
        return scale_answers(answer.answers) if answer and seen and moment is None else {}

    def _ask(self, status: Status) -> None:
        """Has the network look again, if there is another image or it has learnt since."""
        step = 0 if status.running else status.position.step
        now = (self._count, self.session, status.generation, status.position.epoch, step)
        if self._what is None or self._asked == now or status.activity == "closed":
            return
        self._asked = now
        with suppress(RuntimeError):  # it closes just now
            look = partial(answer_image, what=self._what)
            self.session.ask(look, partial(self._came, self._count))

    def _write(self, answer: Answer | None) -> None:
        if answer is None:
            put(self.view, picture={}, caption="", chances=[], verdict="")
            return
        pixels = as_bytes(answer.image).movedim(0, 2).contiguous().numpy()  # (h, w, channels)
        known = [each for each in answer.probabilities.items() if isfinite(each[1])]
        best = sorted(known, key=lambda each: -each[1])[:BEST]
        put(
            self.view,
            picture={"data": pixels.tobytes(), "channels": pixels.shape[2]},
            caption=_describe(answer),
            chances=[[name, round(chance, 4)] for name, chance in best],
            verdict=_judge(answer),
        )

    # In any thread ----------------------------------------------------------------------------

    def _came(self, count: int, made: Answer | Exception) -> None:
        if isinstance(made, Answer) and count == self._count:
            self._answer = made
        self._wake()

    def _wish(self, what: int | Tensor | None) -> None:
        self._what, self._count = what, self._count + 1
        self._wake()

    def _wished(self, widget: Any, content: Any, buffers: Any) -> None:
        asked = content.get("do") if isinstance(content, dict) else None
        height, width = self.view.sides
        if asked == "pick":
            self._wish(pick_next(self.session.trainer, self._what, content.get("of")))
        elif asked == "draw" and self._drawable and buffers and len(buffers[0]) == height * width:
            pixels = np.frombuffer(bytes(buffers[0]), np.uint8).copy()
            self._wish(torch.from_numpy(pixels).reshape(1, height, width))
        elif asked == "leave":
            self._wish(None)


def pick_next(trainer: AlternatingTrainer, what: int | Tensor | None, of: Any) -> int | None:
    """The test image of a class (-1: of any) that comes next; after the last, the first."""
    labels = trainer.data.test.labels.cpu()
    fits = torch.arange(len(labels))
    if type(of) is int and of >= 0:
        fits = fits[labels == of]
    if not len(fits):
        return None
    at = what if isinstance(what, int) else -1
    later = fits[fits > at]
    return int(later[0] if len(later) else fits[0])


def _describe(answer: Answer) -> str:
    if answer.index is None:
        return "your image"
    return f"test image {answer.index}: {answer.label}"


def _judge(answer: Answer) -> str:
    if not isfinite(answer.probabilities[answer.predicted]):
        return "The network's scores are not finite numbers, so it says nothing."
    chance = 100 * answer.probabilities[answer.predicted]
    said = f"The network says {answer.predicted}, {chance:.0f} %"
    if not answer.label:
        return f"{said}."
    return f"{said}: {'right' if answer.label == answer.predicted else 'wrong'}."
