"""Files of options: JSON, TOML, or the `config.json` of a run."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

from snnviz.cli import sources
from snnviz.cli.options import YOUR_OWN, WrongUsage
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import RunConfig


def read_options(file: Path) -> dict[str, Any]:
    """Options from a JSON or TOML file, or from the `config.json` of a run.

    Raises:
        WrongUsage: there is no such file, its content is not a table of options, or an option
            occurs in it twice.
        ValueError: it belongs to a run, and is damaged.
    """
    if file.is_dir():
        file = file / CONFIG
    name = f"config {str(file)!r}"
    try:
        text = file.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        if file.suffix == ".toml":
            content = tomllib.loads(text)
        else:
            content = json.loads(text, object_pairs_hook=_make_table)
    except OSError as error:
        raise WrongUsage(f"{name} cannot be read: {error.strerror}.") from error
    except WrongUsage as error:
        raise WrongUsage(f"{name}: {error}") from error
    except (ValueError, RecursionError) as error:
        if file.suffix in (".yaml", ".yml"):
            raise WrongUsage(
                f"{name} must be JSON or .toml, got YAML. Write it as .toml."
            ) from error
        raise WrongUsage(f"{name} must be a file of JSON (or .toml): {error}.") from error
    if not isinstance(content, dict):
        raise WrongUsage(f"{name} must hold a table of options.")
    if {"format", "made_with"} <= content.keys():
        return _options_of_run(file)
    try:
        return _use_underscores(content)
    except WrongUsage as error:
        raise WrongUsage(f"{name}: {error}") from error


def _make_table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON, in which a name may occur once (TOML has this rule itself)."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise WrongUsage(f"the option {name!r} is there twice. Keep one of them.")
        found[name] = value
    return found


def _use_underscores(content: Any, where: str = "") -> Any:
    """Options named as in Python: on the command line they have hyphens."""
    if not isinstance(content, dict):
        return content
    found: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, value in content.items():
        plain = name.replace("-", "_")
        if plain in found:
            raise WrongUsage(
                f"{where}{written[plain]} and {where}{name} are the same option. Keep one of them."
            )
        found[plain] = _use_underscores(value, f"{where}{name}.")
        written[plain] = name
    return found


def _options_of_run(file: Path) -> dict[str, Any]:
    """What makes such a run again. For `YOUR_OWN`, the command line must name something."""
    config = RunConfig.read(file.parent, file.name)
    options: dict[str, Any] = {
        "seed": config.seed,
        "device": str(config.device(None)),
        "precision": config.precision,
        "exclude": config.exclude,
        "weighted": config.weighted,
        "keep_every": config.keep_every,
        "schedule": dataclasses.asdict(config.schedule),
        "switcher": dataclasses.asdict(config.switcher),
    }
    recipe, data = config.network, config.data
    options["network"] = recipe.name if recipe else YOUR_OWN
    if config.learned:
        options["learned"] = YOUR_OWN
    options["width"] = recipe.width if recipe else 1.0
    if recipe and recipe.seed != config.seed:
        options["network_seed"] = recipe.seed
    if data:
        return options | {"data": data.name, "holdout": data.holdout, "augment": data.augment}
    return options | {"data": YOUR_OWN, **sources.read_preparation(config.images)}
