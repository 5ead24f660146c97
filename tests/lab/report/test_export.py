"""A run as one HTML file: what is in it, how large it is, and that names are only names."""

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnviz.history import History
from snnviz.lab import export_html
from snnviz.lab.neurons.flips import Flips
from snnviz.lab.report.contents import Bytes, collect_contents
from snnviz.lab.report.document import make_document, make_script, write_json
from snnviz.lab.report.subject import find_subject
from snnviz.lab.session.neuron import make_page
from snnviz.lab.views.kinds import KINDS
from snnviz.runs import Trainer
from tests.helpers import message_of
from tests.lab.conftest import make_trainer
from tests.lab.views.pretence import pretended_run

EVIL = ("<img src=x onerror=hit()>", "</script><script>hit()</script>", "'\"><b>&amp;$\\u2028")


def named_run(*names: str) -> History:
    """Two epochs of groups with these names, of three neurons and more."""
    history = History({name: n for n, name in enumerate(names, 3)})
    columns = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")
    columns += ("neurons_on", "neurons", "parameters", "macs")
    for epoch in (1, 2):
        phase = "task" if epoch == 1 else "switcher"
        history.add_step(step=epoch, epoch=epoch, phase=phase, loss=0.1, accuracy=0.9, lr=0.1)
        factors = {name: np.arange(n) * epoch / 3 for name, n in history.groups.items()}
        values: dict[str, float] = {**dict.fromkeys(columns, 1), "epoch": epoch, "step": epoch}
        history.add_epoch(factors, **values)
        history.add_event(epoch=epoch, step=epoch, event="pin", group=names[0], detail=names[1])
    return history


class Tags(HTMLParser):
    """The tags of a page, and the text in each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": [], "h1": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in self.texts and data.strip():
            self.texts[self.tags[-1][0]].append(data)


def read_contents(page: Tags) -> dict[str, Any]:
    return json.loads(page.texts["script"][0])


@pytest.fixture(scope="module")
def trained() -> Trainer:
    """A trainer after one epoch."""
    trainer = make_trainer(epochs=1)
    trainer.run(progress=False)
    return trainer


def test_factors_are_those_of_the_history_in_every_bit() -> None:
    history = pretended_run(12)
    contents = collect_contents(find_subject(history, None, None, None, True), [])
    stored = np.frombuffer(b64decode(contents["bytes"][contents["factors"]["bytes"]]), "<f4")
    wanted = np.concatenate(list(history.factors.values()), axis=1)  # (epochs, neurons)
    assert stored.tobytes() == wanted.astype("<f4").tobytes()
    assert contents["groups"] == [[name, n] for name, n in history.groups.items()]
    assert len(contents["moments"]) == 13
    row = history.epochs.iloc[3]
    assert contents["moments"][4] == (
        f"epoch 4 of 12: test accuracy {100 * row.test_accuracy:.2f} %, "
        f"{row.neurons_on:.0f} of 370 neurons on"
    )


@pytest.mark.slow
def test_names_are_only_text(tmp_path: Path) -> None:
    file = export_html(named_run(*EVIL), tmp_path / "evil.html", name=EVIL[1])
    page = Tags(file.read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("script"), tags.count("style"), tags.count("b")) == (2, 1, 0)
    assert {name for _, attrs in page.tags for name in attrs if name.startswith("on")} == set()
    sources = {(tag, str(attrs["src"])[:22]) for tag, attrs in page.tags if "src" in attrs}
    assert sources == {("img", "data:image/svg+xml;bas")}
    assert page.texts["h1"] == [EVIL[1]]
    assert [name for name, _ in read_contents(page)["groups"]] == list(EVIL)
    assert not [attrs for tag, attrs in page.tags if tag in ("a", "iframe", "object", "base")]


def test_json_holds_no_tag() -> None:
    text = write_json({"names": EVIL})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"names": list(EVIL)}


def test_the_policy_allows_this_script_and_style_and_images_in_the_file_alone() -> None:
    text = make_document("a", "b", "", [], {"groups": []})
    page = Tags(text)
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))

    def allow(part: str) -> str:
        return f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": allow(page.texts["script"][1]),
        "style-src": allow(page.texts["style"][0]),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search(r' (style|on\w+)="', text)


def test_the_scripts_are_those_of_the_lab() -> None:
    script = make_script()
    assert "</script" not in script.lower()
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    for words in ("class NeuronGrid", "class Timeline", "class Page", "class FactorChart"):
        assert script.count(words) == 1


@pytest.mark.slow
def test_weights_are_close_and_the_rest_of_a_neuron_is_the_same(trained: Trainer) -> None:
    contents = collect_contents(find_subject(trained, None, None, None, True), [])
    for number, (group, n) in enumerate(trained.history.groups.items()):
        known = contents["neurons"][number]
        assert len(known["own"]) == n
        for index in (0, n - 1):
            wanted = make_page(trained, group, index, answers=False).facts
            found = {**known["shared"], **known["own"][index]}
            weights = found.pop("weights")
            stored = b64decode(contents["bytes"][weights["data"]["bytes"]])
            steps = np.frombuffer(stored, np.int8) / 127
            values = np.frombuffer(wanted["weights"]["data"], "<f4")
            assert weights["most"] == np.abs(values).max()
            np.testing.assert_allclose(steps * weights["most"], values, atol=weights["most"] / 250)
            same = [k for k, v in found.items() if not isinstance(v, dict | list)]
            assert {k: found[k] for k in same} == {k: wanted[k] for k in same}
            assert {"fan_in", "norm", "factor"} <= set(found)


@pytest.mark.slow
def test_weights_that_are_too_many_are_left_out(
    trained: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = find_subject(trained, None, None, None, True)
    monkeypatch.setattr("snnviz.lab.report.contents.MOST_WEIGHTS", 10)
    for known in collect_contents(subject, [])["neurons"]:
        assert known["shared"]["weights"] is None
        assert "left out" in known["shared"]["notes"][-1]


def test_equal_bytes_are_stored_once_and_nan_is_none() -> None:
    store = Bytes()
    value = {"a": b"x", "b": [b"y", {"c": b"x"}], "d": float("nan"), "e": 1.5}
    one, other = {"bytes": 0}, {"bytes": 1}
    assert store.replace_in(value) == {"a": one, "b": [other, {"c": one}], "d": None, "e": 1.5}
    assert [b64decode(text) for text in store.written()] == [b"x", b"y"]


@pytest.mark.slow
def test_a_run_of_the_quick_start_fits_in_three_megabytes(tmp_path: Path) -> None:
    """As many neurons and weights as `lenet5` has, 8 epochs, and steps as with its batches."""
    history = History({"conv1": 20, "conv2": 50, "fc1": 500})
    rng = np.random.default_rng(0)
    for epoch in range(1, 9):
        for step in range(586):
            at = 586 * (epoch - 1) + step + 1
            phase = "task" if step % 5 < 4 else "switcher"
            loss = rng.random()
            history.add_step(step=at, epoch=epoch, phase=phase, loss=loss, accuracy=0.9, lr=0.1)
        factors = {
            g: rng.gamma(2, 0.5, n) * (rng.random(n) < 0.6) for g, n in history.groups.items()
        }
        row: Any = dict.fromkeys(
            ("train_loss", "train_accuracy", "test_loss", "test_accuracy"), 0.5
        )
        row |= {"neurons_on": 300, "neurons": 570, "parameters": 1000, "macs": 9000, "seconds": 1}
        history.add_epoch(factors, epoch=epoch, step=586 * epoch, **row)
    size = export_html(history, tmp_path / "run.html").stat().st_size
    weights = 20 * 25 + 50 * 500 + 500 * 1024
    facts = 570 * 1000
    assert size + 4 / 3 * weights + facts < 3e6


@pytest.fixture
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch map alone, for drawing is what takes time."""
    monkeypatch.setattr(
        "snnviz.lab.report.pictures.KINDS", [k for k in KINDS if k.name == "switch_map"]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure")
def test_the_same_run_gives_the_same_file(tmp_path: Path) -> None:
    one, other = (export_html(pretended_run(2), tmp_path / f"{i}.html") for i in range(2))
    assert one.read_bytes() == other.read_bytes()


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    history = pretended_run(1)
    assert message_of(lambda: export_html(history, "a.txt")) == (
        "path must end in .html, got 'a.txt'. Use 'a.txt.html'."
    )
    empty: Any = History({"a": 2})
    assert message_of(lambda: export_html(empty, tmp_path / "a.html")) == (
        "run must have at least one finished epoch to be shown, and none is finished yet. "
        "Train it first."
    )
    wrong: Any = 3
    assert message_of(lambda: export_html(wrong, tmp_path / "a.html"), TypeError) == (
        "run must be a run, got int. Give a trainer, a lab, a history, or the folder of a run."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("one_figure")
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = tmp_path / "plain" / "a.html"
    said = message_of(lambda: export_html(pretended_run(1), path), FileExistsError)
    assert said.startswith(f"path must be a place where files can be written, got {str(path)!r}")


def test_flips_are_followed_as_in_the_lab() -> None:
    """The rule that report/neurons.js has, against the lab's own."""
    history = pretended_run(9)
    since = np.zeros(sum(history.groups.values()), np.int32)
    for epoch, factors in enumerate(history.epoch_factors(), 1):
        off = np.concatenate(list(factors.values())) == 0
        since = np.where(off == (since < 0), since, np.where(off, -epoch, epoch))
        assert since.astype("<i4").tobytes() == Flips().at(history, epoch)
