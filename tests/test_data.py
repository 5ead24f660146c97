"""Data from every source, whole messages for bad input, batches on every device."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from snnviz import _pixels, _sources
from snnviz.data import BatchOrder, ImageData, load_data, pick_device
from tests.helpers import message_of

FASHION = Path(__file__).parents[1] / "data"
ALL_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz"
)


def grey(n: int = 4, h: int = 5, w: int = 6, c: int = 1) -> Tensor:
    """Images that differ in every pixel, as far as 256 values allow."""
    return (torch.arange(n * c * h * w) % 251).to(torch.uint8).view(n, c, h, w)


def numbers(n: int = 4, classes: int = 2) -> Tensor:
    return torch.arange(n) % classes


def small(device: str = "cpu", n: int = 40, c: int = 3, **options: Any) -> ImageData:
    images, labels = grey(n, c=c), numbers(n)
    options = {"test": (images[:10], labels[:10]), "device": device} | options
    return ImageData.from_tensors((images, labels), **options)


# --- Fashion-MNIST, whole ------------------------------------------------------------------------


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


# --- Fashion-MNIST, damaged ----------------------------------------------------------------------


def idx(*shape: int, magic: bytes | None = None, extra: int = 0) -> bytes:
    head = bytes((0, 0, 8, len(shape))) if magic is None else magic
    content = head + struct.pack(f">{len(shape)}I", *shape) + bytes(int(np.prod(shape)) + extra)
    return gzip.compress(content, 1)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-8] + bytes(b ^ 255 for b in content[-8:-4]) + content[-4:]  # the CRC


AGAIN = " Copy the file again from data/ of the project's repository."
DAMAGED = {
    "truncated": (
        cut(idx(10000)),
        "must be a whole gzip file, got: EOFError: Compressed file ended before the "
        "end-of-stream marker was reached.",
    ),
    "not gzip": (
        b"<html>",
        "must be a whole gzip file, got: BadGzipFile: Not a gzipped file (b'<h').",
    ),
    "wrong CRC": (
        flipped(idx(10000)),
        "must be a whole gzip file, got: BadGzipFile: CRC check failed ….",
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
        "snnviz._sources.FASHION_MNIST",
        {"test": ((bad.name, (10000,)), (bad.name, (10000,)))},
    )
    said = message_of(lambda: load_data("fashion-mnist", folder=tmp_path))
    said = re.sub(r"CRC check failed .*? (?=Copy)", "CRC check failed …. ", said)
    assert said == f"{bad} {words}{AGAIN}"


def test_missing_fashion_mnist_names_folder_and_files(tmp_path: Path) -> None:
    shutil.copy(FASHION / "t10k-labels-idx1-ubyte.gz", tmp_path)
    said = message_of(lambda: load_data("fashion-mnist", folder=tmp_path), FileNotFoundError)
    assert said == (
        f'load_data("fashion-mnist") needs the files {ALL_FILES} in the folder {tmp_path}, which '
        "lacks train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz. "
        "Copy them from data/ of the project's repository, or name their folder with folder= or "
        "SNNVIZ_DATA."
    )


def test_folder_is_argument_then_variable_then_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_in(**options: Any) -> str:
        said = message_of(lambda: load_data("fashion-mnist", **options), FileNotFoundError)
        return said.partition("in the folder ")[2].partition(", which")[0]

    monkeypatch.setenv("SNNVIZ_DATA", str(tmp_path / "variable"))
    assert looked_in(folder=tmp_path / "argument") == str(tmp_path / "argument")
    assert looked_in() == str(tmp_path / "variable")
    monkeypatch.delenv("SNNVIZ_DATA")
    monkeypatch.setattr("snnviz._sources.__file__", str(tmp_path / "site" / "snnviz" / "a.py"))
    monkeypatch.chdir(tmp_path)
    assert looked_in() == str(Path.cwd() / "data")
    (tmp_path / "site" / "data").mkdir(parents=True)
    assert looked_in() == str(Path.cwd() / "data")  # somebody's folder beside an installed package
    (tmp_path / "site" / "pyproject.toml").touch()
    assert looked_in() == str(tmp_path / "site" / "data")


# --- torchvision's sets --------------------------------------------------------------------------

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
        "Connect to the internet and call it again, or copy the files there by hand; delete "
        "damaged ones first."
    )


@pytest.mark.parametrize("name", ["mnist", "kmnist", "cifar10", "cifar100", "svhn"])
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
    other = threading.Thread(target=_sources.torchvision_sets, args=("cifar10", tmp_path))
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


# --- bad tensors and options, by table -----------------------------------------------------------


def bad(images: Any = None, labels: Any = None, **options: Any) -> Callable[[], Any]:
    images = grey() if images is None else images
    labels = numbers() if labels is None else labels
    options = {"test": (grey(), numbers()), "device": "cpu"} | options
    return lambda: ImageData.from_tensors((images, labels), **options)


def with_pixel(value: float, dtype: torch.dtype = torch.float32) -> Tensor:
    images = grey().to(dtype)
    images[2, 0, 1, 1] = value
    return images


HOLDOUT = (
    "holdout must be a number of images from 0 to 3, or a share between 0 and 1 that leaves "
    "images on both sides, got {}. Use holdout=0.1 to hold out a tenth of the training images."
)
NOT_FINITE = (
    "train images must be finite float32 numbers, got NaN or infinity in 1 of 4 images, first in "
    "image 2. Remove these images, or repair them with torch.nan_to_num."
)
CLASSES = (
    "classes must be a sequence of class names (str), got {}. "
    "Pass one name for each class, or leave classes out to use numbers."
)
BAD = {
    "not a pair": (
        bad(test=grey()),
        "test must be a pair (images, labels), got Tensor. Pass test=(images, labels).",
    ),
    "three": (
        bad(test=(grey(), numbers(), 1)),
        "test must be a pair (images, labels), got tuple of length 3. Pass test=(images, labels).",
    ),
    "list of images": (
        bad(images=[1, 2]),
        "train images must be a torch tensor or a NumPy array of numbers, got list. "
        "Convert first, for example with torch.stack or torch.tensor.",
    ),
    "array of objects": (
        bad(images=np.array(["a"])),
        "train images must be a torch tensor or a NumPy array of numbers, got array of <U1. "
        "Convert first, for example with torch.stack or torch.tensor.",
    ),
    "meta": (
        bad(images=grey().to("meta")),
        "train images must hold data, got a tensor on the meta device. "
        'Build the data on the CPU and then call .to("meta").',
    ),
    "no channel": (
        bad(images=grey()[:, 0]),
        "train images must have the shape (n, channels, height, width), got (4, 5, 6). "
        "For grey images add the channel: images[:, None].",
    ),
    "channels last": (
        bad(images=torch.zeros(4, 28, 28, 3)),
        "train images must have the shape (n, channels, height, width), got (4, 28, 28, 3), which "
        "has the channels last. Reorder them: images.permute(0, 3, 1, 2).",
    ),
    "empty": (
        bad(images=grey(0), labels=numbers(0)),
        "train images must hold at least one image of at least one pixel, got the shape "
        "(0, 1, 5, 6). Check how the images were selected.",
    ),
    "empty test": (
        bad(test=(grey(0), numbers(0))),
        "test images must hold at least one image of at least one pixel, got the shape "
        "(0, 1, 5, 6). Check how the images were selected.",
    ),
    "no pixels": (
        bad(images=torch.zeros(4, 1, 0, 6)),
        "train images must hold at least one image of at least one pixel, got the shape "
        "(4, 1, 0, 6). Check how the images were selected.",
    ),
    "integer images": (
        bad(images=grey().long()),
        "train images must be uint8 or floating point, got int64. Convert them: "
        "images.to(torch.uint8) for values 0 to 255, else images.float().",
    ),
    "NaN": (bad(images=with_pixel(float("nan"))), NOT_FINITE),
    "infinity": (bad(images=with_pixel(float("inf"))), NOT_FINITE),
    "minus infinity": (bad(images=with_pixel(-float("inf"), torch.float16)), NOT_FINITE),
    "beyond float32": (bad(images=with_pixel(1e300, torch.float64)), NOT_FINITE),
    "test NaN": (
        bad(images=grey().float(), test=(with_pixel(float("nan")), numbers())),
        NOT_FINITE.replace("train", "test"),
    ),
    "one-hot": (
        bad(labels=torch.eye(4)),
        "train labels must have the shape (n,), got (4, 4). "
        "Use labels.argmax(1) for one-hot labels, labels.flatten() for a column.",
    ),
    "float labels": (
        bad(labels=numbers().float()),
        "train labels must be int64 class numbers, got float32. Convert them: labels.long().",
    ),
    "bool labels": (
        bad(labels=numbers().bool()),
        "train labels must be int64 class numbers, got bool. Convert them: labels.long().",
    ),
    "too few labels": (
        bad(labels=numbers(3)),
        "train labels must be as many as the images, got 3 labels for 4 images. "
        "Pass one label for each image, in the same order.",
    ),
    "negative label": (
        bad(labels=numbers() - 1),
        "train labels must count the classes from 0, got -1. "
        "Remove unlabelled images, or renumber the labels.",
    ),
    "label beyond classes": (
        bad(labels=numbers() + 1, classes=("a", "b")),
        "train labels must be below 2, the number of classes, got 2. "
        "Number the classes from 0, or name more classes.",
    ),
    "test label beyond classes": (
        bad(test=(grey(), numbers() + 5), classes=("a", "b")),
        "test labels must be below 2, the number of classes, got 6. "
        "Number the classes from 0, or name more classes.",
    ),
    "unseen test labels": (
        bad(labels=numbers() * 2, test=(grey(), torch.arange(4))),
        "test labels must occur in the train labels, got the unseen 1, 3. Add training images of "
        "these classes, or name all classes with classes=(…).",
    ),
    "classes a str": (bad(classes="ab"), CLASSES.format("'ab'")),
    "no classes": (bad(classes=()), CLASSES.format("()")),
    "classes numbers": (bad(classes=[0, 1]), CLASSES.format("[0, 1]")),
    "other size": (
        bad(test=(grey(h=7), numbers())),
        "test images must have the shape of the train images, got (1, 7, 6) and (1, 5, 6). "
        "Resize one of them.",
    ),
    "other dtype": (
        bad(test=(grey().float(), numbers())),
        "test images must have the dtype of the train images, got float32 and uint8. "
        "Convert one of them; uint8 0 to 255 is float 0 to 1 times 255.",
    ),
    "all held out": (bad(holdout=4), HOLDOUT.format(4)),
    "negative holdout": (bad(holdout=-1), HOLDOUT.format(-1)),
    "share too small": (bad(holdout=0.1), HOLDOUT.format(0.1)),
    "share too large": (bad(holdout=0.9), HOLDOUT.format(0.9)),
    "share of 1": (bad(holdout=1.0), HOLDOUT.format(1.0)),
    "share of NaN": (bad(holdout=float("nan")), HOLDOUT.format("nan")),
    "holdout bool": (bad(holdout=True), HOLDOUT.format(True)),
    "holdout str": (bad(holdout="half"), HOLDOUT.format("'half'")),
    "augment": (
        bad(augment="rotate"),
        "augment must be one of none, shift, flip, shift+flip, got 'rotate'. "
        'Use "shift" for small greyscale images, "shift+flip" for photographs.',
    ),
    "name": (
        lambda: load_data("imagenet"),
        "name must be one of fashion-mnist, mnist, kmnist, cifar10, cifar100, svhn, got "
        "'imagenet'. For other data use ImageData.from_tensors, from_dataset or from_folder.",
    ),
    "split": (
        lambda: small().batch("valid", torch.arange(2)),  # pyright: ignore
        "split must be train, test or holdout, got 'valid'. Choose one of these.",
    ),
    "no holdout": (
        lambda: small().batch("holdout", torch.arange(2)),
        "split must be train or test as nothing is held out, got 'holdout'. "
        "Make the data with holdout=0.1 to hold out a tenth of the training images.",
    ),
    "index": (
        lambda: small().batch("train", torch.ones(40, dtype=torch.bool)),
        "index must be an int64 tensor of the shape (b,), got torch.bool of the shape (40,). "
        "Use torch.arange, or BatchOrder.next().",
    ),
    "normalise": (
        lambda: small().normalise(torch.zeros(1, 3, 5, 6)),
        "images must be torch.uint8 as in the data, got torch.float32. "
        "Convert them; uint8 0 to 255 is float 0 to 1 times 255.",
    ),
    "no rows": (
        lambda: BatchOrder(0, 4, 0),
        "n must be a whole number of at least 1, got 0. Use for example n=1.",
    ),
    "batch size": (
        lambda: BatchOrder(4, 2.5, 0),  # pyright: ignore
        "batch_size must be a whole number of at least 1, got 2.5. Use for example batch_size=1.",
    ),
    "seed": (
        lambda: BatchOrder(4, 2, -1),
        "seed must be a whole number of at least 0, got -1. Use for example seed=1.",
    ),
    "state": (
        lambda: BatchOrder(4, 2, 0).load_state_dict({"seed": 0}),
        "drawn must be a whole number of at least 0, got None. Use for example drawn=1.",
    ),
}


@pytest.mark.parametrize(("call", "words"), BAD.values(), ids=BAD.keys())
def test_bad_input(call: Callable[[], Any], words: str) -> None:
    assert message_of(call) == words


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu", 5])
def test_bad_device(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch, "empty", no_device)
    for call in (
        lambda: pick_device(device),
        lambda: small(device),
        lambda: small().to(device),
        lambda: load_data("fashion-mnist", device),
    ):
        assert message_of(call) == (
            f"device must be auto or one that this machine has (cpu), got {str(device)!r}. "
            'Use device="auto" to take the fastest.'
        )


def no_device(*size: int, device: torch.device) -> Tensor:
    """Machines differ in their devices, so the test plays one that has none but the CPU."""
    if device.type != "cpu":
        raise RuntimeError("Found no NVIDIA driver on your system.")
    return torch.zeros(*size)


def test_auto_takes_the_fastest_device() -> None:
    fastest = "mps" if torch.backends.mps.is_available() else "cpu"
    fastest = "cuda" if torch.cuda.is_available() else fastest
    assert pick_device("auto").type == fastest
    assert pick_device("cpu") == pick_device(torch.device("cpu")) == torch.device("cpu")
    assert pick_device("meta") == torch.device("meta")


# --- good tensors --------------------------------------------------------------------------------


def test_uint8_images_stay_and_are_normalised_in_batches() -> None:
    data = small()
    assert data.train.images.dtype == torch.uint8
    index = torch.tensor([7, 0, 7])
    images, labels = data.batch("train", index)
    unit = data.train.images.double() / 255
    mean, std = unit.mean((0, 2, 3)), unit.std((0, 2, 3), correction=0)
    expected = (unit[index] - mean[:, None, None]) / std[:, None, None]
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, expected.float())
    assert labels.tolist() == [1, 0, 1]
    torch.testing.assert_close(data.mean.flatten(), mean.float())
    torch.testing.assert_close(data.std.flatten(), std.float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.01, -2.0), (30.0, 1000.0)])
def test_float_images_are_kept_in_their_own_range(
    dtype: torch.dtype, scale: float, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pixels, "CHUNK", 100)  # several parts, the last of them smaller
    generator = torch.Generator().manual_seed(0)
    images = (torch.randn(7, 2, 5, 6, generator=generator) * scale + offset).to(dtype)
    before = images.clone()
    data = ImageData.from_tensors((images, numbers(7)), (images, numbers(7)), device="cpu")
    assert data.train.images.dtype == torch.float32
    exact = images.double()
    mean, std = exact.mean((0, 2, 3)), exact.std((0, 2, 3), correction=0)
    torch.testing.assert_close(data.mean.flatten(), mean.float())
    torch.testing.assert_close(data.std.flatten(), std.float(), rtol=1e-5, atol=0)
    batch, _ = data.batch("test", torch.arange(7))
    assert batch.mean((0, 2, 3)).abs().max() < 1e-3
    assert (batch.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-3
    torch.testing.assert_close(data.normalise(images.float()), batch)
    assert torch.equal(images, before)
    assert torch.equal(data.train.images, before.float())


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e-38])
def test_constant_channels_become_zero(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pixels, "CHUNK", 1)  # many sums, so that the mean is rounded
    images = torch.full((7, 2, 5, 6), value)
    images[:, 1] = torch.arange(30).view(5, 6)
    data = ImageData.from_tensors((images, numbers(7)), (images, numbers(7)), device="cpu")
    assert data.std.flatten()[0] == 1
    assert data.batch("train", torch.arange(7))[0][:, 0].abs().max() <= 1e-7 * abs(value)


def test_arrays_and_small_integer_labels_are_taken() -> None:
    images, labels = grey().numpy(), numbers().to(torch.int16).numpy()
    images.flags.writeable = False
    data = ImageData.from_tensors((images, labels), (images[::-1], labels), device="cpu")
    assert torch.equal(data.test.images, grey().flip(0))
    assert data.train.labels.dtype == torch.int64
    assert data.classes == ("0", "1")


def test_named_classes_need_not_all_be_seen() -> None:
    data = ImageData.from_tensors(
        (grey(), numbers()), (grey(), numbers() + 1), classes=["a", "b", "c"], device="cpu"
    )
    assert (data.classes, data.n_classes) == (("a", "b", "c"), 3)


@pytest.mark.parametrize(("holdout", "size"), [(0, 0), (7, 7), (0.25, 10), (39, 39)])
def test_holdout_is_a_fixed_part_of_train(holdout: int | float, size: int) -> None:
    first, second = small(holdout=holdout), small(holdout=holdout)
    held = [] if first.holdout is None else [image.tolist() for image in first.holdout.images]
    assert (len(held), len(first.train), len(first.test)) == (size, 40 - size, 10)
    together = held + [image.tolist() for image in first.train.images]
    assert sorted(together) == sorted(grey(40, c=3).tolist())
    if first.holdout and second.holdout:
        assert torch.equal(first.holdout.images, second.holdout.images)
        images, labels = first.batch("holdout", torch.arange(size))
        assert torch.equal(images, first.normalise(first.holdout.images))
        assert torch.equal(labels, first.holdout.labels)


def test_reprs_are_short() -> None:
    data = small(holdout=0.25, name="mine")
    assert repr(data) == (
        "ImageData('mine': 30 train + 10 holdout + 10 test images 3x5x6 uint8, 2 classes, on cpu)"
    )
    assert repr(data.test) == "Split(10 images 3x5x6 uint8)"


# --- augmentation --------------------------------------------------------------------------------


def slow_augmented(images: Tensor, draws: Tensor) -> Tensor:
    """One image at a time: pad, crop, mirror."""
    h, w = images.shape[2:]
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    crops = []
    for image, (down, right, flip) in zip(padded, draws.T.tolist(), strict=True):
        crop = image[:, down : down + h, right : right + w]
        crops.append(crop.flip(2) if flip else crop)
    return torch.stack(crops)


@given(
    b=st.integers(1, 5),
    c=st.integers(1, 3),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    augment=st.sampled_from(["shift", "flip", "shift+flip"]),
    seed=st.integers(0, 1000),
)
def test_augmented_equals_one_at_a_time(
    b: int, c: int, h: int, w: int, augment: str, seed: int
) -> None:
    images = grey(b, h, w, c) + 1
    draws = _pixels.draw(b, augment, torch.Generator().manual_seed(seed))
    assert torch.equal(_pixels.augmented(images, draws), slow_augmented(images, draws))


@pytest.mark.parametrize(
    ("augment", "offsets", "flips"),
    [("shift", set(range(9)), {0}), ("flip", {4}, {0, 1}), ("shift+flip", set(range(9)), {0, 1})],
)
def test_draws_cover_what_augment_says(augment: str, offsets: set[int], flips: set[int]) -> None:
    down, right, flip = _pixels.draw(1000, augment, torch.Generator().manual_seed(0)).tolist()
    assert (set(down), set(right), set(flip)) == (offsets, offsets, flips)
    assert len(offsets) == 1 or down != right


def test_only_training_batches_with_a_generator_are_augmented() -> None:
    plain, data = small(holdout=5), small(holdout=5, augment="shift+flip")
    index = torch.arange(5)

    def images(split: Any, seed: int | None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return data.batch(split, index, generator)[0]

    assert not torch.equal(images("train", 0), plain.batch("train", index)[0])
    assert torch.equal(images("train", 0), images("train", 0))
    assert not torch.equal(images("train", 0), images("train", 1))
    assert torch.equal(images("train", None), plain.batch("train", index)[0])
    assert torch.equal(images("test", 0), plain.batch("test", index)[0])
    assert torch.equal(images("holdout", 0), plain.batch("holdout", index)[0])
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert torch.equal(plain.batch("train", index, generator)[0], images("train", None))
    assert torch.equal(generator.get_state(), before)


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", ["none", "shift", "flip", "shift+flip"])
def test_batches_on_meta(augment: str) -> None:
    data = small(holdout=5, augment=augment).to("meta")
    order = BatchOrder(len(data.train), 8, 0)
    assert data.device == data.mean.device == torch.device("meta")
    for split in ("train", "test", "holdout"):
        images, labels = data.batch(split, *order.next())
        assert (images.shape, images.dtype) == ((8, 3, 5, 6), torch.float32)
        assert (labels.shape, labels.dtype) == ((8,), torch.int64)
        assert images.device == labels.device == torch.device("meta")


@pytest.mark.parametrize("augment", ["none", "shift+flip"])
def test_batches_never_read_from_the_device(augment: str) -> None:
    """Under fake tensors on cuda a value that is read raises, and so does a stray CPU tensor."""
    data = small(augment=augment)
    with FakeTensorMode(allow_non_fake_inputs=True):
        data = data.to("cuda")
        images, labels = data.batch("train", torch.arange(8), torch.Generator().manual_seed(0))
        assert (images.device.type, labels.device.type) == ("cuda", "cuda")
        assert images.shape == (8, 3, 5, 6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_do_not_wait_for_cuda_and_agree_with_the_cpu() -> None:
    cpu = small(augment="shift+flip")
    data = cpu.to("cuda")
    order, again = BatchOrder(40, 16, 0), BatchOrder(40, 16, 0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        images, labels = data.batch("train", *order.next())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected, expected_labels = cpu.batch("train", *again.next())
    torch.testing.assert_close(images.cpu(), expected)
    assert torch.equal(labels.cpu(), expected_labels)


# --- dataset objects -----------------------------------------------------------------------------


def picture(mode: str, size: tuple[int, int] = (6, 5)) -> Image.Image:
    return Image.new(mode, size)


def pairs(*images: Any, label: Any = 0) -> list[tuple[Any, Any]]:
    return [(image, label) for image in images]


def test_dataset_of_pictures_and_of_tensors() -> None:
    red = Image.new("RGB", (6, 5), (255, 0, 0))
    data = ImageData.from_dataset(pairs(red), pairs(red), device="cpu")
    assert data.shape == (3, 5, 6)
    assert data.train.images[0, :, 0, 0].tolist() == [255, 0, 0]
    assert data.name == "dataset"
    for mode, shape in (("L", (1, 5, 6)), ("1", (1, 5, 6)), ("P", (3, 5, 6))):
        data = ImageData.from_dataset(pairs(picture(mode)), pairs(picture(mode)), device="cpu")
        assert data.shape == shape
    tensors = pairs(torch.rand(2, 5, 6), torch.rand(2, 5, 6), label=torch.tensor(0))
    data = ImageData.from_dataset(tensors, tensors, device="cpu", holdout=1, name="noise")
    assert (data.shape, data.train.images.dtype) == ((2, 5, 6), torch.float32)
    assert (len(data.train), data.name) == (1, "noise")


def test_dataset_of_torchvision_keeps_its_classes() -> None:
    fake = torchvision.datasets.FakeData(6, (3, 8, 8), 4)
    data = ImageData.from_dataset(fake, fake, device="cpu", classes=list("abcd"))
    assert torch.equal(data.train.labels, torch.tensor([int(fake[i][1]) for i in range(6)]))
    assert torch.equal(data.train.images[2], torch.tensor(np.asarray(fake[2][0])).permute(2, 0, 1))


BAD_DATASETS = {
    "empty": (
        [],
        "train must hold at least one image, got an empty list. "
        "Check how the images were selected.",
    ),
    "no length": (
        iter([1]),
        "train must be a dataset with a length, got list_iterator. "
        "Pass a map-style dataset: len(dataset) and dataset[i] -> (image, label).",
    ),
    "no label": (
        [picture("L")],
        "train[0] must be a pair (image, label), got Image. "
        "Wrap the dataset so that it gives an image and a class number.",
    ),
    "two sizes": (
        pairs(picture("L"), picture("L", (7, 5))),
        "train[1] must be like train[0], (1, 5, 6) uint8, got (1, 5, 7) uint8. "
        "Resize or convert the images in the dataset's transform.",
    ),
    "grey and RGB": (
        pairs(picture("RGB"), picture("L")),
        "train[1] must be like train[0], (3, 5, 6) uint8, got (1, 5, 6) uint8. "
        "Resize or convert the images in the dataset's transform.",
    ),
    "two dtypes": (
        pairs(torch.zeros(1, 5, 6), torch.zeros(1, 5, 6).byte()),
        "train[1] must be like train[0], (1, 5, 6) float32, got (1, 5, 6) uint8. "
        "Resize or convert the images in the dataset's transform.",
    ),
    "RGBA": (
        pairs(picture("RGBA")),
        "train[0] must be a grey (L) or RGB image, got the mode RGBA. "
        'Convert it first: image.convert("RGB").',
    ),
    "16 bit": (
        pairs(picture("I;16")),
        "train[0] must be a grey (L) or RGB image, got the mode I;16. "
        'Convert it first: image.convert("RGB").',
    ),
    "no picture": (
        pairs("a.png"),
        "train[0] must have a PIL image or a tensor as its image, got str. "
        "Convert it with the dataset's transform, or use ImageData.from_tensors.",
    ),
    "flat tensor": (
        pairs(torch.zeros(5, 6)),
        "train[0] must be an image tensor (channels, height, width), got the shape (5, 6). "
        "For grey images add the channel: image[None].",
    ),
    "label of text": (
        pairs(picture("L"), label="cat"),
        "train[0] must have a class number (int) as its label, got 'cat'. "
        "Convert it with the dataset's target_transform.",
    ),
}


@pytest.mark.parametrize(("dataset", "words"), BAD_DATASETS.values(), ids=BAD_DATASETS.keys())
def test_bad_datasets(dataset: Any, words: str) -> None:
    good = pairs(picture("L"))
    assert message_of(lambda: ImageData.from_dataset(dataset, good, device="cpu")) == words
    if dataset and isinstance(dataset, list):
        said = message_of(lambda: ImageData.from_dataset(good, dataset, device="cpu"))
        assert said == words.replace("train[", "test[")


# --- folders -------------------------------------------------------------------------------------


def fill(folder: Path, files: dict[str, Image.Image]) -> Path:
    for name, image in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
    return folder


def two_classes(folder: Path) -> Path:
    names = ("train/cat/b.png", "train/cat/a.png", "train/ant/c.PNG", "test/ant/a.png")
    images = {name: Image.new("L", (6, 5), 10 * i) for i, name in enumerate(names)}
    return fill(folder, images | {"test/cat/a.png": picture("L")})


def test_folder_is_read_in_the_order_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = two_classes(tmp_path / "pets")
    (folder / "train" / "cat" / "notes.txt").touch()
    (folder / "train" / ".cache").mkdir()
    listed = Path.iterdir  # file systems differ in their order: take the worst
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(listed(path), reverse=True)))
    data = ImageData.from_folder(folder, device="cpu", augment="flip")
    assert (data.name, data.classes, data.shape) == ("pets", ("ant", "cat"), (1, 5, 6))
    assert data.train.images[:, 0, 0, 0].tolist() == [20, 10, 0]
    assert data.train.labels.tolist() == [0, 1, 1]
    assert (len(data.test), data.augment) == (2, "flip")


def test_folder_resizes(tmp_path: Path) -> None:
    folder = fill(two_classes(tmp_path), {"train/cat/c.png": picture("L", (16, 12))})
    assert ImageData.from_folder(folder, 8, device="cpu").shape == (1, 8, 8)
    assert ImageData.from_folder(folder, (4, 9), device="cpu").shape == (1, 4, 9)
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 200, 200, 200])
    palette.putpixel((1, 0), 1)
    names = ("train/a/a.png", "test/a/a.png")
    small = fill(tmp_path / "palette", dict.fromkeys(names, palette))
    data = ImageData.from_folder(small, (1, 1), device="cpu")
    assert data.train.images.flatten().tolist() == [100] * 3


MUST = "folder must hold train/<class>/ and test/<class>/ with images, got "
PUT = "Put images there that end in .png, .jpg, .jpeg, .bmp, .webp, or remove the empty folder."
SIZE = (
    "size must be a number of pixels or a pair (height, width), got {}. "
    "Use size=32 for images of 32 x 32."
)


def without_test(folder: Path) -> None:
    shutil.rmtree(folder / "test")


def without_classes(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    (folder / "train").mkdir()


def with_empty_class(folder: Path) -> None:
    (folder / "train" / "dog").mkdir()


def with_other_class(folder: Path) -> None:
    fill(folder, {"test/dog/a.png": picture("L")})


def with_other_size(folder: Path) -> None:
    fill(folder, {"train/cat/z.png": picture("L", (9, 9))})


def with_colour(folder: Path) -> None:
    fill(folder, {"train/cat/z.png": picture("RGB")})


def with_alpha(folder: Path) -> None:
    fill(folder, {"train/cat/z.png": picture("RGBA")})


def with_text(folder: Path) -> None:
    (folder / "train" / "cat" / "z.png").write_text("no image")


LIKE = (
    "{0}/train/cat/z.png must be like {0}/train/ant/c.PNG, (1, 5, 6) uint8, got {1} uint8. "
    "Pass size= to resize all images; save all as grey or all as RGB."
)
BAD_FOLDERS = {
    "missing": (
        shutil.rmtree,
        FileNotFoundError,
        MUST + "no folder {0}/train. Make it, or check the path.",
    ),
    "no test": (
        without_test,
        FileNotFoundError,
        MUST + "no folder {0}/test. Make it, or check the path.",
    ),
    "no classes": (
        without_classes,
        FileNotFoundError,
        MUST + "none in {0}/train/<class>. " + PUT,
    ),
    "empty class": (
        with_empty_class,
        FileNotFoundError,
        MUST + "none in {0}/train/dog. " + PUT,
    ),
    "other classes": (
        with_other_class,
        ValueError,
        "folder must have the same classes in train and test, got ['ant', 'cat'] and "
        "['ant', 'cat', 'dog'] in {0}. Rename or add the folders that are in one only.",
    ),
    "other size": (with_other_size, ValueError, LIKE.replace("{1}", "(1, 9, 9)")),
    "colour": (with_colour, ValueError, LIKE.replace("{1}", "(3, 5, 6)")),
    "alpha": (
        with_alpha,
        ValueError,
        "{0}/train/cat/z.png must be a grey (L) or RGB image, got the mode RGBA. "
        'Convert it first: image.convert("RGB").',
    ),
    "no image": (
        with_text,
        ValueError,
        "{0}/train/cat/z.png must be a whole image, got: UnidentifiedImageError: cannot identify "
        "image file '{0}/train/cat/z.png'. Replace or remove the file.",
    ),
}


@pytest.mark.parametrize(("spoil", "error", "words"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_bad_folders(
    spoil: Callable[[Path], None], error: type[Exception], words: str, tmp_path: Path
) -> None:
    folder = two_classes(tmp_path / "own")
    spoil(folder)
    said = message_of(lambda: ImageData.from_folder(folder, device="cpu"), error)
    assert said == words.replace("{0}", str(folder))


def test_truncated_picture_is_named(tmp_path: Path) -> None:
    noise = Image.effect_noise((40, 40), 50)
    path = fill(two_classes(tmp_path), {"train/cat/z.png": noise}) / "train" / "cat" / "z.png"
    path.write_bytes(cut(path.read_bytes()))
    said = message_of(lambda: ImageData.from_folder(tmp_path, 5, device="cpu"))
    assert said.startswith(f"{path} must be a whole image, got: ")


@pytest.mark.parametrize("size", [0, -3, 2.5, (3,), (3, 0), "32", True])
def test_bad_size(size: Any, tmp_path: Path) -> None:
    said = message_of(lambda: ImageData.from_folder(tmp_path, size, device="cpu"))
    assert said == SIZE.format(repr(size))


# --- order of batches ----------------------------------------------------------------------------


def slow_order(n: int, batch_size: int, seed: int, passes: int) -> list[list[int]]:
    """The rule as it is written: permute, cut into batches, leave the rest."""
    b, batches = min(batch_size, n), []
    for epoch in range(passes):
        words = np.random.SeedSequence((seed, 0, epoch)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]))
        rows = torch.randperm(n, generator=generator).tolist()
        batches += [rows[k * b : (k + 1) * b] for k in range(n // b)]
    return batches


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 2**63))
def test_order_equals_its_rule(n: int, batch_size: int, seed: int) -> None:
    order = BatchOrder(n, batch_size, seed)
    expected = slow_order(n, batch_size, seed, passes=3)
    assert order.batches_per_epoch == max(1, n // batch_size) == len(expected) / 3
    assert [order.next()[0].tolist() for _ in expected] == expected
    assert all(len(set(batch)) == len(batch) for batch in expected)


@given(n=st.integers(1, 20), batch_size=st.integers(1, 25), before=st.integers(0, 30))
def test_order_goes_on_where_it_was_saved(n: int, batch_size: int, before: int) -> None:
    order = BatchOrder(n, batch_size, 3)
    for _ in range(before):
        order.next()
    state = order.state_dict()
    assert state == {"seed": 3, "drawn": before}
    resumed = BatchOrder(n, batch_size, 0)
    resumed.next()
    resumed.load_state_dict(state)
    for _ in range(5):
        (rows, generator), (again, twin) = order.next(), resumed.next()
        assert torch.equal(rows, again)
        assert torch.equal(generator.get_state(), twin.get_state())


def test_every_seed_pass_and_batch_differs() -> None:
    orders, noises = set(), set()
    for seed in range(4):
        order = BatchOrder(50, 50, seed)
        for _ in range(4):
            rows, generator = order.next()
            orders.add(tuple(rows.tolist()))
            assert rows.tolist() != torch.randperm(50, generator=generator).tolist()
            noises.add(tuple(torch.randint(1000, (9,), generator=generator).tolist()))
    assert (len(orders), len(noises)) == (16, 16)
