"""How a lab opens a run folder: to continue the run, or to show what was saved last."""

import os
from typing import Any, NamedTuple

from snnviz import runs
from snnviz.files import home_path
from snnviz.runs.followed import Followed


class Opened(NamedTuple):
    """A run's trainer, and how it is shown."""

    trainer: runs.Trainer
    name: str | None = None  # None: its folder's
    news: str = ""  # what to say of it
    followed: Followed | None = None  # the folder, if another trainer writes it


def open_run(folder: str | os.PathLike[str], network: Any, data: Any, device: Any) -> Opened:
    """The run's trainer; or one that saves nothing, where the run cannot be continued here."""
    data = runs.find_images(folder, device) if data is None else data
    given = {"network": network, "data": data, "device": device}
    missing = getattr(data, "missing", "")
    if not missing:
        try:
            return Opened(runs.Trainer.resume(folder, **given))
        except runs.InUse:
            pass
    trainer = runs.Trainer.at(folder, **given)
    followed = Followed(trainer, folder)
    name = f"{home_path('folder', folder).resolve().name}, a copy"
    return Opened(trainer, name, missing, None if missing and not followed.held else followed)
