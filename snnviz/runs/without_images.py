"""A run whose images are not here: its past can be looked at, but it cannot be trained on."""

import os

import torch

from snnviz import files
from snnviz.data import ImageData, Split
from snnviz.devices import pick_device, standard_settings
from snnviz.runs.config import RunConfig
from snnviz.runs.fingerprints import SplitPrint


def find_images(
    folder: str | os.PathLike[str], device: str | torch.device | None = None
) -> ImageData:
    """The images of a run, or where they are not to be found, an `ImageData` without them.

    Raises:
        FileNotFoundError: the folder contains no run.
        ValueError: its config is damaged.
    """
    config = RunConfig.read(files.fixed_path("folder", folder))
    where = config.device(device)
    if config.data is None:
        return _stand_in(config, where, "open it with data=, its own data")
    try:
        return config.load_data(None, where)
    except (FileNotFoundError, ImportError) as error:
        return _stand_in(config, where, f"open it with data=, or get {config.data.name}", error)


@standard_settings()
def _stand_in(
    config: RunConfig, device: str | torch.device, how: str, error: Exception | None = None
) -> ImageData:
    """Data of the run's shapes, whose images take no memory.

    Args:
        how: how to get the images.
        error: why they could not be loaded.
    """
    device = pick_device(device)
    prints = {name: SplitPrint.parse(config.images.get(f"{name} split")) for name in _SPLITS}
    classes = config.images.get("number of classes", "")
    train, test, holdout = prints.values()
    if train is None or test is None or not classes.isdecimal() or train.dtype not in _DTYPES:
        raise ValueError(
            "the run's config does not say what its images were. Pass them with data=."
        )
    c, h, w = train.shape[1:]
    held = f", {holdout.shape[0]:,} held-out" if holdout else ""
    size = f"{train.shape[0]:,} training{held} and {test.shape[0]:,} test images"
    missing = (
        f"The images of this run are not here; to train on, {how}: {size} of {c}x{h}x{w} "
        f"{train.dtype} in {int(classes):,} classes."
    )
    missing += f" {error}" if error else ""
    dtype = _DTYPES[train.dtype]
    nothing = torch.zeros(1, dtype=dtype, device=device)
    return ImageData(
        config.data.name if config.data else "missing",
        _make_split(train.shape, nothing),
        _make_split(test.shape, nothing),
        _make_split(holdout.shape, nothing) if holdout else None,
        tuple(map(str, range(int(classes)))),
        mean=torch.zeros(c, 1, 1, device=device),
        std=torch.ones(c, 1, 1, device=device),
        augment=config.images.get("augment", "none"),
        source=config.data,
        missing=missing,
    )


_SPLITS = ("train", "test", "holdout")
_DTYPES = {"uint8": torch.uint8, "float32": torch.float32}


def _make_split(shape: tuple[int, ...], nothing: torch.Tensor) -> Split:
    """One value seen from everywhere, so that any number of images fits into memory."""
    labels = nothing.long()
    return Split(nothing.expand(*shape), labels.expand(shape[0]))
