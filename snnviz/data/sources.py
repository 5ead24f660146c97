"""Data sets by name: Fashion-MNIST in the project's files, and all through torchvision."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import torch
from platformdirs import user_cache_path
from torch import Tensor

from snnviz.data.pictures import one_line
from snnviz.files import home_path

# {split: ((file, shape) of the images, (file, shape) of the labels)}
FASHION_MNIST = {
    "train": (
        ("train-images-idx3-ubyte.gz", (60000, 28, 28)),
        ("train-labels-idx1-ubyte.gz", (60000,)),
    ),
    "test": (
        ("t10k-images-idx3-ubyte.gz", (10000, 28, 28)),
        ("t10k-labels-idx1-ubyte.gz", (10000,)),
    ),
}
FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
DIGITS = tuple("0123456789")


class TorchvisionSet(NamedTuple):
    kind: str  # the class in torchvision.datasets
    files: tuple[str, ...]  # downloaded by torchvision into the set's folder
    classes: tuple[str, ...] | None  # None: torchvision's names
    splits: tuple[dict[str, Any], dict[str, Any]] = ({"train": True}, {"train": False})


_IDX_FILES = tuple(name for split in FASHION_MNIST.values() for name, _ in split)
TORCHVISION = {
    "fashion-mnist": TorchvisionSet(
        "FashionMNIST", tuple(f"FashionMNIST/raw/{f}" for f in _IDX_FILES), FASHION_CLASSES
    ),
    "mnist": TorchvisionSet("MNIST", tuple(f"MNIST/raw/{f}" for f in _IDX_FILES), DIGITS),
    "kmnist": TorchvisionSet("KMNIST", tuple(f"KMNIST/raw/{f}" for f in _IDX_FILES), None),
    "cifar10": TorchvisionSet("CIFAR10", ("cifar-10-python.tar.gz",), None),
    "cifar100": TorchvisionSet("CIFAR100", ("cifar-100-python.tar.gz",), None),
    "svhn": TorchvisionSet(
        "SVHN",
        ("train_32x32.mat", "test_32x32.mat"),
        DIGITS,
        ({"split": "train"}, {"split": "test"}),
    ),
}


def data_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """`folder` if given, otherwise $SNNVIZ_DATA, data/ of the checkout, or the user's cache."""
    variable = os.environ.get("SNNVIZ_DATA")
    if folder:
        return home_path("folder", folder)
    if variable:
        return home_path("SNNVIZ_DATA", variable)
    checkout = Path(__file__).resolve().parents[2]
    # Next to an installed package, a folder "data" may belong to anything else.
    in_checkout = (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir()
    return checkout / "data" if in_checkout else user_cache_path("snnviz", appauthor=False)


def fashion_mnist(folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """((images, labels) of train, (images, labels) of test); images (n, 1, 28, 28) uint8.

    They are read from the project's own files if all are in the folder, and otherwise downloaded.
    """
    if not all((folder / name).is_file() for name in _IDX_FILES):
        train, test, _ = torchvision_sets("fashion-mnist", folder)
        return (train.data[:, None], train.targets), (test.data[:, None], test.targets)
    splits = []
    for (images, image_shape), (labels, label_shape) in FASHION_MNIST.values():
        splits.append(
            (
                read_idx(folder / images, image_shape)[:, None],
                read_idx(folder / labels, label_shape),
            )
        )
    return splits[0], splits[1]


def read_idx(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The uint8 tensor in a gzipped idx file, which must have this shape.

    The file is read to its end, so that its checksum is verified.
    """
    again = "Copy the file again from data/ of the project's repository."
    try:
        with gzip.open(path) as file:
            content = bytearray(file.read())  # torch needs memory that can be written to
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} must be a complete gzip file, got: {one_line(error)}. {again}"
        ) from error
    magic, header = bytes((0, 0, 8, len(shape))), 4 + 4 * len(shape)
    if content[:4] != magic:
        raise ValueError(
            f"{path} must begin with the idx magic number {magic.hex()}, "
            f"got {content[:4].hex() or 'nothing'}. {again}"
        )
    found = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4))
    if found != shape:
        raise ValueError(f"{path} must hold the shape {shape}, got {found}. {again}")
    wanted = math.prod(shape)
    if len(content) - header != wanted:
        raise ValueError(
            f"{path} must hold {wanted} bytes after its header, "
            f"got {len(content) - header}. {again}"
        )
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).reshape(shape)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lets one process at a time download into the folder."""
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:  # a read-only folder: nothing will be downloaded
        yield
        return
    try:
        yield
    finally:
        lock.release()


def torchvision_sets(name: str, folder: Path) -> tuple[Any, Any, tuple[str, ...]]:
    """Train set, test set and class names; downloaded into folder/name if they are missing."""
    kind, files, classes, splits = TORCHVISION[name]
    try:
        import torchvision

        if name == "svhn":
            import scipy.io  # noqa: F401  # pyright: ignore  (torchvision reads .mat files with it)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise ModuleNotFoundError(
            f'load_data("{name}") needs the package {package}, which is not installed. '
            f"Install it: pip install {package}."
        ) from error
    make, root = getattr(torchvision.datasets, kind), folder / name
    try:
        with _lock_folder(root):
            train, test = (make(root, download=True, **split) for split in splits)
    except (RuntimeError, OSError, HTTPException, AssertionError, ValueError) as error:
        copied = "copy the files into the folder yourself; delete damaged ones first."
        if name == "fashion-mnist":  # a copy of the project's files needs no folder of its own
            root, files = folder, _IDX_FILES
            copied = (
                "copy the files from data/ of the project's repository, or give the folder that "
                "has them with folder= or SNNVIZ_DATA."
            )
        raise FileNotFoundError(
            f'load_data("{name}") needs the files {", ".join(files)} in the folder {root}. '
            "They are missing or damaged, and the download failed "
            f"({one_line(error)}). Connect to the internet and try again, or {copied}"
        ) from error
    return train, test, classes or tuple(train.classes)
