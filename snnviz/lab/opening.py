"""How a lab opens a run folder: to continue the run, or to show what was saved last."""

import os
from typing import Any

from snnviz import runs
from snnviz.files import home_path


def open_run(
    folder: str | os.PathLike[str], network: Any, data: Any, device: Any
) -> tuple[runs.Trainer, str | None, str]:
    """The run's trainer, None, ""; or one that saves nothing, its name, and what to say of it."""
    data = runs.find_images(folder, device) if data is None else data
    given = {"network": network, "data": data, "device": device}
    copy = f"{home_path('folder', folder).resolve().name}, a copy"
    if missing := getattr(data, "missing", ""):
        return runs.Trainer.at(folder, **given), copy, missing
    try:
        return runs.Trainer.resume(folder, **given), None, ""
    except runs.InUse:
        news = (
            f"{folder} is open in another trainer. This is a copy of what was saved last, and "
            "what you train here stays in memory. To continue the run itself, close that "
            "trainer (trainer.close(), or shut down its kernel), and open the folder again."
        )
        return runs.Trainer.at(folder, **given), copy, news
