"""Edits of the schedule without widgets: live, for a fork, undone, and offered at the present."""

from collections.abc import Callable

import pytest

from snnviz.lab.schedule.drafts import Drafts
from snnviz.lab.session import Session
from snnviz.runs import Trainer
from tests.lab.conftest import TIMEOUT, make_trainer


@pytest.fixture
def drafts(open_session: Callable[[Trainer], Session]) -> Drafts:
    """Of a run whose task learning rate is 0.05."""
    return Drafts(open_session(make_trainer()))


def arrive(drafts: Drafts) -> None:
    """Waits until the session has carried out what was sent."""
    drafts.session.settle(TIMEOUT)
    assert drafts.catch_up(drafts.session.status)


def test_a_live_edit_goes_to_the_session(drafts: Drafts) -> None:
    assert drafts.edit({"task_lr": 0.1}) == ""
    assert drafts.draft.task_lr == 0.1
    arrive(drafts)
    assert (drafts.draft.task_lr, drafts.planned.task_lr) == (0.1, 0.1)
    assert drafts.find_changes({"task_lr": 0.1, "epochs": 5}) == {"epochs": 5}


def test_edits_are_undone_and_made_again(drafts: Drafts) -> None:
    assert drafts.last_edit(back=True) == drafts.last_edit(back=False) == {}
    drafts.edit({"task_lr": 0.1})
    drafts.edit({"epochs": 5})
    assert drafts.last_edit(back=True) == {"epochs": (3, 5)}
    assert drafts.undo(back=True) == ""
    assert (drafts.draft.epochs, drafts.draft.task_lr) == (3, 0.1)
    assert drafts.last_edit(back=False) == {"epochs": (3, 5)}
    assert drafts.undo(back=False) == ""
    assert drafts.draft.epochs == 5
    drafts.undo(back=True)
    drafts.edit({"epochs": 7})
    assert drafts.last_edit(back=False) == {}  # a new edit: nothing to make again


def test_what_is_refused_changes_nothing(drafts: Drafts) -> None:
    assert drafts.edit({"epochs": 0}) == drafts.refusal({"epochs": 0}) != ""
    assert drafts.edit({"switcher_data": "holdout"}).startswith("schedule.switcher_data is")
    assert (drafts.draft.epochs, drafts.last_edit(back=True)) == (3, {})


def test_edits_for_a_fork_are_offered_at_the_present(drafts: Drafts) -> None:
    drafts.edit({"task_lr": 0.1})
    arrive(drafts)
    assert drafts.turn_to(0)
    assert not drafts.turn_to(1)
    assert drafts.last_edit(back=True) == {}  # its own edits
    drafts.edit({"task_lr": 0.2, "epochs": 9})
    drafts.edit({"epochs": 3})  # as it is planned: no change any more
    assert drafts.fork_changes == {"task_lr": 0.2}
    assert (drafts.draft.task_lr, drafts.planned.task_lr) == (0.2, 0.1)
    assert drafts.turn_to(None)
    assert (drafts.offer, drafts.fork_changes, drafts.draft.task_lr) == ({"task_lr": 0.2}, {}, 0.1)
    drafts.edit({"task_lr": 0.2})
    arrive(drafts)
    assert drafts.offer == {}  # it is so now
    assert drafts.last_edit(back=True) == {"task_lr": (0.1, 0.2)}


def test_an_edit_of_a_closed_session_is_refused(drafts: Drafts) -> None:
    drafts.session.close()
    assert drafts.edit({"task_lr": 0.1}).startswith("This lab is closed.")
    assert drafts.draft.task_lr == 0.05
