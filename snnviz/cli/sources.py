"""The images of a run: a data set that snnviz knows, or a folder of the user's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snnviz.cli.convert import expand_home
from snnviz.data import ImageData, load_data
from snnviz.runs.config import RunConfig
from snnviz.runs.fingerprints import SplitPrint

FOLDER = "folder:"


class OwnImages(NamedTuple):
    """The arguments of `ImageData.from_folder` for the user's own images."""

    path: Path
    size: tuple[int, int] | None
    holdout: int | float
    augment: str

    def load(self, device: str) -> ImageData:
        return ImageData.from_folder(
            self.path, self.size, holdout=self.holdout, augment=self.augment, device=device
        )

    def option(self) -> str:
        """The option `--data` that names these images, whatever the working folder is."""
        return f"{FOLDER}{self.path.resolve()}"


def is_folder(data: object) -> bool:
    return isinstance(data, str) and data.startswith(FOLDER) and data != FOLDER


def load(
    data: str, size: int | None, holdout: int | float, augment: str, device: str
) -> tuple[ImageData, OwnImages | None]:
    """The images that a new run asks for; with how they were read, if they are the user's own."""
    if not is_folder(data):
        return load_data(data, device, holdout, augment=augment), None
    height_width = None if size is None else (size, size)
    own = OwnImages(path_of(data), height_width, holdout, augment)
    return own.load(device), own


def path_of(data: str) -> Path:
    """The folder that "folder:PATH" names."""
    return expand_home(data.removeprefix(FOLDER))


def of_run(run: Path, data: str | None) -> OwnImages | None:
    """Where the images of a run are that snnviz cannot find by itself; None if it can.

    Everything except the folder is taken from the run's config.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the folder is needed and not given, or given and not needed.
    """
    config = RunConfig.read(run)
    if data is None:
        if config.data is None:
            raise ValueError(
                f"run {str(run)!r} was trained on your own images. Say where they are: "
                f"--data {FOLDER}PATH, with PATH/train/<class>/ and PATH/test/<class>/."
            )
        return None
    if not is_folder(data):
        raise ValueError(
            f"data must be {FOLDER}PATH, got {data!r}. If the run was trained on a data set that "
            "snnviz knows, leave --data out."
        )
    made = read_preparation(config.images)
    train = SplitPrint.parse(config.images.get("train split"))
    height_width = train and (train.shape[2], train.shape[3])
    return OwnImages(path_of(data), height_width, made["holdout"], made["augment"])


def read_preparation(images: Mapping[str, str]) -> dict[str, Any]:
    """How images were prepared, from the record of them in a run's config."""
    holdout = SplitPrint.parse(images.get("holdout split"))
    return {
        "holdout": holdout.shape[0] if holdout else 0,
        "augment": images.get("augment", "none"),
    }
