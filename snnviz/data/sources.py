"""Where images come from: idx files, torchvision's sets, any dataset object, image folders."""

from __future__ import annotations

import gzip
import math
import operator
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# split -> file, shape. The whole of Fashion-MNIST, nothing less.
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
IMAGE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class TorchvisionSet(NamedTuple):
    kind: str  # the class in torchvision.datasets
    files: tuple[str, ...]  # what torchvision downloads, below the set's folder
    classes: tuple[str, ...] | None  # None: as torchvision names them
    splits: tuple[dict[str, Any], dict[str, Any]] = ({"train": True}, {"train": False})


_IDX_FILES = tuple(name for split in FASHION_MNIST.values() for name, _ in split)
TORCHVISION = {
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
    """`folder`, else $SNNVIZ_DATA, else data/ of the checkout, else ./data."""
    chosen = folder or os.environ.get("SNNVIZ_DATA")
    if chosen:
        return Path(chosen).expanduser()
    checkout = Path(__file__).resolve().parents[2]
    # Beside an installed package a folder "data" could be anybody's: the project file tells.
    in_checkout = (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir()
    return checkout / "data" if in_checkout else Path.cwd() / "data"


def fashion_mnist(folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """((images, labels) of train, (images, labels) of test); images (n, 1, 28, 28) uint8."""
    missing = [name for name in _IDX_FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f'load_data("fashion-mnist") needs the files {", ".join(_IDX_FILES)} in the folder '
            f"{folder}, which lacks {', '.join(missing)}. Copy them from data/ of the project's "
            "repository, or name their folder with folder= or SNNVIZ_DATA."
        )
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
    """The uint8 tensor of this shape in a gz idx file, read to its end, where gzip's CRC is."""
    again = "Copy the file again from data/ of the project's repository."
    try:
        with gzip.open(path) as file:
            content = bytearray(file.read())  # torch wants to be able to write to its memory
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} must be a whole gzip file, got: {_one_line(error)}. {again}"
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
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: several that download into one folder would spoil it."""
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:  # it may only be read, so nothing is downloaded either
        yield
        return
    try:
        yield
    finally:
        lock.release()


def torchvision_sets(name: str, folder: Path) -> tuple[Any, Any, tuple[str, ...]]:
    """Train set, test set, class names; downloaded into folder/name if they are not there."""
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
        with _alone(root):
            train, test = (make(root, download=True, **split) for split in splits)
    except (RuntimeError, OSError, HTTPException, AssertionError, ValueError) as error:
        raise FileNotFoundError(
            f'load_data("{name}") needs the files {", ".join(files)} in the folder {root}. '
            "They are missing or damaged, and the download failed "
            f"({_one_line(error)}). Connect to the internet and call it again, or copy the files "
            "there by hand; delete damaged ones first."
        ) from error
    return train, test, classes or tuple(train.classes)


def stack(argument: str, dataset: Any, advice: str) -> tuple[Tensor, Tensor]:
    """All images (n, c, h, w) and labels (n,) of a dataset: len(dataset), dataset[i] -> pair."""
    try:
        n = len(dataset)
    except TypeError as error:
        raise ValueError(
            f"{argument} must be a dataset with a length, got {type(dataset).__name__}. "
            "Pass a map-style dataset: len(dataset) and dataset[i] -> (image, label)."
        ) from error
    if n == 0:
        raise ValueError(
            f"{argument} must hold at least one image, got an empty {type(dataset).__name__}. "
            "Check how the images were selected."
        )
    where = getattr(dataset, "where", lambda i: f"{argument}[{i}]")
    labels = torch.empty(n, dtype=torch.int64)
    images = torch.empty(0)
    for i in range(n):
        image, labels[i] = _item(where(i), dataset[i])
        if i == 0:
            images = torch.empty((n, *image.shape), dtype=image.dtype)
        if (image.shape, image.dtype) != (images.shape[1:], images.dtype):
            raise ValueError(
                f"{where(i)} must be like {where(0)}, {_kind(images[0])}, got {_kind(image)}. "
                f"{advice}"
            )
        images[i] = image
    return images, labels


def _item(where: str, item: Any) -> tuple[Tensor, int]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise ValueError(
            f"{where} must be a pair (image, label), got {type(item).__name__}. "
            "Wrap the dataset so that it gives an image and a class number."
        )
    image, label = item
    if not isinstance(image, Tensor):
        image = _pixels(_plain(where, image))
    if image.ndim != 3:
        raise ValueError(
            f"{where} must be an image tensor (channels, height, width), got the shape "
            f"{tuple(image.shape)}. For grey images add the channel: image[None]."
        )
    try:
        return image, operator.index(label)
    except TypeError as error:
        raise ValueError(
            f"{where} must have a class number (int) as its label, got {label!r}. "
            "Convert it with the dataset's target_transform."
        ) from error


def _plain(where: str, image: Any) -> Any:
    """A PIL image as grey (L) or RGB; other modes only where nothing is lost."""
    from PIL import Image  # torchvision brings it; tensors do not need it

    if not isinstance(image, Image.Image):
        raise ValueError(
            f"{where} must have a PIL image or a tensor as its image, got {type(image).__name__}. "
            "Convert it with the dataset's transform, or use ImageData.from_tensors."
        )
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode not in ("L", "RGB"):
        raise ValueError(
            f"{where} must be a grey (L) or RGB image, got the mode {image.mode}. "
            'Convert it first: image.convert("RGB").'
        )
    return image


def _pixels(image: Any) -> Tensor:
    pixels = torch.tensor(np.asarray(image))  # (h, w) or (h, w, 3)
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


class ImageFolder:
    """The images of folder/<class>/, in the order of classes and file names."""

    def __init__(self, folder: Path, size: tuple[int, int] | None) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"folder must hold train/<class>/ and test/<class>/ with images, "
                f"got no folder {folder}. Make it, or check the path."
            )
        self.size = size  # (height, width)
        self.classes: list[str] = []
        self.files: list[tuple[Path, int]] = []
        for path in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_FILES)
            self.files += [(file, len(self.classes)) for file in found]
            self.classes.append(path.name)
            if not found:
                raise _no_images(path)
        if not self.files:
            raise _no_images(folder / "<class>")

    def __len__(self) -> int:
        return len(self.files)

    def where(self, i: int) -> str:
        return str(self.files[i][0])

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        from PIL import Image

        path, label = self.files[i]
        try:
            with Image.open(path) as image:
                image.load()
        except (OSError, SyntaxError, ValueError) as error:  # PIL's words for damaged files
            raise ValueError(
                f"{path} must be a whole image, got: {_one_line(error)}. "
                "Replace or remove the file."
            ) from error
        image = _plain(str(path), image)
        if self.size is not None:
            height, width = self.size
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return _pixels(image), label


def _no_images(folder: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"folder must hold train/<class>/ and test/<class>/ with images, got none in {folder}. "
        f"Put images there that end in {', '.join(IMAGE_FILES)}, or remove the empty folder."
    )


def _kind(image: Tensor) -> str:
    return f"{tuple(image.shape)} {str(image.dtype).removeprefix('torch.')}"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
