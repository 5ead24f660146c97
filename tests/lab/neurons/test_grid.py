"""What the neuron grid is given: bytes, names, since when neurons are off, and wishes."""

from collections.abc import Sequence

import numpy as np
import pytest
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st

from snnviz.history import EPOCH_COLUMNS, History
from snnviz.lab.neurons.flips import KEPT_EVERY, Flips
from snnviz.lab.neurons.grid import Grid, parse_wish
from snnviz.lab.neurons.numbering import Name, encode, index_of, name_neuron

GROUPS = {"conv1": 2, "fc1": 3}


def add(history: History, *rows: Sequence[float]) -> None:
    """Epochs with these factors, all groups one after another."""
    for row in rows:
        factors, start = {}, 0
        for group, n in history.groups.items():
            factors[group], start = np.array(row[start : start + n]), start + n
        history.add_epoch(factors, **dict.fromkeys(EPOCH_COLUMNS, 0))


def numbers(data: bytes) -> list[int]:
    return np.frombuffer(data, "<i4").tolist()


def slow(history: History, epoch: int) -> list[int]:
    """Since when, read off the history neuron by neuron."""
    found = []
    for group in history.groups:
        for column in history.factors[group][:epoch].T:
            since, was_off = 0, False
            for e, factor in enumerate(column, 1):
                if (factor == 0) != was_off:
                    was_off = factor == 0
                    since = -e if was_off else e
            found.append(since)
    return found


# --- bytes ------------------------------------------------------------------------------------


def test_factors_become_bytes_in_the_order_of_the_groups() -> None:
    data = encode(GROUPS, {"fc1": np.array([0, 1.5, 2]), "conv1": np.array([1, 0.25])})
    assert data == np.array([1, 0.25, 0, 1.5, 2], "<f4").tobytes()
    assert encode({}, {}) == b""


def test_wrong_factors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^factors must have all groups, and 'fc1' is missing\.$"):
        encode(GROUPS, {"conv1": np.ones(2)})
    message = r"^factors\['fc1'\] must have shape \(3,\), got \(1, 3\)\.$"
    with pytest.raises(ValueError, match=message):
        encode(GROUPS, {"conv1": np.ones(2), "fc1": np.ones((1, 3))})


# --- names ------------------------------------------------------------------------------------


def test_names_and_back() -> None:
    groups = {"a": 2, "none": 0, "b": 1}
    called = [name_neuron(groups, k) for k in range(3)]
    assert called == [Name("a", 0), Name("a", 1), Name("b", 0)]
    assert [index_of(groups, *name) for name in called] == [0, 1, 2]


def test_wrong_names_are_refused() -> None:
    for index in (-1, 5):
        with pytest.raises(
            ValueError, match=rf"^index must be a neuron from 0 to 4, got {index}\.$"
        ):
            name_neuron(GROUPS, index)
    with pytest.raises(ValueError, match=r"^index must be a neuron from 0 to none, got 0\.$"):
        name_neuron({}, 0)
    with pytest.raises(ValueError, match=r"^group must be one of 'conv1', 'fc1', got 'fc2'\.$"):
        index_of(GROUPS, "fc2", 0)
    message = r"^neuron must be from 0 to 2 in group 'fc1', got 3\.$"
    with pytest.raises(ValueError, match=message):
        index_of(GROUPS, "fc1", 3)


# --- since when -------------------------------------------------------------------------------


def test_since_when_neurons_are_off_or_on() -> None:
    history = History(GROUPS)
    assert numbers(Flips().at(history)) == [0, 0, 0, 0, 0]
    add(history, [1, 0, 1, 0, 1], [1, 0, 0, 0.5, 1], [1, 0, 0, 0.5, 0])
    assert numbers(Flips().at(history)) == [0, -1, -2, 2, -3]
    assert numbers(Flips().at(history, 1)) == [0, -1, 0, -1, 0]
    assert numbers(Flips().at(history, 0)) == [0, 0, 0, 0, 0]
    for epoch in (-1, 4):
        with pytest.raises(
            ValueError,
            match=rf"^epoch must be from 0 to 3, the epochs finished, got {epoch}\.$",
        ):
            Flips().at(history, epoch)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_flips_follow_a_history_that_grows_and_goes_back(data: st.DataObject) -> None:
    """Whatever is added and forgotten, the answer is that of the history read afresh."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    history, follower = History(GROUPS), Flips()
    for _ in range(data.draw(st.integers(1, 5))):
        more = data.draw(st.integers(0, 2 * KEPT_EVERY))
        add(history, *(rng.random((more, 5)) * (rng.random((more, 5)) < 0.5)).tolist())
        if data.draw(st.booleans()):
            history.truncate(epochs=data.draw(st.integers(0, history.n_epochs)), steps=0)
            add(history, *(rng.random((2, 5)) * (rng.random((2, 5)) < 0.5)).tolist())
        assert numbers(follower.at(history)) == slow(history, history.n_epochs)
        epoch = data.draw(st.integers(0, history.n_epochs))
        assert numbers(follower.at(history, epoch)) == slow(history, epoch)


def test_flips_follow_from_one_history_to_another() -> None:
    first, second = History(GROUPS), History({"other": 1})
    add(first, [0, 1, 1, 1, 1])
    add(second, [1], [0])
    follower = Flips()
    assert numbers(follower.at(first)) == [-1, 0, 0, 0, 0]
    assert numbers(follower.at(second)) == [-2]
    assert numbers(follower.at(History({"other": 1}))) == [0]
    assert numbers(follower.at(first)) == [-1, 0, 0, 0, 0]


def test_flips_look_at_new_epochs_only() -> None:
    """A long history that grows by one epoch costs one epoch."""
    history, follower = History(GROUPS), Flips()
    add(history, *([[1, 1, 1, 1, 1]] * 3))
    follower.at(history)
    for values in history.epoch_factors():
        values.clear()  # whoever reads them again, fails
    add(history, [0, 1, 1, 1, 1])
    assert numbers(follower.at(history)) == [-4, 0, 0, 0, 0]


# --- the widget -------------------------------------------------------------------------------


def test_a_grid_starts_with_all_neurons_on() -> None:
    grid = Grid(GROUPS)
    assert grid.groups == [["conv1", 2], ["fc1", 3]]
    assert grid.factors == encode(GROUPS, {"conv1": np.ones(2), "fc1": np.ones(3)})
    assert (grid.flipped, grid.marks) == (bytes(20), bytes(5))
    assert (grid.selected, grid.opened, grid.page, grid.moment) == ([], -1, {}, "")
    assert "export default" in str(grid._esm)
    assert ".snnviz-grid" in str(grid._css)
    grid.close()


def test_a_grid_refuses_what_does_not_fit() -> None:
    grid = Grid(GROUPS, selected=[4, 0, 4])
    assert grid.selected == [0, 4]
    with pytest.raises(
        traitlets.TraitError, match=r"^factors must be 20 bytes for 5 neurons, got 4\.$"
    ):
        grid.factors = bytes(4)
    with pytest.raises(
        traitlets.TraitError, match=r"^marks must be 5 bytes for 5 neurons, got 6\.$"
    ):
        grid.marks = bytes(6)
    with pytest.raises(
        traitlets.TraitError, match=r"^selected must hold neurons from 0 to 4, got 1 to 5\.$"
    ):
        grid.selected = [1, 5]
    with pytest.raises(
        traitlets.TraitError,
        match=r"^opened must be a neuron from 0 to 4, or -1 for none, got 5\.$",
    ):
        grid.opened = 5
    assert (grid.selected, grid.opened) == ([0, 4], -1)
    grid.close()


@pytest.mark.parametrize(
    ("content", "understood"),
    [
        ({"do": "off", "neurons": [3, 1, 3]}, ("off", [1, 3])),
        ({"do": "let go", "neurons": [0]}, ("let go", [0])),
        ({"do": "off", "neurons": []}, None),
        ({"do": "off", "neurons": [5]}, None),
        ({"do": "off", "neurons": [-1]}, None),
        ({"do": "off", "neurons": [True]}, None),
        ({"do": "off", "neurons": "0"}, None),
        ({"do": "off"}, None),
        ({"do": "explode", "neurons": [1]}, None),
        ("off", None),
    ],
)
def test_wishes(content: object, understood: object) -> None:
    assert parse_wish(content, 5) == understood
