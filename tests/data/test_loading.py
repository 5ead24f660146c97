"""`load_data`: Fashion-MNIST and the sets of torchvision, whole, damaged and missing."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import struct
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import numpy as np
import platformdirs
import pytest
import torch
import torchvision
from PIL import Image

from snnviz.data import ImageData, load_data, sources
from tests.data.examples import cut
from tests.helpers import message_of

FASHION = Path(__file__).parents[2] / "data"


ALL_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz"
)


@pytest.fixture(scope="module")
def fashion() -> ImageData:
    return load_data("fashion-mnist", device="cpu")


def test_fashion_mnist_is_whole(fashion: ImageData) -> None:
    assert (len(fashion.train), len(fashion.test), fashion.holdout) == (60000, 10000, None)
    assert fashion.shape == (1, 28, 28)
    assert fashion.train.images.dtype == torch.uint8
    assert fashion.train.labels.dtype == torch.int64
    assert fashion.train.labels.bincount().tolist() == [6000] * 10
    assert fashion.test.labels.bincount().tolist() == [1000] * 10
    assert fashion.n_classes == 10
    assert (fashion.classes[0], fashion.classes[9]) == ("T-shirt/top", "Ankle boot")
    assert fashion.mean.shape == fashion.std.shape == (1, 1, 1)
    assert fashion.mean.item() == pytest.approx(0.2860, abs=1e-4)
    assert fashion.std.item() == pytest.approx(0.3530, abs=1e-4)


def test_fashion_mnist_batch_is_normalised(fashion: ImageData) -> None:
    images, labels = fashion.batch("train", torch.arange(0, 60000, 10))
    assert images.shape == (6000, 1, 28, 28)
    assert images.mean().item() == pytest.approx(0, abs=0.02)
    assert images.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(labels, fashion.train.labels[::10])


def test_readme_has_the_checksums_of_the_files() -> None:
    listed = dict(
        re.findall(r"^ {4}([0-9a-f]{64})  (\S+)$", (FASHION / "README.md").read_text(), re.M)
    )
    found = {}
    for path in FASHION.glob("*.gz"):
        packed = path.read_bytes()
        found[hashlib.sha256(packed).hexdigest()] = path.name
        found[hashlib.sha256(gzip.decompress(packed)).hexdigest()] = path.stem
    assert len(found) == 8
    assert listed == found


def idx(*shape: int, magic: bytes | None = None, extra: int = 0) -> bytes:
    head = bytes((0, 0, 8, len(shape))) if magic is None else magic
    content = head + struct.pack(f">{len(shape)}I", *shape) + bytes(int(np.prod(shape)) + extra)
    return gzip.compress(content, 1)


def flipped(content: bytes) -> bytes:
    return content[:-8] + bytes(b ^ 255 for b in content[-8:-4]) + content[-4:]  # the CRC


AGAIN = " Copy the file again from data/ of the project's repository."


DAMAGED = {
    "truncated": (
        cut(idx(10000)),
        "must be a complete gzip file, got: EOFError: Compressed file ended before the "
        "end-of-stream marker was reached.",
    ),
    "not gzip": (
        b"<html>",
        "must be a complete gzip file, got: BadGzipFile: Not a gzipped file (b'<h').",
    ),
    "wrong CRC": (
        flipped(idx(10000)),
        "must be a complete gzip file, got: BadGzipFile: CRC check failed ….",
    ),
    "empty": (gzip.compress(b""), "must begin with the idx magic number 00000801, got nothing."),
    "other kind": (
        idx(10000, 1, 1),
        "must begin with the idx magic number 00000801, got 00000803.",
    ),
    "header cut": (gzip.compress(b"\0\0\x08\x01\0"), "must hold the shape (10000,), got (0,)."),
    "other count": (idx(9999), "must hold the shape (10000,), got (9999,)."),
    "short": (
        idx(10000, extra=-1),
        "must hold 10000 bytes after its header, got 9999.",
    ),
    "long": (idx(10000, extra=1), "must hold 10000 bytes after its header, got 10001."),
}


@pytest.mark.parametrize(("content", "words"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_fashion_mnist(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ALL_FILES.split(", "):
        (tmp_path / name).symlink_to(FASHION / name)
    bad = tmp_path / "t10k-labels-idx1-ubyte.gz"
    bad.unlink()
    bad.write_bytes(content)
    # Only the file in question, as the 60,000 images take a while to unpack.
    monkeypatch.setattr(
        "snnviz.data.sources.FASHION_MNIST",
        {"test": ((bad.name, (10000,)), (bad.name, (10000,)))},
    )
    said = message_of(lambda: load_data("fashion-mnist", folder=tmp_path))
    said = re.sub(r"CRC check failed .*? (?=Copy)", "CRC check failed …. ", said)
    assert said == f"{bad} {words}{AGAIN}"


class Offline:
    """In place of a dataset's class of torchvision: the download fails."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("no route\nto host")


def test_missing_fashion_mnist_names_folder_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Offline)
    shutil.copy(FASHION / "t10k-labels-idx1-ubyte.gz", tmp_path)
    said = message_of(lambda: load_data("fashion-mnist", folder=tmp_path), FileNotFoundError)
    assert said == (
        f'load_data("fashion-mnist") needs the files {ALL_FILES} in the folder {tmp_path}. They '
        "are missing or damaged, and the download failed (RuntimeError: no route to host). Connect "
        "to the internet and try again, or copy the files from data/ of the project's repository, "
        "or give the folder that has them with folder= or SNNVIZ_DATA."
    )


def test_fashion_mnist_is_downloaded_where_no_checkout_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision's class finds its files in place, so that it only verifies them."""
    raw = tmp_path / "fashion-mnist" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, n in (("train", 6), ("t10k", 4)):
        for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
            values = bytes(i % 10 for i in range(int(np.prod(shape))))
            head = bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)
            (raw / f"{split}-{kind}-ubyte").write_bytes(head + values)
    monkeypatch.setenv("SNNVIZ_DATA", str(tmp_path))
    data = load_data("fashion-mnist", "cpu")
    assert (data.name, data.shape, data.classes) == (
        "fashion-mnist",
        (1, 28, 28),
        sources.FASHION_CLASSES,
    )
    assert [len(data.train), len(data.test)] == [6, 4]
    assert data.train.images.dtype == torch.uint8
    assert data.train.images[1].flatten()[:7].tolist() == [4, 5, 6, 7, 8, 9, 0]
    assert data.test.labels.tolist() == [0, 1, 2, 3]


def test_folder_is_argument_then_variable_then_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_in(**options: Any) -> str:
        said = message_of(lambda: load_data("fashion-mnist", **options), FileNotFoundError)
        return said.partition("in the folder ")[2].partition(". They are missing")[0]

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Offline)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SNNVIZ_DATA", str(tmp_path / "variable"))
    assert looked_in(folder=tmp_path / "argument") == str(tmp_path / "argument")
    assert looked_in() == str(tmp_path / "variable")
    monkeypatch.delenv("SNNVIZ_DATA")
    monkeypatch.setattr(
        "snnviz.data.sources.__file__", str(tmp_path / "site" / "snnviz" / "data" / "a.py")
    )
    cache = platformdirs.user_cache_dir("snnviz", appauthor=False)
    assert looked_in() == cache
    (tmp_path / "site" / "data").mkdir(parents=True)
    assert looked_in() == cache  # somebody's folder beside an installed package
    (tmp_path / "site" / "pyproject.toml").touch()
    assert looked_in() == str(tmp_path / "site" / "data")


DOWNLOADS = {
    "mnist": ("MNIST", ", ".join(f"MNIST/raw/{name}" for name in ALL_FILES.split(", "))),
    "kmnist": ("KMNIST", ", ".join(f"KMNIST/raw/{name}" for name in ALL_FILES.split(", "))),
    "cifar10": ("CIFAR10", "cifar-10-python.tar.gz"),
    "cifar100": ("CIFAR100", "cifar-100-python.tar.gz"),
    "svhn": ("SVHN", "train_32x32.mat, test_32x32.mat"),
}


@pytest.fixture
def scipy_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """SVHN alone needs SciPy, which the project does not: the test does not either."""
    for name in ("scipy", "scipy.io"):
        monkeypatch.setitem(sys.modules, name, type(torch)(name))


@pytest.mark.usefixtures("scipy_there")
@pytest.mark.parametrize("name", DOWNLOADS)
@pytest.mark.parametrize("error", [RuntimeError, OSError, AssertionError])
def test_offline_names_folder_and_files(
    name: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise error("no route\nto host")

    kind, files = DOWNLOADS[name]
    monkeypatch.setattr(torchvision.datasets, kind, offline)
    said = message_of(lambda: load_data(name, folder=tmp_path), FileNotFoundError)
    assert said == (
        f'load_data("{name}") needs the files {files} in the folder {tmp_path / name}. They are '
        f"missing or damaged, and the download failed ({error.__name__}: no route to host). "
        "Connect to the internet and try again, or copy the files into the folder yourself; delete "
        "damaged ones first."
    )


@pytest.mark.parametrize("name", DOWNLOADS)
def test_torchvision_still_wants_these_files(name: str) -> None:
    kind, files = DOWNLOADS[name]
    dataset = getattr(torchvision.datasets, kind)
    if hasattr(dataset, "resources"):
        wanted = [f"{kind}/raw/{file}" for file, _ in dataset.resources]
    elif hasattr(dataset, "split_list"):
        wanted = [dataset.split_list[split][1] for split in ("train", "test")]
    else:
        wanted = [dataset.filename]
    assert ", ".join(wanted) == files


@pytest.mark.usefixtures("scipy_there")
@pytest.mark.parametrize("name", DOWNLOADS)
def test_torchvision_sets_are_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    class Fake:
        classes = ("zero", "one")

        def __init__(self, root: Path, download: bool, **split: Any) -> None:
            calls.append((root, download, split))

        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> tuple[Image.Image, int]:
            return Image.new("RGB", (6, 5), (i, 100, 200)), i % 2

    monkeypatch.setattr(torchvision.datasets, DOWNLOADS[name][0], Fake)
    monkeypatch.setenv("SNNVIZ_DATA", str(tmp_path))
    data = load_data(name, "cpu", holdout=1, augment="flip")
    train, test = ("train", "test") if name == "svhn" else (True, False)
    key = "split" if name == "svhn" else "train"
    assert calls == [(tmp_path / name, True, {key: train}), (tmp_path / name, True, {key: test})]
    assert (data.name, data.shape, data.augment) == (name, (3, 5, 6), "flip")
    assert [len(data.train), len(data.test), len(data.holdout or [])] == [3, 4, 1]
    digits = tuple("0123456789")
    assert data.classes == (digits if name in ("mnist", "svhn") else ("zero", "one"))
    assert data.test.images[3, :, 0, 0].tolist() == [3, 100, 200]


def test_processes_that_load_the_same_set_download_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()

    def fake(root: Path, download: bool, **split: Any) -> Any:
        began.set()
        return SimpleNamespace(classes=("a", "b"))

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fake)
    (tmp_path / "cifar10").mkdir()
    other = threading.Thread(target=sources.torchvision_sets, args=("cifar10", tmp_path))
    with filelock.FileLock(tmp_path / "cifar10" / ".lock"):
        other.start()
        assert not began.wait(0.3)
    other.join()
    assert began.is_set()


def test_svhn_without_scipy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    said = message_of(lambda: load_data("svhn"), ModuleNotFoundError)
    assert said == (
        'load_data("svhn") needs the package scipy, which is not installed. '
        "Install it: pip install scipy."
    )
