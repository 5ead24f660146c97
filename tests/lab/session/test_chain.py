"""How a neuron gets its factor, as the page is told."""

import numpy as np
import pytest
from torch import nn

from snnviz.lab.session.chain import make_chain
from snnviz.runs import Trainer
from snnviz.switcher import READS, SwitcherConfig
from tests.lab.conftest import make_trainer


@pytest.mark.parametrize("reads", READS)
def test_the_numbers_of_a_neuron(reads: str) -> None:
    made, config = make_trainer(warmup_epochs=0), SwitcherConfig(reads=reads, gain=1.0)
    trainer = Trainer(made.network, made.data, made.schedule, config, precision="float32")
    trainer.run(1, progress=False)
    group = next(iter(trainer.switches.groups))
    told = trainer.explain()[group]
    chain = make_chain(trainer, group, 2)
    assert chain is not None
    assert chain["reads"] == reads
    assert [row["name"] for row in chain["descriptors"]] == list(told.descriptors)
    read = told.standardised if told.inputs is None else told.inputs
    for i, row in enumerate(chain["descriptors"]):
        assert row["sentence"]
        assert (row["value"], row["read"]) == (float(told.values[2, i]), float(read[2, i]))
    above = max(chain["score"] - chain["waterline"], 0)
    assert above == pytest.approx(chain["factor"], abs=1e-4)
    scores = np.frombuffer(chain["scores"], np.float32)
    np.testing.assert_array_equal(scores, told.scores.numpy())


def test_gates_have_none() -> None:
    trainer = make_trainer()
    trainer.learners.switcher = nn.Linear(1, 1)
    assert make_chain(trainer, next(iter(trainer.switches.groups)), 0) is None
