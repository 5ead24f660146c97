"""Which convolutions corrupt memory in oneDNN, the library that runs them on CPUs.

Each case trains one layer in a process of its own, for a case that goes wrong ends its process, or
gives a wrong gradient without a word. The table that this prints is the reason for the rule in
snnviz/memory_format.py. The oneDNN project knows the fault as issue 6035:
https://github.com/uxlfoundation/oneDNN/issues/6035
"""

import argparse
import csv
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

RESULTS = Path(__file__).parent / "results" / "convolution_crash.csv"
CPUS = ("AVX2", "AVX512_CORE")  # values of ONEDNN_MAX_CPU_ISA
KINDS = {"1d": nn.Conv1d, "2d": nn.Conv2d, "3d": nn.Conv3d, "transposed": nn.ConvTranspose2d}
LIMIT = 60  # seconds; with several threads some cases never end


@dataclass(frozen=True)
class Case:
    kind: str = "2d"
    inputs: int = 3
    outputs: int = 6
    kernel: str = "1"
    stride: str = "2"
    groups: int = 1
    bias: bool = False
    dilation: int = 1
    padding: int = 0
    batch: int = 64
    image: int = 14
    format: str = "channels_last"  # of images and weights; or of one of them; or "contiguous"
    precision: str = "float32"


def cases() -> Iterator[Case]:
    """One setting after another is varied."""
    base = Case()
    for inputs in range(1, 18):
        for outputs in (6, 8, 17):
            yield replace(base, inputs=inputs, outputs=outputs)
        yield replace(base, inputs=inputs, outputs=16, image=64, batch=16)
    for inputs in (24, 31, 32, 33, 64, 127):
        yield replace(base, inputs=inputs, outputs=2 * inputs)
    for kind in KINDS:
        for inputs, outputs in ((3, 6), (6, 3), (8, 16), (12, 16), (16, 12), (16, 16)):
            yield replace(base, kind=kind, inputs=inputs, outputs=outputs)
            if kind == "1d":
                yield replace(base, kind=kind, inputs=inputs, outputs=outputs, image=1024)
            elif kind == "transposed":
                yield replace(base, kind=kind, inputs=inputs, outputs=outputs, image=64)
            yield replace(base, kind=kind, inputs=inputs, outputs=outputs, stride="3", image=15)
    for inputs, outputs in ((3, 6), (4, 8), (12, 16)):
        two = replace(base, inputs=inputs, outputs=outputs, image=32, batch=16)
        for stride in ("1", "3", "4", "1,2", "2,1", "2,3"):
            yield replace(two, stride=stride)
        for stride in ("3", "1,3", "5"):
            yield replace(two, stride=stride, image=30)
        for kernel in ("2", "3", "5", "1,3", "3,1", "1,2"):
            for stride in ("1", "2"):
                yield replace(two, kernel=kernel, stride=stride)
        yield replace(two, bias=True)
        yield replace(two, dilation=2)
        for padding in (1, 2):
            yield replace(two, padding=padding)
        for batch in (1, 2, 8, 64):
            yield replace(two, batch=batch)
        for image in (2, 3, 7, 8, 28, 56, 64, 80):
            yield replace(two, image=image)
        for layout in ("input", "weights", "contiguous"):
            yield replace(two, format=layout)
        for image in (14, 32, 80):
            yield replace(two, precision="bfloat16", image=image)
    for inputs, outputs, groups in (
        (4, 4, 4), (8, 8, 8), (4, 8, 2), (8, 16, 2), (8, 16, 4), (16, 16, 16), (16, 16, 2),
        (16, 32, 4), (24, 48, 2), (32, 32, 2), (32, 32, 32),
    ):  # fmt: skip
        yield replace(base, inputs=inputs, outputs=outputs, groups=groups, image=32, batch=16)


def train(case: Case, repeats: int) -> float:
    """The largest error of the weights' gradient, as a share of the largest entry."""
    torch.manual_seed(0)
    kernel, stride = (_numbers(text) for text in (case.kernel, case.stride))
    layer = KINDS[case.kind](
        case.inputs, case.outputs, kernel, stride,
        padding=case.padding, dilation=case.dilation, groups=case.groups, bias=case.bias,
    )  # fmt: skip
    dims = {"1d": 1, "3d": 3}.get(case.kind, 2)
    size = min(case.image, 16) if dims == 3 else case.image
    x = torch.randn(case.batch, case.inputs, *(size,) * dims)
    last = {1: None, 2: torch.channels_last, 3: torch.channels_last_3d}[dims]
    if case.format in ("channels_last", "weights") and last:
        layer = layer.to(memory_format=last)
    if case.format in ("channels_last", "input"):
        x = x.contiguous(memory_format=last) if last else x.mT.contiguous().mT
    x.requires_grad_()
    with torch.backends.mkldnn.flags(enabled=False):
        expected = _gradient(layer, x)
    worst = 0.0
    for _ in range(repeats):
        with torch.autocast("cpu", torch.bfloat16, enabled=case.precision == "bfloat16"):
            came = _gradient(layer, x)
        error = float((came - expected).abs().max() / expected.abs().max())
        worst = max(worst, error if error == error else float("inf"))
    return worst


def _numbers(text: str) -> Any:
    """One number, or one for each direction."""
    numbers = [int(part) for part in text.split(",")]
    return tuple(numbers) if len(numbers) > 1 else numbers[0]


def _gradient(layer: Any, x: torch.Tensor) -> torch.Tensor:
    layer.zero_grad(set_to_none=True)
    x.grad = None
    y = torch.relu(layer(x)).float()
    (y * y).mean().backward()
    return layer.weight.grad.clone()


def outcome(case: Case, repeats: int) -> tuple[str, str]:
    """(what happened, which of oneDNN's implementations computed the weights' gradient)."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 1)
        os.dup2(write, 2)
        # What oneDNN says is to be there when the process dies: its output waits in no buffer.
        libc = ctypes.CDLL(None)
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, 2, 0)
        signal.alarm(LIMIT)
        print(f"worst {train(case, repeats)}", flush=True)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, errors="replace") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    used = re.findall(r"create:\w+,cpu,(?:de)?convolution,([^,]+),backward_weights", said)
    implementation = used[0] if used else "not oneDNN"
    if status == -signal.SIGALRM:
        return f"no end within {LIMIT} s", implementation
    if status:
        how = signal.Signals(-status).name if status < 0 else f"exit {status}"
        return f"crash ({how})", implementation
    worst = float(re.findall(r"worst (\S+)", said)[-1])
    allowed = 0.05 if case.precision == "bfloat16" else 1e-3
    return ("sound" if worst < allowed else f"wrong gradient ({worst:.1g})"), implementation


def work(repeats: int) -> None:
    """All cases, under the instruction sets that the environment allows."""
    # Torch is loaded once and computes nothing here: oneDNN looks at the environment in each child.
    writer = csv.writer(sys.stdout)
    for case in cases():
        writer.writerow([*asdict(case).values(), *outcome(case, repeats)])
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpus", nargs="+", default=CPUS, help="values of ONEDNN_MAX_CPU_ISA")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        return work(asked.repeats)
    rows = []
    for cpu in asked.cpus:
        for threads in asked.threads:
            setting = {
                "ONEDNN_MAX_CPU_ISA": cpu,
                "OMP_NUM_THREADS": str(threads),
                "ONEDNN_VERBOSE": "profile_create",
                "MALLOC_PERTURB_": "165",  # freed memory is overwritten, so that its use shows
            }
            command = [sys.executable, __file__, "--work", "--repeats", str(asked.repeats)]
            said = subprocess.check_output(command, env=os.environ | setting, text=True)
            rows += [[cpu, threads, *row] for row in csv.reader(said.splitlines())]
    names = ["cpu", "threads", *(f.name for f in fields(Case)), "outcome", "implementation"]
    print("  ".join(names))
    for row in rows:
        print("  ".join(map(str, row)))
    bad = sum(row[-2] != "sound" for row in rows)
    print(f"{bad} of {len(rows)} cases go wrong, torch {torch.__version__}")
    if asked.write:
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([names, *rows])


if __name__ == "__main__":
    main()
