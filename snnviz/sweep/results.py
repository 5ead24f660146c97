"""The results of a study: one Parquet file with a row for each run, rewritten when one ends."""

import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnviz import files
from snnviz.runs import InUse, NotSaved
from snnviz.sweep.cell import Row

if TYPE_CHECKING:
    from pandas import DataFrame

_TEXT, _WHOLE, _NUMBER = "string", "int64", "double"
COLUMNS = {
    "study": _TEXT,
    "key": _TEXT,
    "network": _TEXT,
    "width": _NUMBER,
    "data": _TEXT,
    "classes": _WHOLE,
    "noise": _NUMBER,
    "share": _NUMBER,
    "method": _TEXT,
    "kind": _TEXT,
    "seed": _WHOLE,
    "settings": _TEXT,
    "status": _TEXT,
    "error": _TEXT,
    "test_accuracy": _NUMBER,
    "test_loss": _NUMBER,
    "train_accuracy": _NUMBER,
    "train_loss": _NUMBER,
    "neurons": _WHOLE,
    "neurons_on": _WHOLE,
    "parameters_before": _WHOLE,
    "parameters": _WHOLE,
    "macs_before": _WHOLE,
    "macs": _WHOLE,
    "examples": _WHOLE,
    "switcher_examples": _WHOLE,
    "seconds": _NUMBER,
    "wall_seconds": _NUMBER,
    "epochs": _WHOLE,
    "precision": _TEXT,
    "device": _TEXT,
    "machine": _TEXT,
    "versions": _TEXT,
    "on": _TEXT,
    "widths": _TEXT,
    "ended": _TEXT,
}

_MOST_BYTES = 2**30
_MOST_BESIDE = 2**26


def read(path: str | os.PathLike[str]) -> "DataFrame":
    """The results of a study, one row for each run; a failed run has missing values.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    return _table(files.home_path("path", path)).to_pandas()


class Results:
    """The results, open for new rows. No other sweep can write them meanwhile.

    Raises:
        InUse: another sweep writes them.
        NotSaved: their folder cannot be written.
        ValueError: the file holds something else.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = _take_lock(file)
        try:
            self.rows = rows(file)
        except BaseException:
            self.close()
            raise

    def add(self, row: Row) -> None:
        """Adds a row and saves the file; a row with the same key is replaced."""
        self.rows.pop(row["key"], None)
        self.rows[row["key"]] = row
        try:
            files.write(self.file, _encode(self.rows.values()))
        except OSError as error:
            raise NotSaved(
                f"the results {str(self.file)!r} cannot be written ({error}). The rows that "
                "are in them are safe. Make room; the same command then continues from there."
            ) from error

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def rows(file: Path) -> dict[str, Row]:
    """{key: row}; empty if there is no file."""
    if not file.exists():
        return {}
    return {row["key"]: row for row in _table(file).to_pylist()}


def beside(file: Path) -> Iterator[Row]:
    """The rows of other results in the same folder; other files are ignored."""
    for other in sorted(file.parent.glob("*.parquet")):
        try:
            if other.resolve() != file.resolve() and other.stat().st_size <= _MOST_BESIDE:
                yield from rows(other).values()
        except (OSError, ValueError):
            continue


def _take_lock(file: Path) -> Any:
    import filelock

    lock = filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        if not os.path.lexists(lock.lock_file):  # as in /proc, where no file can be made
            raise NotSaved(
                f"the results {str(file)!r} cannot be written. Give another file: --results."
            ) from None
        raise InUse(
            f"another sweep writes the results {str(file)!r}. Wait until it is done, or give "
            "another file: --results."
        ) from None
    except OSError as error:
        raise NotSaved(
            f"the results {str(file)!r} cannot be written ({error}). Give another file: --results."
        ) from error
    return lock


def _encode(made: Iterable[Row]) -> bytes:
    pa, pq = _parquet()
    schema = pa.schema([(name, getattr(pa, _MAKERS[kind])()) for name, kind in COLUMNS.items()])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(made), schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _table(file: Path) -> Any:
    pa, pq = _parquet()
    try:
        data = files.read(file, _MOST_BYTES)
        found = pq.ParquetFile(pa.BufferReader(data))
        types = {field.name: str(field.type) for field in found.schema_arrow}
        if types != COLUMNS:
            raise ValueError(f"its columns are {', '.join(types) or 'none'}")
        table = found.read(use_threads=False)
        table.validate(full=True)
        if table["key"].null_count or table["status"].null_count:
            raise ValueError("some runs have no key or no status")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there are no results {str(file)!r}. Make them with `snnviz sweep`."
        ) from error
    except (ValueError, pa.ArrowException, files.Damaged) as error:
        why = error.why if isinstance(error, files.Damaged) else " ".join(str(error).split())
        raise ValueError(
            f"the file {str(file)!r} holds no results of a sweep: {why[:500].rstrip('.')}. "
            "Restore it from a copy, or give another file."
        ) from error
    return table.replace_schema_metadata(None)


_MAKERS = {_TEXT: "string", _WHOLE: "int64", _NUMBER: "float64"}


def _parquet() -> tuple[Any, Any]:
    return import_module("pyarrow"), import_module("pyarrow.parquet")
