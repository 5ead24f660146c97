"""Damaged and malicious files are refused, and only layers are ever built."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snnviz.export import load_compact

# --- files that are not to be trusted ---------------------------------------------------------


def test_missing_files_are_named(saved: Path, tmp_path: Path) -> None:
    for name in ("weights.safetensors", "network.json"):
        folder = shutil.copytree(saved, tmp_path / name)
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError) as raised:
            load_compact(folder)
        assert str(raised.value) == (
            f"folder {str(folder)!r} contains no saved network: {name} is missing. "
            "Give a folder that save_compact has written."
        )


@pytest.mark.parametrize("name", ["weights.safetensors", "network.json"])
@pytest.mark.parametrize("kind", ["empty", "truncated", "longer", "flipped", "other"])
def test_damage_is_found(name: str, kind: str, saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "net")
    data = (folder / name).read_bytes()
    places = [len(data) * k // 23 for k in range(1, 23)] if kind == "flipped" else [0]
    for place in places:
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        damaged = {
            "empty": b"",
            "truncated": data[:-9],
            "longer": data + b"0",
            "flipped": flipped,
            "other": b"PK\x03\x04 something else",
        }
        (folder / name).write_bytes(damaged[kind])
        start = re.escape(f"the file {str(folder / name)!r} is damaged or not from snnviz (")
        with pytest.raises(ValueError, match=f"^{start}.*; load another copy of it.$"):
            load_compact(folder)


def _layer(content: dict[str, Any], path: str) -> dict[str, Any]:
    return next(entry for entry in content["modules"] if entry["path"] == path)


def _call(content: dict[str, Any], op: str) -> dict[str, Any]:
    return next(entry for entry in content["nodes"] if entry["op"] == op)


def _set(entry: dict[str, Any], key: str, value: Any) -> None:
    entry[key] = value


def _getattr(content: dict[str, Any], name: Any) -> None:
    entry = next(e for e in content["nodes"] if e["target"] == "builtins.getattr")
    entry["args"][1] = name


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "huge layer": (
        lambda c: _layer(c, "scores")["args"].update(in_features=10**12),
        "scores.weight should have the shape (5, 1000000000000), and has (5, 8)",
    ),
    "huger layer": (
        lambda c: _layer(c, "scores")["args"].update(in_features=10**30),
        "empty(): argument 'size' failed to unpack the object at pos 2 with error "
        '"Overflow when unpacking long long',
    ),
    "wrong shape": (
        lambda c: _layer(c, "norm")["args"].update(num_features=9),
        "norm.weight should have the shape (9,), and has (8,)",
    ),
    "unknown class": (
        lambda c: _set(_layer(c, "scores"), "class", "os.system"),
        "'os.system' is not in the table of layers",
    ),
    "device": (
        lambda c: _layer(c, "scores")["args"].update(device="cpu"),
        "a layer may not set a device or a dtype",
    ),
    "bias too many": (
        lambda c: _layer(c, "scores")["args"].update(bias=False),
        "layer scores does not have the tensors of a Linear",
    ),
    "unknown function": (
        lambda c: _set(_call(c, "call_function"), "target", "builtins.eval"),
        "call_function of 'builtins.eval' is not an allowed call",
    ),
    "unknown method": (
        lambda c: _set(_call(c, "call_method"), "target", "__reduce__"),
        "call_method of '__reduce__' is not an allowed call",
    ),
    "code as a method": (
        lambda c: _set(_call(c, "call_method"), "target", "view(0); 1/0 #"),
        "call_method of 'view(0); 1/0 #' is not an allowed call",
    ),
    "code as an input": (
        lambda c: _set(_call(c, "placeholder"), "target", "x=print(1)"),
        "placeholder of 'x=print(1)' is not an allowed call",
    ),
    "code as a keyword": (
        lambda c: _call(c, "call_method")["kwargs"].update({"x=print(1), y": 1}),
        "call_method of 'mean' is not an allowed call",
    ),
    "hidden attribute": (
        lambda c: _getattr(c, "__class__"),
        "the attribute ['__class__'] may not be read",
    ),
    "container called": (
        lambda c: _set(_call(c, "call_module"), "target", "block"),
        "call_module of 'block' is not an allowed call",
    ),
    "other operation": (
        lambda c: _set(_call(c, "call_method"), "op", "exec"),
        "exec of 'mean' is not an allowed call",
    ),
    "later value": (
        lambda c: _set(_call(c, "call_module"), "args", [{"node": 99}]),
        "{'node': 99} is not an allowed value",
    ),
    "negative value": (
        lambda c: _set(_call(c, "call_module"), "args", [{"node": -1}]),
        "{'node': -1} is not an allowed value",
    ),
    "unknown value": (
        lambda c: _set(_call(c, "call_module"), "args", [{"pickle": "gASV"}]),
        "{'pickle': 'gASV'} is not an allowed value",
    ),
    "huge padding": (
        lambda c: _layer(c, "stem")["args"].update(padding=[10**9, 1]),
        "padding of layer stem has a size of 1000000000, at most 16777216",
    ),
    "huge tensor": (
        lambda c: _call(c, "call_function").update(target="torch.zeros", args=[10**12], kwargs={}),
        "torch.zeros has a size of 1000000000000, at most 16777216",
    ),
    "function as an argument": (
        lambda c: _call(c, "call_function").update(target="math.ceil", kwargs={"key": {"node": 0}}),
        "math.ceil may not have the arguments key",
    ),
    "no output": (lambda c: c["nodes"].pop(), "its last call must be its output"),
    "name with code": (
        lambda c: _set(_layer(c, "scores"), "path", 'a"), print("'),
        "'a\"), print(\"' cannot be the name of a layer",
    ),
    "name of the class": (
        lambda c: _set(_layer(c, "scores"), "path", "__class__"),
        "\"attribute '__class__' already exists\"",
    ),
    "no parent": (
        lambda c: _set(_layer(c, "scores"), "path", "nobody.scores"),
        "nobody is missing",
    ),
    "itself": (
        lambda c: c["modules"].append({"path": "block.block", "same": "block"}),
        "block.block is the same as a module that is not a layer",
    ),
    "unused tensor": (
        lambda c: _layer(c, "norm")["tensors"].update(bias="norm.weight"),
        "no layer uses the tensor norm.bias",
    ),
    "other tensors": (
        lambda c: c["tensors"].pop("norm.bias"),
        "the tensors described are not those in the file of weights",
    ),
    "no layers": (lambda c: c.pop("modules"), "modules is missing"),
}


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the description and puts its checksum right, as one with bad intent would."""
    file = folder / "network.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content.pop("sha256")
    change(content)
    text = json.dumps(content, sort_keys=True)
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    file.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_but_layers_is_built(case: str, saved: Path, tmp_path: Path) -> None:
    change, why = HOSTILE[case]
    folder = shutil.copytree(saved, tmp_path / "net")
    _rewrite(folder, change)
    with pytest.raises(ValueError, match=r".") as raised:
        load_compact(folder)
    assert str(raised.value) == (
        f"the file {str(folder / 'network.json')!r} is damaged or not from snnviz ({why}); "
        "load another copy of it."
    )


def test_deep_nesting_is_an_error_and_no_crash(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "net")
    (folder / "network.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ValueError, match="is damaged or not from snnviz"):
        load_compact(folder)


def test_a_newer_format_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "net")
    _rewrite(folder, lambda content: content.update(format=2))
    with pytest.raises(ValueError, match="format 2") as raised:
        load_compact(folder)
    assert str(raised.value) == (
        f"the file {str(folder / 'network.json')!r} has format 2, and this version of snnviz "
        "reads up to 1; install a newer snnviz."
    )
