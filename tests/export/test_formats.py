"""Exported files run and are checked."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.export import TOLERANCE, export, load_compact, save_compact
from tests.export.nets import NETWORKS, Own, Residual, branch, compacted

# --- exporting --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
@pytest.mark.parametrize("name", ["lenet5", "residual", "response", "standardised", "vit"])
def test_an_exported_file_runs(
    name: str, ending: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build, shape = NETWORKS[name]
    example = torch.randn(3, *shape)
    small = compacted(build(), example)
    file = tmp_path / "deep" / f"net{ending}"
    assert 0 <= export(small, file, example) <= TOLERANCE
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert small.training
    assert capfd.readouterr().out == ""

    images = torch.randn(5, *shape)  # another number of images
    expected = small.eval()(images).detach()
    torch.testing.assert_close(_run(file, images), expected, rtol=1e-4, atol=1e-4)


def _run(file: Path, images: Tensor) -> Tensor:
    if file.suffix == ".pt2":
        return torch.export.load(file).module()(images).detach()
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(file)
    return torch.from_numpy(session.run(["scores"], {"images": images.numpy()})[0])


@pytest.mark.slow
def test_one_image_is_example_enough(tmp_path: Path) -> None:
    network = Residual()
    example = torch.randn(1, 3, 8, 8)
    assert export(network, tmp_path / "net.pt2", example) <= TOLERANCE
    images = torch.randn(4, 3, 8, 8)
    assert _run(tmp_path / "net.pt2", images).shape == (4, 5)


@pytest.mark.slow
def test_a_loaded_network_can_be_exported(saved: Path, tmp_path: Path) -> None:
    loaded = load_compact(saved)
    assert export(loaded, tmp_path / "net.pt2", torch.randn(3, 3, 8, 8)) <= TOLERANCE


def _only_four(module: nn.Module, x: Tensor) -> Tensor:
    if x.shape[1] != 4:
        raise RuntimeError(f"{x.shape[1]} is not 4")
    return x


def not_images(got: str) -> str:
    return (
        "example must be a tensor of normalised images (n, channels, height, width), as floats, "
        f"got {got}. Some test images will do: data.batch('test', torch.arange(8))[0]."
    )


EXPORT_ERRORS: dict[str, tuple[str, Tensor | None, str]] = {
    "ending": (
        "net.pth",
        torch.zeros(2, 4),
        "path must end in .pt2 (for torch.export) or .onnx, got 'net.pth'. "
        "To load the network again with snnviz, use save_compact(network, path).",
    ),
    "no example": ("net.pt2", None, not_images("NoneType")),
    "empty example": ("net.pt2", torch.zeros(0, 4), not_images("the shape (0, 4)")),
    "wrong example": (
        "net.pt2",
        torch.zeros(2, 3),
        "network does not run on images of shape (2, 3): 3 is not 4. "
        "Check that its first layer takes images of this shape.",
    ),
}


@pytest.mark.parametrize("case", EXPORT_ERRORS)
def test_export_says_what_is_wrong(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, example, message = EXPORT_ERRORS[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r".") as raised:
        export(Own(_only_four), path, example)
    assert str(raised.value) == message
    assert list(tmp_path.iterdir()) == []


EXAMPLES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "kind": (Tensor.tolist, not_images("list")),
    "dimensions": (lambda x: x[0, 0], not_images("the shape (4,)")),
    "whole numbers": (Tensor.long, not_images("values of torch.int64")),
    "no numbers": (lambda x: x * torch.nan, not_images("values that are infinite or not a number")),
    "no values": (
        lambda x: x.to("meta"),
        not_images("a tensor on the device meta, which has no values"),
    ),
    "precision": (
        Tensor.double,
        "network does not run on images of shape (2, 1, 4): mat1 and mat2 must have the same "
        "dtype, but got Double and Float. Its parameters are torch.float32 and the images "
        "torch.float64: convert the images with .to(torch.float32).",
    ),
    "shape": (
        lambda x: x[:, :, :3],
        "network does not run on images of shape (2, 1, 3): mat1 and mat2 shapes cannot be "
        "multiplied (2x3 and 4x2). Check that its first layer takes images of this shape.",
    ),
}


@pytest.mark.parametrize("write", [export, save_compact])
@pytest.mark.parametrize("case", EXAMPLES)
def test_what_an_example_can_be(case: str, write: Callable[..., Any], tmp_path: Path) -> None:
    change, message = EXAMPLES[case]
    with pytest.raises(ValueError, match=r".") as raised:
        write(nn.Linear(4, 2), tmp_path / "net.pt2", change(torch.ones(2, 1, 4)))
    assert str(raised.value) == message
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys, torch
from pathlib import Path
from torch import nn
from snnviz.export import export, save_compact
network, folder = nn.Linear(100, 100), Path(sys.argv[1])
for write, name in ((export, "net.pt2"), (export, "net.onnx"), (save_compact, "net")):
    example = torch.ones(2, 100)
    if write is export:
        write(network, folder / name, example)  # imports what it needs
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
    try:
        write(network, folder / name, example)
    except OSError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such limit")
def test_a_full_disk(tmp_path: Path) -> None:
    """For real: the system lets no file grow past 6,000 bytes, which ended the process once."""
    pytest.importorskip("onnxscript")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"path must be a place where files can be written, got {str(tmp_path / name)!r} "
        "(File too large). Choose another one."
        for name in ("net.pt2", "net.onnx", "net")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.pt2"]
    assert torch.export.load(tmp_path / "net.pt2").module()(torch.ones(2, 100)).shape == (2, 100)


def test_a_folder_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    file = tmp_path / "net.pt2"
    with pytest.raises(PermissionError) as raised:
        export(nn.Linear(4, 2), file, torch.ones(2, 4))
    assert str(raised.value) == (
        f"path must be a place where files can be written, got {str(file)!r} (Permission denied). "
        "Choose another one."
    )


def test_control_flow_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^network cannot be exported to net.pt2 \(.+\)\. A path .+ \.onnx"
    ):
        export(Own(branch), tmp_path / "net.pt2", torch.ones(2, 4))
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_number_of_images_is_not_exported(tmp_path: Path) -> None:
    network = Own(lambda _, x: x.reshape(2, 4))
    with pytest.raises(ValueError, match=r"^network cannot be exported to net.pt2 \("):
        export(network, tmp_path / "net.pt2", torch.ones(2, 4))


def test_a_file_that_differs_is_not_kept(tmp_path: Path) -> None:
    """Random numbers differ from run to run, so what the file gives is not what was promised."""
    file = tmp_path / "net.pt2"
    file.write_text("the one before")
    network = Own(lambda _, x: x + torch.rand_like(x))
    with pytest.raises(ValueError, match=r"^the outputs of net.pt2 would differ by \d.\de[+-]\d\d"):
        export(network, file, torch.ones(2, 4))
    assert file.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [file]


def test_onnx_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "snnviz.export.formats.find_spec", lambda name: None if name != "onnx" else True
    )
    with pytest.raises(ImportError) as raised:
        export(nn.Linear(4, 4), tmp_path / "net.onnx", torch.ones(2, 4))
    assert str(raised.value) == (
        "export to .onnx needs onnxscript, onnxruntime. Install it: pip install 'snnviz[onnx]'"
    )


@pytest.mark.slow
def test_the_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    network = nn.Sequential(nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(27, 4))
    with pytest.raises(ValueError, match=r".") as raised:
        export(network, tmp_path / "net.onnx", torch.randn(2, 3, 10, 10))
    assert str(raised.value) == (
        "network cannot be exported to net.onnx (ONNX lacks aten.adaptive_max_pool2d, which layer "
        "0 calls). A path that ends in .pt2, or save_compact(network, path), may still do."
    )
    assert list(tmp_path.iterdir()) == []
