"""Saves a network so that it can be loaded without the code of its class.

A saved network is a folder: `network.json` lists its layers and calls, `weights.safetensors`
contains its tensors. Neither is a pickle, and no code in them is run.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.devices import standard_settings
from snnviz.export.description import CannotDescribe, describe_as_values
from snnviz.export.rebuild import build_network
from snnviz.export.vocabulary import prepare_tensors
from snnviz.files import check_new_names, exchanged, home_path, writing
from snnviz.structure.memory_format import make_safe
from snnviz.structure.probe import check_example, copied, running

FORMAT = 1

_DESCRIPTION, _WEIGHTS = "network.json", "weights.safetensors"


@standard_settings()
def save_compact(
    network: nn.Module, path: str | os.PathLike, example: Tensor | None = None
) -> Path:
    """Writes `network.json` and `weights.safetensors` into a folder, whole or not at all.

    Modes (training or evaluation), dtypes, `requires_grad` and shared tensors are kept. A network
    that was saved there before is replaced; any other file in the folder is an error.

    Args:
        network: a result of `compact`, or any other network that `torch.fx` can trace.
        path: the folder.
        example: images (n, channels, height, width); if given, the saved network is loaded and its
            outputs for them must be the same, bit for bit.

    Raises:
        ValueError: the network cannot be described; the message says why.
        FileExistsError: the folder contains other files.

    Source: the graph is that of torch.fx (Reed et al. 2022).
    """
    from safetensors.torch import save

    folder = home_path("path", path)
    check_new_names("path", folder)
    if example is not None:
        check_example(example, copied=True)
    try:
        description, tensors = describe_as_values(network)
    except CannotDescribe as error:
        raise _cannot_save(str(error)) from error
    with writing("path", folder), exchanged(folder, (_DESCRIPTION, _WEIGHTS)) as new:
        (new / _WEIGHTS).write_bytes(save(prepare_tensors(tensors.items())))
        content = {"format": FORMAT, "weights": _sha256(new / _WEIGHTS), **description}
        (new / _DESCRIPTION).write_text(_json(content), encoding="utf-8")
        try:
            loaded = load_compact(new)
        except ValueError as error:
            raise _cannot_save(f"it could not be loaded again: {error.__cause__}") from error
        if example is not None and not _gives_the_same(network, loaded, example):
            raise _cannot_save("after loading, its outputs for the example differ")
    return folder


@standard_settings()
def load_compact(path: str | os.PathLike) -> nn.Module:
    """Rebuilds a network that `save_compact` wrote, on the CPU. No code in the files is run.

    Returns:
        A `torch.fx.GraphModule`: an ordinary module with the same layer names, which can be
        trained, compacted, saved and exported, and needs snnviz only for `nn.MultiheadAttention`
        that has lost heads. A deep copy of it
        keeps only what the forward pass uses. Save it with `save_compact`: a pickle of a
        GraphModule would fix its functional dropout at on or off.

    Raises:
        FileNotFoundError: the folder, or a file in it, is missing.
        ValueError: a file is damaged, from a newer version, or asks for something that is not
            allowed.
    """
    from safetensors.torch import load

    folder = home_path("path", path)
    for name in (_DESCRIPTION, _WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"folder {str(folder)!r} contains no saved network: {name} is missing. "
                "Give a folder that save_compact has written."
            )
    with _reading(folder / _DESCRIPTION):
        content = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        newer, weights = int(content["format"]) > FORMAT, content["weights"]
        if not newer and content.pop("sha256") != hashlib.sha256(_bytes(content)).hexdigest():
            raise ValueError("its checksum is wrong")
    if newer:
        raise ValueError(
            f"the file {str(folder / _DESCRIPTION)!r} has format {content['format']}, and this "
            f"version of snnviz reads up to {FORMAT}; install a newer snnviz."
        )
    with _reading(folder / _WEIGHTS):
        data = (folder / _WEIGHTS).read_bytes()
        if hashlib.sha256(data).hexdigest() != weights:
            raise ValueError("its checksum is wrong")
        tensors = load(data)
    with _reading(folder / _DESCRIPTION):
        return make_safe(build_network(content, tensors))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file can raise anything
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if type(error) is KeyError and why.count(" ") == 0:
            why = f"{error.args[0]} is missing"
        raise ValueError(
            f"the file {str(file)!r} is damaged or not from snnviz ({why}); "
            "load another copy of it."
        ) from error


def _cannot_save(why: str) -> ValueError:
    return ValueError(
        f"network cannot be saved without its code: {why}. Use export(network, path, example) for "
        "a file that runs, or save network.state_dict() and keep the code that builds the network."
    )


def _json(content: dict[str, Any]) -> str:
    """JSON with a checksum, and one line per layer, tensor and call, so that people can read it."""
    checked = {**content, "sha256": hashlib.sha256(_bytes(content)).hexdigest()}
    parts = []
    for key, value in checked.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
        elif isinstance(value, dict):
            lines = (f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items())
            text = "{\n" + ",\n".join(lines) + "\n }"
        else:
            text = json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _bytes(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@torch.no_grad()
def _gives_the_same(network: nn.Module, loaded: nn.Module, example: Tensor) -> bool:
    here = make_safe(copied(network).cpu()).eval()
    images = example.cpu()
    with running(here, images):
        expected = here(images)
    return torch.equal(expected, copied(loaded).eval()(images))
