"""Results with a row for each run: read, added to, and described on a page of their own."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine

Rows = list[dict[str, Any]]


def read(path: Path) -> Rows:
    """The rows of the file, with texts as values; none if there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def add(path: Path, rows: Rows, row: dict[str, Any]) -> None:
    """Adds a row, with texts as values like those that were read, and writes the file."""
    rows.append({name: str(value) for name, value in row.items()})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerows(rows)


def write_page(path: Path, title: str, command: str, text: str) -> None:
    """Writes the page beside the results, with the command and the machine, and prints the text.

    Rows may be of several machines, which a row does not tell; the page says which was the last.
    """
    print(text)
    words = ", ".join(f"{name} {value}" for name, value in machine.describe().items())
    page = f"# {title}\n\nMade by `{command}` (the last runs: {words}).\n\n{text}"
    path.with_suffix(".md").write_text(page)


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation; the value alone if there is one only."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
