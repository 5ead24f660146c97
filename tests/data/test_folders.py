"""Images from folders: one folder for each class."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnviz.data import ImageData
from tests.data.examples import TRANSPARENT, cut, picture
from tests.helpers import message_of


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
    with pytest.warns(UserWarning, match=r"1 file was not read .* \(train/cat/notes\.txt\)"):
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


PUT = "Put images there, for example .png or .jpg files, or remove the empty folder."


SIZE = (
    "size must be a number of pixels (at most 10,000) or a pair (height, width), got {}. "
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
    "Pass size= to resize all images, and save all of them as grey or all as RGB."
)


def with_empty_file(folder: Path) -> None:
    (folder / "train" / "cat" / "z.png").touch()


def with_broken_link(folder: Path) -> None:
    (folder / "train" / "cat" / "z.png").symlink_to("nothing.png")


def with_pipe(folder: Path) -> None:
    os.mkfifo(folder / "train" / "cat" / "z.png")


def with_val(folder: Path) -> None:
    (folder / "test").rename(folder / "val")


def with_classes_alone(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    for path in sorted((folder / "train").iterdir()):
        path.rename(folder / path.name)
    (folder / "train").rmdir()


def with_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


RENAME = (
    "If one of these holds the images of that split, rename it to '{1}'. If they are classes, "
    "move some images of each into train/<class>/ and the others into test/<class>/."
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
        "['ant', 'cat', 'dog'] in {0}. Add or rename the folders that only one of them has.",
    ),
    "other size": (with_other_size, ValueError, LIKE.replace("{1}", "(1, 9, 9)")),
    "colour": (with_colour, ValueError, LIKE.replace("{1}", "(3, 5, 6)")),
    "alpha": (
        with_alpha,
        ValueError,
        TRANSPARENT.format("{0}/train/cat/z.png", "RGBA"),
    ),
    "empty file": (
        with_empty_file,
        ValueError,
        "{0}/train/cat/z.png must be a complete image, got an empty one. Replace or remove the "
        "file.",
    ),
    "broken link": (
        with_broken_link,
        ValueError,
        "{0}/train/cat/z.png must be a complete image, got a link that leads nowhere. Replace or "
        "remove it.",
    ),
    "pipe": (
        with_pipe,
        ValueError,
        "{0}/train/cat/z.png must be a complete image, got something that is not a file. Replace "
        "or remove it.",
    ),
    "val in place of test": (
        with_val,
        FileNotFoundError,
        MUST + "no folder {0}/test, but 'val'. " + RENAME.replace("{1}", "test"),
    ),
    "classes without splits": (
        with_classes_alone,
        FileNotFoundError,
        MUST + "no folder {0}/train, but 'ant', 'cat'. " + RENAME.replace("{1}", "train"),
    ),
    "a file": (
        with_a_file,
        FileNotFoundError,
        MUST + "the file {0}. Give the folder in which train and test are.",
    ),
    "no image": (
        with_text,
        ValueError,
        "{0}/train/cat/z.png must be a complete image, got a file that Pillow does not "
        "recognise. Replace or remove the file.",
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
    assert said.startswith(f"{path} must be a complete image, got: ")


@pytest.mark.parametrize("size", [0, -3, 2.5, (3,), (3, 0), "32", True, 10**9])
def test_bad_size(size: Any, tmp_path: Path) -> None:
    said = message_of(lambda: ImageData.from_folder(tmp_path, size, device="cpu"))
    assert said == SIZE.format(repr(size))


# --- formats --------------------------------------------------------------------------------------


FORMATS = ("png", "bmp", "tif", "tiff", "gif", "webp", "avif", "jp2", "ppm", "tga", "pcx", "ico")
FORMATS += ("sgi", "dib", "apng", "jpg", "jpeg", "jfif", "jpe", "qoi", "dds", "icns")


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_read(ending: str, tmp_path: Path) -> None:
    lossless = {"webp": {"lossless": True}, "avif": {"quality": 100}, "jp2": {}}
    image = Image.new("RGB", (16, 16), (250, 10, 90))
    folder = tmp_path / "own"
    for split in ("train", "test"):
        (folder / split / "a").mkdir(parents=True)
        options = lossless.get(ending, {"quality": 100} if ending.startswith("j") else {})
        image.save(folder / split / "a" / f"x.{ending.upper()}", **options)
    data = ImageData.from_folder(folder, 16, device="cpu")
    shown = data.train.images.float().mean((0, 2, 3))
    assert data.shape == (3, 16, 16)
    assert (shown - torch.tensor([250.0, 10.0, 90.0])).abs().max() < 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_images_are_turned_as_viewers_show_them(
    orientation: int, ending: str, tmp_path: Path
) -> None:
    corners = np.zeros((16, 24), np.uint8)  # each quarter has its own brightness
    corners[:8, 12:], corners[8:, :12], corners[8:, 12:] = 80, 160, 240
    exif = Image.Exif()
    exif[0x0112] = orientation
    folder = two_classes(tmp_path / "own")
    for path in sorted(folder.rglob("*.[pP][nN][gG]")):
        Image.fromarray(corners).save(path.with_suffix(f".{ending}"), exif=exif)
        if ending != "png" or path.suffix != ".png":
            path.unlink()
    data = ImageData.from_folder(folder, device="cpu")
    # The EXIF standard: which side of the scene the first row and the first column show.
    turned = {
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.T,
        6: corners.T[:, ::-1],
        7: corners.T[::-1, ::-1],
        8: corners.T[::-1],
    }[orientation]
    apart = data.train.images[0, -1].int() - torch.tensor(turned.astype(np.int32))
    assert apart.abs().max() <= 12  # JPEG and WebP keep no pixel exactly


def test_damaged_exif_does_not_matter(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "own")
    bad = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\xff\xff\xff\xff"
    image = Image.new("L", (6, 5), 70)
    image.save(folder / "train" / "cat" / "z.jpg", exif=bad)
    data = ImageData.from_folder(folder, device="cpu")
    assert data.train.images[-1].unique().tolist() == [70]


def test_16_bit_images_are_scaled(tmp_path: Path) -> None:
    ramp = np.arange(30, dtype=np.uint16).reshape(5, 6) * 2259  # to 65511
    folder = fill(two_classes(tmp_path / "own"), {"train/cat/z.png": Image.fromarray(ramp)})
    data = ImageData.from_folder(folder, device="cpu")
    wanted = [round(value / 257) for value in ramp.flatten().tolist()]
    assert data.train.images[-1].flatten().tolist() == wanted


def test_a_note_tells_of_dark_16_bit_images(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((5, 6), 4095, np.uint16))  # 12 bits in 16
    folder = fill(two_classes(tmp_path / "own"), {"train/cat/z.png": image})
    with pytest.warns(UserWarning, match="16 bits") as caught:
        ImageData.from_folder(folder, device="cpu")
    assert [str(note.message) for note in caught] == [
        f"The images of 16 bits in {folder} have values up to 4095 of 65535, so at most 17 grey "
        "levels are left when they are scaled to 8 bits. Scale them to the full range first, or "
        "pass them as float32 to ImageData.from_tensors."
    ]


def test_images_that_are_too_large_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(two_classes(tmp_path / "own"), {"train/cat/z.png": picture("1", (16, 20))})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # Pillow warns of 320, and reads them
    assert len(ImageData.from_folder(folder, 5, device="cpu").train) == 4
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # and refuses twice as many
    assert message_of(lambda: ImageData.from_folder(folder, 5, device="cpu")) == (
        f"{folder}/train/cat/z.png must not be larger than Pillow reads for safety, got: "
        "DecompressionBombError: Image size (320 pixels) exceeds limit of 200 pixels, could be "
        "decompression bomb DOS attack. Save a smaller copy of the image; if you trust the file, "
        "you can also set PIL.Image.MAX_IMAGE_PIXELS = None first."
    )


# --- what is left out -----------------------------------------------------------------------------

ONLY = " Only images directly in train/<class>/ and test/<class>/ are read."
LEFT_OUT = {
    "nested": (
        ["train/cat/more/a.png", "train/cat/more/deep/b.tif", "test/ant/c/c.png"],
        "3 files were not read in {}: 3 in folders inside class folders (train/cat/more/a.png, …).",
    ),
    "beside": (
        ["train/x.png", "y.gif"],
        "2 files were not read in {}: 2 beside the class folders (train/x.png, …).",
    ),
    "hidden": (
        ["train/cat/.a.png", "train/.old/b.png", "test/.c.png"],
        "3 files were not read in {}: 3 hidden (train/.old/b.png, …).",
    ),
    "unknown": (
        ["train/cat/photo.heic", "train/cat/README", "test/cat/a.pdf"],
        "3 files were not read in {}: 3 with an ending that Pillow does not read "
        "(train/cat/README, …).",
    ),
    "another split": (
        ["val/cat/a.png"],
        "1 file was not read in {}: 1 in val, which is not used (hold images out of train with "
        "holdout=) (val/cat/a.png).",
    ),
    "two reasons": (
        ["train/x.png", "train/cat/more/a.png"],
        "2 files were not read in {}: 1 in folders inside class folders "
        "(train/cat/more/a.png); 1 beside the class folders (train/x.png).",
    ),
}


@pytest.mark.parametrize(("names", "words"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_a_note_tells_which_files_are_left_out(
    names: list[str], words: str, tmp_path: Path
) -> None:
    folder = two_classes(tmp_path / "own")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="not read") as caught:
        data = ImageData.from_folder(folder, device="cpu")
    order = str(caught[0].message)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert order == words.format(folder) + ONLY
    assert (len(data.train), len(data.test), data.classes) == (3, 2, ("ant", "cat"))


def test_a_note_tells_of_class_folders_that_lead_nowhere(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "own")
    (folder / "train" / "dog").symlink_to("nothing")
    with pytest.warns(UserWarning, match=r": 1 a link that leads nowhere \(train/dog\)\."):
        assert ImageData.from_folder(folder, device="cpu").classes == ("ant", "cat")


def test_files_of_the_system_are_not_mentioned(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "own")
    names = ("train/cat/.DS_Store", "train/cat/Thumbs.db", "train/cat/._a.png", "train/labels.csv")
    for name in names:
        (folder / name).touch()
    assert len(ImageData.from_folder(folder, device="cpu").train) == 3


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png"])
def test_a_note_tells_of_files_with_several_frames(ending: str, tmp_path: Path) -> None:
    colours = ((200, 10, 20), (20, 200, 10))
    frames = [Image.new("RGB", (6, 5), colour) for colour in colours]
    folder = fill(
        tmp_path / "own", {f"{split}/a/a.png": frames[1].copy() for split in ("train", "test")}
    )
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    frames[0].save(
        folder / "train" / "a" / f"z.{ending}", save_all=True, append_images=frames[1:], **options
    )
    with pytest.warns(UserWarning, match="several frames") as caught:
        data = ImageData.from_folder(folder, 5, device="cpu")
    assert [str(note.message) for note in caught] == [
        f"Of files with several frames or pages only the first was read: 1 in {folder} "
        f"(train/a/z.{ending})."
    ]
    assert data.train.images[:, :, 0, 0].tolist() == [list(colours[1]), list(colours[0])]


def test_a_class_with_nested_images_alone_is_refused(tmp_path: Path) -> None:
    folder = fill(two_classes(tmp_path / "own"), {"train/dog/more/a.png": picture("L")})
    said = message_of(lambda: ImageData.from_folder(folder, device="cpu"), FileNotFoundError)
    assert said == (
        f"{MUST}none in {folder}/train/dog itself, but 1 in folders inside it. Move them up."
    )


# --- names of classes -----------------------------------------------------------------------------


def test_names_in_two_unicode_forms_are_one_class(tmp_path: Path) -> None:
    names = {"train/a\u0301b/1.png": 10, "train/az/2.png": 20}
    names |= {"test/az/3.png": 30, "test/\u00e1b/4.png": 40}  # their code points sort differently
    images = {name: Image.new("L", (6, 5), value) for name, value in names.items()}
    data = ImageData.from_folder(fill(tmp_path / "own", images), device="cpu")
    assert data.classes == ("az", "\u00e1b")
    for split, values in ((data.train, [20, 10]), (data.test, [30, 40])):
        assert split.images[:, 0, 0, 0].tolist() == values
        assert split.labels.tolist() == [0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems only have names that are text")
def test_bytes_that_are_no_text_in_names(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / os.fsdecode(b"pets\xff"))
    for split in ("train", "test"):
        (folder / split / "cat").rename(folder / split / os.fsdecode(b"\xfecat"))
    data = ImageData.from_folder(folder, device="cpu")
    assert (data.name, data.classes) == ("pets?", ("?cat", "ant"))


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    names = ("train/a\u0301/1.png", "train/\u00e1/2.png", "test/\u00e1/3.png")
    folder = fill(tmp_path / "own", dict.fromkeys(names, picture("L")))
    assert message_of(lambda: ImageData.from_folder(folder, device="cpu")) == (
        f"folder must have one folder for each class, got two in {folder}/train whose name is "
        "'\u00e1', in different Unicode forms. Move their images into one."
    )


def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(tmp_path / "own")
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert len(ImageData.from_folder("~/own", device="cpu").train) == 3
