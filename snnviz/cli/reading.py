"""`snnviz show`, `compact`, `figures` and `report`: what can be made from a run that is saved."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnviz.cli import sources
from snnviz.cli.answers import Answer, rows
from snnviz.runs import Trainer, table
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.lock import is_held
from snnviz.runs.past import Past, at_ends, past

if TYPE_CHECKING:
    from pandas import DataFrame

_SHARES = ("accuracy", "train_accuracy", "test_accuracy")
KINDS = ("pdf", "svg", "png")
_OF_NEURONS = {"off": "went_off", "on": "came_back"}
_TURN_COLUMNS = ("epoch", "step", "event", "detail")


def show(path: Path) -> Answer:
    """A run, or a folder of runs."""
    return _run(path) if (path / CONFIG).exists() else _runs(path)


def _runs(folder: Path) -> Answer:
    found = table(folder)
    text = _format_table(found) if len(found) else f"There are no runs in {str(folder)!r}."
    return Answer(text, {"folder": str(folder), "runs": rows(found)})


def _run(folder: Path) -> Answer:
    found = past(folder)
    events = found.history.events
    document = {
        "run": folder.resolve().name,
        "folder": str(folder),
        "state": _state(found),
        "kept": list(at_ends(found.checkpoints, found.history)),
        "config": json.loads(found.config.encoded()),
        "epochs": rows(found.history.epochs),
        "events": rows(events),
    }
    epochs = found.history.epochs
    for event, column in _OF_NEURONS.items():
        counts = events.loc[events["event"] == event, "epoch"].value_counts()
        epochs[column] = epochs["epoch"].map(counts).fillna(0).astype(int)
    turns = events.loc[~events["event"].isin(list(_OF_NEURONS)), list(_TURN_COLUMNS)]
    parts = ["\n".join(f"{name:<10}{text}" for name, text in _facts(found, document).items())]
    parts += [_format_table(epochs)] if len(epochs) else ["No epoch is finished yet."]
    parts += [_format_table(turns)] if len(turns) else []
    return Answer("\n\n".join(parts), document)


def _state(found: Past) -> str:
    assert found.pointer.run is not None
    if is_held(found.folder):
        return "training"
    done = found.pointer.epochs >= found.pointer.run["planned"]
    return "finished" if done else "stopped"


def _facts(found: Past, document: dict[str, Any]) -> dict[str, str]:
    config = found.config
    assert found.pointer.run is not None
    planned = found.pointer.run["planned"]
    network, data, made = config.network, config.data, config.made_with
    facts = {
        "run": f"{document['run']}: {document['state']}, "
        f"{found.pointer.epochs} of {planned} epochs done",
        "parent": config.parent and f"{config.parent.run}, from epoch {config.parent.epoch}",
        "network": f"{network.name}, seed {network.seed}" if network else "your own",
        "data": f"{data.name}, {data.holdout} held out" if data else "your own",
        "augment": config.images.get("augment"),
        "seed": str(config.seed),
        "exclude": ", ".join(config.exclude),
        "weighted": ", ".join(config.weighted),
        "precision": config.precision,
        "made": f"{config.created}, on {made['device']}, torch {made['torch']}",
        "schedule": _format_fields(config.schedule),
        "switcher": _format_fields(config.switcher),
        "kept": f"epochs {', '.join(map(str, document['kept']))}",
    }
    return {name: text for name, text in facts.items() if text}


def _format_fields(options: Any) -> str:
    """The fields, four on each line."""
    words = [f"{name}={value}" for name, value in asdict(options).items()]
    lines = [", ".join(words[i : i + 4]) for i in range(0, len(words), 4)]
    return (",\n" + 10 * " ").join(lines)


def _format_table(frame: "DataFrame") -> str:
    """A table with shares in per cent, and a dash for a missing value."""
    frame = frame.astype(object).where(frame.notna(), "–")
    for name in frame:  # before pandas 3 its own formatters leave numbers as they are
        frame[name] = frame[name].map(_format_share if name in _SHARES else _format_value)
    return frame.to_string(index=False)


def _format_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _format_share(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.2%}"


def compact(
    run: Path, epoch: int | None, out: Path, data: str | None, device: str | None, latency: bool
) -> Answer:
    """Writes the smaller network of a run."""
    import torch

    from snnviz.export import save_compact
    from snnviz.shrink import compact as make_smaller

    own = sources.of_run(run, data)
    images = own and own.load(device or "auto")
    trainer = Trainer.at(run, epoch, data=images, device=device)
    network, report = make_smaller(trainer, latency=latency)
    example = trainer.data.batch("test", torch.arange(min(8, len(trainer.data.test))))[0]
    save_compact(network, out, example)
    document = {"folder": str(out), "epoch": trainer.position.epoch, "report": asdict(report)}
    how = f"To load it: snnviz.export.load_compact({str(out)!r})"
    return Answer(f"{report}\nSaved in {out}. {how}", document)


def figures(run: Path, out: Path | None, formats: tuple[str, ...], width: str) -> Answer:
    """Draws every figure that `snnviz.plots` has of a run."""
    from snnviz import plots
    from snnviz.figures import save

    history = past(run).history
    folder = Path("figures") / run.resolve().name if out is None else out
    size: Any = width if not _is_number(width) else float(width)
    files = []
    for name in plots.OF_A_RUN:
        axes = getattr(plots, name)(history)
        files += save(axes, name, formats or KINDS, size, folder)
    document = {"folder": str(folder), "files": [str(file) for file in files]}
    return Answer("\n".join(document["files"]), document)


def report(run: Path, html: Path | None, weights: bool, data: str | None) -> Answer:
    """Writes a run into one HTML file."""
    from snnviz.lab import export_html

    own = sources.of_run(run, data) if data is not None else None
    images = own.load("auto") if own and weights else None
    file = export_html(
        run, html or Path(f"{run.resolve().name}.html"), data=images, weights=weights
    )
    document = {"file": str(file), "bytes": file.stat().st_size}
    return Answer(str(file), document)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
