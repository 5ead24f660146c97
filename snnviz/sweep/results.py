"""The results of a study: one Parquet file, a row a run, written whole whenever a run ends."""

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
    """The results of a study, a row a run; what a failed run has not is missing.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    return _table(Path(path)).to_pandas()


class Results:
    """The results, to be added to. Nobody else can write them meanwhile.

    Raises:
        InUse: another sweep writes them.
        NotSaved: their folder cannot be written.
        ValueError: the file holds something else.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = _locked(file)
        try:
            self.rows = rows(file)
        except BaseException:
            self.close()
            raise

    def add(self, row: Row) -> None:
        """One row more, which is on disk afterwards; it takes the place of an earlier one."""
        self.rows.pop(row["key"], None)
        self.rows[row["key"]] = row
        try:
            files.write(self.file, _encoded(self.rows.values()))
        except OSError as error:
            raise NotSaved(
                f"the results {str(self.file)!r} cannot be written ({error}). What stands in them "
                "is safe. Make room; the same command then goes on from there."
            ) from error

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def rows(file: Path) -> dict[str, Row]:
    """{key: row}; none where there is no file."""
    if not file.exists():
        return {}
    return {row["key"]: row for row in _table(file).to_pylist()}


def beside(file: Path) -> Iterator[Row]:
    """The rows of other results in the same folder; whatever else lies there is passed over."""
    for other in sorted(file.parent.glob("*.parquet")):
        try:
            if other.resolve() != file.resolve() and other.stat().st_size <= _MOST_BESIDE:
                yield from rows(other).values()
        except (OSError, ValueError):
            continue


def _locked(file: Path) -> Any:
    import filelock

    lock = filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InUse(
            f"another sweep writes the results {str(file)!r}. Wait until it is done, or give "
            "other --results."
        ) from None
    except OSError as error:
        raise NotSaved(
            f"the results {str(file)!r} cannot be written ({error}). Give other --results."
        ) from error
    return lock


def _encoded(made: Iterable[Row]) -> bytes:
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
            raise ValueError("runs without a key or a status are in it")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there are no results {str(file)!r}. `snnviz sweep` makes them."
        ) from error
    except (ValueError, pa.ArrowException, files.Damaged) as error:
        why = error.why if isinstance(error, files.Damaged) else " ".join(str(error).split())
        raise ValueError(
            f"the file {str(file)!r} holds no results of a sweep: {why[:500].rstrip('.')}. "
            "Restore it from a copy, or give the name of another file."
        ) from error
    return table.replace_schema_metadata(None)


_MAKERS = {_TEXT: "string", _WHOLE: "int64", _NUMBER: "float64"}


def _parquet() -> tuple[Any, Any]:
    return import_module("pyarrow"), import_module("pyarrow.parquet")
