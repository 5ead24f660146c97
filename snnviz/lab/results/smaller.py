"""The network without its off neurons, what that saves, and files of it."""

import statistics
import time
from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snnviz.export import export, save_compact
from snnviz.files import first_line
from snnviz.shrink import CompactReport, compact
from snnviz.training import AlternatingTrainer

EXAMPLE = 128  # images that files are checked with, and whose time is measured
ONNX = ("onnx", "onnxscript", "onnxruntime")


class Compacted(NamedTuple):
    """What `lab.compacted` gives."""

    network: nn.Module
    report: CompactReport


class Smaller(NamedTuple):
    """A smaller network with what the lab says of it."""

    compacted: Compacted
    step: int
    on: int  # neurons
    of: int
    milliseconds: dict[int, float]  # {batch size: of the network before}
    example: Tensor


def make_smaller(trainer: AlternatingTrainer, latency: bool = True) -> Smaller:
    """Compacts the network as it is now. Takes a few seconds, more with `latency`.

    Raises:
        OutputsDiffer: the smaller network's outputs differ.
        TrainingStopped: training has stopped with an unsound network.
    """
    if trainer.stopped:
        raise trainer.stopped
    n = min(EXAMPLE, len(trainer.data.test))
    example = trainer.data.batch("test", torch.arange(n))[0]
    network, report = compact(trainer, latency=latency)
    times = {size: _milliseconds(trainer.network, example, size) for size in report.latency}
    factors = trainer.factors.values()
    on, of = sum(int((s > 0).sum()) for s in factors), sum(map(len, factors))
    at = trainer.position.step
    return Smaller(Compacted(network, report), at, on, of, times, example)


@torch.no_grad()
def _milliseconds(network: nn.Module, example: Tensor, size: int) -> float:
    """The median time for a batch."""
    images = example[torch.arange(size, device=example.device) % len(example)]
    training, times = network.training, []
    network.eval()
    try:
        for _ in range(7):
            began = time.perf_counter()
            network(images)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
            times.append(1000 * (time.perf_counter() - began))
    finally:
        network.train(training)
    return statistics.median(times[2:])


def sizes_html(smaller: Smaller) -> str:
    """A table of what the network was and is."""
    report = smaller.compacted.report
    rows = [
        ("neurons", smaller.of, smaller.on),
        ("parameters", report.before.parameters, report.after.parameters),
        ("MACs for an image", report.before.macs, report.after.macs),
        ("bytes on disk", report.bytes_before, report.bytes_after),
    ]
    body = "".join(
        _row(name, f"{before:,}", f"{after:,}", after / max(before, 1))
        for name, before, after in rows
    )
    for size, ratio in report.latency.items():
        before, images = smaller.milliseconds[size], "1 image" if size == 1 else f"{size} images"
        after = before * ratio
        body += _row(f"time for {images}, ms", _write_ms(before), _write_ms(after), ratio)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "before", "after", "left"))
    lines = [
        f"The outputs differ by at most {report.difference:.0e} of the largest, "
        f"on {report.images} test images.",
        *(_describe_gone(name, layers) for name, layers in report.removed.items()),
        *(
            f"{name} is entirely off; one neuron was kept: {why}"
            for name, why in report.kept.items()
        ),
        *report.describe_plain(),
        "In a cell: network, report = lab.compacted",
    ]
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<table class="snnviz-sizes"><tr>{head}</tr>{body}</table>{said}'


def _row(name: str, before: str, after: str, left: float) -> str:
    cells = "".join(f"<td>{cell}</td>" for cell in (before, after, f"{100 * left:.0f} %"))
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _write_ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _describe_gone(name: str, layers: tuple[str, ...]) -> str:
    gone = f"removed: {', '.join(layers)}" if layers else "removed with the branch it was in"
    return f"{name} is entirely off, {gone}"


def save_files(smaller: Smaller, name: str, folder: Path) -> tuple[list[Path], list[str]]:
    """Writes it for snnviz, as PT2, and as ONNX if that is installed.

    Returns:
        What was written, and why something was not.
    """
    network, example = smaller.compacted.network, smaller.example
    ways: dict[str, Callable[[Path], object]] = {
        "": lambda path: save_compact(network, path, example),
        ".pt2": lambda path: export(network, path, example),
    }
    if all(map(find_spec, ONNX)):
        ways[".onnx"] = ways[".pt2"]
    written, problems = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, write in ways.items():
        path = folder / f"{name}{suffix}"
        try:
            write(path)
        except (ValueError, OSError) as error:
            problems.append(f"{path.name}: {first_line(error)}")
        else:
            written.append(path)
    return written, problems
