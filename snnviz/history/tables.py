"""Tables in Parquet files: one a stretch of epochs, each of which proves its own content.

A file is called `<kind>-<first epoch>-<last epoch>-<hash>.parquet`. Any program reads them, one or
many: `pandas.concat(map(pandas.read_parquet, Path(folder).glob("factors-*")))`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snnviz import files

Kind = Literal["factors", "steps", "epochs", "unfinished"]
Columns = dict[str, Any]  # {name: (rows,) array; text as Text}

KINDS: tuple[Kind, ...] = ("factors", "steps", "epochs")
MOST_ROWS = 2**24  # of one file: what a reader is ready to make room for

_SPARE = 2**20  # bytes of a file besides its rows

_NAME = re.compile(
    r"(factors|steps|epochs|unfinished)-([0-9]{6,18})-([0-9]{6,18})-[0-9a-f]{16}\.parquet"
)
_TEXT, _INT, _LONG, _SINGLE, _DOUBLE = "dictionary", "int32", "int64", "float", "double"
_STEPS = {
    "step": _LONG,
    "epoch": _LONG,
    "phase": _TEXT,
    "loss": _DOUBLE,
    "accuracy": _DOUBLE,
    "lr": _DOUBLE,
}
COLUMNS: dict[Kind, dict[str, str]] = {
    "factors": {"epoch": _INT, "group": _TEXT, "neuron": _INT, "factor": _SINGLE},
    "steps": _STEPS,
    "unfinished": _STEPS,
    "epochs": {
        "epoch": _LONG,
        "step": _LONG,
        "train_loss": _DOUBLE,
        "train_accuracy": _DOUBLE,
        "test_loss": _DOUBLE,
        "test_accuracy": _DOUBLE,
        "neurons_on": _LONG,
        "neurons": _LONG,
        "parameters": _LONG,
        "macs": _LONG,
        "seconds": _DOUBLE,
    },
}


@dataclass(frozen=True)
class Text:
    """A column of text, most of it repeated: codes (rows,) of words."""

    codes: np.ndarray
    words: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A file that holds the rows of epochs `first` to `last` (of `unfinished`: of those steps)."""

    kind: Kind
    first: int
    last: int
    file: Path


def get_ready() -> None:
    """Loads what writes the tables, a fraction of a second, so that no epoch waits for it."""
    for name in ("pandas", "pyarrow.parquet"):  # pyarrow looks for pandas with its first array
        import_module(name)


def segment(file: Path) -> Segment | None:
    """What a file's name says; None if it is not one of ours."""
    named = _NAME.fullmatch(file.name)
    if named is None or not 1 <= int(named[2]) <= int(named[3]):
        return None
    return Segment(named[1], int(named[2]), int(named[3]), file)  # type: ignore[arg-type]


def found_in(folder: Path) -> list[Segment]:
    """All of a folder's segments, in no order."""
    return [part for file in folder.iterdir() if (part := segment(file))]


def chosen(segments: Iterable[Segment], kind: Kind, n: int, folder: Path) -> list[Segment]:
    """Those that together hold epochs 1 to n, the longest where there is a choice.

    Only the last may go on past n. What is not needed is left over from a run that was killed.

    Raises:
        Damaged: an epoch is missing, or two files say different things of it.
    """
    by_first: dict[int, dict[int, Segment]] = {}
    for part in segments:
        if part.kind == kind:
            twin = by_first.setdefault(part.first, {}).setdefault(part.last, part)
            if twin is not part:
                raise files.Damaged(part.file, f"{twin.file.name} is of the same epochs")
    path, at = [], 1
    while at <= n:
        options = by_first.get(at)
        if not options:
            raise files.Damaged(folder, f"the {kind} of epoch {at} are missing")
        within = [last for last in options if last <= n]
        path.append(options[max(within) if within else min(options)])
        at = path[-1].last + 1
    return path


def written(kind: Kind, first: int, last: int, columns: Columns, folder: Path) -> Segment:
    """Writes a segment. The caller settles the folder."""
    data = _encoded(kind, columns)
    name = files.hashed(f"{kind}-{first:06}-{last:06}", data, ".parquet")
    files.write(folder / name, data, settled=False)
    return Segment(kind, first, last, folder / name)


def read(part: Segment, least: int, most: int, root: Path) -> Columns:
    """A segment's columns, checked.

    Args:
        least, most: rows that it may have; asked before room is made for them.
        root: links must not lead out of here.

    Raises:
        FileNotFoundError: it is not there.
        Damaged: it is not what was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    most = min(most, MOST_ROWS)
    data = files.read_hashed(part.file, _SPARE + 64 * most, root)
    wanted = COLUMNS[part.kind]
    texts = [name for name, kind in wanted.items() if kind == _TEXT]
    try:
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        count, schema = file.metadata.num_rows, file.schema_arrow
        types = {field.name: _type(field.type) for field in schema}
        if types != wanted:
            raise ValueError(f"its columns are {', '.join(f'{k} {v}' for k, v in types.items())}")
        if not least <= count <= most:
            raise ValueError(f"it has {count} rows")
        _check_size(part.kind, file.metadata, len(data))
        table = file.read(use_threads=False).combine_chunks()
        table.validate(full=True)
        return {name: _column(table[name], name in texts) for name in wanted}
    except (OSError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        raise files.Damaged(part.file, files.first_line(error)) from error


def _check_size(kind: Kind, said: Any, size: int) -> None:
    """A small file may unpack to more than there is room for."""
    parts = (said.row_group(i) for i in range(said.num_row_groups))
    unpacked = sum(
        part.column(k).total_uncompressed_size for part in parts for k in range(len(COLUMNS[kind]))
    )
    if unpacked > _SPARE + 64 * said.num_rows:
        raise ValueError(f"{said.num_rows} rows take {unpacked} bytes")
    # Factors may be alike for ever; losses are not, and become Python's numbers.
    if kind != "factors" and said.num_rows > 2**18 + 8 * size:
        raise ValueError(f"it has {said.num_rows} rows in {size} bytes")


def _encoded(kind: Kind, columns: Columns) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted, arrays, encodings = COLUMNS[kind], {}, {}
    for name, type_ in wanted.items():
        values = columns[name]
        if type_ == _TEXT:
            words = pa.array(values.words, pa.string())
            arrays[name] = pa.DictionaryArray.from_arrays(pa.array(values.codes, pa.int32()), words)
            continue
        arrays[name] = pa.array(np.ascontiguousarray(values), getattr(pa, _MAKERS[type_])())
        counts = type_ in (_INT, _LONG)
        encodings[name] = "DELTA_BINARY_PACKED" if counts else "BYTE_STREAM_SPLIT"
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(arrays),
        sink,
        compression="zstd",
        use_dictionary=[name for name in wanted if name not in encodings],  # type: ignore[arg-type]
        column_encoding=encodings,
        write_statistics=False,
    )
    return sink.getvalue().to_pybytes()


_MAKERS = {_INT: "int32", _LONG: "int64", _SINGLE: "float32", _DOUBLE: "float64"}


def _type(type_: Any) -> str:
    return _TEXT if str(type_).startswith("dictionary<values=string,") else str(type_)


def _column(values: Any, text: bool) -> Any:
    if values.null_count:
        raise ValueError("values are missing")
    whole = values.chunk(0) if values.num_chunks else values.combine_chunks()
    if not text:
        return np.from_dlpack(whole)  # `to_numpy` would load pandas, which takes longer
    return Text(np.from_dlpack(whole.indices), tuple(whole.dictionary.to_pylist()))


def words(column: Text) -> list[str]:
    """A text column, row by row."""
    return [column.words[code] for code in column.codes.tolist()]


def text(values: Iterable[str]) -> Text:
    """A text column of these."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values]
    return Text(np.array(codes, np.int32), tuple(numbers))


def tidy_factors(groups: Mapping[str, int], first: int, values: np.ndarray) -> Columns:
    """The columns of (epochs, neurons of all groups) factors; `first` is the first epoch."""
    epochs, n = values.shape
    sizes = np.array(list(groups.values()), dtype=np.int64)
    neurons = [np.arange(size, dtype=np.int32) for size in sizes]
    return {
        "epoch": np.repeat(np.arange(first, first + epochs, dtype=np.int32), n),
        "group": Text(
            np.tile(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes), epochs), tuple(groups)
        ),
        "neuron": np.tile(np.concatenate([*neurons, np.zeros(0, np.int32)]), epochs),
        "factor": values.ravel(),
    }
