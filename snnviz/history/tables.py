"""The columns of the history's tables, and the Parquet files that hold them.

Each file holds a range of epochs and has a checksum in its name. It is called
`<kind>-<first epoch>-<last epoch>-<hash>.parquet`. Any program can read them, one or many:
`pandas.concat(map(pandas.read_parquet, Path(folder).glob("factors-*")))`.
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
MOST_ROWS = 2**24  # of one file, so that reading it needs a limited amount of memory

_SPARE = 2**20  # bytes that a file may have besides its rows

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
    """A column of text in which few different words repeat: words, and codes (rows,) of them."""

    codes: np.ndarray
    words: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A file with the rows of epochs `first` to `last`; `unfinished` counts steps instead."""

    kind: Kind
    first: int
    last: int
    file: Path


def get_ready() -> None:
    """Imports what writes the tables. This takes a fraction of a second, which no epoch spends."""
    for name in ("pandas", "pyarrow.parquet"):  # pyarrow looks for pandas with its first array
        import_module(name)


def segment(file: Path) -> Segment | None:
    """The segment that a file's name describes, or None if it is no name of a table."""
    named = _NAME.fullmatch(file.name)
    if named is None or not 1 <= int(named[2]) <= int(named[3]):
        return None
    return Segment(named[1], int(named[2]), int(named[3]), file)  # type: ignore[arg-type]


def find_segments(folder: Path) -> list[Segment]:
    """All segments in a folder, in any order."""
    return [part for file in folder.iterdir() if (part := segment(file))]


def choose_segments(segments: Iterable[Segment], kind: Kind, n: int, folder: Path) -> list[Segment]:
    """The segments that together hold epochs 1 to n. Of several with one start, the longest.

    Only the last one may continue past n. Segments that are not needed were left by a run that was
    killed.

    Raises:
        Damaged: an epoch is missing, or two files have the same epochs.
    """
    by_first: dict[int, dict[int, Segment]] = {}
    for part in segments:
        if part.kind == kind:
            twin = by_first.setdefault(part.first, {}).setdefault(part.last, part)
            if twin is not part:
                raise files.Damaged(part.file, f"{twin.file.name} has the same epochs")
    path, at = [], 1
    while at <= n:
        options = by_first.get(at)
        if not options:
            raise files.Damaged(folder, f"the {kind} of epoch {at} are missing")
        within = [last for last in options if last <= n]
        path.append(options[max(within) if within else min(options)])
        at = path[-1].last + 1
    return path


def write_segment(kind: Kind, first: int, last: int, columns: Columns, folder: Path) -> Segment:
    """Writes a segment. The caller synchronises the folder to the disk."""
    data = _encode(kind, columns)
    name = files.hashed(f"{kind}-{first:06}-{last:06}", data, ".parquet")
    files.write(folder / name, data, settled=False)
    return Segment(kind, first, last, folder / name)


def read_segment(part: Segment, least: int, most: int, root: Path) -> Columns:
    """Reads and checks a segment's columns.

    Args:
        least, most: the number of rows that it may have, checked before memory is allocated.
        root: the folder that links must not lead out of.

    Raises:
        FileNotFoundError: the file is missing.
        Damaged: the file is not what was written.
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
        return {name: _to_array(table[name], name in texts) for name in wanted}
    except (OSError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        raise files.Damaged(part.file, files.first_line(error)) from error


def _check_size(kind: Kind, metadata: Any, size: int) -> None:
    """Refuses a small file that would unpack to far more memory than its rows need."""
    parts = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    unpacked = sum(
        part.column(k).total_uncompressed_size for part in parts for k in range(len(COLUMNS[kind]))
    )
    if unpacked > _SPARE + 64 * metadata.num_rows:
        raise ValueError(f"{metadata.num_rows} rows take {unpacked} bytes")
    # Factors may stay equal and pack well. Losses differ, and become Python's larger numbers.
    if kind != "factors" and metadata.num_rows > 2**18 + 8 * size:
        raise ValueError(f"it has {metadata.num_rows} rows in {size} bytes")


def _encode(kind: Kind, columns: Columns) -> bytes:
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


def _to_array(values: Any, text: bool) -> Any:
    if values.null_count:
        raise ValueError("values are missing")
    whole = values.chunk(0) if values.num_chunks else values.combine_chunks()
    if not text:
        return np.from_dlpack(whole)  # `to_numpy` would import pandas, which takes longer
    return Text(np.from_dlpack(whole.indices), tuple(whole.dictionary.to_pylist()))


def to_words(column: Text) -> list[str]:
    """The word of each row."""
    return [column.words[code] for code in column.codes.tolist()]


def to_text(values: Iterable[str]) -> Text:
    """The text column of the words of all rows."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values]
    return Text(np.array(codes, np.int32), tuple(numbers))


def tidy_factors(groups: Mapping[str, int], first: int, values: np.ndarray) -> Columns:
    """The columns of factors (epochs, neurons of all groups); `first` numbers the first epoch."""
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
