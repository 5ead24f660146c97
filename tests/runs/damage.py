"""What disks, hands and programs do to a run folder: flip, cut, lose, swap, link."""

import os
import random
import shutil
from pathlib import Path
from typing import NamedTuple

from snnviz.files import temporary


class Place(NamedTuple):
    """Where a mutation happens.

    Attributes:
        run: the folder to change.
        other: a fork of it, from which files may come.
        older: `history.json` files of the run's past.
        outside: a folder that nobody may look into; it holds a file "canary".
        sprung: a file that code in a pickle would make.
    """

    run: Path
    other: Path
    older: list[bytes]
    outside: Path
    sprung: Path


def files(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*") if p.is_file() and not p.is_symlink())


def put(file: Path, data: bytes) -> str:
    file.write_bytes(data)
    return f"{file.parent.name}/{file.name}"


def get(file: Path) -> bytes:
    """What earlier changes have left of a file."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size > 2**26:
        raise ValueError("no plain file any more")
    return file.read_bytes()


def flip(rng: random.Random, at: Place) -> str:
    file = rng.choice(files(at.run))
    return put(file, flipped(rng, get(file)))


def flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 50)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, at: Place) -> str:
    file = rng.choice(files(at.run))
    data = get(file)
    return put(file, data[: rng.choice((0, 1, 8, rng.randint(0, len(data)), len(data) - 1))])


def grow(rng: random.Random, at: Place) -> str:
    file = rng.choice(files(at.run))
    return put(file, get(file) + rng.randbytes(rng.choice((1, 100, 100_000))))


def splice(rng: random.Random, at: Place) -> str:
    """Bytes in the middle go, come, or become zeros."""
    file = rng.choice(files(at.run))
    return put(file, spliced(rng, get(file)))


def spliced(rng: random.Random, data: bytes) -> bytes:
    start, n = rng.randint(0, len(data)), rng.randint(1, 64)
    return data[:start] + rng.choice((b"", bytes(n), rng.randbytes(2 * n))) + data[start + n :]


def huge(rng: random.Random, at: Place) -> str:
    """Longer than memory, but without taking room."""
    file = rng.choice(files(at.run))
    os.truncate(file, 2 ** rng.randint(28, 40))
    return file.name


def remove(rng: random.Random, at: Place) -> str:
    file = rng.choice(files(at.run))
    file.unlink()
    return file.name


def remove_folder(rng: random.Random, at: Place) -> str:
    folder = rng.choice((at.run / "history", at.run / "checkpoints"))
    shutil.rmtree(folder)
    return folder.name


def exchange(rng: random.Random, at: Place) -> str:
    one, two = rng.sample(files(at.run), 2)
    first, second = get(one), get(two)
    return f"{put(one, second)} and {put(two, first)}"


def overwrite(rng: random.Random, at: Place) -> str:
    one, two = rng.sample(files(at.run), 2)
    return f"{one.name} over {put(two, get(one))}"


def call_like_another(rng: random.Random, at: Place) -> str:
    """Names that say other epochs, and keep the hash, which is right."""
    named = [p for p in files(at.run) if p.name.count("-") >= 3]
    one, two = rng.sample(named, 2)
    stems = [p.name.rsplit("-", 1) for p in (one, two)]
    beside = one.with_name("beside")
    one.rename(beside)
    two.rename(two.with_name(f"{stems[0][0]}-{stems[1][1]}"))
    beside.rename(one.with_name(f"{stems[1][0]}-{stems[0][1]}"))
    return f"{one.name} and {two.name}"


def number_anew(rng: random.Random, at: Place) -> str:
    file = rng.choice([p for p in files(at.run) if p.name.count("-") >= 3])
    kind, *numbers, end = file.name.split("-")
    places = [i for i, part in enumerate(numbers) if part.isdigit()]
    size = rng.choice((6, 8, 15, 18, 200))
    numbers[rng.choice(places)] = "".join(rng.choices("0123456789", k=size))
    file.rename(new := file.with_name("-".join([kind, *numbers, end])[:250]))
    return f"{file.name} as {new.name}"


def older_pointer(rng: random.Random, at: Place) -> str:
    return put(at.run / "history" / "history.json", rng.choice(at.older))


def stray(rng: random.Random, at: Place) -> str:
    folder = rng.choice((at.run, at.run / "history", at.run / "checkpoints"))
    some = rng.choice(files(at.run))
    name = rng.choice(
        (
            f".{some.name}.tmp",
            "Thumbs.db",
            ".DS_Store",
            "x" * 250,
            "a\nb\x1b[31m",
            os.fsdecode(b"\xff\xfe"),
            f"{some.name} (copy)",
            f"epochs-000001-000001-{rng.randbytes(8).hex()}.parquet",
            f"factors-000001-999999-{rng.randbytes(8).hex()}.parquet",
            f"epoch-000001-step-00000004-event-0000-{rng.randbytes(8).hex()}.safetensors",
            f"epoch-000002-step-00000010-event-0001-{rng.randbytes(8).hex()}.safetensors",
        )
    )
    if rng.random() < 0.3:
        (folder / name).mkdir(exist_ok=True)
        return f"{name!r}, a folder"
    (folder / name).write_bytes(rng.randbytes(100))
    return repr(name)


def no_plain_file(rng: random.Random, at: Place) -> str:
    """A folder, or a pipe that nobody writes, in a file's place."""
    file = rng.choice(files(at.run))
    file.unlink()
    if rng.random() < 0.5:
        file.mkdir()
        return f"{file.name}, a folder"
    os.mkfifo(file)
    return f"{file.name}, a pipe"


# --- links ----------------------------------------------------------------------------------------


def link_file(rng: random.Random, at: Place) -> str:
    file = rng.choice(files(at.run))
    target = at.outside / f"of-{file.name}"
    if rng.random() < 0.5:
        shutil.copy(file, target)
    else:
        target = rng.choice(
            (at.outside / "canary", Path("../../outside/canary"), Path("/dev/zero"))
        )
    file.unlink()
    file.symlink_to(target)
    return f"{file.name} to {target.name}"


def link_in_circle(rng: random.Random, at: Place) -> str:
    file = rng.choice([*files(at.run), at.run / "history", at.run / "checkpoints"])
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    file.symlink_to(rng.choice((file, Path(file.name), at.outside / "nowhere")))
    return file.name


def link_folder(rng: random.Random, at: Place) -> str:
    folder = rng.choice((at.run / "history", at.run / "checkpoints"))
    folder.rename(at.outside / f"of-{folder.name}")
    folder.symlink_to(at.outside / f"of-{folder.name}")
    return folder.name


def link_in_wait(rng: random.Random, at: Place) -> str:
    """Where the next save writes."""
    name = rng.choice(("config.json", "history/.history.json.tmp", "lock", "events.jsonl"))
    file = at.run / name
    beside = file.with_name(temporary(file.name)) if name == "config.json" else file
    beside.unlink(missing_ok=True)
    beside.symlink_to(at.outside / "canary")
    return beside.name
