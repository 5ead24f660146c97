"""Networks as files for other programs: PT2 and ONNX."""

import io
import os
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from snnviz.devices import standard_settings
from snnviz.files import check_new_names, first_line, home_path, writing
from snnviz.structure.probe import check_example, copied, running

TOLERANCE = 1e-4  # of the largest output, between an exported file and its network


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # codes for terminals
_LACKING = re.compile(r"^No ONNX function found for <OpOverload\(op='([\w.]+)'")
_ONNX = ("onnx", "onnxscript", "onnxruntime")


@standard_settings()
def export(network: nn.Module, path: str | os.PathLike, example: Tensor | None = None) -> float:
    """Writes a network for other programs, and checks the file by running it.

    The suffix of the path chooses the format: `.pt2` for `torch.export.load`, `.onnx` for ONNX
    (which needs the extra `onnx`). The file computes as in evaluation mode, on the CPU, for any
    number of images.

    Args:
        network: from images to class scores; left as it is.
        path: the file; an existing file is replaced after the new one has been checked.
        example: normalised images (n, channels, height, width).

    Returns:
        Greatest difference between the outputs of the file and of the network, as a share of the
        largest output: for the example, and for one image.

    Raises:
        ValueError: a wrong suffix, no example, a network that cannot be exported, or a file whose
            outputs differ from the network's.
        ImportError: the extra `onnx` is not installed.
    """
    path = home_path("path", path)
    ways = {".pt2": (_write_pt2, _run_pt2), ".onnx": (_write_onnx, _run_onnx)}
    if path.suffix not in ways:
        raise ValueError(
            f"path must end in .pt2 (for torch.export) or .onnx, got {str(path)!r}. "
            "To load the network again with snnviz, use save_compact(network, path)."
        )
    check_new_names("path", path)
    example = check_example(example, copied=True)
    if path.suffix == ".onnx":
        _need_onnx()
    write, run = ways[path.suffix]
    [other] = ways.keys() - {path.suffix}
    network = copied(network).cpu().eval()
    example = example.detach().cpu()
    expected = _scores(network, example)
    with writing("path", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent)
    with writing("path", path), beside as folder:
        file = Path(folder) / path.name
        try:
            # With a single image, the exporter would fix the number of images at 1.
            write(network, example if len(example) > 1 else torch.cat([example, example]), file)
            outputs = [run(file, example), run(file, example[:1])]
        except OSError:  # the disk is full, for example
            raise
        except Exception as error:  # the exporters raise many classes of errors
            raise ValueError(
                f"network cannot be exported to {path.name} ({_reason(error, network, example)}). "
                f"A path that ends in {other}, or save_compact(network, path), may still do."
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


def _reason(error: BaseException, network: nn.Module, example: Tensor) -> str:
    """The first line of the original cause, without the advice that the exporters wrap it in."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = _COLOUR.sub("", first_line(error))
    if found := _LACKING.search(line):
        return f"ONNX lacks {found[1]}, which {_callers(network, example, found[1])} calls"
    return line


def _callers(network: nn.Module, example: Tensor, operator: str) -> str:
    """The layers whose forward pass calls an operator, in words."""
    layers: dict[str, None] = {}
    for node in torch.export.export(network, (example,)).graph.nodes:
        if str(node.target).startswith(f"{operator}."):
            path = [path for path, _ in node.meta.get("nn_module_stack", {}).values()][-1:]
            layers.update(dict.fromkeys(path))
    names = [f"layer {path}" if path else "the network itself" for path in layers]
    return names[0] if names else "the network"


@torch.no_grad()
def _scores(network: nn.Module, images: Tensor) -> Tensor:
    with running(network, images):
        return network(images)


def _difference(came: Tensor, expected: Tensor) -> float:
    if came.shape != expected.shape:
        return float("inf")
    scale = max(float(expected.abs().max()), 1e-30)
    return float((came - expected).abs().max()) / scale


def _write_pt2(network: nn.Module, example: Tensor, file: Path) -> None:
    images = {0: torch.export.Dim.DYNAMIC}
    content = io.BytesIO()  # on a full disk, PyTorch's own writing to a file ends the process
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=(images,)), content)
    file.write_bytes(content.getbuffer())


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
