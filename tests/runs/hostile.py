"""JSON that means harm: nested without end, numbers beyond all, duplicate keys, other text."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.runs.damage import Place, get, put

_RAW = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-0.0",
    "1e308",
    "9" * 400,
    "9" * 5000,
    "01",
    "'a'",
)
_RAW += ('"\\ud800"', '"\\u0000"', '"a', "[", "}", "tru", "// x", '"\ufeff"', "0x10", "1_000", "٣")
_DEEP = (50, 200, 500, 900, 950, 970, 980, 985, 990, 995, 1500, 100_000)
_VALUES = (None, True, False, 0, 1, -1, 0.5, 2**31, 2**53, 2**63, 2**64, -(2**63), "", [], {})
_VALUES += ("../../outside/canary", "/etc/passwd", "..", ".", "~", "a\0b", "%s{0}", "💥\n\x1b[31m")
_VALUES += ("x" * 100_000, [[]], {"a": {}}, [0] * 1000, "os.system", "cuda", "bfloat16", "x/../y")


def hostile(rng: random.Random) -> Any:
    """A value, or `@raw` and text that stands in its place as it is."""
    draw = rng.random()
    if draw < 0.3:
        return f"@raw{rng.choice(_RAW)}"
    if draw < 0.45:
        n = rng.choice(_DEEP)
        return f"@raw{'[' * n}{']' * n}" if rng.random() < 0.5 else f"@raw{_nested(n)}"
    return rng.choice(_VALUES)


def _nested(n: int) -> str:
    return '{"a":' * n + "0" + "}" * n


def nodes(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths to all that a JSON value holds."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, part in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from nodes(part, (*path, key))


def made_hostile(rng: random.Random, content: dict) -> str:
    """JSON text with something strange at one place."""
    *path, key = rng.choice(list(nodes(content)))
    parent: Any = content
    for step in path:
        parent = parent[step]
    draw, twin = rng.random(), None
    if draw < 0.7 or isinstance(parent, list):
        parent[key] = hostile(rng)
    elif draw < 0.8:
        del parent[key]
    elif draw < 0.9:
        parent[str(hostile(rng))[:1000]] = parent[key]
    else:
        parent["@twin"], twin = hostile(rng), key
    text = json.dumps(content, indent=rng.choice((None, 1)))
    if twin is not None:
        text = text.replace('"@twin"', json.dumps(twin))
    start = text.find('"@raw')
    if start >= 0:
        value, end = json.JSONDecoder().raw_decode(text, start)
        text = text[:start] + value[4:] + text[end:]
    return text


def config(rng: random.Random, at: Place) -> str:
    file = at.run / "config.json"
    file.write_bytes(encoded(made_hostile(rng, json.loads(get(file)))))
    return seen(file)


def unchecked_pointer(rng: random.Random, at: Place) -> str:
    file = at.run / "history" / "history.json"
    file.write_bytes(encoded(made_hostile(rng, json.loads(get(file)))))
    return seen(file)


def other_text(rng: random.Random, at: Place) -> str:
    file = rng.choice((at.run / "config.json", at.run / "history" / "history.json"))
    text = get(file).decode()
    texts = (
        f"\ufeff{text}",
        f"{text}{text}",
        f"[{text}]",
        '"x"',
        "null",
        "{}",
        "[]",
        "0",
        "\0" * 99,
    )
    encoding = rng.choice(("utf-8", "utf-16", "utf-32", "latin-1"))
    return put(file, rng.choice((*texts, text)).encode(encoding, "replace"))


def newer(rng: random.Random, at: Place) -> str:
    file = rng.choice((at.run / "config.json", at.run / "history" / "history.json"))
    content = json.loads(get(file))
    content["format"] = rng.choice((content["format"] + 1, 99, 2**40))
    content["more"] = 1
    file.write_text(json.dumps(content))
    return file.name


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def seen(file: Path) -> str:
    return f"{file.name} of {file.stat().st_size} bytes"
