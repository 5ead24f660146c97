"""A folder of images, a run that was trained on them, and a way to call commands."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnviz import cli
from tests.cli.example import SMALL, Done


@pytest.fixture(scope="package")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 training and 20 test images of 8 x 8 in 4 classes, each a bright band on noise."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, n in (("train", 20), ("test", 5)):
        for kind in range(4):
            (place := folder / split / f"class{kind}").mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 80, (8, 8), dtype=np.uint8)
                pixels[2 * kind : 2 * kind + 2] += 120
                Image.fromarray(pixels).save(place / f"{i:02}.png")
    return folder


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """A folder with the images and a finished run, to be copied."""
    place = tmp_path_factory.mktemp("trained")
    shutil.copytree(images, place / "img")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert cli.main(["train", *SMALL, "--name", "first"]) == 0
    return place


@pytest.fixture
def place(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with images in `img`."""
    shutil.copytree(images, tmp_path / "img")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def first(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run, in the working folder."""
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return Path("runs/first")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run
