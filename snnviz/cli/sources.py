"""The images of a run: a data set that snnviz knows, or a folder of one's own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snnviz.data import ImageData, load_data
from snnviz.runs.config import RunConfig

FOLDER = "folder:"


class OwnImages(NamedTuple):
    """How `ImageData.from_folder` is to be called."""

    path: Path
    size: tuple[int, int] | None
    holdout: int | float
    augment: str

    def load(self, device: str) -> ImageData:
        return ImageData.from_folder(
            self.path, self.size, holdout=self.holdout, augment=self.augment, device=device
        )

    def option(self) -> str:
        """As it stands on the command line, from wherever that is used."""
        return f"{FOLDER}{self.path.expanduser().resolve()}"


def is_folder(data: object) -> bool:
    return isinstance(data, str) and data.startswith(FOLDER) and data != FOLDER


def load(
    data: str, size: int | None, holdout: int | float, augment: str, device: str
) -> tuple[ImageData, OwnImages | None]:
    """The images that a new run asks for; and how, if they are one's own."""
    if not is_folder(data):
        return load_data(data, device, holdout, augment=augment), None
    height_width = None if size is None else (size, size)
    own = OwnImages(Path(data.removeprefix(FOLDER)), height_width, holdout, augment)
    return own.load(device), own


def of_run(run: Path, data: str | None) -> OwnImages | None:
    """Where the images of a run are that snnviz cannot find by itself; None if it can.

    All but the place is taken from the run's config.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the place is missing, or is none.
    """
    config = RunConfig.read(run)
    if data is None:
        if config.data is None:
            raise ValueError(
                f"run {str(run)!r} has images of your own. Say where they are: "
                f"--data {FOLDER}PATH, with PATH/train/<class>/ and PATH/test/<class>/."
            )
        return None
    if not is_folder(data):
        raise ValueError(
            f"data must be {FOLDER}PATH, got {data!r}. A run with data that snnviz knows finds "
            "them by itself: leave it out."
        )
    made = options_of(config.images)
    height_width = _shape(config.images.get("train split"))
    return OwnImages(
        Path(data.removeprefix(FOLDER)),
        height_width and height_width[1:],
        made["holdout"],
        made["augment"],
    )


def options_of(images: Mapping[str, str]) -> dict[str, Any]:
    """How images were prepared, as a run's config words it."""
    holdout = _shape(images.get("holdout split"))
    return {"holdout": holdout[0] if holdout else 0, "augment": images.get("augment", "none")}


def _shape(split: str | None) -> tuple[int, int, int] | None:
    """Number, height and width of a split's images."""
    found = re.match(r"\w+ (\d{1,9})x\d{1,9}x(\d{1,9})x(\d{1,9}), ", split or "")
    return found and (int(found[1]), int(found[2]), int(found[3]))
