"""The neuron grid in the lab: what it is given, and what its wishes become."""

from dataclasses import replace

import numpy as np
import pytest

from snnviz.lab.neurons.grid import PINNED, TRIED_OFF, TRIED_ON
from snnviz.lab.neurons.numbering import encode
from snnviz.lab.neurons.panel import NeuronPanel, _describe_trial, _result_html, _write_signed
from snnviz.lab.session import Session
from snnviz.lab.session.whatif import Scores, Trial
from tests.lab.conftest import TIMEOUT, make_trainer


@pytest.fixture
def panel() -> NeuronPanel:
    """After an epoch of alternation."""
    session = Session(make_trainer(warmup_epochs=0))
    session.step("epoch")
    session.wait(timeout=TIMEOUT)
    made = NeuronPanel(session)
    show(made)
    yield made
    session.close()


def show(panel: NeuronPanel, moment: int | None = None) -> None:
    """As the lab's thread does it, after all commands."""
    panel.session.wait(timeout=TIMEOUT)
    panel.show(panel.session.status, panel.session.trainer.history, moment)


def marks(panel: NeuronPanel) -> np.ndarray:
    return np.frombuffer(panel.grid.marks, np.uint8)


def wish(panel: NeuronPanel, deed: str, neurons: list[int]) -> None:
    panel.grid._handle_custom_msg({"do": deed, "neurons": neurons}, [])
    show(panel)


def test_the_grid_shows_now_and_past_moments(panel: NeuronPanel) -> None:
    session, history = panel.session, panel.session.trainer.history
    assert panel.grid.factors == encode(history.groups, session.status.factors)
    assert panel.grid.moment == f"now, step {session.status.position.step}"
    session.step("batch", 3)
    show(panel, moment=1)
    assert panel.grid.factors == encode(history.groups, history.factors_at(1))
    assert panel.grid.moment == "epoch 1"
    show(panel, moment=0)
    assert panel.grid.factors == np.ones(sum(history.groups.values()), np.float32).tobytes()
    assert panel.grid.moment == "the start"
    assert panel.grid.flipped == bytes(4 * sum(history.groups.values()))


def test_wishes_of_the_page_are_tried_kept_and_let_go(panel: NeuronPanel) -> None:
    first, second = list(panel.session.trainer.history.groups)[:2]
    n = panel.session.trainer.history.groups[first]
    wish(panel, "off", [3, n + 1])
    trial = panel.session.status.trial
    assert trial is not None
    assert trial.changes == {first: {3: False}, second: {1: False}}
    assert marks(panel)[3] == marks(panel)[n + 1] == TRIED_OFF
    wish(panel, "on", [3])
    assert marks(panel)[3] == TRIED_ON
    text = panel.result.value
    assert f"<b>What if {first} · 3 was on (already the case), {second} · 1 was off:</b>" in text
    assert f"{100 * trial.before.accuracy:.2f} → <b>" in text
    assert text.count("<li title=") == 10
    wish(panel, "keep", [3])
    assert marks(panel)[3] == marks(panel)[n + 1] == PINNED
    assert panel.session.status.pins == {first: {3: 1.0}, second: {1: 0.0}}
    assert f"<b>Kept: {first} · 3 is on, {second} · 1 is off;</b>" in panel.result.value
    wish(panel, "let go", [3])
    assert "Switch the selected neurons off or on" in panel.result.value
    assert marks(panel)[3] == 0
    assert marks(panel)[n + 1] == PINNED
    wish(panel, "nonsense", [3])
    wish(panel, "off", [10**6])
    assert panel.session.status.trial is None


def test_the_buttons_do_the_same(panel: NeuronPanel) -> None:
    first = next(iter(panel.session.trainer.history.groups))
    panel.buttons["off"].click()  # nothing selected: nothing happens
    show(panel)
    assert panel.session.status.trial is None
    assert all(panel.buttons[name].disabled for name in ("off", "on", "keep"))
    panel.grid.selected = [5, 6]
    panel.buttons["off"].click()
    show(panel)
    assert panel.session.status.trial is not None
    assert panel.session.status.trial.changes == {first: {5: False, 6: False}}
    assert not panel.buttons["keep"].disabled
    panel.buttons["keep"].click()
    show(panel)
    assert f"Kept: 2 neurons of {first} are off" in panel.result.value
    assert panel.buttons["keep"].disabled
    panel.buttons["on"].click()
    panel.grid.selected = []
    panel.buttons["let go"].click()  # nothing selected: all of it
    show(panel)
    assert panel.session.status.pins == {}
    assert panel.session.status.trial is None


def test_an_opened_neuron_gets_its_page(panel: NeuronPanel) -> None:
    first = next(iter(panel.session.trainer.history.groups))
    panel.grid.opened = 4
    show(panel)
    page = panel.grid.page
    assert (page["neuron"], page["group"], page["index"]) == (4, first, 4)
    lived = np.frombuffer(page["epochs"]["factors"], np.float32)
    np.testing.assert_array_equal(lived, panel.session.trainer.history.factors[first][:, 4])
    assert page["epochs"]["stages"] == [[1, 1, "alternating"]]
    panel.session.step("epoch", 2)
    show(panel)
    assert len(np.frombuffer(panel.grid.page["epochs"]["factors"], np.float32)) == 3
    assert panel.grid.page["at"] == f"step {panel.session.status.position.step}"
    panel.grid.opened = 5  # its page is not there yet, and the old one is not shown for it
    panel.show(panel.session.status, panel.session.trainer.history, None)
    assert panel.grid.page.get("index") in (None, 5)
    panel.grid.opened = -1
    show(panel)
    assert panel.grid.page == {}
    assert panel.session.status.page is None


def test_a_page_shades_what_has_run_whatever_is_planned_now(panel: NeuronPanel) -> None:
    panel.session.set_schedule(switcher_steps=0)
    panel.session.step("epoch")
    panel.session.set_schedule(warmup_epochs=2)
    panel.grid.opened = 4
    show(panel)
    assert panel.grid.page["epochs"]["stages"] == [[1, 1, "alternating"], [2, 2, "task only"]]


def test_a_refusal_is_said_beside_the_neurons(panel: NeuronPanel) -> None:
    first, n = next(iter(panel.session.trainer.history.groups.items()))
    wish(panel, "off", list(range(n)))
    wish(panel, "keep", [0])
    why = f"Refused: {first} would be entirely off, and training would stop."
    assert f'<div role="alert">{why}' in panel.result.value
    wish(panel, "let go", [0])
    assert "Refused" not in panel.result.value


def test_the_past_cannot_be_tried(panel: NeuronPanel) -> None:
    wish(panel, "off", [3])
    show(panel, moment=1)
    assert all(button.disabled for button in panel.buttons.values())
    assert not marks(panel).any()
    assert "Press Now first; what-if works on the present network." in panel.result.value
    wish_in_the_past = {"do": "keep", "neurons": [3]}
    panel.grid._handle_custom_msg(wish_in_the_past, [])
    show(panel)
    assert panel.session.status.pins == {}
    assert marks(panel)[3] == TRIED_OFF


def test_nothing_new_writes_nothing(panel: NeuronPanel) -> None:
    written: list[str] = []
    panel.grid.observe(lambda change: written.append(change["name"]))
    panel.result.observe(lambda change: written.append(change["name"]))
    show(panel)
    assert written == []


def test_words_of_a_trial() -> None:
    before, after = Scores((10, 0, 20), (5, 0, 20)), Scores((10, 0, 20), (8, 0, 10))
    trial = Trial({"fc1": {1: False, 2: False, 7: True}}, before, after, 40, ("a", "b<", "c"), 90)
    text = _result_html(trial)
    assert "What if 2 neurons of fc1 were off, fc1 · 7 was on:" in text
    assert "83.33 → <b>60.00 %</b> (−23.33 points; 30 of 90 images, step 40)" in text
    assert '<li title="50.0 → 80.0 %">a<b>+30.0</b>' in text
    assert '<i class="snnviz-is-better" style="width: 15.0%">' in text
    assert "<li>b&lt;<b>no image</b></li>" in text
    assert '<li title="100.0 → 50.0 %">c<b>−50.0</b>' in text
    assert '<i class="snnviz-is-worse" style="width: 25.0%">' in text
    kept = _result_html(None, trial)
    assert "Kept: 2 neurons of fc1 are off, fc1 · 7 is on; " in kept.replace("</b>", "")
    assert "step 40). The switcher no longer changes them; Let go unpins them." in kept

    def words(changes: dict, already: dict) -> str:
        return _describe_trial(replace(trial, changes=changes, already=already))

    assert words({"<i>": {0: False}}, {}) == "&lt;i&gt; · 0 was off"
    assert words({"a": {0: False}}, {"a": {0}}) == "a · 0 was off (already the case)"
    three = {0: False, 1: False, 2: False, 3: True}
    said = "3 neurons of a were off (2 already), a · 3 was on"
    assert words({"a": three}, {"a": frozenset({1, 2})}) == said
    assert [_write_signed(x) for x in (0.001, 0.5, -0.25)] == ["±0", "+0.50", "−0.25"]
