"""A neuron's incoming weights as pictures, at the end of each epoch whose state is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from snnviz.lab.session import weights
from snnviz.lab.session.states import PastStates
from snnviz.lab.session.weights import PastWeights
from snnviz.runs import Trainer
from tests.lab.conftest import make_trainer
from tests.runs.conftest import PLAN, make


def rows(trainer: Trainer, layer: str, neuron: int) -> np.ndarray:
    weight: Any = trainer.network.get_submodule(layer).weight
    return weight[neuron].detach().flatten().numpy().copy()


def pictures(given: dict[str, Any]) -> np.ndarray:
    """(epochs and now, weights)"""
    return np.frombuffer(given["data"], "<f4").reshape(len(given["epochs"]) + 1, -1)


@pytest.mark.parametrize("recorded", [False, True])
def test_they_are_those_of_the_saved_epochs(tmp_path: Path, recorded: bool) -> None:
    trainer = make(tmp_path / "run" if recorded else None, PLAN.replace(warmup_epochs=0))
    states = PastStates(trainer)
    past = PastWeights(trainer, states)
    assert past.of("0", 2) is None  # nothing has been trained
    wanted = [rows(trainer, "0", 2)]
    for _ in range(2):
        trainer.run(1, progress=False)
        states.keep()
        wanted.append(rows(trainer, "0", 2))
    given = past.of("0", 2)
    assert given is not None
    assert (given["kind"], given["count"], given["height"], given["width"]) == ("kernels", 1, 3, 3)
    assert given["epochs"] == [0, 1]  # now is the end of epoch 2
    assert_array_equal(pictures(given), wanted)
    trainer.step()
    given = past.of("0", 2)
    assert given is not None
    assert given["epochs"] == [0, 1, 2]
    assert_array_equal(pictures(given), [*wanted, rows(trainer, "0", 2)])
    trainer.reset()
    states.went_back()
    past.went_back()
    assert past.of("0", 2) is None
    trainer.run(1, progress=False)
    trainer.step()
    states.keep()
    given = past.of("4", 3)
    assert given is not None
    assert (given["epochs"], given["count"], given["shown_of"]) == ([0, 1], 6, 6)
    assert_array_equal(pictures(given)[-1], rows(trainer, "4", 3))
    trainer.close()


def test_a_file_is_read_once_and_one_that_is_gone_is_left_out(tmp_path: Path) -> None:
    with make(tmp_path / "run") as trainer:
        trainer.run(3, progress=False)
        past = PastWeights(trainer, PastStates(trainer))
        first, second = (at.file for at in trainer._folder_recorder.checkpoints[:2])
        first.unlink()
        second.write_bytes(second.read_bytes()[:200])
        given = past.of("0", 0)
        assert given is not None
        assert given["epochs"] == [2]
        for file in (tmp_path / "run" / "checkpoints").iterdir():
            file.unlink()
        assert past.of("0", 0) == given
        given = past.of("0", 1)
        assert given is not None
        assert given["epochs"] == []
        assert_array_equal(pictures(given)[0], rows(trainer, "0", 1))


def test_few_of_many_epochs_and_of_large_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights._spread(range(40), 9) == [0, 5, 10, 15, 20, 24, 29, 34, 39]
    trainer = make_trainer(epochs=4)
    states = PastStates(trainer)
    for _ in range(4):
        trainer.run(1, progress=False)
        states.keep()
    past = PastWeights(trainer, states)
    first = next(iter(trainer.history.groups))
    given = past.of(first, 0)
    assert given is not None
    assert (given["kind"], given["epochs"], given["kept"]) == ("image", [0, 1, 2, 3], 4)
    monkeypatch.setattr(weights, "PAST_VALUES", 2 * 784)
    given = PastWeights(trainer, states).of(first, 0)
    assert given is not None
    assert (given["epochs"], given["kept"]) == ([0, 3], 4)
    assert_array_equal(pictures(given)[0], trainer.initial["network"][f"{first}.weight"][0])
    assert_array_equal(pictures(given)[1], states.layer_at(3, first)["weight"][0])
