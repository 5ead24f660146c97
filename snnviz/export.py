"""Saves a network so that it needs no code to come back, and exports it for other programs.

A saved network is a folder: `network.json` names its layers and calls, `weights.safetensors` holds
its tensors. Neither is a pickle, and nothing in them is run.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnviz._describe import CannotDescribe, describe
from snnviz._files import exchanged
from snnviz._probe import copied
from snnviz._rebuild import build
from snnviz._vocabulary import as_saved
from snnviz.memory_format import make_safe

FORMAT = 1
TOLERANCE = 1e-4  # of the largest output, between an exported file and its network

_DESCRIPTION, _WEIGHTS = "network.json", "weights.safetensors"
_ONNX = ("onnx", "onnxscript", "onnxruntime")


# --- saving -----------------------------------------------------------------------------------


def save_compact(
    network: nn.Module, path: str | os.PathLike, example: Tensor | None = None
) -> Path:
    """Writes `network.json` and `weights.safetensors` into a folder, whole or not at all.

    Kept are the modes (training or evaluation), dtypes, `requires_grad`, and what is tied. What was
    saved there before is replaced; anything else in the folder is an error.

    Args:
        network: as `compact` gives it, or any other that `torch.fx` can trace.
        path: the folder.
        example: images (n, channels, height, width); if given, the network is read back and must
            give the same outputs for them, bit for bit.

    Raises:
        ValueError: the network cannot be described; says what stands in the way.
        FileExistsError: the folder holds other files.

    Source: the graph is that of torch.fx (Reed et al. 2022).
    """
    from safetensors.torch import save_file

    folder = Path(path)
    try:
        description, tensors = describe(network)
    except CannotDescribe as error:
        raise _unwritable(str(error)) from error
    with exchanged(folder, (_DESCRIPTION, _WEIGHTS)) as new:
        save_file(as_saved(tensors.items()), new / _WEIGHTS)
        content = {"format": FORMAT, "weights": _sha256(new / _WEIGHTS), **description}
        (new / _DESCRIPTION).write_text(_json(content), encoding="utf-8")
        try:
            loaded = load_compact(new)
        except ValueError as error:
            raise _unwritable(f"it would not come back the same: {error.__cause__}") from error
        if example is not None and not _same(network, loaded, example):
            raise _unwritable("read back, it gives other outputs for the example")
    return folder


def load_compact(path: str | os.PathLike) -> nn.Module:
    """Rebuilds a network that `save_compact` wrote, on the CPU. No code in the files is run.

    Returns:
        A `torch.fx.GraphModule`: an ordinary module, with the names that the layers had, which can
        be trained, compacted, saved and exported, and needs nothing of snnviz. A deep copy of it
        keeps only what the forward pass uses. Save it with `save_compact`: a pickle of a
        GraphModule would fix its functional dropout at on or off.

    Raises:
        FileNotFoundError: the folder, or a file in it, is missing.
        ValueError: a file is damaged or from a newer version, or asks for what no description may.
    """
    from safetensors.torch import load

    folder = Path(path)
    for name in (_DESCRIPTION, _WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"folder {str(folder)!r} holds no saved network: {name} is missing. "
                "Give a folder that save_compact has written."
            )
    with _reading(folder / _DESCRIPTION):
        content = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        newer, weights = int(content["format"]) > FORMAT, content["weights"]
        if not newer and content.pop("sha256") != hashlib.sha256(_bytes(content)).hexdigest():
            raise ValueError("its checksum does not fit")
    if newer:
        raise ValueError(
            f"the file {str(folder / _DESCRIPTION)!r} has format {content['format']}, and this "
            f"version of snnviz reads up to {FORMAT}; install a newer snnviz."
        )
    with _reading(folder / _WEIGHTS):
        data = (folder / _WEIGHTS).read_bytes()
        if hashlib.sha256(data).hexdigest() != weights:
            raise ValueError("its checksum does not fit")
        tensors = load(data)
    with _reading(folder / _DESCRIPTION):
        return make_safe(build(content, tensors))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a damaged file makes a reader say
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if type(error) is KeyError and why.count(" ") == 0:
            why = f"{error.args[0]} is missing"
        raise ValueError(
            f"the file {str(file)!r} is damaged or not from snnviz ({why}); "
            "load another copy of it."
        ) from error


def _unwritable(why: str) -> ValueError:
    return ValueError(
        f"network cannot be saved without its code: {why}. Use export(network, path, example) for "
        "a file that runs, or save network.state_dict() and keep the code that builds the network."
    )


def _json(content: dict[str, Any]) -> str:
    """A line for each layer, tensor and call, so that people can read it; with a checksum."""
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
def _same(network: nn.Module, loaded: nn.Module, example: Tensor) -> bool:
    here = make_safe(copied(network).cpu()).eval()
    images = example.cpu()
    return torch.equal(here(images), copied(loaded).eval()(images))


# --- exporting --------------------------------------------------------------------------------


def export(network: nn.Module, path: str | os.PathLike, example: Tensor | None = None) -> float:
    """Writes a network for other programs, and proves it by running the file.

    The path's ending says how: `.pt2` for `torch.export.load`, `.onnx` for ONNX (which needs the
    extra `onnx`). What is written computes as in evaluation, on the CPU, for any number of images.

    Args:
        network: from images to class scores; left as it is.
        path: the file; one that is there already is replaced once the new one has been proved.
        example: normalised images (n, channels, height, width).

    Returns:
        Greatest difference between the outputs of the file and of the network, as a share of the
        largest output: for the example, and for one image.

    Raises:
        ValueError: a wrong ending, no example, a network that cannot be exported, or a file that
            gives other outputs than the network.
        ImportError: the extra `onnx` is not installed.
    """
    path = Path(path)
    ways = {".pt2": (_write_pt2, _run_pt2), ".onnx": (_write_onnx, _run_onnx)}
    if path.suffix not in ways:
        raise ValueError(
            f"path must end in .pt2 (for torch.export) or .onnx, got {str(path)!r}. "
            "To load the network again with snnviz, use save_compact(network, path)."
        )
    if not isinstance(example, Tensor) or example.ndim < 2 or len(example) == 0:
        got = tuple(example.shape) if isinstance(example, Tensor) else example
        raise ValueError(
            "example must be a tensor of normalised images (n, channels, height, width), "
            f"got {got!r}. Some test images will do: data.batch('test', torch.arange(8))[0]."
        )
    if path.suffix == ".onnx":
        _need_onnx()
    write, run = ways[path.suffix]
    network = copied(network).cpu().eval()
    example = example.detach().cpu()
    expected = _scores(network, example)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as beside:
        file = Path(beside) / path.name
        try:
            # With one image only, the number of images would be fixed at 1.
            write(network, example if len(example) > 1 else torch.cat([example, example]), file)
            outputs = [run(file, example), run(file, example[:1])]
        except Exception as error:  # the exporters raise dozens of kinds
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"network cannot be exported to {path.name} ({why}). save_compact(network, path) "
                "may still write it."
            ) from error
        difference = max(map(_difference, outputs, [expected, _scores(network, example[:1])]))
        if not difference <= TOLERANCE:
            raise ValueError(
                f"the outputs of {path.name} would differ by {difference:.1e} of the largest "
                f"output, and {TOLERANCE:g} is allowed; nothing was written. "
                "save_compact(network, path) keeps the outputs bit for bit."
            )
        os.replace(file, path)
    return difference


@torch.no_grad()
def _scores(network: nn.Module, images: Tensor) -> Tensor:
    try:
        return network(images)
    except Exception as error:
        raise ValueError(
            f"network does not run on example, of shape {tuple(images.shape)} ({error}). "
            "Give normalised images as the network takes them."
        ) from error


def _difference(came: Tensor, expected: Tensor) -> float:
    if came.shape != expected.shape:
        return float("inf")
    scale = max(float(expected.abs().max()), 1e-30)
    return float((came - expected).abs().max()) / scale


def _write_pt2(network: nn.Module, example: Tensor, file: Path) -> None:
    images = {0: torch.export.Dim.DYNAMIC}
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=(images,)), file)


def _run_pt2(file: Path, images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.export.load(file).module()(images)


def _need_onnx() -> None:
    missing = [name for name in _ONNX if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"export to .onnx needs {', '.join(missing)}. Install it: pip install 'snnviz[onnx]'"
        )


def _write_onnx(network: nn.Module, example: Tensor, file: Path) -> None:
    torch.onnx.export(
        network,
        (example,),
        file,
        input_names=["images"],
        output_names=["scores"],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _run_onnx(file: Path, images: Tensor) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    [scores] = session.run(None, {"images": images.numpy()})
    return torch.from_numpy(scores)
