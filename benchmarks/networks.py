"""Networks of snnviz, torchvision and timm: what can be switched, and whether what follows holds.

    python benchmarks/networks.py                      # those that have no row yet, then the page
    python benchmarks/networks.py --again resnet18     # these, whether they have a row or not
    python benchmarks/networks.py --write-docs         # only the page, from the rows there are

All parameters and norm statistics are drawn at random, half of each group's factors are exactly 0,
and the outputs of the smaller network are compared with those of the larger in float64, in
evaluation and in training mode. It is saved and exported too, and one round of alternating training
runs. Each network has a process of its own and a time limit, so that none can stop the others; a
step that it does not finish stays empty. The page also lists what the switcher reads.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import machine
import torch
from torch import Tensor, nn

import snnviz as sv
from snnviz.export import export, save_compact
from snnviz.networks import NETWORKS
from snnviz.structure import Switches, find_switches, scaled_parameters
from snnviz.structure.modes import in_mode
from snnviz.structure.probe import first_line
from snnviz.structure.sizes import smallest_size
from snnviz.switcher import DESCRIPTORS, Switcher, SwitcherConfig

RESULTS = Path(__file__).parent / "results" / "networks.csv"
DOCS = Path(__file__).parents[1] / "docs" / "networks.md"
_COLUMNS = """
    network image parameters groups neurons share_switched can_go seconds parameters_after
    difference difference_training saved round_runs pt2 onnx left_alone problem
"""
LARGEST = 1e-5  # difference of the outputs in float64, as a share of the largest
_CLASSES = 10
_OUTPUTS = "these are the network's outputs"
_LOW = 0.8  # of networks of which less is switched, the page says why

# The width of the images is 64 unless it is given here, and the networks have three channels.
TORCHVISION = """
    resnet18 resnet50 resnext50_32x4d wide_resnet50_2 vgg16_bn:32 densenet121 mobilenet_v2
    mobilenet_v3_small efficientnet_b0 efficientnet_v2_s regnet_y_400mf shufflenet_v2_x1_0
    squeezenet1_1 mnasnet0_5 googlenet inception_v3:96 convnext_tiny vit_b_16 swin_t
"""
TIMM = """
    res2net50_26w_4s fasternet_t0 skresnet18 ghostnet_050 poolformer_s12 convnextv2_atto
    resnetblur50 tresnet_m efficientnet_lite0 mobilenetv3_small_050 hrnet_w18_small dla34
    cspresnet50 cspdarknet53 repvgg_a0 resnest14d ese_vovnet19b_dw rexnet_100 edgenext_xx_small
    mobileone_s0 tf_efficientnet_b0 eca_nfnet_l0 xcit_nano_12_p16_224 vit_tiny_patch16_224
    mixer_s32_224 seresnet18 dpn48b repvit_m0_9
"""
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "torchvision/googlenet": {"aux_logits": False, "init_weights": False},
    "torchvision/inception_v3": {"aux_logits": False, "init_weights": False},
    "torchvision/vit_b_16": {"image_size": 64},
    "timm/xcit_nano_12_p16_224": {"img_size": 64},
    "timm/vit_tiny_patch16_224": {"img_size": 64},
    "timm/mixer_s32_224": {"img_size": 64},
}


def all_names() -> dict[str, tuple[int, int]]:
    """The channels and the width of the images, for each network."""
    names = dict.fromkeys(NETWORKS, (1, 28))
    for family, listed in (("torchvision", TORCHVISION), ("timm", TIMM)):
        for entry in listed.split():
            name, _, width = entry.partition(":")
            names[f"{family}/{name}"] = (3, int(width or 64))
    return names


def images_of(channels: int, width: int) -> sv.ImageData:
    """Random images: nothing here depends on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(64, channels, width, width, generator=generator)
    pair = images, torch.arange(64) % _CLASSES
    return sv.ImageData.from_tensors(pair, pair, device="cpu")


def build(name: str, data: sv.ImageData) -> nn.Module:
    family, _, short = name.rpartition("/")
    arguments = {"num_classes": _CLASSES} | _ARGUMENTS.get(name, {})
    if family == "torchvision":
        import torchvision

        return torchvision.models.get_model(short, weights=None, **arguments)
    if family == "timm":
        import timm

        return timm.create_model(short, **arguments)
    return sv.network(name, data)


def draw_at_random(network: nn.Module, generator: torch.Generator) -> None:
    """Parameters and norm statistics for which neither a leak nor a wrong fold would go unseen."""

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        tensor.data.copy_(values * (high - low) + low)

    for module in network.modules():
        norm = hasattr(module, "eps")
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1 and name != "layer_scale":
                bound = math.sqrt(6 / (parameter[0].numel() or 1))  # keeps the signal through ReLUs
                uniform(parameter, -bound, bound)
            elif norm or name == "layer_scale":
                uniform(parameter, *((0.5, 1.5) if name != "bias" else (-0.5, 0.5)))
            else:
                uniform(parameter, -0.5, 0.5)
        if getattr(module, "running_var", None) is not None:
            uniform(module.running_mean, -0.5, 0.5)
            uniform(module.running_var, 0.5, 1.5)


def measure(name: str, data: sv.ImageData, quick: bool = False) -> Iterator[dict[str, Any]]:
    """The parts of a row, one after the other; if quick, no more than `save_compact`."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = build(name, data).double().eval()
    draw_at_random(network, generator)
    images = data.batch("test", torch.arange(8))[0].double()
    parameters = {n: p.numel() for n, p in network.named_parameters()}
    yield {"image": "x".join(map(str, images.shape[1:])), "parameters": sum(parameters.values())}

    import_module("snnviz.structure.graph")  # which takes a second or two, once
    began = time.process_time()
    switches = find_switches(network, images)
    seconds = time.process_time() - began
    switched = {layer for g in switches.groups.values() for layer in (*g.writers, *g.norms)}
    share = sum(k for n, k in parameters.items() if n.rpartition(".")[0] in switched)
    yield {
        "groups": len(switches.groups),
        "neurons": sum(group.neurons for group in switches.groups.values()),
        "share_switched": round(share / sum(parameters.values()), 3),
        "can_go": round(1 - smallest_size(switches), 3),
        "left_alone": main_reason(switches, parameters),
        "seconds": round(seconds, 1),
    }
    factors = {}
    for group in switches.groups.values():
        values = torch.rand(group.neurons, generator=generator, dtype=torch.float64) + 0.5
        values[torch.randperm(group.neurons, generator=generator)[: group.neurons // 2]] = 0
        factors[group.name] = values
    small, report = sv.compact(
        network, factors, images, switches=switches, tolerance=LARGEST, latency=False
    )
    yield {
        "parameters_after": sum(p.numel() for p in small.parameters()),
        "difference": f"{report.difference:.1e}",
        "difference_training": f"{in_training(network, switches, factors, small, images):.1e}",
    }
    with tempfile.TemporaryDirectory() as folder:
        yield {"saved": holds(lambda: save_compact(small, Path(folder) / "net", images))}
        if quick:
            return
        yield {"round_runs": holds(lambda: one_round(name, data))}
        small, images = small.float(), images.float()
        for kind in ("pt2", "onnx"):
            yield {kind: holds(lambda: export(small, Path(folder) / f"net.{kind}", images))}  # noqa: B023


def main_reason(switches: Switches, parameters: dict[str, int]) -> str:
    """Why most of the weights are left alone that are."""
    counts: dict[str, int] = {}
    for name, count in parameters.items():
        layer = name.rpartition(".")[0]
        why = switches.left_alone.get(layer, "").removeprefix("weighted only: ")
        if why and why != _OUTPUTS:
            counts[why] = counts.get(why, 0) + count
    return max(counts, key=lambda why: counts[why], default="")


def holds(step: Callable[[], Any]) -> str:
    """Whether a step runs: "yes", or why not."""
    try:
        step()
    except Exception as error:  # its reason is what the row is for
        return f"no: {first_line(error)}"
    return "yes"


def one_round(name: str, data: sv.ImageData) -> None:
    plan = sv.Schedule(batch_size=8, warmup_epochs=0)
    trainer = sv.Trainer(build(name, data), data, plan, device="cpu", precision="float32")
    losses = [trainer.step().loss for _ in range(5)]
    if not all(map(math.isfinite, losses)):
        raise ValueError(f"the losses are {losses}")


def in_training(
    network: nn.Module,
    switches: Switches,
    factors: dict[str, Tensor],
    small: nn.Module,
    images: Tensor,
) -> float:
    """The greatest difference in training mode, without dropout, as a share of the largest."""
    with in_mode(network, "training", images):
        parameters = scaled_parameters(network, switches, factors)
        expected = torch.func.functional_call(network, parameters, (images,))
    with in_mode(small, "training", images):
        difference = small(images) - expected
    return float(difference.abs().max() / expected.abs().max())


def run_apart(name: str, limit: float, quick: bool) -> dict[str, Any]:
    """A row, from a process of its own."""
    command = [sys.executable, __file__, "--row", name, *(["--quick"] if quick else [])]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            code = subprocess.run(command, env=variables, stdout=out, stderr=err, timeout=limit)
            problem = "" if code.returncode == 0 else "?"
        except subprocess.TimeoutExpired:
            problem = f"not finished after {limit:g} s"
        for file in (out, err):
            file.seek(0)
        found: dict[str, Any] = {"network": name}
        for line in out:
            if line.startswith("{"):
                found |= json.loads(line)
        if problem == "?":
            problem = (err.read().strip().splitlines() or ["it ended without a word"])[-1][:300]
    return found | {"problem": "" if found.get("onnx") else problem}  # that is the last step


def read_rows() -> dict[str, dict[str, Any]]:
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


def write_rows(rows: dict[str, dict[str, Any]]) -> None:
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS.split(), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows[name] for name in all_names() if name in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(all_names()))
    parser.add_argument("--again", action="store_true", help="also networks that have a row")
    parser.add_argument("--write-docs", action="store_true", help="only write the page")
    parser.add_argument("--limit", type=float, default=900, help="seconds for a network")
    parser.add_argument("--quick", action="store_true", help="no training and no export")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        data = images_of(*all_names()[options.row])
        for part in measure(options.row, data, options.quick):
            print(json.dumps(part), flush=True)
        return
    unknown = [name for name in options.names if name not in all_names()]
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(all_names())}")
    rows = read_rows()
    for name in [] if options.write_docs else options.names:
        if options.again or name not in rows:
            began = time.perf_counter()
            found = run_apart(name, options.limit, options.quick)
            # Several of these may run at a time, each with its own networks.
            rows = read_rows() | {name: found}
            write_rows(rows)
            print(f"{time.perf_counter() - began:.0f} s", found, flush=True)
    DOCS.write_text(page(rows), encoding="utf-8")


_SECTIONS = {"": "Networks by name", "torchvision": "torchvision", "timm": "timm"}
_HEAD = (
    "network | image | parameters | groups | neurons | switched | can go | seconds "
    "| with half off | difference | in training | trains | saved | PT2 | ONNX"
)


def page(rows: dict[str, dict[str, Any]]) -> str:
    words = ", ".join(f"{name} {value}" for name, value in machine.describe().items())
    text = (
        f"Made by `python benchmarks/networks.py` ({words}). Those of torchvision and timm are "
        "built by their names and work in the same way as your own: `sv.Trainer(network, data)`."
    )
    meaning = (
        "*Switched* is the share of parameters in layers whose neurons can be switched, and *can "
        "go* the share that is gone when one neuron of each group is left: layers that read the "
        "neurons become smaller too. *Seconds* is the processor time to find the groups. *With "
        "half off* is the number of parameters left when half of each group is off. *Difference* "
        "is the largest difference between the outputs of the network with factors and those of "
        "the "
        "smaller network, as a share of the largest output, in float64; *in training*, that in "
        "training mode. All parameters are random for this. *Trains* says whether a round of "
        "training ran without an error, *saved* whether `save_compact` wrote the smaller network "
        "and the loaded one had the same outputs bit for bit, *PT2* and *ONNX* whether `export` "
        "wrote it and the file gave the same outputs. A dash: not measured."
    )
    lines = ["# Networks by name", "", *textwrap.wrap(text, 96), "", *textwrap.wrap(meaning, 96)]
    for family, title in _SECTIONS.items():
        own = [row for name, row in rows.items() if name.rpartition("/")[0] == family]
        lines += ["", *([f"## {title}", ""] if family else []), f"| {_HEAD} |"]
        lines += [f"|{'---|' * (_HEAD.count('|') + 1)}", *map(line_of, own)]
        said = [sentence for row in own for sentence in reasons(row)]
        lines += ["", *said] if said else []
    return "\n".join([*lines, "", *what_is_read()]) + "\n"


def line_of(row: dict[str, Any]) -> str:
    def number(key: str, form: str) -> str:
        return format(float(row[key]), form) if str(row.get(key, "")) else "–"

    def word(key: str) -> str:
        return str(row.get(key) or "–").partition(":")[0]

    cells = [row["network"].rpartition("/")[2], word("image"), number("parameters", ",.0f")]
    cells += [number("groups", ".0f"), number("neurons", ",.0f"), number("share_switched", ".1%")]
    cells += [number("can_go", ".1%")]
    cells += [number("seconds", ".1f"), number("parameters_after", ",.0f"), word("difference")]
    cells += map(word, ("difference_training", "round_runs", "saved", "pt2", "onnx"))
    return f"| {' | '.join(cells)} |"


def reasons(row: dict[str, Any]) -> Iterator[str]:
    """Why a step did not hold, as items of a list."""
    name = row["network"].rpartition("/")[2]
    if row.get("problem"):
        yield f"- {name}: {textwrap.shorten(row['problem'], 280, placeholder=' …')}"
    if row.get("left_alone") and float(row["share_switched"] or 1) < _LOW:
        yield f"- {name}, left alone for the most part because {row['left_alone']}"
    for key in ("round_runs", "saved", "pt2", "onnx"):
        kind, _, why = str(row.get(key, "")).partition(": ")
        if kind == "no":
            yield f"- {name}, {key.replace('_', ' ')}: {why}"


def what_is_read() -> list[str]:
    """What the switcher reads of a neuron: a section of the page."""
    own = sum(parameter.numel() for parameter in Switcher().parameters())
    text = (
        f"One switcher of {own:,} parameters serves all groups of any of these networks. Of each "
        "neuron it reads the numbers that the table marks with *yes*, each relative to the others "
        "of the neuron's group. `SwitcherConfig(descriptors=...)` chooses others, and you can add "
        "your own to `snnviz.switcher.DESCRIPTORS`."
    )
    lines = ["## What the switcher reads", "", *textwrap.wrap(text, 96), ""]
    lines += ["| name | by default | what it is |", "|---|---|---|"]
    default = SwitcherConfig().descriptors
    names = [*default, *(name for name in DESCRIPTORS if name not in default)]
    for name in names:
        yes = "yes" if name in default else "no"
        lines.append(f"| `{name}` | {yes} | {DESCRIPTORS[name].sentence} |")
    text = (
        "A switcher that has learned can be used on any other network: "
        "`trainer.switcher.save(path)`, then `Trainer(..., switcher=Switcher.load(path))`. One "
        "that has learned on three MLPs and three LeNets ships with the package: "
        "`Switcher.learned()`, or `snnviz train --switcher learned`. With it the first neurons go "
        "off in the first round after the warm-up (see "
        "[`benchmarks/results/learned_switcher.md`](../benchmarks/results/learned_switcher.md)). "
        "`plots.what_it_reads(trainer)` draws the factors against what is read, and the lesson "
        "[06](../notebooks/06_what_the_switcher_reads.ipynb) shows why it finds long weights."
    )
    return [*lines, "", *textwrap.wrap(text, 96, break_on_hyphens=False)]


if __name__ == "__main__":
    main()
