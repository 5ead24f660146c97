"""What a session does for a run that another trainer trains."""

import pytest

from snnviz.history import History
from snnviz.lab.session.following import Following, count_same_epochs
from snnviz.lab.session.hand import Hand
from snnviz.lab.session.states import PastStates
from snnviz.lab.session.status import Notice
from snnviz.runs import Trainer
from tests.history.test_history import add_epoch
from tests.lab.conftest import make_trainer


def make_following(trainer: Trainer) -> tuple[Following, PastStates, Hand]:
    states = PastStates(trainer)
    hand = Hand(trainer, states)
    return Following(trainer, states, hand), states, hand


def test_only_what_another_trainer_allows_is_done() -> None:
    following, done = make_following(make_trainer())[0], []
    following.gate(done.append, 1)
    following.tell("why not", "what is")
    assert following.notice == Notice("news", "what is")
    following.gate(done.append, 2)
    assert following.notice == Notice("refused", "why not")
    following.tell("", "it is over")
    following.gate(done.append, 3)
    assert done == [1, 3]


@pytest.mark.parametrize("back", [False, True])
def test_what_is_taken_up_is_shown(back: bool) -> None:
    """The epochs that are no longer so are forgotten; a what-if of an earlier state stays."""
    trainer = make_trainer(warmup_epochs=0)
    following, states, hand = make_following(trainer)
    first = next(iter(trainer.history.groups))
    ends = [trainer.epoch_end]
    histories = [trainer.history.until(0)]
    for epoch in (1, 2):
        trainer.run(1, progress=False)
        ends.append(trainer.epoch_end)
        histories.append(trainer.history.until(epoch))
    trainer.take_up(ends[1], ends[1], ends[0], histories[1])
    states.went_back()
    hand.went_back()
    hand.look_at(first, 7)
    hand.try_out({first: [1]})

    def read() -> None:
        trainer.take_up(ends[2], ends[2], ends[0], histories[2])

    def start_over() -> None:
        trainer.take_up(ends[0], ends[0], ends[0], histories[0])

    following.take_up(read)
    assert states.epochs == {0, 1, 2}
    assert hand.trial is not None
    assert hand.page is not None
    assert hand.page.facts["lengths"]["epochs"] == [0, 2]  # epoch 1 was not seen
    assert following.turns == 0
    if back:
        following.take_up(start_over)
        assert states.epochs == {0}
        assert hand.trial is None
        assert hand.page.facts["lengths"]["epochs"] == [0]
        assert following.turns == 1


def test_epochs_in_common() -> None:
    def make(*accuracies: float) -> History:
        history = History({"a": 1})
        for accuracy in accuracies:
            add_epoch(history, {"a": [1]}, test_accuracy=accuracy)
        return history

    assert count_same_epochs(make(0.1, 0.2), make(0.1, 0.2, 0.3)) == 2
    assert count_same_epochs(make(0.1, 0.2), make(0.1, 0.3)) == 1
    assert count_same_epochs(make(0.1), make()) == 0
