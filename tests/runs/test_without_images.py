"""Runs whose images are not here: what is known of them, and what needs them."""

import json
from pathlib import Path

import pytest
import torch

from snnviz.data import ImageData, ImagesMissing
from snnviz.history import History
from snnviz.runs import Trainer, config, find_images
from snnviz.training import predict
from tests.helpers import assert_same_history, message_of
from tests.runs.conftest import DATA, finish, make, tiny_net

MISSING = (
    "The images of this run are not here; to train on, open it with data=, its own data: "
    "64 training, 16 held-out and 40 test images of 1x8x8 uint8 in 5 classes."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with make(tmp_path / "mine") as made:
        finish(made)
    return tmp_path / "mine"


def test_the_data_has_the_shapes_of_the_runs_own(folder: Path) -> None:
    found = find_images(folder)
    assert found.missing == MISSING
    for name in ("train", "test", "holdout"):
        mine, its = found.get_split(name), DATA.get_split(name)
        assert mine.images.shape == its.images.shape
        assert mine.images.dtype == its.images.dtype
        assert mine.images.untyped_storage().nbytes() <= 8
    assert (found.n_classes, found.shape, found.augment) == (5, (1, 8, 8), DATA.augment)
    assert found.example().shape == (2, 1, 8, 8)
    assert message_of(lambda: found.batch("test", torch.arange(2)), ImagesMissing) == MISSING


def test_a_run_is_read_without_them_and_trains_no_further(folder: Path) -> None:
    at = Trainer.at(folder, 2, network=tiny_net(), data=find_images(folder))
    true = Trainer.at(folder, 2, network=tiny_net(), data=DATA)
    assert_same_history(at.history, true.history)
    assert_same_history(at.history, History.load(folder).until(2), notes=False)
    for name, tensor in true.network.state_dict().items():
        assert torch.equal(tensor, at.network.state_dict()[name])
    before = at.position
    for use in (at.step, lambda: at.run(progress=False), at.evaluate, lambda: predict(at)):
        assert message_of(use, ImagesMissing) == MISSING
    assert at.position == before
    images = DATA.batch("test", torch.arange(8))[0]
    assert torch.equal(at.logits(images), true.logits(images))


def test_a_known_data_set_that_cannot_be_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> ImageData:
        raise FileNotFoundError("The download failed.")

    content = json.loads((folder / "config.json").read_text())
    content["data"] = {"name": "kmnist", "holdout": 16, "augment": "none"}
    (folder / "config.json").write_text(json.dumps(content))
    monkeypatch.setattr(config, "load_data", offline)
    assert find_images(folder).missing == (
        "The images of this run are not here; to train on, open it with data=, or get kmnist: "
        "64 training, 16 held-out and 40 test images of 1x8x8 uint8 in 5 classes. The download "
        "failed. Or pass data=load_data('kmnist', folder=...)."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("train split", "none"), ("train split", "text 1x1x8x8, 0"), ("number of classes", "some")],
)
def test_a_config_that_does_not_say_what_the_images_were(
    folder: Path, name: str, value: str
) -> None:
    content = json.loads((folder / "config.json").read_text())
    content["images"][name] = value
    (folder / "config.json").write_text(json.dumps(content))
    assert message_of(lambda: find_images(folder)) == (
        "the run's config does not say what its images were. Pass them with data=."
    )
