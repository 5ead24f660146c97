"""The card with one image, without a browser: what it shows, and what the squares get."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from snnviz.lab import Lab
from snnviz.lab.neurons.numbering import encode
from snnviz.lab.session.image import scale_answers
from snnviz.lab.views.image import pick_next
from tests.helpers import message_of
from tests.lab.conftest import make_trainer, until


@pytest.fixture
def lab() -> Iterator[Lab]:
    """One whose page is there, in tabs."""
    made = Lab(make_trainer())
    made._parts.views.bar.there = True
    made._parts.views.bar.mode = "tabs"
    yield made
    made.close()


def send(lab: Lab, content: object, *buffers: bytes) -> None:
    lab._parts.image.view._handle_custom_msg(content, [memoryview(b) for b in buffers])


@pytest.mark.slow
def test_an_image_from_a_cell(lab: Lab) -> None:
    view, grid = lab._parts.image.view, lab._parts.panel.grid
    assert grid.answers == b""
    answer = lab.show_image(12)
    until(lambda: view.picture and grid.answers)
    assert view.caption == f"test image 12: {answer.label}"
    assert view.verdict.startswith(f"The network says {answer.predicted}, ")
    assert view.picture["data"] == lab.trainer.data.test.images[12].numpy().tobytes()
    assert view.chances[0][0] == answer.predicted
    groups = lab.trainer.history.groups
    assert grid.answers == encode(groups, scale_answers(answer.answers))
    lab._parts.views.bar.tab = "events"
    until(lambda: grid.answers == b"")
    lab._parts.views.bar.tab = "image"
    until(lambda: grid.answers != b"")
    send(lab, {"do": "leave"})
    until(lambda: grid.answers == b"" and "or draw one" in view.note)
    assert message_of(lambda: lab.show_image(50)).startswith("image must be the number")


def test_a_network_that_has_diverged_says_nothing(lab: Lab) -> None:
    with torch.no_grad():
        for weights in lab.trainer.network.parameters():
            weights.fill_(torch.nan)
    view, grid = lab._parts.image.view, lab._parts.panel.grid
    answer = lab.show_image(12)
    until(lambda: view.picture and grid.answers)
    assert view.verdict == "The network's scores are not finite numbers, so it says nothing."
    assert view.chances == []
    assert all((each == 0).all() for each in answer.answers.values())


@pytest.mark.slow
def test_by_hand(lab: Lab) -> None:
    view = lab._parts.image.view
    lab._parts.views.bar.tab = "image"
    send(lab, {"do": "pick", "of": 3})
    until(lambda: view.caption == "test image 3: 3")
    send(lab, {"do": "pick", "of": 3})
    until(lambda: view.caption == "test image 13: 3")
    drawing = bytes(range(196)) * 4
    send(lab, {"do": "draw"}, drawing)
    until(lambda: view.caption == "your image")
    assert view.picture == {"data": drawing, "channels": 1}
    for nonsense in ("draw", {}, {"do": "draw"}, {"do": "pick", "of": "x"}):
        send(lab, nonsense)
    send(lab, {"do": "draw"}, b"short")
    until(lambda: view.caption == "test image 0: 0")  # "x" is no class, so any


@pytest.mark.slow
def test_it_looks_again_when_the_network_has_learnt(lab: Lab) -> None:
    grid = lab._parts.panel.grid
    first = lab.show_image(1)
    until(lambda: grid.answers)
    before = grid.answers
    lab.step("epoch")
    lab.wait()
    until(lambda: grid.answers not in (before, b""))
    again = lab.show_image(1)
    assert again.step > first.step
    until(lambda: grid.answers == encode(lab.trainer.history.groups, scale_answers(again.answers)))
    lab.show_epoch(0)
    until(lambda: grid.answers == b"")
    assert "Press Now" in lab._parts.image.view.note


def test_the_next_image() -> None:
    trainer = make_trainer()  # test labels 0, 1, …, 9, 0, …
    assert pick_next(trainer, None, -1) == 0
    assert pick_next(trainer, 0, -1) == 1
    assert pick_next(trainer, 49, -1) == 0
    assert pick_next(trainer, 3, 3) == 13
    assert pick_next(trainer, 43, 3) == 3
    assert pick_next(trainer, 0, 77) is None
    assert_allclose(np.asarray(trainer.data.test.labels)[:3], [0, 1, 2])
