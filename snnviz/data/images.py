"""`ImageData`: images and labels as tensors on one device, and batches of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from snnviz.checks import one_of, text
from snnviz.data import checks, pixels
from snnviz.data.classes import choose_class_names, normalise_name
from snnviz.data.datasets import find_class_names, stack_items
from snnviz.data.folders import read_folder
from snnviz.devices import pick_device, standard_settings
from snnviz.files import home_path

SPLITS = ("train", "test", "holdout")
SplitName = Literal["train", "test", "holdout"]
HOLDOUT_SEED = 0  # fixed, so that every run holds out the same images


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images (n, c, h, w), uint8 or float32, and their labels (n,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self)} images {_shape(self.images)})"

    def to(self, device: torch.device) -> Split:
        return Split(self.images.to(device), self.labels.to(device))


class ImagesMissing(ValueError):
    """The images themselves are not here, only their number and shape."""


@dataclass(frozen=True)
class Source:
    """The arguments of `load_data`, with which the same data can be loaded again."""

    name: str
    holdout: int | float
    augment: str


@dataclass(frozen=True, eq=False, repr=False)
class ImageData:
    """A data set on one device. Make one with `load_data` or a `from_…` method.

    `mean` and `std` (c, 1, 1) are those of the training images: after scaling to 0 to 1 for uint8
    images, unscaled for floating point images. `augment` says how batches of the training split
    are augmented: "shift" moves an image by up to 4 pixels and fills the border with 0, "flip"
    mirrors it left to right at random, "shift+flip" does both. `source` holds the arguments of
    `load_data`, and is None for your own data. `missing` is what to say if the images are asked
    for and only their number and shape are known; "" if they are here.
    """

    name: str
    train: Split
    test: Split
    holdout: Split | None
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    augment: str = "none"
    source: Source | None = None
    missing: str = ""

    def __post_init__(self) -> None:
        checks.check_augment(self.augment)
        text("name", self.name)

    @property
    def device(self) -> torch.device:
        return self.train.images.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        c, h, w = self.train.images.shape[1:]
        return c, h, w

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def __repr__(self) -> str:
        held = f" + {len(self.holdout)} holdout" if self.holdout else ""
        counts = f"{len(self.train)} train{held} + {len(self.test)} test images"
        kind = f"{_shape(self.train.images)}, {self.n_classes} classes, on {self.device}"
        return f"ImageData({self.name!r}: {counts} {kind})"

    @standard_settings()
    def batch(
        self,
        split: SplitName,
        index: Tensor,
        generator: torch.Generator | None = None,
        part: slice = slice(None),
    ) -> tuple[Tensor, Tensor]:
        """Normalised float32 images (b, c, h, w) and labels (b,) of the rows `index` (b,).

        Batches of the training split are augmented if `augment` says so and a CPU generator is
        given. Random numbers are drawn on the CPU, so that all devices see the same images.
        `part` selects some of these rows, with the values that they have in the whole batch.
        Never waits for the device. Raises ValueError for a split that does not exist, and
        ImagesMissing if the images are not here.
        """
        if self.missing:
            raise ImagesMissing(self.missing)
        rows = self.get_split(split)
        if not isinstance(index, Tensor) or index.ndim != 1 or index.dtype != torch.int64:
            got = type(index).__name__
            if isinstance(index, Tensor):
                got = f"{index.dtype} of the shape {tuple(index.shape)}"
            raise ValueError(
                f"index must be an int64 tensor of the shape (b,), got {got}. "
                "Use torch.arange(b), or the rows from BatchOrder.next()."
            )
        # Index and draws are small, so that copying them to the device needs no wait.
        drawn, index = len(index), index[part].to(self.device, non_blocking=True)
        images = rows.images.index_select(0, index)
        if generator is not None and split == "train" and self.augment != "none":
            draws = pixels.draw_augmentation(drawn, self.augment, generator)[:, part]  # (3, b)
            images = pixels.augment_images(images, draws.to(self.device, non_blocking=True))
        return self.normalise(images), rows.labels.index_select(0, index)

    def example(self, n: int = 2) -> Tensor:
        """At most n images as `batch` gives them, for trying out a network; zeros if missing."""
        n = min(n, len(self.train))
        if self.missing:
            return torch.zeros(n, *self.shape, device=self.device)
        return self.batch("train", torch.arange(n))[0]

    def normalise(self, images: Tensor) -> Tensor:
        """Normalises raw images (b, c, h, w), of this data's dtype and device, as `batch` does."""
        if images.dtype != self.train.images.dtype:
            raise ValueError(
                f"images must be {self.train.images.dtype} like the data, got {images.dtype}. "
                "Convert them: uint8 values from 0 to 255 are floats from 0 to 1, times 255."
            )
        floats = images.float().div_(255) if images.dtype == torch.uint8 else images
        return floats.sub(self.mean).div_(self.std)

    @standard_settings()
    def to(self, device: str | torch.device) -> ImageData:
        """The same data on another device; `meta` gives shapes without data."""
        device = pick_device(device)
        return replace(
            self,
            train=self.train.to(device),
            test=self.test.to(device),
            holdout=None if self.holdout is None else self.holdout.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )

    def get_split(self, split: str) -> Split:
        """The split of this name. Raises ValueError for one that does not exist."""
        one_of("split", split, SPLITS)
        rows = getattr(self, split)
        if rows is None:
            raise ValueError(
                "split must be train or test because no images are held out, got 'holdout'. "
                "To hold out a tenth of the training images, make the data with holdout=0.1."
            )
        return rows

    @classmethod
    @standard_settings()
    def from_tensors(
        cls,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        *,
        holdout: int | float = 0,
        classes: Iterable[str] | Mapping[Any, Any] | None = None,
        name: str = "tensors",
        device: str | torch.device = "auto",
        augment: str = "none",
    ) -> ImageData:
        """Your own data: two pairs of images (n, c, h, w) and labels (n,), tensors or arrays.

        Images are uint8 (0 to 255) or floating point (any range, stored as float32). `holdout`
        is the number of training images to set aside, or their share. `classes` are the names in
        the order of the class numbers, or a mapping between numbers and names; without them,
        classes are named by their numbers.

        Raises ValueError for data that cannot be used for training.

        >>> images, labels = torch.zeros(8, 1, 6, 6), torch.arange(8) % 2
        >>> ImageData.from_tensors((images, labels), (images, labels), holdout=2, device="cpu")
        ImageData('tensors': 6 train + 2 holdout + 8 test images 1x6x6 float32, 2 classes, on cpu)
        """
        device = pick_device(device)
        checks.check_augment(augment)
        images, labels = checks.check_pair("train", train)
        test_images, test_labels = checks.check_pair("test", test)
        checks.check_same_kind(images, test_images)
        names = choose_class_names(labels, test_labels, classes)
        size = checks.count_holdout(holdout, len(labels))
        held = None
        if size:
            generator = torch.Generator("cpu").manual_seed(HOLDOUT_SEED)
            order = torch.randperm(len(labels), generator=generator, device="cpu")
            out, kept = order[:size].sort().values, order[size:].sort().values
            held = Split(images[out], labels[out])
            images, labels = images[kept], labels[kept]
        mean, std = pixels.measure_moments(images)
        splits = Split(images, labels), Split(test_images, test_labels), held
        return cls(name, *splits, names, mean, std, augment).to(device)

    @classmethod
    @standard_settings()
    def from_dataset(
        cls,
        train: Any,
        test: Any,
        *,
        holdout: int | float = 0,
        classes: Iterable[str] | Mapping[Any, Any] | None = None,
        name: str = "dataset",
        device: str | torch.device = "auto",
        augment: str = "none",
    ) -> ImageData:
        """Any torchvision-style datasets: len(train), train[i] -> (PIL image or tensor, int).

        Every item is read once, so a random transform would give the same image in every epoch:
        use `augment` instead. PIL images are used as the dataset gives them: no EXIF record turns
        them. Without `classes`, the names are those of the dataset, if it has any.
        """
        pick_device(device)
        checks.check_augment(augment)
        advice = "Resize or convert the images in the dataset's transform."
        return cls.from_tensors(
            stack_items("train", train, advice),
            stack_items("test", test, advice),
            holdout=holdout,
            classes=find_class_names(train, test) if classes is None else classes,
            name=name,
            device=device,
            augment=augment,
        )

    @classmethod
    @standard_settings()
    def from_folder(
        cls,
        folder: str | os.PathLike[str],
        size: int | tuple[int, int] | None = None,
        *,
        holdout: int | float = 0,
        name: str | None = None,
        device: str | torch.device = "auto",
        augment: str = "none",
    ) -> ImageData:
        """Images in folder/train/<class>/ and folder/test/<class>/, in the order of their names.

        All formats that Pillow reads by itself are read. Images are turned as their EXIF record
        says, and 16 bits are scaled to 8. Of an animation the first frame is used. `size` is
        (height, width), or one number for both; all images are resized to it.

        A warning says how many files were not read, and why. Raises FileNotFoundError if images
        are missing, ValueError for images that cannot be used.
        """
        pick_device(device)
        checks.check_augment(augment)
        folder = home_path("folder", folder)
        train, test, classes = read_folder(folder, checks.check_image_size(size))
        return cls.from_tensors(
            train,
            test,
            holdout=holdout,
            classes=classes,
            name=normalise_name(folder.resolve().name) if name is None else name,
            device=device,
            augment=augment,
        )


def _shape(images: Tensor) -> str:
    c, h, w = images.shape[1:]
    return f"{c}x{h}x{w} {str(images.dtype).removeprefix('torch.')}"
