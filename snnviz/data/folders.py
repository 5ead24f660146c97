"""Images in a folder for each class, and a note about the files that are not read."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from snnviz.data.classes import normalise_name
from snnviz.data.datasets import stack_items
from snnviz.data.pictures import convert_picture, one_line, to_pixels
from snnviz.notes import tell

# Pillow recognises these formats, but cannot read them without other programs.
_UNREADABLE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_ONE_PICTURE = ("MPO", "PSD")  # their other frames are previews and layers
_SYSTEM_FILES = {".ds_store", "thumbs.db", "desktop.ini"}
_OTHER_SPLITS = ("val", "valid", "validation", "dev")

NESTED = "in folders inside class folders"
BESIDE = "beside the class folders"
HIDDEN = "hidden"
UNKNOWN = "with an ending that Pillow does not read"
BROKEN = "a link that leads nowhere"
FRAMES = "frames after the first"


def read_folder(
    folder: Path, size: tuple[int, int] | None
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], list[str]]:
    """(images, labels) of train and of test, and the class names.

    Raises:
        FileNotFoundError: a split or a class has no images.
        ValueError: the classes of the splits differ, or an image cannot be read.
    """
    from PIL import Image

    train, test = ImageFolder(folder / "train", size), ImageFolder(folder / "test", size)
    if train.classes != test.classes:
        raise ValueError(
            f"folder must have the same classes in train and test, got {train.classes} and "
            f"{test.classes} in {folder}. Add or rename the folders that only one of them has."
        )
    advice = "Pass size= to resize all images, and save all of them as grey or all as RGB."
    with warnings.catch_warnings():  # an image is read if it can be, with no word about its size
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", "Corrupt EXIF", UserWarning)
        splits = (
            stack_items("train", train, advice, train.where),
            stack_items("test", test, advice, test.where),
        )
    _tell_left_out(folder, train, test)
    return *splits, train.classes


class ImageFolder:
    """The images of folder/<class>/, in the order of classes and file names.

    `left_out` has the files that are not read, by the reason; reading adds to it.
    """

    def __init__(self, folder: Path, size: tuple[int, int] | None) -> None:
        if not folder.is_dir():
            raise _no_split(folder)
        self.size = size  # (height, width)
        self.classes: list[str] = []
        self.files: list[tuple[Path, int]] = []
        self.left_out: defaultdict[str, list[Path]] = defaultdict(list)
        self.brightest = 0  # value in an image of 16 bits
        for path in _list_by_name(folder):
            if not path.is_dir():
                if _is_broken(path):
                    self._leave_out(BROKEN, path)
                elif _is_picture(path):
                    self._leave_out(HIDDEN if _is_hidden(path) else BESIDE, path)
            elif _is_hidden(path):
                self._leave_out(HIDDEN, *_find_pictures(path))
            else:
                self._add_class(path)
        if not self.files:
            raise _no_images(folder / "<class>")

    def _add_class(self, folder: Path) -> None:
        name, before = normalise_name(folder.name), len(self.files)
        if name in self.classes:
            raise ValueError(
                f"folder must have one folder for each class, got two in {folder.parent} whose "
                f"name is {name!r}, in different Unicode forms. Move their images into one."
            )
        nested: list[Path] = []
        for path in _list_by_name(folder):
            if path.is_dir():
                nested += _find_pictures(path)
            elif _is_hidden(path):
                self._leave_out(HIDDEN, *[path] * _is_picture(path))
            elif _is_picture(path):
                self.files.append((path, len(self.classes)))
            elif path.name.lower() not in _SYSTEM_FILES:
                self._leave_out(UNKNOWN, path)
        self.classes.append(name)
        self._leave_out(NESTED, *nested)
        if len(self.files) == before:
            raise _no_images(folder, nested)

    def _leave_out(self, reason: str, *files: Path) -> None:
        if files:
            self.left_out[reason] += files

    def __len__(self) -> int:
        return len(self.files)

    def where(self, i: int) -> str:
        return str(self.files[i][0])

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        from PIL import Image

        path, label = self.files[i]
        image = self._open(path)
        if image.mode.startswith("I;16"):
            self.brightest = max(self.brightest, image.getextrema()[1])
        image = convert_picture(str(path), image)
        if self.size is not None:
            height, width = self.size
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return to_pixels(image), label

    def _open(self, path: Path) -> Any:
        """The first frame of a file, turned as viewers show it."""
        from PIL import Image, ImageOps, UnidentifiedImageError

        if not path.is_file():  # to open a pipe would wait for ever
            kind = BROKEN if _is_broken(path) else "something that is not a file"
            raise ValueError(f"{path} must be a complete image, got {kind}. Replace or remove it.")
        try:
            # Given a path, Pillow 13 maps the file into memory and garbles turned TIFF files.
            with path.open("rb") as file, Image.open(file) as image:
                if getattr(image, "is_animated", False) and image.format not in _ONE_PICTURE:
                    self._leave_out(FRAMES, path)
                image.load()
                with suppress(Exception):  # a damaged EXIF record says nothing about the image
                    ImageOps.exif_transpose(image, in_place=True)
                return image
        except Image.DecompressionBombError as error:
            raise ValueError(
                f"{path} must not be larger than Pillow reads for safety, got: {one_line(error)}. "
                "Save a smaller copy of the image; if you trust the file, you can also set "
                "PIL.Image.MAX_IMAGE_PIXELS = None first."
            ) from error
        except UnidentifiedImageError as error:
            kind = (
                "a file that Pillow does not recognise" if path.stat().st_size else "an empty one"
            )
            raise ValueError(
                f"{path} must be a complete image, got {kind}. Replace or remove the file."
            ) from error
        except Exception as error:  # damaged files make Pillow raise errors of many types
            raise ValueError(
                f"{path} must be a complete image, got: {one_line(error)}. "
                "Replace or remove the file."
            ) from error


def _tell_left_out(folder: Path, *splits: ImageFolder) -> None:
    """One warning that says how many files were left out, and why."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for split in splits:
        for reason, files in split.left_out.items():
            found[reason] += files
    found[BESIDE] += [path for path in _list_by_name(folder) if _is_picture(path)]
    for name in _OTHER_SPLITS:
        if (folder / name).is_dir():
            found[f"in {name}, which is not used (hold images out of train with holdout=)"] += (
                _find_pictures(folder / name)
            )
    frames = found.pop(FRAMES, [])
    notes = [
        f"{len(files)} {reason} ({files[0].relative_to(folder)}{', …' if len(files) > 1 else ''})"
        for reason, files in found.items()
        if files
    ]
    if notes:
        total = sum(map(len, found.values()))
        verb = "file was" if total == 1 else "files were"
        tell(
            f"{total} {verb} not read in {folder}: {'; '.join(notes)}. "
            "Only images directly in train/<class>/ and test/<class>/ are read."
        )
    if frames:
        tell(
            f"Of files with several frames or pages only the first was read: {len(frames)} in "
            f"{folder} ({frames[0].relative_to(folder)}{', …' if len(frames) > 1 else ''})."
        )
    brightest = max(split.brightest for split in splits)
    if 0 < brightest < 1 << 14:
        tell(
            f"The images of 16 bits in {folder} have values up to {brightest} of 65535, so at most "
            f"{round(brightest / 257) + 1} grey levels are left when they are scaled to 8 bits. "
            "Scale them to the full range first, or pass them as float32 to "
            "ImageData.from_tensors."
        )


def _list_by_name(folder: Path) -> list[Path]:
    """In the same order on every system, in whatever Unicode form the names are."""
    return sorted(folder.iterdir(), key=lambda path: (normalise_name(path.name), path.name))


def _find_pictures(folder: Path) -> list[Path]:
    """Files with the ending of an image in this folder and all folders inside it."""
    walked: Iterator[tuple[str, list[str], list[str]]] = os.walk(folder)
    found = [Path(place, name) for place, _, names in walked for name in names]
    return sorted(path for path in found if _is_picture(path))


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _is_broken(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _is_picture(path: Path) -> bool:
    """Whether the ending is that of an image; macOS keeps other things in files named ._*."""
    return path.suffix.lower() in _endings() and not path.name.startswith("._")


@cache
def _endings() -> frozenset[str]:
    from PIL import Image

    formats = Image.registered_extensions()
    readable = Image.OPEN.keys() - _UNREADABLE
    return frozenset(ending for ending, name in formats.items() if name in readable)


def _no_split(split: Path) -> FileNotFoundError:
    """A split is missing; the message says what there is instead."""
    got, advice, folder = f"no folder {split}", "Make it, or check the path.", split.parent
    if folder.is_file():
        got, advice = f"the file {folder}", "Give the folder in which train and test are."
    elif folder.is_dir():
        found = [path.name for path in _list_by_name(folder) if path.is_dir()]
        others = [name for name in found if name not in ("train", "test")]
        if others:
            got += f", but {', '.join(map(repr, others[:5]))}{', …' * (len(others) > 5)}"
            advice = (
                f"If one of these holds the images of that split, rename it to {split.name!r}. If "
                "they are classes, move some images of each into train/<class>/ and the others "
                "into test/<class>/."
            )
    return FileNotFoundError(
        f"folder must hold train/<class>/ and test/<class>/ with images, got {got}. {advice}"
    )


def _no_images(folder: Path, nested: list[Path] | None = None) -> FileNotFoundError:
    inside = f" itself, but {len(nested)} in folders inside it" if nested else ""
    advice = (
        "Move them up"
        if nested
        else "Put images there, for example .png or .jpg files, or remove the empty folder"
    )
    return FileNotFoundError(
        f"folder must hold train/<class>/ and test/<class>/ with images, got none in {folder}"
        f"{inside}. {advice}."
    )
