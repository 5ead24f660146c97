"""What is known of a run that is handed on: from its trainer, its folder or its history alone."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from snnviz.history import History
from snnviz.lab.report.subject import find_subject, read_schedule
from snnviz.lab.schedule.past import PastCourse
from snnviz.training import Schedule
from tests.helpers import message_of
from tests.lab.conftest import make_trainer


def steps(*epochs: str) -> History:
    """Epochs of these phases, a letter a step: "ttts"."""
    history, step = History({"a": 2}), 0
    for epoch, phases in enumerate(epochs, 1):
        for letter in phases:
            step += 1
            phase, lr = {"t": ("task", 0.3), "s": ("switcher", 0.02)}[letter]
            history.add_step(step=step, epoch=epoch, phase=phase, loss=1, accuracy=0, lr=lr / step)
    return history


@pytest.mark.parametrize(
    ("epochs", "kinds"),
    [
        (["tt", "tts", "tts", "tt"], ["warm-up", "alternating", "alternating", "frozen"]),
        (["tts", "tts"], ["alternating", "alternating"]),
        (["tt", "tt"], ["task only", "task only"]),
        (["tts", "tt", "tts"], ["alternating", "task only", "alternating"]),
    ],
)
def test_a_schedule_is_read_from_the_steps(epochs: list[str], kinds: list[str]) -> None:
    history = steps(*epochs)
    history._epochs = [((i, 0), {}) for i in range(len(epochs))]  # finished
    plan, past = read_schedule(history), PastCourse()
    past.read(history, 2)
    assert past.kinds(plan) == kinds
    assert plan.epochs == len(epochs)
    assert plan.task_lr == 0.3


def test_the_start_of_a_history_has_a_schedule() -> None:
    assert read_schedule(History({"a": 2})) == Schedule(epochs=1, switcher_steps=0, warmup_epochs=0)


def test_a_folder_without_its_data_has_the_history_alone(tmp_path: Path) -> None:
    trainer = make_trainer(epochs=1)
    trainer.run(progress=False)
    trainer.save_to(tmp_path / "mine")
    trainer.close()
    alone = find_subject(tmp_path / "mine", None, None, None, True)
    assert (alone.name, alone.trainer) == ("mine", None)
    assert alone.about == "mlp on images of one's own, seed 0"
    whole = find_subject(tmp_path / "mine", "it", None, trainer.data, True)
    assert whole.name == "it"
    assert whole.trainer is not None
    without = find_subject(tmp_path / "mine", None, None, trainer.data, False)
    assert without.trainer is None
    trainer.history.save(tmp_path / "history")
    assert find_subject(tmp_path / "history", None, None, None, True).about == ""
    for found in (alone, whole):
        assert found.history.n_epochs == 1
        assert found.batches == trainer.batches_per_epoch


def test_a_lab_is_exported_when_it_is_paused() -> None:
    trainer = make_trainer(epochs=1)
    status = SimpleNamespace(running=False)
    lab = SimpleNamespace(session=SimpleNamespace(trainer=trainer, status=status))
    assert find_subject(lab, None, None, None, True).trainer is trainer
    status.running = True
    assert message_of(lambda: find_subject(lab, None, None, None, True)) == (
        "run must be a lab that is paused, got one that trains. Call lab.pause(), and lab.wait() "
        "until the step is done."
    )
