"""`snnviz export-log`: a run's numbers for TensorBoard and other tools."""

from pathlib import Path

from snnviz.cli.answers import Answer
from snnviz.runs import export_log


def export(run: Path, to: str, out: Path | None, project: str) -> Answer:
    """Writes the log."""
    folder = export_log(run, to, out=out, project=project)
    if folder is None:
        text = f"{run.resolve().name} is in {to}, project {project!r}."
        return Answer(text, {"run": run.resolve().name, "to": to, "project": project})
    document = {"run": run.resolve().name, "to": to, "folder": str(folder)}
    return Answer(f"{folder}\nTo look at it: tensorboard --logdir {folder.parent}", document)
