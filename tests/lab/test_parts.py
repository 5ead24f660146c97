"""A lab with fewer parts: what is on the page, and that it trains all the same."""

from collections.abc import Callable, Iterator

import pytest

from snnviz.lab import Lab
from snnviz.runs import Trainer
from tests.helpers import message_of
from tests.lab.conftest import TIMEOUT, closing_with_the_test, make_trainer, until
from tests.lab.test_lab import everything

CLASSES = {
    "buttons": "snnviz-top",
    "neurons": "snnviz-panel",
    "figures": "snnviz-views",
    "schedule": "snnviz-editor",
    "time machine": "snnviz-time-machine",
}


@pytest.fixture
def open_lab() -> Iterator[Callable[[Trainer], Lab]]:
    yield from closing_with_the_test(Lab)


def shown(lab: Lab) -> set[str]:
    """The parts that are on the page."""
    classes = {c for w in everything(lab.widget) for c in getattr(w, "_dom_classes", ())}
    return {part for part, name in CLASSES.items() if name in classes}


def test_all_parts_are_shown_unless_some_are_named(open_lab: Callable) -> None:
    trainer = make_trainer()
    lab = open_lab(trainer)
    assert shown(lab) == set(CLASSES)
    assert Lab(trainer, show=["buttons"]) is lab  # a trainer has one lab
    assert shown(lab) == set(CLASSES)


def test_few_parts_are_enough_to_train(open_lab: Callable) -> None:
    lab = Lab(make_trainer(epochs=1), show=["buttons", "neurons"])
    try:
        assert shown(lab) == {"buttons", "neurons"}
        assert lab._parts.buttons.save.layout.display == "none"  # it would save unseen figures
        lab.play()
        lab.wait(timeout=TIMEOUT)
        until(lambda: "Done" in lab._parts.messages.status.value)
    finally:
        lab.close()
    assert lab.trainer.finished


def test_the_parts_have_names() -> None:
    trainer = make_trainer()
    parts = "'buttons', 'neurons', 'figures', 'schedule', 'time machine'"
    for wrong in (["buttons", "plots"], "plots"):
        said = message_of(lambda wrong=wrong: Lab(trainer, show=wrong))
        assert said == (
            f"show must be one of {parts}, got 'plots'. "
            'Give a list of them, such as ["buttons", "neurons"].'
        )
