"""`load_data`: data sets by name."""

from __future__ import annotations

import os
from dataclasses import replace

import torch

from snnviz.checks import one_of
from snnviz.data import checks, sources
from snnviz.data.images import ImageData, Source
from snnviz.devices import pick_device, standard_settings

NAMES = tuple(sources.TORCHVISION)


@standard_settings()
def load_data(
    name: str,
    device: str | torch.device = "auto",
    holdout: int | float = 0,
    *,
    augment: str = "none",
    folder: str | os.PathLike[str] | None = None,
) -> ImageData:
    """A known data set: fashion-mnist, mnist, kmnist, cifar10, cifar100 or svhn.

    Fashion-MNIST ships with the project's repository. Whatever is missing is downloaded once,
    through torchvision, into a folder of that name. The files are looked for in `folder`, or if
    that is not given in $SNNVIZ_DATA, in the checkout's data/, or without a checkout in the user's
    cache (on Linux ~/.cache/snnviz). `holdout` is the number of training images to set aside, or
    their share. Raises FileNotFoundError naming the files that are missing, and ValueError for
    damaged ones.
    """
    advice = "For other data use ImageData.from_tensors, from_dataset or from_folder."
    one_of("name", name, NAMES, advice)
    pick_device(device)
    checks.check_augment(augment)
    place = sources.data_folder(folder)
    if name == "fashion-mnist":
        train, test = sources.fashion_mnist(place)
        make, classes = ImageData.from_tensors, sources.FASHION_CLASSES
    else:
        train, test, classes = sources.torchvision_sets(name, place)
        make = ImageData.from_dataset
    made = make(
        train, test, holdout=holdout, classes=classes, name=name, device=device, augment=augment
    )
    return replace(made, source=Source(name, holdout, augment))
