"""Content that is not what a run writes, under names and with checksums that fit it."""

import io
import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load, save

from snnviz.files import canonical, digest, hashed
from tests.runs.damage import Place, files, flipped, get, put, spliced
from tests.runs.hostile import encoded, made_hostile, seen


def pointer(rng: random.Random, at: Place) -> str:
    file = at.run / "history" / "history.json"
    content = json.loads(get(file))
    del content["sha256"]
    return sign(file, made_hostile(rng, content))


def sign(file: Path, text: str) -> str:
    """Gives a pointer its checksum, if it is JSON at all."""
    try:
        proof = digest(canonical(json.loads(text)))
    except (ValueError, RecursionError):
        proof = "0" * 64
    file.write_bytes(encoded(text.replace("{", f'{{"sha256": "{proof}", ', 1)))
    return seen(file)


def alter_pointer(run: Path, change: Callable[[dict], Any]) -> None:
    file = run / "history" / "history.json"
    content = json.loads(get(file))
    del content["sha256"]
    change(content)
    sign(file, json.dumps(content))


def pointer_numbers(rng: random.Random, at: Place) -> str:
    """Right in form, and false."""
    key = rng.choice(("epochs", "steps", "planned", "groups", "notes", "checkpoint"))
    number = rng.choice((0, 1, 2, 3, 11, 13, 10**6, 2**31, 2**40, 2**52))
    name = rng.choice(files(at.run)).name
    outside = f"../../outside/epoch-000002-step-00000012-event-0001-{'0' * 16}.safetensors"

    def change(content: dict) -> None:
        if key in ("planned", "checkpoint"):
            content["run"][key] = number if key == "planned" else rng.choice((name, outside))
        elif key == "groups":
            content["groups"] = rng.choice(({}, {"../x": 10}, {"1": number}, {"1": 3, "4": 3}))
        elif key == "notes":
            content["notes"] = [[number, number, "x", "", number, "../x"]] * rng.choice(
                (0, 2, 1000)
            )
        else:
            content[key] = number

    alter_pointer(at.run, change)
    return f"{key} {number}"


def forge(at: Place, file: Path, data: bytes) -> str:
    """Other content, under a name that it proves."""
    stem, suffix = file.name.rsplit("-", 1)[0], file.suffix
    new = file.with_name(hashed(stem, data, suffix))
    file.unlink()
    new.write_bytes(data)
    pointer = at.run / "history" / "history.json"
    if pointer.is_file() and json.loads(get(pointer))["run"]["checkpoint"] == file.name:
        alter_pointer(at.run, lambda c: c["run"].update({"checkpoint": new.name}))
    return new.name


def _hashed(rng: random.Random, at: Place, suffix: str = "") -> Path:
    found = [p for p in files(at.run) if p.suffix in (".parquet", ".safetensors")]
    return rng.choice([p for p in found if p.suffix.endswith(suffix)])


def bytes_forged(rng: random.Random, at: Place) -> str:
    file = _hashed(rng, at)
    data = get(file)
    # Where both formats say what is in them, mistakes do most.
    head, edge = rng.random() < 0.5, rng.choice((8, 200, 2000))
    if file.suffix == ".parquet":
        part = data[-edge:]
        changed = data[: len(data) - len(part)] + rng.choice((flipped, spliced))(rng, part)
    else:
        changed = rng.choice((flipped, spliced))(rng, data[:edge]) + data[edge:]
    return forge(at, file, changed if head else rng.choice((flipped, spliced))(rng, data))


def from_the_other_run(rng: random.Random, at: Place) -> str:
    file, other = _hashed(rng, at), rng.choice(files(at.other))
    if other.suffix == file.suffix and rng.random() < 0.7:
        file.unlink()
        shutil.copy(other, file.with_name(other.name))
        return f"{other.name} for {file.name}"
    return forge(at, file, get(other))


def header(rng: random.Random, at: Place) -> str:
    """A checkpoint whose own header says other shapes, types or places."""
    file = _hashed(rng, at, "safetensors")
    data = get(file)
    size = int.from_bytes(data[:8], "little")
    content = json.loads(data[8 : 8 + size])
    name = rng.choice([key for key in content if key != "__metadata__"])
    draw, big = rng.random(), rng.choice((2**31, 2**40, 2**63 - 1, 2**64, 10**30, -1))
    if draw < 0.3:
        content[name]["shape"] = rng.choice(([big], [0], [big, 0], [big, big], [1] * 5000, []))
    elif draw < 0.6:
        content[name]["data_offsets"] = rng.choice(([0, big], [big, big], [big, 0], [0, 0], [0]))
    elif draw < 0.7:
        content[name]["dtype"] = rng.choice(("F64", "I8", "BOOL", "F8_E5M2", "X", "", "pickle"))
    else:
        new = encoded(made_hostile(rng, content))
        return forge(at, file, len(new).to_bytes(8, "little") + new + data[8 + size :])
    new = encoded(json.dumps(content))
    length = big % 2**64 if draw < 0.05 else len(new)
    return forge(at, file, length.to_bytes(8, "little") + new + data[8 + size :])


def state(rng: random.Random, at: Place) -> str:
    """A checkpoint with something strange in what is not tensors."""
    file = _hashed(rng, at, "safetensors")
    data = get(file)
    size = int.from_bytes(data[:8], "little")
    rest = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["snnviz"])
    text = encoded(made_hostile(rng, rest)).decode("utf-8", "replace")
    return forge(at, file, save(load(data), {"snnviz": text}))


def tensors(rng: random.Random, at: Place) -> str:
    file = _hashed(rng, at, "safetensors")
    data = get(file)
    size = int.from_bytes(data[:8], "little")
    rest = json.loads(data[8 : 8 + size])["__metadata__"]
    found = load(data)
    name = rng.choice(list(found))
    values = (torch.zeros(0), torch.zeros(300_000), torch.zeros(()), found[name].to(torch.int8))
    values += (found[name].double() * np.nan, found[name][None], found[name].float() * 1e38)
    found[name] = rng.choice(values).contiguous()
    return f"{name} in {forge(at, file, save(found, rest))}"


def table(rng: random.Random, at: Place) -> str:
    """A table with other rows, values, types or columns."""
    file = _hashed(rng, at, "parquet")
    found = pq.read_table(io.BytesIO(get(file)))
    name, n = rng.choice(found.column_names), len(found)
    i = found.column_names.index(name)
    values = found[name].to_pylist()
    strange = rng.choice((None, -1, 0, 2**31 - 1, 10**9, "x", "../x", True, [1], {"a": 1}, np.nan))
    draw = rng.random()
    if draw < 0.5:
        values[rng.randrange(n)] = strange
        try:
            found = found.set_column(i, name, pa.array(values, type=found[name].type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError):
            found = found.set_column(i, name, pa.array([strange] * n))
    elif draw < 0.7:
        rows = rng.choice(([], [0], list(range(n))[::-1], [0] * n, [0] * 1000))
        found = found.take(pa.array(rows, pa.int64()))
    elif draw < 0.85:
        found = found.drop_columns([name])
    else:
        found = found.append_column(rng.choice(("x", name)), found[name])
    return f"{name} in {forge(at, file, parquet(found))}"


def bomb(rng: random.Random, at: Place) -> str:
    """Small as a file, large once it is unpacked; with what it needs said in the pointer."""
    file = rng.choice([p for p in files(at.run) if p.name.startswith(("factors", "steps"))])
    found, n = pq.read_table(io.BytesIO(get(file))), rng.choice((2**18, 2**22, 2**26, 2**27))
    if file.name.startswith("steps") and rng.random() < 0.5:
        alter_pointer(at.run, lambda c: c.update(steps=2**52))
    elif rng.random() < 0.5:
        alter_pointer(at.run, lambda c: c.update(groups={"1": n}))
    if rng.random() < 0.3:
        codes = pa.array(np.zeros(len(found), np.int32))
        word = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * n]))
        name = "group" if file.name.startswith("factors") else "phase"
        found = found.set_column(found.column_names.index(name), name, word)
    else:
        found = found.take(np.zeros(2**18, np.int64)).combine_chunks()
        return f"{n} in {forge(at, file, parquet(found, n // 2**18))}"
    return f"{n} in {forge(at, file, parquet(found))}"


def parquet(content: pa.Table, times: int = 1) -> bytes:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, content.schema, compression="zstd") as writer:
        for _ in range(times):
            writer.write_table(content)
    return sink.getvalue()


def wide(rng: random.Random, at: Place) -> str:
    """JSON as long as is read, of as many values as go into it."""
    n = rng.choice((10**5, 10**6, 5 * 10**6))
    text = rng.choice(("[" + "[]," * n + "0]", "[" + "{}," * n + "0]", "[" + "1.5," * n + "0]"))
    file = rng.choice((at.run / "config.json", at.run / "history" / "history.json"))
    content = json.loads(get(file))
    content[rng.choice(list(content))] = "@here"
    if file.name == "config.json":
        return put(file, json.dumps(content).replace('"@here"', text).encode())
    return sign(file, json.dumps(content).replace('"@here"', text))


class Trap:
    """Were it unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def trap(rng: random.Random, at: Place) -> str:
    """A pickle in the place of any file, or beside them."""
    sink = io.BytesIO()
    torch.save(Trap(at.sprung), sink)
    numpy = io.BytesIO()
    np.save(numpy, np.array([Trap(at.sprung)], dtype=object), allow_pickle=True)
    plain = pickle.dumps(Trap(at.sprung), protocol=rng.randint(0, 5))
    data = rng.choice((plain, sink.getvalue(), numpy.getvalue()))
    file = rng.choice(files(at.run))
    if rng.random() < 0.2:
        name = rng.choice(("state.pt", "network.pkl", "checkpoints/last.pt", "history/factors.npz"))
        return put(at.run / name, data)
    if file.suffix in (".parquet", ".safetensors"):
        return forge(at, file, data)
    return put(file, data)


def metadata_trap(rng: random.Random, at: Place) -> str:
    """A pickle where Parquet's writers keep their own descriptions, and in text."""
    file = _hashed(rng, at, "parquet")
    code = pickle.dumps(Trap(at.sprung))
    keys = {"pandas": code, "ARROW:schema": code, "PANDAS": code.hex()}
    content = pq.read_table(io.BytesIO(get(file))).replace_schema_metadata(keys)
    return forge(at, file, parquet(content))
