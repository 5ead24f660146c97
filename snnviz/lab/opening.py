"""How a lab opens a run folder: to continue the run, or to show what was saved last."""

import os
from typing import Any

from snnviz import runs


def open_run(folder: str | os.PathLike[str], given: dict[str, Any]) -> tuple[runs.Trainer, str]:
    """The run's trainer; or one that saves nothing, and what to say of it."""
    if missing := getattr(given["data"], "missing", ""):
        return runs.Trainer.at(folder, **given), missing
    try:
        return runs.Trainer.resume(folder, **given), ""
    except runs.InUse:
        news = (
            f"{folder} is open in another trainer. This is a copy of what was saved last, and "
            "what you train here stays in memory. To continue the run itself, close that "
            "trainer (trainer.close(), or shut down its kernel), and open the folder again."
        )
        return runs.Trainer.at(folder, **given), news
