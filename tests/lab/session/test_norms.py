"""How long weights were over time: measured at each epoch's end, forgotten with a way back."""

import numpy as np
from numpy.testing import assert_allclose

from snnviz.lab.session.norms import Norms
from snnviz.structure.probe import copied
from tests.lab.conftest import make_trainer


def lengths(given: dict, name: str) -> np.ndarray:
    return np.frombuffer(given[name], "<f4")


def test_they_are_the_norms_of_the_weights() -> None:
    trainer = make_trainer(warmup_epochs=0)
    first, norms, networks = next(iter(trainer.history.groups)), Norms(trainer), []
    networks.append(copied(trainer.network))
    for _ in range(2):
        trainer.run(epochs=1, progress=False)
        norms.keep()
        networks.append(copied(trainer.network))
    given = norms.of(first, 7)
    assert given["epochs"] == [0, 1, 2]
    group = trainer.switches.groups[first]
    into, out = group.writers[0], group.readers[0]
    rows = [network.get_submodule(into).weight[7].detach().norm() for network in networks]
    columns = [network.get_submodule(out).weight[:, 7].detach().norm() for network in networks]
    assert_allclose(lengths(given, "incoming"), rows, rtol=1e-5)
    assert_allclose(lengths(given, "outgoing"), columns, rtol=1e-5)
    trainer.reset()
    norms.went_back()
    assert norms.of(first, 7)["epochs"] == [0]


def test_of_a_trainer_that_has_trained_the_start_is_known_too() -> None:
    trainer = make_trainer()
    first = next(iter(trainer.history.groups))
    start = Norms(trainer).of(first, 0)
    trainer.run(epochs=1, progress=False)
    later = Norms(trainer).of(first, 0)
    assert later["epochs"] == [0, 1]
    assert lengths(later, "incoming")[0] == lengths(start, "incoming")[0]
    assert lengths(later, "incoming")[1] != lengths(later, "incoming")[0]
    trainer.step()
    assert Norms(trainer).of(first, 0)["epochs"] == [0]  # within an epoch it is no end's
