"""The numbers behind a figure, as files."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from snnviz import files

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = {"csv": "CSV", "parquet": "Parquet"}


def save_table(
    table: "DataFrame", name: str, kind: str, folder: str | os.PathLike[str] = "figures"
) -> Path:
    """Writes a table whole or not at all, and returns the path.

    Args:
        kind: "csv" or "parquet".

    Raises:
        ValueError: another kind.
    """
    if kind not in FORMATS:
        raise ValueError(f"kind must be 'csv' or 'parquet', got {kind!r}.")
    file = Path(folder) / f"{name}.{kind}"
    buffer = io.BytesIO()
    if kind == "csv":
        buffer.write(table.to_csv(index=False, lineterminator="\n").encode())
    else:
        table.to_parquet(buffer, index=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write(file, buffer.getvalue())
    return file
